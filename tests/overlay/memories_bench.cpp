// Reads and writes the memories of memories.sv at random, often the same word, and prints all that they answer.
#include <cinttypes>
#include <cstdio>
#include <random>

#include "Vmemories.h"

int main() {
  Vmemories model;
  std::mt19937 random(1);
  for (int cycle = 0; cycle < 20000; ++cycle) {
    model.clk = 0;
    model.write = random() & 1;
    model.read = random() & 1;
    model.write_address = random() % (cycle < 10000 ? 512 : 8);
    model.read_address = random() % (cycle < 10000 ? 512 : 8);
    model.data[0] = random();
    model.data[1] = random();
    model.data[2] = random() & 0xFF;
    model.strobes = random() & 0xF;
    model.eval();
    model.clk = 1;
    model.eval();
    std::printf("%02x%08x%08x %09" PRIx64 " %03x %08x %04x\n", model.wide[2], model.wide[1], model.wide[0],
                static_cast<uint64_t>(model.middle), model.narrow, model.strobed, model.constant);
  }
}
