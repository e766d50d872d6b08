"""Modules of the RTL by themselves, each against a model that says what its header promises."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pynq_snn import layout
from pynq_snn.layout import ErrorCode
from tests.overlay.verilated import missing_tools
from tests.rtl.unit_bench import (
    BURST,
    FENCED,
    HELD,
    OUTCOME,
    PASS_END,
    PLACE,
    REQUEST,
    ROW_WRITE,
    TAP,
    WORDS,
    WRITE_REQUEST,
    Driver,
    pack,
    signed,
    unpack,
)

pytestmark = pytest.mark.skipif(bool(missing_tools()), reason=missing_tools())
# A seed cannot be made simpler: what fails is not tried again in smaller sizes.
few = settings(max_examples=8, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
SEEDS = st.integers(0, 2**32)
PACES = st.sampled_from([0.1, 0.5, 0.9, 1.0])  # chance in a cycle that a side moves
MOST_CYCLES = 4000


def cycles() -> Iterator[int]:
    """Count cycles; too many of them mean that something has been lost."""
    yield from range(MOST_CYCLES)
    raise AssertionError(f"not through after {MOST_CYCLES} cycles")


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


# --- memory's side ----------------------------------------------------------------------------------------------------


@few
@given(seed=SEEDS, pace=PACES)
def test_fence(seed: int, pace: float) -> None:
    """Nothing passes but what lies in its window and in 32 bits of address; each client has its turn."""
    unit, random = Driver("fence"), Random(seed)
    sizes = [random.choice([64, 4096, 2**32 - 64]) for _ in range(4)]
    bases = [random.choice([0x1000_0000, 0xFFFF_F000, 0x1_0000_0000, 0xFFFF_FFFF_0000_0000]) for _ in range(4)]
    expected: dict[int, tuple[int, ...] | None] = {}
    names = ("command", "weight", "map", "result")
    taken = [0] * 4
    for now in range(200):
        requests = [random_request(random, sizes) for _ in range(4)]
        bits = [REQUEST.pack(**request) for request in requests[:3]]
        del requests[3]["destination"]
        valid, room, stop = random.getrandbits(4), pack([random.random() < pace for _ in range(4)], 1), now >= 180
        shown = unit.cycle(
            stop=stop, window_bytes=pack(sizes, 32), window_address=pack(bases, 64), request_valid=valid, room=room,
            **{f"{name}_request": packed for name, packed in zip(names, bits, strict=False)},
            result_request=WRITE_REQUEST.pack(**requests[3]),
        )  # fmt: skip
        assert shown.request_ready in ({0} if stop else {0, 1, 2, 4, 8})
        assert shown.request_ready & ~room == 0
        check_passed(shown, expected.pop(now, None))
        for client in range(4):
            if valid & shown.request_ready & 1 << client:
                taken[client] += 1
                expected[now + 3] = verdict(client, requests[client], sizes, bases)
    assert pace < 0.5 or all(taken)


def random_request(random: Random, sizes: list[int]) -> dict[str, int]:
    """Return a request near its window's end, with a few words."""
    region = random.randrange(4)
    words = random.choice([0, 1, 8, 65535])
    offset = random.choice([0, 64, (sizes[region] - 8 * words) & ~7, 2**41, random.randrange(0, 4096, 8)])
    return {"region": region, "offset": offset & 2**42 - 1, "words": words, "destination": random.getrandbits(16)}


def verdict(client: int, request: dict[str, int], sizes: list[int], bases: list[int]) -> tuple[int, ...]:
    """Return how a request ends: passed with its burst, or an error with client and region."""
    region, offset, words = request["region"], request["offset"], request["words"]
    if words == 0 or offset + 8 * words > sizes[region]:
        return 1, client, region
    if bases[region] + offset + 8 * words > 2**32:
        return 2, client, region
    return 0, client, (bases[region] + offset) // 8, words, request.get("destination", 0)


