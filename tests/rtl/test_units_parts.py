"""Small parts of the RTL, each against a model: queues, checksum, neuron, memories."""

from __future__ import annotations

import zlib
from collections import deque
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.overlay.verilated import missing_tools
from tests.rtl.unit_bench import (
    ROW_WRITE,
    SEEDS,
    TAP,
    Driver,
    cycles,
    few,
    pack,
    signed,
    unpack,
)

pytestmark = pytest.mark.skipif(bool(missing_tools()), reason=missing_tools())

# --- queues -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "depth"), [("queue", 4), ("skid", 2)])
@few
@given(steps=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=80))
def test_queue_and_slice(name: str, depth: int, steps: list[tuple[bool, bool]]) -> None:
    """A slice is a queue of two."""
    unit, held = Driver(name), deque[int]()
    for number, (offers, takes) in enumerate(steps):
        shown = unit.cycle(in_valid=offers, in_data=number, out_ready=takes)
        assert (shown.out_valid, shown.in_ready) == (bool(held), len(held) < depth)
        assert name != "queue" or shown.count == len(held)
        assert not held or shown.out_data == held[0]
        room = len(held) < depth
        if held and takes:
            held.popleft()
        if offers and room:
            held.append(number)


@few
@given(steps=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=80))
def test_block_fifo(steps: list[tuple[bool, bool]]) -> None:
    """A word is at the output three cycles after it came in, or when those before it have left."""
    unit, held, free_since = Driver("block_fifo"), deque[tuple[int, int]](), 0
    for now, (offers, takes) in enumerate(steps):
        offers = offers and unit.look().count < 7
        shown = unit.cycle(in_valid=offers, in_data=now, out_ready=takes)
        assert 0 <= len(held) - shown.count <= 2
        ready = bool(held) and now >= max(held[0][0] + 3, free_since)
        assert shown.out_valid == ready
        if ready:
            assert shown.out_data == held[0][1]
            if takes:
                held.popleft()
                free_since = now + 1
        if offers:
            held.append((now, now))


# --- arithmetic -------------------------------------------------------------------------------------------------------


@few
@given(words=st.lists(st.integers(0, 2**64 - 1), max_size=20), pauses=st.integers(0, 2**20 - 1))
def test_crc(words: list[int], pauses: int) -> None:
    unit = Driver("crc")
    for _ in range(2):  # a second stream, after what the first one left
        unit.cycle(clear=1)
        for number, word in enumerate(words):
            if pauses >> number & 1:
                unit.cycle(word=word ^ 1)
            unit.cycle(word_valid=1, word=word)
        unit.cycle()
        assert unit.cycle().crc == zlib.crc32(np.array(words, "<u8").tobytes())


EARLIER_SUM, LATER_SUM, BIAS, NOT_THRESHOLD, LEAK, HALVE = range(1, 7)  # what the neuron's next operand is


@few
@given(
    initial=st.integers(-(2**30), 2**30), sums=st.lists(st.integers(-(2**28), 2**28), min_size=2, max_size=2),
    bias=st.integers(-(2**20), 2**20), threshold=st.integers(1, 2**31 - 1), leak_shift=st.integers(1, 4),
    hard_reset=st.booleans(),
)  # fmt: skip
def test_neuron(initial: int, sums: list[int], bias: int, threshold: int, leak_shift: int, hard_reset: bool) -> None:
    """Integrates two sums, leaks, adds its bias, and fires, with one addition in a cycle."""
    unit = Driver("neuron")
    values = {"initial_potential": initial, "earlier_sum": sums[0], "later_sum": sums[1], "bias": bias}

    def step(choice: int, **controls: int) -> Any:
        """Add what was chosen in the cycle before, and choose what comes next."""
        return unit.cycle(choice=choice, not_threshold=~threshold, hard_reset=hard_reset, **values, **controls)

    potential = initial + sums[0]
    step(EARLIER_SUM)
    step(LATER_SUM, adds=1, from_initial=1)
    potential += sums[1]
    step(0, adds=1)
    step(LEAK)
    assert signed(step(HALVE).potential, 32) == potential
    for _ in range(leak_shift - 1):
        step(HALVE)
    potential -= potential >> leak_shift
    step(BIAS, adds=1, carry=1)
    potential += bias
    step(NOT_THRESHOLD, adds=1)
    shown = step(0, fires=1, carry=1)
    assert signed(shown.potential, 32) == potential
    assert shown.spike == (potential >= threshold)
    if potential >= threshold:
        potential = 0 if hard_reset else potential - threshold
    assert signed(step(0).potential, 32) == potential


