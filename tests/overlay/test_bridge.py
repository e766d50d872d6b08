"""The bridge from the processing system's AXI3 to the core's registers, against a model of AXI's rules."""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from overlays.flow import tools
from overlays.flow.simulation import simulation_netlist
from overlays.flow.sources import RTL
from overlays.flow.synthesis import synthesise
from tests.overlay.verilated import build_program, missing_tools

pytestmark = pytest.mark.skipif(bool(missing_tools()), reason=missing_tools())

BASE = 0x43C00000
FIXED, INCREMENT, WRAP = 0, 1, 2
OKAY, SLAVE_ERROR, DECODE_ERROR = 0, 2, 3


@dataclass
class Burst:
    write: bool
    identity: int
    address: int
    length: int  # beats less one
    size: int
    kind: int
    beats: tuple[tuple[int, int], ...] = ()

    def line(self) -> str:
        words = [self.identity, self.address, self.length, self.size, self.kind]
        data = [f"{value:x}/{strobes:x}" for value, strobes in self.beats]
        return " ".join(["W" if self.write else "R", *(f"{word:x}" for word in words), *data])

    def addresses(self) -> list[int]:
        """The address of each beat by the AXI specification's formulas."""
        step, count = 1 << self.size, self.length + 1
        aligned = self.address // step * step
        if self.kind == FIXED:
            return [self.address] * count
        if self.kind == INCREMENT:
            return [self.address, *(aligned + n * step for n in range(1, count))]
        lower = self.address // (step * count) * step * count
        return [lower + (self.address - lower + n * step) % (step * count) for n in range(count)]


def random_burst(rng: random.Random, write: bool) -> Burst:
    size = rng.choice([0, 1, 2, 2, 2])
    kind = rng.choice([FIXED, INCREMENT, INCREMENT, WRAP])
    length = rng.choice([1, 3, 7, 15]) if kind == WRAP else rng.choice([0, 0, rng.randrange(16)])
    window = 0 if write else 256  # writes below, reads above: their order among each other is not defined
    address = BASE + window + rng.randrange(256 - (length << size) - 4)
    if rng.random() < 0.1:
        edge = BASE - 4 if write else BASE + 504  # bursts across it are partly inside
        address = rng.choice([edge, BASE + 512, BASE + 0x10000, 0x40000000, 0x7FFFFFC0])
    if kind == WRAP:
        address = address >> size << size
    beats = tuple((rng.getrandbits(32), rng.randrange(16)) for _ in range(length + 1)) if write else ()
    return Burst(write, rng.getrandbits(12), address, length, size, kind, beats)


def expected(bursts: list[Burst]) -> tuple[list[str], list[str], list[int]]:
    """What comes back for reads, for writes, and what the memory holds afterwards."""
    memory = [0x1000 + word for word in range(128)]
    reads, writes = [], []
    for burst in bursts:
        worst = OKAY
        for beat, address in enumerate(burst.addresses()):
            inside = BASE <= address < BASE + 512
            word = (address - BASE) // 4
            code = DECODE_ERROR if not inside else SLAVE_ERROR if word % 64 == 63 else OKAY
            worst = max(worst, code)
            if not burst.write:
                last = int(beat == burst.length)
                reads.append(f"R {burst.identity:x} {memory[word] if inside else 0:x} {code:x} {last}")
            elif inside:
                value, strobes = burst.beats[beat]
                mask = sum(0xFF << 8 * byte for byte in range(4) if strobes >> byte & 1)
                memory[word] = memory[word] & ~mask | value & mask
        if burst.write:
            writes.append(f"B {burst.identity:x} {worst:x}")
    return reads, writes, memory


@pytest.fixture(scope="module", params=["rtl", "netlist"])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bench around the bridge as it is written, and around the xc7 cells that yosys makes of it."""
    folder = tmp_path_factory.mktemp("bridge")
    source = RTL / "axi_lite_bridge.sv"
    if request.param == "netlist":
        if tools.find(tools.YOSYS) is None:
            pytest.skip("no yosys here (pip install 'pynq-snn[fpga]')")
        source = simulation_netlist(synthesise([source], 0, folder, "axi_lite_bridge"))
    return build_program("axi_lite_bridge", [source], Path(__file__).parent / "bridge_bench.cpp", folder / "model")


@pytest.mark.parametrize("seed", range(3))
def test_every_burst_becomes_its_beats_and_is_answered_under_its_id(bench: Path, seed: int) -> None:
    rng = random.Random(seed)
    bursts = [random_burst(rng, rng.random() < 0.5) for _ in range(500)]
    done = subprocess.run(
        [str(bench), str(seed)], input="\n".join(burst.line() for burst in bursts), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    reads, writes, memory = expected(bursts)
    assert [line for line in lines if line[0] == "R"] == reads
    assert [line for line in lines if line[0] == "B"] == writes
    assert [line for line in lines if line[0] == "M"] == [f"M {word:x}" for word in memory]