def check_passed(shown: Any, expected: tuple[int, ...] | None) -> None:
    """Compare what leaves the fence in a cycle."""
    found: tuple[int, ...] | None = None
    if shown.passed_valid:
        passed = FENCED.unpack(shown.passed)
        found = 0, shown.passed_valid.bit_length() - 1, passed.address, passed.words, passed.destination
    elif shown.fence_error or shown.bus_error:
        found = shown.fence_error + 2 * shown.bus_error, shown.error_client, shown.error_region
    assert found == expected


@few
@given(
    address=st.integers(0, 2**28), words=st.sampled_from([1, 2, 15, 16, 17, 100, 1000]), parity=st.integers(0, 1),
    seed=SEEDS, pace=PACES,
)  # fmt: skip
def test_two_cutters_share_a_request(address: int, words: int, parity: int, seed: int, pace: float) -> None:
    """Each takes the chunks of 128 bytes of its parity: whole, in order, at their positions."""
    unit, random = Driver("alternating_cutter"), Random(seed)
    chunks, position = [], 0
    while position < words:
        beats = min(16 - (address + position) % 16, words - position)
        if (address + position) >> 4 & 1 == parity:
            chunks.append((address + position, beats - 1, (7 + position) % 2**16, position + beats == words))
        position += beats
    request = FENCED.pack(address=address, words=words, destination=7)
    assert unit.cycle(parity=parity, request_valid=1, request=request).request_ready
    found = []
    for _ in cycles():
        ready = random.random() < pace
        shown = unit.cycle(parity=parity, burst_ready=ready)
        if shown.burst_valid and ready:
            burst = BURST.unpack(shown.burst)
            found.append((burst.address, burst.last_beat, burst.index, bool(shown.burst_is_last)))
        if shown.request_ready and not shown.burst_valid:
            break
    assert found == chunks


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


# --- spikes to sums ---------------------------------------------------------------------------------------------------


def sparse(random: Random, bits: int, share: float) -> int:
    """Return a word with this share of its bits set."""
    return pack([random.random() < share for _ in range(bits)], 1)


def bank_reads(earlier: int, later: int, block: int) -> list[tuple[int, int]]:
    """Return row and planes of every channel of a bank that spikes, lowest first."""
    return [
        ((block + (channel >> 2)) % 256 << 2 | channel & 3, (later >> channel & 1) << 1 | earlier >> channel & 1)
        for channel in range(8) if (earlier | later) >> channel & 1
    ]  # fmt: skip


@few
@given(seed=SEEDS, share=st.sampled_from([0.05, 0.3, 1.0]), pace=PACES)
def test_pop_bank(seed: int, share: float, pace: float) -> None:
    unit, random = Driver("pop_bank"), Random(seed)
    pairs = [(sparse(random, 8, share), sparse(random, 8, share), random.getrandbits(8)) for _ in range(40)]
    expected = [read for pair in pairs for read in bank_reads(*pair)]
    found, entered = [], 0
    for _ in cycles():
        pair = dict(zip(("earlier", "later", "block"), pairs[entered] if entered < 40 else (0, 0, 0), strict=True))
        taken = random.random() < 0.3
        enter = entered < 40 and random.random() < pace and bool(unit.look(second_taken=taken, **pair).accept)
        shown = unit.cycle(second_taken=taken, enter=enter, **pair)
        assert not (taken and shown.second_read)
        found += [(shown.first_row, shown.first_planes)] * shown.first_read
        found += [(shown.second_row, shown.second_planes)] * shown.second_read
        entered += enter
        inside = sum(len(bank_reads(*pair)) for pair in pairs[: entered - enter]) - len(found)
        assert shown.finishes == (inside == 0)
        if entered == 40 and shown.finishes and not enter:
            break
    assert found == expected
    assert unit.cycle().empty