# --- memories ---------------------------------------------------------------------------------------------------------


@few
@given(seed=SEEDS)
def test_line_buffer(seed: int) -> None:
    unit, random = Driver("line_buffer"), Random(seed)
    places = [random.randrange(1 << 14) for _ in range(24)]
    content = {}
    for place in places:
        content[place] = random.getrandbits(64)
        unit.cycle(write=1, write_address=place, write_data=content[place])
    unit.cycle()
    expected: dict[int, list[tuple[int, int]]] = {}  # by cycle: port and word
    for now in range(200):
        write, asks = random.random() < 0.5, random.getrandbits(2)
        to, data = random.choice(places), random.getrandbits(64)
        read = [random.choice([place for place in places if place != to]) for _ in range(2)]
        shown = unit.cycle(write=write, write_address=to, write_data=data, read=asks, read_address=pack(read, 14))
        assert shown.conflict == (write and to % 8 == read[0] % 8)
        taken = [asks & 1 and not shown.conflict, asks & 2]
        expected[now + 4] = [(port, content[read[port]]) for port in range(2) if taken[port]]
        for port, word in expected.get(now, []):
            assert unpack(shown.word, 64, 2)[port] == word
        if write:
            content[to] = data


@few
@given(seed=SEEDS)
def test_weight_bank(seed: int) -> None:
    unit, random = Driver("weight_bank"), Random(seed)
    rows = random.sample(range(1024), 12)
    content = {}
    for row in rows:
        content[row] = random.getrandbits(256)
        unit.cycle(write=1, write_row=row)
        unit.cycle(write_data=content[row])
    expected: dict[int, list[tuple[str, int]]] = {}
    data = 0  # of the write a cycle ago
    for now in range(150):
        write, first, second = (random.random() < 0.5 for _ in range(3))
        to, *read = random.sample(rows, 3)
        shown = unit.cycle(
            write=write, write_row=to, write_data=data, read_first=first, first_row=read[0],
            read_second=second and not write, second_row=read[1],
        )  # fmt: skip
        asked = [("first", read[0])] * first + [("second", read[1])] * (second and not write)
        expected[now + 3] = [(port, content[row]) for port, row in asked]
        for port, word in expected.get(now, []):
            assert getattr(shown, port) == word
        data = random.getrandbits(256)
        if write:
            content[to] = data


@few
@given(seed=SEEDS)
def test_row_collector(seed: int) -> None:
    """Rows of both ports come out whole, in each port's order, whichever of them comes when."""
    unit, random = Driver("row_collector"), Random(seed)
    rows = [[(random.getrandbits(14), random.getrandbits(256)) for _ in range(20)] for _ in range(2)]
    words = [
        deque((index << 2 | part, data >> 64 * part & 2**64 - 1) for index, data in own for part in range(4))
        for own in rows
    ]
    found = []
    for _ in cycles():
        moves = [bool(own) and random.random() < 0.8 for own in words]
        sent = [own.popleft() if move else (0, 0) for own, move in zip(words, moves, strict=True)]
        shown = unit.cycle(
            data_valid=pack(moves, 1), data_index=pack([index for index, _ in sent], 16),
            data=pack([word for _, word in sent], 64),
        )  # fmt: skip
        row = ROW_WRITE.unpack(shown.row)
        if row.valid:
            index = row.parameters << 13 | row.index
            assert row.bank == (0 if row.parameters else 1 << (row.index & 7))
            found.append((index, row.data))
        if len(found) == 40:
            break
    assert sorted(found) == sorted(rows[0] + rows[1])
    for own in rows:
        assert [row for row in found if row in own] == own


