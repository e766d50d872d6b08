"""What the neurons work with and make of it, module by module: weights, parameters, neurons, results."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings

from pynq_snn import layout
from pynq_snn.layout import Firing
from tests.overlay.verilated import missing_tools
from tests.rtl.unit_bench import (
    PACES,
    REQUEST,
    ROW_WRITE,
    SEEDS,
    WRITE_REQUEST,
    Driver,
    cycles,
    few,
    pack,
    unpack,
)

pytestmark = pytest.mark.skipif(bool(missing_tools()), reason=missing_tools())
LANES = 32
BLOCKS = 1 << 10  # weight blocks are numbered modulo this


def ahead(later: int, earlier: int) -> int:
    """Return the difference of two numbers of which only the remainder is known and which lie close together."""
    return (later - earlier + BLOCKS // 2) % BLOCKS - BLOCKS // 2


# --- weights and parameters -------------------------------------------------------------------------------------------


class WeightMemory:
    """Answers requests for weight blocks, their rows in any order, and counts."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.rows: list[int] = []  # blocks of the rows that are on their way
        self.left: dict[int, int] = {}  # of each block that is not complete: rows
        self.issued = self.complete = self.released = 0

    def ask(self, count: int) -> None:
        """Put blocks on their way."""
        for block in range(self.issued, self.issued + count):
            self.rows += [block] * 32
            self.left[block] = 32
        self.issued += count

    def arrives(self) -> int:
        """Return the block of a row that arrives."""
        block = self.rows.pop(self.random.randrange(len(self.rows)))
        self.left[block] -= 1
        if self.left[block] == 0:
            del self.left[block]
        return block

    def blocks_there(self) -> int:
        """Return how many blocks are there, without a gap."""
        return min(self.left, default=self.issued)