def random_passes(random: Random, count: int, share: float, shortcut: bool) -> list[list[dict[str, int]]]:
    """Return passes of words; the last word of each says what ends with it."""
    passes = []
    for number in range(count):
        words: list[dict[str, int]] = [
            {f"word{i}": sparse(random, 64, share) for i in range(2)} | {"block": random.getrandbits(8)}
            for _ in range(random.randint(1, 4))
        ]
        if shortcut:
            words.append({"word0": sparse(random, 64, share), "shortcut": 1})
        words[-1] |= {"last": 1, "hand_over": number % 2, "group_end": number % 4 == 3}
        passes.append(words)
    return passes


@few
@given(seed=SEEDS, share=st.sampled_from([0.0, 0.05, 0.5]), pace=PACES, shortcut=st.booleans())
def test_popper(seed: int, share: float, pace: float, shortcut: bool) -> None:
    """Each bank reads the rows of its channels in order, and a pass ends when all of them have."""
    unit, random = Driver("popper"), Random(seed)
    passes = random_passes(random, 8, share, shortcut)
    expected = [[rows_of(words, bank) for words in passes] for bank in range(8)]
    left, ends, group_ending = deque(word for words in passes for word in words), 0, False
    found: list[list[tuple[int, int]]] = [[] for _ in range(8)]
    for _ in cycles():
        valid, may, write = bool(left) and random.random() < pace, random.random() < pace, sparse(random, 8, 0.3)
        done = group_ending and random.random() < 0.3
        shown = unit.cycle(
            enable=1, needs_shortcut=shortcut, sums_done=done, sums_ready=1, may_hand_over=may, words_valid=valid,
            words=WORDS.pack(present=1, **left[0]) if valid else 0, write=write,
        )  # fmt: skip
        group_ending = group_ending and not done
        assert valid or not shown.words_ready
        assert shown.second_read & write == 0
        for bank in range(8):
            for port in ("first", "second"):
                if getattr(shown, f"{port}_read") >> bank & 1:
                    row = unpack(getattr(shown, f"{port}_row"), 10, 8)[bank]
                    found[bank].append((row, unpack(getattr(shown, f"{port}_planes"), 2, 8)[bank]))
        end = PASS_END.unpack(shown.pass_end)
        if end.valid:
            last = passes[ends][-1]
            assert (end.hand_over, end.group_end) == (last["hand_over"], last["group_end"])
            assert may or not end.hand_over
            ends += 1
            assert found == [[read for reads in own[:ends] for read in reads] for own in expected]
            spikes = last["word0"] if "shortcut" in last else 0
            assert end.shortcut_valid == (spikes != 0)
            assert not spikes or end.shortcut == spikes
            group_ending = bool(end.group_end)
        if shown.words_ready:
            left.popleft()
        if ends == len(passes):
            break


def rows_of(words: list[dict[str, int]], bank: int) -> list[tuple[int, int]]:
    """Return the reads of a bank for the words of a pass."""
    reads = []
    for word in words:
        if "shortcut" not in word:
            spikes = [word["word0"], word["word1"]]
            planes = [
                pack([spikes[i] >> 32 * plane + bank + 8 * r & 1 for i in range(2) for r in range(4)], 1)
                for plane in range(2)
            ]
            reads += bank_reads(planes[0], planes[1], word["block"])
    return reads