@few
@given(seed=SEEDS, max_pool=st.booleans(), shortcut=st.booleans())
def test_tap_memory(seed: int, max_pool: bool, shortcut: bool) -> None:
    """Taps are checked and their reach is found while the other half is read."""
    unit, random = Driver("tap_memory"), Random(seed)
    halves: list[list[tuple[int, int, int, int]]] = [[], []]
    for fill in (0, 1, 0):
        blocks, weight_blocks = [random.randint(1, 64), random.choice([0, 3])], random.randint(4, 256)
        unit.cycle(fill_half=fill, begins=1, shortcut=shortcut, use_half=1 - fill)
        taps = [random_tap(random, blocks, weight_blocks) for _ in range(random.randint(1, 12))]
        old = halves[1 - fill]
        for index in range(max(len(taps), len(old)) + 3):
            given: dict[str, int] = {}
            if index < len(taps):
                dy, dx, block, source = taps[index]
                given = {"word_valid": 1, "word_index": index, "word": pack([dy, dx, block, source], 16)}
            shown = unit.cycle(
                fill_half=fill, use_half=1 - fill, max_pool=max_pool, shortcut=shortcut, blocks0=blocks[0],
                blocks1=blocks[1], weight_blocks=weight_blocks, address=index, **given,
            )  # fmt: skip
            if 0 < index <= len(old):
                check_tap(shown.tap, old[index - 1])
        halves[fill] = taps
        check_reach(shown, taps, shortcut)
        good = [is_good(tap, blocks, weight_blocks, max_pool, shortcut) for tap in taps]
        assert shown.all_valid == all(good)


def random_tap(random: Random, blocks: list[int], weight_blocks: int) -> tuple[int, int, int, int]:
    """Return dy, dx, block and source, one in ten of them breaking a rule."""
    source = int(random.random() < 0.3 and blocks[1] > 0)
    last = weight_blocks - blocks[source]
    block = random.randint(0, max(last, 0))
    if random.random() < 0.1:
        block, source = random.choice([(block, 2), (block, 1), (weight_blocks, source), (0xFFFF, source)])
    return random.randint(-300, 300), random.randint(-300, 300), block, source


def is_good(
    tap: tuple[int, int, int, int], blocks: list[int], weight_blocks: int, max_pool: bool, second: bool
) -> bool:
    """Whether a tap keeps the rules; `second`: source 1 is an identity shortcut, which has no taps."""
    _, _, block, source = tap
    known = source == 0 or (source == 1 and blocks[1] > 0 and not second and not max_pool)
    return known and (max_pool or block + blocks[source & 1] <= weight_blocks)


def check_tap(packed: int, tap: tuple[int, int, int, int]) -> None:
    """Compare a tap that was read with the one that was written."""
    dy, dx, block, source = tap
    found = TAP.unpack(packed)
    expected = (dy, dx, block % 512, source & 1)
    assert (signed(found.dy, 16), signed(found.dx, 16), found.weight_block, found.source) == expected


def check_reach(shown: Any, taps: list[tuple[int, int, int, int]], shortcut: bool) -> None:
    """Compare which sources are used, and the rows that their taps reach."""
    for source in (0, 1):
        rows = [tap[0] for tap in taps if tap[3] & 1 == source]
        identity = shortcut and source == 1  # reads the output's own row
        rows += [0] * identity
        assert getattr(shown, f"used{source}") == bool(rows)
        found = [signed(getattr(shown, f"{end}_dy{source}"), 16) for end in ("first", "last")]
        assert found == ([min(rows), max(rows)] if rows else [0, 0])