def weight_requests(layers: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """Yield offset, words and destination of every request: parameters of a group, then its blocks."""
    issued = group = 0
    for offset, blocks, groups in layers:
        for _ in range(groups):
            yield offset, 64, 0x8000 | group % 4 << 6
            group += 1
            offset += 512
            left = blocks
            while left:
                count = min(left, 8, 256 - issued % 256)
                yield offset, 128 * count, issued % 256 << 7
                offset, issued, left = offset + 1024 * count, issued + count, left - count


@settings(few, max_examples=4)
@given(seed=SEEDS, pace=PACES)
def test_weight_loader(seed: int, pace: float) -> None:
    """All groups of all layers in order, not further ahead than ring, window and slots have room."""
    unit, random = Driver("weight_loader"), Random(seed)
    sizes = [(random.choice([1, 2, 7, 9, 40]), random.randint(1, 3)) for _ in range(2)]
    sizes.insert(random.randrange(3), (240, 1))  # once around the ring
    layers = [(64 * random.getrandbits(25), *size) for size in sizes]
    expected = deque(weight_requests(layers))
    memory, slots, starts = WeightMemory(random), 0, deque(layers)
    late, quiet = random.random() < 0.5, 0  # blocks are released late: when nothing has moved for a while
    for _ in cycles(60_000):
        inputs: dict[str, int] = {}
        offset, blocks, groups = starts[0] if starts else (0, 0, 0)
        if unit.look(slot_free=slots < 4).idle and starts:
            starts.popleft()
            inputs["start"] = 1
        if memory.rows and random.random() < max(pace, 0.5):
            block = memory.arrives()
            inputs |= {"row_arrives": 1, "row_block": block % 16}
        shown = unit.cycle(
            weight_offset=offset, weight_blocks=blocks, groups=groups, request_ready=(takes := random.random() < pace),
            slot_free=slots < 4, released=memory.released % BLOCKS, **inputs,
        )  # fmt: skip
        assert 0 <= ahead(memory.blocks_there(), shown.complete) <= 16
        memory.complete += ahead(shown.complete, memory.complete)
        if shown.request_valid and takes:
            request = REQUEST.unpack(shown.request)
            assert request.region == layout.Region.PROGRAM
            assert (request.offset, request.words, request.destination) == expected.popleft()
            if request.destination < 0x8000:
                memory.ask(request.words // 128)
                assert memory.issued - memory.complete <= 16
                assert memory.issued - memory.released <= 256
        slots += shown.slot_taken
        assert slots <= 4
        slots -= slots > 0 and random.random() < pace / 4
        quiet = 0 if shown.request_valid or "row_arrives" in inputs else quiet + 1
        if quiet > 60 if late else random.random() < pace / 4:
            memory.released += random.randint(0, memory.complete - memory.released)
            quiet = 0
        if not expected and shown.idle and memory.complete == memory.issued:
            break


class Parameters:
    """Parameters of groups in memory, and the rows that are on their way."""

    KINDS = 4
    ROWS = 16

    def __init__(self, random: Random, groups: int) -> None:
        self.random = random
        self.values = [
            [[random.getrandbits(32) for _ in range(LANES)] for _ in range(self.KINDS)] for _ in range(groups)
        ]
        self.asked = 0
        self.rows: list[list[int]] = []  # of each group on its way: rows that have not arrived

    def ask(self) -> None:
        """Put the rows of the next group on their way."""
        rows = list(range(self.ROWS))
        self.random.shuffle(rows)
        self.rows.append(rows)
        self.asked += 1

    def arrives(self) -> int:
        """Return a row that arrives, of one of the two oldest groups."""
        waiting = [number for number, rows in enumerate(self.rows) if rows][:2]
        number = self.random.choice(waiting)
        row = self.rows[number].pop()
        lanes = self.values[number][row // 4][8 * (row % 4) : 8 * (row % 4) + 8]
        return ROW_WRITE.pack(valid=1, parameters=1, index=number % 4 << 4 | row, data=pack(lanes, 32))


@few
@given(seed=SEEDS, pace=PACES)
def test_parameters(seed: int, pace: float) -> None:
    """Each group's parameters are there when neurons and sums need them, and until they are through."""
    unit, random, groups = Driver("parameters"), Random(seed), 12
    memory, neurons, sums, slots = Parameters(random, groups), 0, 0, 0
    looks = random.random() < 0.5  # at the shortcut: waits for it
    for _ in cycles():
        shown = unit.look()
        asks = bool(shown.slot_free) and memory.asked < groups and random.random() < pace
        sums_done = (
            sums < min(groups, neurons + 2) and sums < memory.asked and random.random() < pace
            and bool(shown.sums_ready or not looks)
        )  # fmt: skip
        neurons_done = bool(shown.neurons_ready) and neurons < sums and random.random() < pace
        row = memory.arrives() if any(memory.rows) and random.random() < pace else 0
        shown = unit.cycle(row=row, slot_taken=asks, sums_done=sums_done, neurons_done=neurons_done)
        if shown.neurons_ready:
            initial, bias, threshold, _ = memory.values[neurons]
            assert unpack(shown.initial_potential, 32, LANES) == initial
            assert unpack(shown.bias, 32, LANES) == bias
            assert unpack(shown.not_threshold, 32, LANES) == [value ^ 0xFFFFFFFF for value in threshold]
        if shown.sums_ready:
            assert unpack(shown.shortcut, 32, LANES) == memory.values[sums][3]
        if asks:
            memory.ask()
        sums, neurons = sums + sums_done, neurons + neurons_done
        slots = memory.asked - neurons
        assert slots <= 4 + 1  # a slot is free when its group has been copied
        if neurons == groups:
            break
    assert sums == groups


# --- neurons ----------------------------------------------------------------------------------------------------------


@dataclass
class Group:
    """Parameters of an output group, and the sums of its places: of each timestep, one, or none."""

    initial: list[int]
    bias: list[int]
    threshold: list[int]
    places: list[list[list[int]]]


@dataclass
class NeuronLayer:
    """What the neurons are told about a layer."""

    firing: Firing
    timesteps: int
    binary_in: bool
    binary_out: bool
    output_planes: int
    leak_shift: int
    hard_reset: bool
    last_lanes: int
    groups: list[Group]

    @property
    def ports(self) -> dict[str, int]:
        """What the module is given."""
        return {
            "firing": self.firing, "timesteps": self.timesteps, "binary_in": self.binary_in,
            "binary_out": self.binary_out, "output_planes": self.output_planes, "leak_shift": self.leak_shift,
            "hard_reset": self.hard_reset, "last_lanes": self.last_lanes, "groups": len(self.groups),
        }  # fmt: skip

    @property
    def pairs(self) -> bool:
        """Whether sums come for each pair of timesteps."""
        return self.firing == Firing.STEPWISE and not self.binary_in

    def spikes(self, group: Group, sums: list[list[int]], lane: int) -> list[int]:
        """Return the spike train of a neuron."""
        potential, train = group.initial[lane], []
        if self.firing == Firing.DEFERRED:
            potential += sums[0][lane]
        for t in range(self.timesteps):
            if self.firing == Firing.STEPWISE:
                potential -= potential >> self.leak_shift if self.leak_shift else 0
                potential += sums[t if self.pairs else 0][lane] + group.bias[lane]
            fires = potential >= group.threshold[lane]
            if fires:
                potential = 0 if self.hard_reset else potential - group.threshold[lane]
            train.append(int(fires))
        return train

    def results(self) -> tuple[list[int], int]:
        """Return the words of all places, and the number of spikes of lanes that exist."""
        words: list[int] = []
        spikes = 0
        for number, group in enumerate(self.groups):
            lanes = self.last_lanes or LANES if number == len(self.groups) - 1 else LANES
            for sums in group.places:
                if self.firing == Firing.READOUT:
                    logits = [group.initial[lane] + sums[0][lane] for lane in range(LANES)]
                    words += [pack(logits[i : i + 2], 32) for i in range(0, LANES, 2)]
                    continue
                trains = [self.spikes(group, sums, lane) for lane in range(LANES)]
                spikes += sum(map(sum, trains[:lanes]))
                words += self._planes(trains)
        return words, spikes

    def _planes(self, trains: list[list[int]]) -> list[int]:
        if self.binary_out:
            counts = [sum(train) for train in trains]
            planes = [pack([count >> bit & 1 for count in counts], 1) for bit in reversed(range(self.output_planes))]
        else:
            planes = [pack([train[t] for train in trains], 1) for t in range(self.timesteps)]
            planes += [0] * (self.timesteps % 2)
        return [pack(planes[i : i + 2], 32) for i in range(0, len(planes), 2)]


def neuron_layer(random: Random, firing: Firing) -> NeuronLayer:
    """Return a layer for the neurons, of a few places."""
    stepwise = firing == Firing.STEPWISE
    timesteps = random.choice([1, 2, 3, 4, 5, 8, 15, 32])
    binary_in = random.random() < 0.5
    binary_out = firing == Firing.DEFERRED and random.random() < 0.5
    planes = (
        random.choice([p for p in (2, 4, 6, 8, 32) if timesteps < 1 << p]) if binary_out else timesteps + timesteps % 2
    )
    sums = timesteps if stepwise and not binary_in else 1

    def numbers(least: int, most: int) -> list[int]:
        return [random.randint(least, most) for _ in range(LANES)]

    groups = [
        Group(
            numbers(-500, 500), numbers(-50, 50) if stepwise else [0] * LANES, numbers(1, 400),
            [[numbers(-300, 900) for _ in range(sums)] for _ in range(random.randint(1, 4))],
        )
        for _ in range(random.randint(1, 3))
    ]  # fmt: skip
    return NeuronLayer(
        firing, timesteps, binary_in, binary_out, 0 if firing == Firing.READOUT else planes,
        random.choice([0, 1, 4]) if stepwise else 0, stepwise and random.random() < 0.5, random.randrange(LANES),
        groups,
    )  # fmt: skip


class Writer:
    """Plays the output writer: says whether there is room, from the number of words that it holds."""

    WORDS = 512

    def __init__(self, held: int) -> None:
        self.held = held
        self.coming = 0  # through a register of snn_compute
        self.room = self.room_ahead = 0

    def cycle(self, arrives: int, leaves: bool) -> None:
        """End a cycle."""
        self.room, self.room_ahead = int(self.held < 448), int(self.held < 384)
        self.held += self.coming - (leaves and self.held > 0)
        self.coming = arrives
        assert self.held < self.WORDS


def hand_overs(layer: NeuronLayer) -> Iterator[dict[str, int]]:
    """Yield what comes with each hand-over: the sums of two timesteps, or of all."""
    for group in layer.groups:
        for number, sums in enumerate(group.places):
            packed = [pack(values, 32) for values in sums]
            pairs = [(packed + [0])[i : i + 2] for i in range(0, len(packed), 2)]
            for pair in pairs:
                ends = number == len(group.places) - 1
                yield {"earlier_sum": pair[0], "later_sum": pair[1], "handed_group_end": ends}


@pytest.mark.parametrize("firing", Firing)
@few
@given(seed=SEEDS, pace=PACES)
def test_neurons(firing: Firing, seed: int, pace: float) -> None:
    """All spikes of all places, whenever sums, parameters and room come."""
    unit, random = Driver("neurons"), Random(seed)
    for _ in range(2):
        run_neurons(unit, neuron_layer(random, firing), random, pace)


def run_neurons(unit: Driver, layer: NeuronLayer, random: Random, pace: float) -> None:
    """Let the neurons work on a layer."""
    sums, (expected, expected_spikes) = deque(hand_overs(layer)), layer.results()
    at_hand = {"earlier_sum": 0, "later_sum": 0, "handed_group_end": 0}
    way: deque[dict[str, int] | None] = deque([None] * 10)  # sums take ten cycles
    writer = Writer(random.choice([0, 380, 440]))
    group, ready_in = 0, 5
    found: list[int] = []
    spikes = quiet = 0
    unit.cycle(**layer.ports)
    unit.cycle(start=1, **layer.ports)
    for _ in cycles(20_000):
        arrives = way.popleft()
        at_hand = arrives or at_hand
        ready = ready_in == 0 and group < len(layer.groups)
        values = layer.groups[group] if ready else None
        inputs = layer.ports | at_hand | {
            "handed": arrives is not None, "parameters_ready": ready, "out_room": writer.room,
            "out_room_ahead": writer.room_ahead,
            "initial_potential": pack(values.initial, 32) if values else random.getrandbits(1024),
            "bias": pack(values.bias, 32) if values else random.getrandbits(1024),
            "not_threshold": pack([~value for value in values.threshold], 32) if values else random.getrandbits(1024),
        }  # fmt: skip
        begins = bool(sums) and random.random() < pace and bool(unit.look(**inputs).may_hand_over)
        way.append(sums.popleft() if begins else None)
        shown = unit.cycle(**inputs, hand_begun=begins)
        found += [shown.out_word] * shown.out_valid
        spikes += shown.spikes_fired * shown.spikes_valid
        writer.cycle(shown.out_valid, random.random() < pace)
        ready_in -= ready_in > 0
        if shown.parameters_done:
            assert ready
            group, ready_in = group + 1, random.randint(12, 30)
        quiet = quiet + 1 if group == len(layer.groups) and not shown.active else 0
        if quiet > 30:
            break
    assert found == expected
    assert spikes == expected_spikes


# --- results ----------------------------------------------------------------------------------------------------------


@few
@given(seed=SEEDS, pace=PACES)
def test_output_writer(seed: int, pace: float) -> None:
    """One request for each row, group by group and image by image, each followed by its words."""
    unit, random = Driver("output_writer"), Random(seed)
    groups, images, height, row_words = (random.randint(1, 3) for _ in range(4))
    first, image_bytes, block_bytes = 1 << 40, 1 << 12, 1 << 20
    layer = {
        "region": 2, "first_offset": first, "image_bytes": image_bytes, "block_bytes": block_bytes,
        "row_words": row_words, "height": height, "groups": groups, "images": images,
    }  # fmt: skip
    rows = [
        first + group * block_bytes + image * image_bytes + y * 8 * row_words
        for group in range(groups) for image in range(images) for y in range(height)
    ]  # fmt: skip
    words = [random.getrandbits(64) for _ in range(len(rows) * row_words)]
    unit.cycle(**layer)
    assert unit.cycle(start=1, **layer).done
    requests: list[tuple[int, int, int]] = []
    data: list[int] = []
    given = 0
    for _ in cycles():
        gives = given < len(words) and bool(unit.look(**layer).room) and random.random() < pace
        ready = [random.random() < pace for _ in range(2)]
        word = words[given] if gives else 0
        shown = unit.cycle(in_valid=gives, in_word=word, request_ready=ready[0], data_ready=ready[1], **layer)
        given += gives
        if shown.request_valid and ready[0]:
            request = WRITE_REQUEST.unpack(shown.request)
            requests.append((request.region, request.offset, request.words))
        if shown.data_valid and ready[1]:
            data.append(shown.data)
        if shown.done and not shown.request_valid and len(data) == len(words):
            break
    assert requests == [(2, offset, row_words) for offset in rows]
    assert data == words