@few
@given(seed=SEEDS, pace=PACES, max_pool=st.booleans())
def test_scanner(seed: int, pace: float, max_pool: bool) -> None:
    """The words of every place come out in order, without those that have no spikes and end no pass."""
    unit, random = Driver("scanner"), Random(seed)
    memory = [sparse(random, 64, 0.02) if random.random() < 0.5 else 0 for _ in range(1 << 14)]
    place_words = random.randint(1, 16)
    blocks, row_words = [random.randint(1, 5) for _ in range(2)], [random.randint(1, 40) for _ in range(2)]
    places = random_places(random, 40, max_pool)
    expected = [word for place in places for word in scanned(place, memory, place_words, blocks, row_words, max_pool)]
    layer = {
        "max_pool": max_pool, "place_words": place_words, "weight_blocks": 60,
        **{f"held{i}": HELD.pack(blocks=blocks[i], row_words=row_words[i]) for i in range(2)},
    }  # fmt: skip
    most_complete = 60 * (1 + sum(place["group_end"] for place in places))
    left, coming, found, rows, complete = deque(places), deque([[0, 0]] * 4), [], 0, 0
    quiet = 0
    for _ in cycles():
        complete += random.random() < pace and complete < most_complete
        valid = bool(left) and random.random() < pace
        shown = unit.cycle(
            place_valid=valid, place=PLACE.pack(**left[0]) if valid else 0, complete=complete,
            hold=random.random() > pace, conflict=(conflict := random.random() < 0.2),
            read_word=pack(coming.popleft(), 64), **layer,
        )  # fmt: skip
        asked = [shown.read & 1 and not conflict, shown.read >> 1]
        addresses = unpack(shown.read_address, 14, 2)
        coming.append([memory[address] if ask else 0 for ask, address in zip(asked, addresses, strict=True)])
        if valid and shown.place_ready:
            left.popleft()
        rows += shown.row_passed
        if shown.words_valid:
            words = WORDS.unpack(shown.words)
            found.append((words.word0, words.word1, words.present, words.shortcut, words.last))
        quiet = 0 if left or shown.read or not shown.place_ready else quiet + 1
        if quiet > 10:
            break
    assert found == expected
    assert rows == sum(place["row_end"] for place in places)


def random_places(random: Random, count: int, max_pool: bool) -> list[dict[str, int]]:
    """Return places; the last one of each few ends a pass, sometimes a row or a group."""
    places = []
    for number in range(count):
        last = random.random() < 0.4 or number == count - 1
        row_end = last and random.random() < 0.5
        shortcut = last and not max_pool and random.random() < 0.3
        places.append({
            "present": random.random() < 0.8, "address": random.getrandbits(13), "weight_block": random.randint(0, 50),
            "source": not max_pool and random.getrandbits(1), "shortcut": shortcut, "last": last, "hand_over": last,
            "row_end": row_end, "group_end": row_end and number % 5 == 0,
        })  # fmt: skip
    return places


def scanned(
    place: dict[str, int], memory: list[int], place_words: int, blocks: list[int], row_words: list[int], max_pool: bool
) -> list[tuple[int, ...]]:
    """Return the words of a place that the scanner passes on."""
    source, start = place["source"], place["address"]
    if not place["present"]:
        groups: list[list[int]] = [[]]
    elif max_pool:
        groups = [[memory[start + pair]] for pair in range(place_words)]
    else:
        words = [memory[(start + block * row_words[source]) % (1 << 14)] for block in range(blocks[source])]
        groups = [words[i : i + 2] for i in range(0, len(words), 2)]
    found: list[tuple[int, ...]] = []
    for number, group in enumerate(groups):
        last = place["last"] and number == len(groups) - 1
        if last or max_pool or any(group):
            word0, word1 = (*group, 0, 0)[:2]
            found.append((word0, word1, place["present"], place["shortcut"] and place["present"], last))
    return found


