"""From words of spikes to sums, module by module: scanner, popper and its banks, sums, max pooling."""

from __future__ import annotations

from collections import deque
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.overlay.verilated import missing_tools
from tests.rtl.unit_bench import (
    HELD,
    PACES,
    PASS_END,
    PLACE,
    SEEDS,
    WORDS,
    Driver,
    cycles,
    few,
    pack,
    signed,
    unpack,
)

pytestmark = pytest.mark.skipif(bool(missing_tools()), reason=missing_tools())


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
    """The words of every place come out in order, without those that have no spikes and end no pass.

    A group ends when all its weight blocks have arrived, because the next one's are counted from there.
    """
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
    row_ends = [place["group_end"] and not max_pool for place in places if place["row_end"]]
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
        if shown.row_passed:
            rows += 1
            assert not row_ends[rows - 1] or complete >= 60 * sum(row_ends[:rows])
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