@few
@given(seed=SEEDS, pace=PACES, binary=st.booleans(), place_words=st.integers(1, 16))
def test_max_pool(seed: int, pace: float, binary: bool, place_words: int) -> None:
    unit, random = Driver("max_pool"), Random(seed)
    trains = np.random.default_rng(seed)
    words: deque[dict[str, int]] = deque()
    expected_words, expected_spikes = [], []
    for _ in range(3):
        taps = [trains.random((2 * place_words, 32)) < 0.4 for _ in range(random.randint(1, 4))]
        for number, tap in enumerate(taps):
            last_tap = number == len(taps) - 1
            if random.random() < 0.2:  # outside the map
                tap[:] = False
                words.append({"present": 0, "last": last_tap})
                continue
            for pair in range(place_words):
                word = pack(tap[2 * pair : 2 * pair + 2].ravel().tolist(), 1)
                last = last_tap and pair == place_words - 1
                words.append({"word0": word, "block": pair, "present": 1, "last": last})
        largest = largest_number(taps) if binary else largest_count(taps)
        expected_words += [pack(largest[2 * i : 2 * i + 2].ravel().tolist(), 1) for i in range(place_words)]
        expected_spikes.append(sum(numbers(largest)) if binary else int(largest.sum()))
    found, spikes = [], []
    unit.cycle(place_words=place_words)
    valid = False
    for _ in cycles():
        valid = bool(words) and (valid or random.random() < pace)  # what is offered stays until it is taken
        shown = unit.cycle(
            enable=1, binary=binary, place_words=place_words, out_room=random.random() < pace, words_valid=valid,
            words=WORDS.pack(**words[0]) if valid else 0,
        )  # fmt: skip
        if shown.words_ready:
            words.popleft()
            valid = False
        found += [shown.out_word] * shown.out_valid
        spikes += [shown.spikes] * shown.spikes_valid
        if len(spikes) == 3:
            break
    assert (found, spikes) == (expected_words, expected_spikes)


def numbers(planes: np.ndarray) -> list[int]:
    """Return the number of each channel, its first plane the highest bit."""
    return [int("".join("01"[bit] for bit in column), 2) for column in planes.T.astype(int).tolist()]


def largest_number(taps: list[np.ndarray]) -> np.ndarray:
    """Return the bits of the largest number of each channel."""
    values = np.array([numbers(tap) for tap in taps], object)
    return np.stack([taps[tap][:, channel] for channel, tap in enumerate(values.argmax(axis=0).tolist())], axis=1)


def largest_count(taps: list[np.ndarray]) -> np.ndarray:
    """Return the train whose running count is the largest of the taps' running counts."""
    counts = np.maximum.reduce([tap.cumsum(axis=0) for tap in taps])
    return np.diff(counts, axis=0, prepend=0) > 0


class SumsModel:
    """What the lanes hold: 32 sums of each plane."""

    def __init__(self, mode: str, fraction_bits: int, shortcut: list[int]) -> None:
        self.mode, self.fraction_bits = mode, fraction_bits
        self.shortcut = np.array(shortcut, object)
        self.clear()

    def clear(self) -> None:
        self.total = np.zeros((2, 32), object)

    def add(self, rows: list[tuple[np.ndarray, int]]) -> None:
        """Add rows of weights, each to the planes that it is for."""
        for plane in range(2):
            for weights, planes in rows:
                if planes >> plane & 1:
                    self._add(plane, weights.astype(object) << self.fraction_bits)

    def add_shortcut(self, spikes: int) -> None:
        """Add the shortcut's value where it spikes."""
        for plane in range(2):
            mask = np.array(unpack(spikes >> 32 * plane, 1, 32), object)
            self._add(plane, mask * self.shortcut)

    def _add(self, plane: int, values: np.ndarray) -> None:
        apart = self.mode == "pairs"
        weight = 2 if self.mode == "binary" and plane == 0 else 1
        self.total[plane if apart else 0] += weight * values

    def end_pair(self) -> None:
        """A pair of bits of numbers is through, and a less significant one comes."""
        if self.mode == "binary":
            self.total *= 4


@few
@given(
    seed=SEEDS, mode=st.sampled_from(["binary", "pairs", "together"]), fraction_bits=st.integers(0, 8),
    shortcut=st.booleans(),
)  # fmt: skip
def test_sums(seed: int, mode: str, fraction_bits: int, shortcut: bool) -> None:
    """Ten cycles after a pass that hands over has ended, its sums are there."""
    random, weights = Random(seed), np.random.default_rng(seed)
    values = weights.integers(-(2**20), 2**20, 32).tolist()
    unit, model = Driver("sums"), SumsModel(mode, fraction_bits, values)
    constant = {
        "fraction_bits": fraction_bits, "binary": mode == "binary", "pairs": mode == "pairs",
        "shortcut": pack(values, 32),
    }  # fmt: skip
    data: deque[tuple[int, int]] = deque([(0, 0)] * 3)  # on its way out of the weight memory
    expected: dict[int, tuple[int, list[list[int]]]] = {}
    popped = counted = now = 0

    def cycle(**inputs: int) -> None:
        nonlocal counted, now
        first, second = data.popleft()
        shown = unit.cycle(first=first, second=second, **constant, **inputs)
        counted += shown.spikes_popped * shown.spikes_valid
        assert shown.handed == (now in expected)
        if now in expected:
            group_end, sums = expected.pop(now)
            assert (shown.handed_group_end, shown.sums_done) == (group_end, group_end)
            found = [[signed(v, 32) for v in unpack(p, 32, 32)] for p in (shown.earlier_sum, shown.later_sum)]
            assert found[: 1 + (mode == "pairs")] == sums[: 1 + (mode == "pairs")]
        now += 1

    for number in range(12):
        for _ in range(random.randint(1, 4)):
            rows = weights.integers(-127, 128, (2, 8, 32))
            reads = [random.getrandbits(8)]
            reads.append(reads[0] & random.getrandbits(8))  # a bank reads a second row only beside a first
            planes = [[random.randint(1, 3) for _ in range(8)] for _ in range(2)]
            used = [(rows[p, b], planes[p][b]) for p in range(2) for b in range(8) if reads[p] >> b & 1]
            model.add(used)
            popped += sum(bin(plane).count("1") for _, plane in used)
            data.append((pack(rows[0].ravel().tolist(), 8), pack(rows[1].ravel().tolist(), 8)))
            cycle(
                first_read=reads[0], second_read=reads[1], first_planes=pack(planes[0], 2),
                second_planes=pack(planes[1], 2),
            )  # fmt: skip
        hands_over, spikes = mode == "pairs" or number % 3 == 2, random.getrandbits(64) if shortcut else 0
        model.add_shortcut(spikes)
        popped += bin(spikes).count("1")
        if hands_over:
            sums = [[signed(v & 2**32 - 1, 32) for v in plane] for plane in model.total.tolist()]
            expected[now + 10] = (number % 2, sums)
            model.clear()
        else:
            model.end_pair()
        data.append((random.getrandbits(2048), random.getrandbits(2048)))
        end = PASS_END.pack(
            valid=1, hand_over=hands_over, group_end=number % 2, shortcut_valid=spikes != 0, shortcut=spikes
        )
        cycle(pass_end=end)
    for _ in range(12):
        data.append((0, 0))
        cycle()
    assert not expected
    assert counted == popped


# --- registers and runs -----------------------------------------------------------------------------------------------

REGISTERS = layout.REGISTER_OFFSETS
ARGUMENTS = {
    offset + 4 * high
    for name, offset in REGISTERS.items()
    for high in range(1 + name.endswith("_address"))
    if name.endswith(("_address", "_bytes")) or name in {"images", "watchdog_cycles"}
}


class Processor:
    """Reads and writes registers over AXI4-Lite, each channel at its own pace."""

    def __init__(self, random: Random, pace: float) -> None:
        self.unit, self.random, self.pace = Driver("control"), random, pace
        self.core: dict[str, int] = {"running": 0}
        self.pulses = {"start": 0, "soft_reset": 0}
        self.shown: Any = self.unit.look()

    def cycle(self, **inputs: int) -> Any:
        self.shown = self.unit.cycle(**self.core, **inputs)
        for name in self.pulses:
            self.pulses[name] += getattr(self.shown, name)
        return self.shown

    def moves(self) -> bool:
        return self.random.random() < self.pace

    def write(self, offset: int, value: int, strobe: int = 15) -> None:
        todo, offered = {"axi_awvalid", "axi_wvalid"}, set()
        for _ in cycles():
            offered |= {name for name in todo if self.moves()}  # what is offered stays until it is taken
            bready = self.moves()
            shown = self.cycle(
                axi_awaddr=offset, axi_wdata=value, axi_wstrb=strobe, axi_bready=bready,
                **{name: name in offered for name in ("axi_awvalid", "axi_wvalid")},
            )  # fmt: skip
            for name, ready in (("axi_awvalid", shown.axi_awready), ("axi_wvalid", shown.axi_wready)):
                if ready and name in offered:
                    todo.discard(name)
                    offered.discard(name)
            if shown.axi_bvalid and bready:
                assert not todo and shown.axi_bresp == 0
                return

    def read(self, offset: int) -> int:
        asked = False
        offered = False
        for _ in cycles():
            offered = not asked and (offered or self.moves())
            ready = self.moves()
            shown = self.cycle(axi_araddr=offset, axi_arvalid=offered, axi_rready=ready)
            asked = asked or bool(offered and shown.axi_arready)
            if shown.axi_rvalid and ready:
                assert asked and shown.axi_rresp == 0
                return int(shown.axi_rdata)
        raise AssertionError


@few
@given(seed=SEEDS, pace=PACES)
def test_registers_keep_what_is_written(seed: int, pace: float) -> None:
    """Arguments, byte by byte; offsets without a register read as 0; constants stay what they are."""
    random = Random(seed)
    processor = Processor(random, pace)
    values = dict.fromkeys(ARGUMENTS, 0)
    for _ in range(60):
        offset = random.choice([*ARGUMENTS, *range(0x100, 0x200, 4)])
        value, strobe = random.getrandbits(32), random.getrandbits(4)
        processor.core["running"] = random.random() < 0.2
        processor.write(offset, value, strobe)
        if offset in values and not processor.core["running"]:
            mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
            values[offset] = values[offset] & ~mask | value & mask
    processor.core["cycles"] = 0x1234567890ABCDEF
    fixed = {"core_id": layout.CORE_ID, "core_version": layout.LAYOUT_VERSION, "build_hash": 0x12345678,
             "cycles_low": 0x90ABCDEF, "cycles_high": 0x12345678, "error_code": 0, "error_detail": 0}  # fmt: skip
    expected = values | {REGISTERS[name]: value for name, value in fixed.items()}
    named = {offset for own in REGISTERS.values() for offset in (own, own + 4)}
    for offset in (*expected, *(offset for offset in range(0, 0x200, 4) if offset not in named)):
        assert processor.read(offset) == expected.get(offset, 0), hex(offset)
    for region, name in enumerate(("program", "input", "workspace", "output")):
        address = REGISTERS[f"{name}_address"]
        window = values[address] | values[address + 4] << 32
        assert unpack(processor.shown.window_address, 64, 4)[region] == window
        assert unpack(processor.shown.window_bytes, 32, 4)[region] == values[REGISTERS[f"{name}_bytes"]]


@few
@given(seed=SEEDS, pace=PACES)
def test_start_done_and_interrupt(seed: int, pace: float) -> None:
    processor = Processor(Random(seed), pace)
    core, control = processor.core, REGISTERS["control"]
    for name in ("interrupt_global_enable", "interrupt_enable"):
        assert processor.read(REGISTERS[name]) == 0
        processor.write(REGISTERS[name], 1, 14)  # without its byte, nothing happens
        assert processor.read(REGISTERS[name]) == 0
        processor.write(REGISTERS[name], 1)
        assert processor.read(REGISTERS[name]) == 1
    assert processor.read(control) == layout.CONTROL_IDLE
    processor.write(control, 0)
    assert processor.pulses["start"] == 0
    processor.write(control, layout.CONTROL_START)
    assert processor.pulses["start"] == 1
    core["running"] = 1
    processor.write(control, layout.CONTROL_START)  # ignored
    assert processor.pulses["start"] == 1
    assert processor.read(control) == layout.CONTROL_START
    processor.cycle(ends=1, end_code=5, end_detail=0x30007)
    core["running"] = 0
    processor.cycle()
    assert processor.cycle().interrupt_line
    assert (processor.read(REGISTERS["error_code"]), processor.read(REGISTERS["error_detail"])) == (5, 0x30007)
    expected = layout.CONTROL_DONE | layout.CONTROL_IDLE | layout.CONTROL_READY
    assert processor.read(control) == expected
    assert processor.read(control) == expected & ~layout.CONTROL_DONE  # reading clears it
    processor.write(REGISTERS["interrupt_status"], 0)
    assert processor.read(REGISTERS["interrupt_status"]) == 1
    processor.write(REGISTERS["interrupt_status"], 1)
    assert processor.read(REGISTERS["interrupt_status"]) == 0
    assert not processor.cycle().interrupt_line
    for value in (0, 1):
        processor.write(REGISTERS["soft_reset"], value)
        assert processor.pulses["soft_reset"] == value
    processor.write(REGISTERS["interrupt_enable"], 0)
    processor.cycle(ends=1, aborted=1, end_code=9)
    assert processor.read(REGISTERS["error_code"]) == 9
    assert processor.read(control) == layout.CONTROL_IDLE  # an aborted run is not done
    processor.cycle(ends=1)
    assert processor.read(REGISTERS["interrupt_status"]) == 0
    assert processor.read(control) == expected


OUTCOME_BITS = OUTCOME.pack(code=5, layer=9, place=33)
ENDS: dict[str, tuple[dict[str, int], int, int]] = {
    "finished": ({"program_finished": 1}, 5, 9 << 16 | 33),
    "memory": ({"bus_error": 1, "fence_error": 1, "program_finished": 1}, ErrorCode.BUS, 0),
    "fence": ({"fence_error": 1, "program_finished": 1}, ErrorCode.ADDRESS_FENCE, 7 << 16 | 2),
    "soft reset": ({"soft_reset": 1, "bus_error": 1}, ErrorCode.ABORTED, 0),
    "watchdog": ({}, ErrorCode.WATCHDOG, 4 << 16),
}


@pytest.mark.parametrize("drained_after", [0, 5, 1000])
@pytest.mark.parametrize("name", ENDS)
def test_the_first_event_ends_a_run(name: str, drained_after: int) -> None:
    """With its code and detail; memory that never answers is waited for 16 cycles."""
    unit = Driver("run_control")
    event, code, detail = ENDS[name]
    constant = {
        "program_outcome": OUTCOME_BITS, "fence_region": 2, "fence_layer": 7, "layer_under_way": 4,
        "watchdog_cycles": 0 if event else 30,
    }  # fmt: skip
    assert unit.cycle(drained=1).clear
    unit.cycle(start=1, drained=1, **constant)
    assert unit.cycle(drained=1, **constant).program_start
    for _ in range(20):
        shown = unit.cycle(**constant)
        assert (shown.running, shown.stop, shown.clear, shown.ends) == (1, 0, 0, 0)
    unit.cycle(**event, **constant)
    ended_after = 0
    for ended_after in cycles():
        shown = unit.cycle(drained=ended_after >= drained_after + (0 if event else 10), **constant)
        if shown.ends:
            break
    assert (shown.end_code, shown.end_detail, shown.running, shown.clear) == (code, detail, 0, 1)
    assert shown.aborted == (name == "soft reset")
    assert ended_after < 50
    if drained_after == 1000:  # a start while memory still owes is answered with an error
        unit.cycle(start=1, **constant)
        while not (shown := unit.cycle(**constant)).ends:
            assert shown.running and not shown.program_start
        assert (shown.end_code, shown.end_detail) == (ErrorCode.BUS, 0)


def test_a_soft_reset_while_a_run_ends_aborts_it() -> None:
    unit = Driver("run_control")
    unit.cycle(start=1, drained=1)
    unit.cycle(drained=1)
    unit.cycle(program_finished=1, program_outcome=OUTCOME_BITS)
    unit.cycle(soft_reset=1)
    while not (shown := unit.cycle(drained=1)).ends:
        assert shown.running
    assert (shown.end_code, shown.end_detail, shown.aborted) == (ErrorCode.ABORTED, 0, 1)
