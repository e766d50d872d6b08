"""Modules that walk through a layer, each against a model: where its maps lie, when they are loaded and read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given

from pynq_snn import layout
from pynq_snn.layout import Firing
from tests.overlay.verilated import missing_tools
from tests.rtl.unit_bench import (
    HELD,
    LAYER,
    PACES,
    PLACE,
    REQUEST,
    SEEDS,
    SOURCE,
    TAP,
    Driver,
    cycles,
    few,
    pack,
    signed,
    unpack,
)

pytestmark = pytest.mark.skipif(bool(missing_tools()), reason=missing_tools())
NUMBERS = 1 << 12  # rows are numbered modulo this


def ahead(later: int, earlier: int) -> int:
    """Return the difference of two numbers of which only the remainder is known and which lie close together."""
    return (later - earlier + NUMBERS // 2) % NUMBERS - NUMBERS // 2


# --- where sources lie in the line buffer -----------------------------------------------------------------------------


def reach(source: dict[str, int]) -> int:
    """Return how many rows of a source an output row needs at most."""
    return min(source["last_dy"] - source["first_dy"] + 1, source["height"])


def shares(needs: list[int], used: list[bool]) -> list[int]:
    """Return the words of the line buffer for each source: the second one may run ahead, where there is room."""
    size = layout.LINE_BUFFER_WORDS
    if not all(used):
        return [size * used[0], size * (not used[0])]
    for times in (4, 2):
        if needs[0] + times * needs[1] <= size:
            return [size - times * needs[1], times * needs[1]]
    return [size - needs[1], needs[1]]


def check_held(packed: list[int], layer: dict[str, int], sources: list[dict[str, int]], place_words: int) -> None:
    """Compare what was derived with the definition, and see that all needed rows have their places."""
    held = [HELD.unpack(bits) for bits in packed]
    alone = [layer["max_pool"], layer["shortcut"]]
    blocks = [1 if one else source["blocks"] for one, source in zip(alone, sources, strict=True)]
    slot_words = [n * source["width"] * place_words for n, source in zip(blocks, sources, strict=True)]
    used = [bool(source["used"]) for source in sources]
    share = shares([words * reach(source) for words, source in zip(slot_words, sources, strict=True)], used)
    end = 0
    for number, source in enumerate(sources):
        found = held[number]
        assert found.used == used[number]
        if not used[number]:
            continue
        for name in ("height", "width"):
            assert getattr(found, name) == source[name]
        for name in ("stride_y", "stride_x"):
            assert getattr(found, name) == (1 if number and layer["shortcut"] else source[name])
        for name in ("first_dy", "last_dy"):
            assert signed(getattr(found, name), 16) == source[name]
        assert (found.blocks, found.one_block) == (blocks[number], alone[number])
        assert (found.row_words, found.slot_words) == (source["width"] * place_words, slot_words[number])
        fit = share[number] // slot_words[number]
        assert found.slots == min(fit, 256)
        assert found.resident == (not alone[number] and source["height"] * layer["images"] <= min(fit, 256))
        assert found.slots >= reach(source)  # else the layer would never end
        assert found.base >= end
        end = found.base + found.slots * slot_words[number]
        assert end <= layout.LINE_BUFFER_WORDS


def large_source(random: Random, number: int, **fixed: int) -> dict[str, int]:
    """Return a source with up to as many rows, columns and blocks as there may be."""
    first = random.choice([-(2**15), -300, -1, 0, 2**15 - 1])
    last = random.choice([dy for dy in (-300, -1, 0, 1, 300, 2**15 - 2, 2**15 - 1) if dy >= first])
    sizes = {name: random.choice([1, 2, 7, 8, 32, 256]) for name in ("height", "width", "stride_y", "stride_x")}
    return {
        "used": number == 0 or random.random() < 0.7, "blocks": random.choice([1, 2, 16, 64]), "first_dy": first,
        "last_dy": last, **sizes, **fixed,
    }  # fmt: skip


def large_layer(random: Random) -> tuple[dict[str, int], list[dict[str, int]], int]:
    """Return a layer whose rows in reach fit the line buffer: its fields, its sources, words of an input place."""
    while True:
        max_pool = random.random() < 0.2
        shortcut = not max_pool and random.random() < 0.3
        place_words = random.choice([1, 2, 4, 16])
        sources = [large_source(random, number) for number in range(2)]
        if max_pool:
            sources[1]["used"] = 0
        if shortcut:
            sources[1] |= {"used": 1, "first_dy": 0, "last_dy": 0}
        layer = {"max_pool": max_pool, "shortcut": shortcut, "images": random.choice([1, 2, 8, 1024])}
        needs = [
            source["used"] * reach(source) * (1 if one else source["blocks"]) * source["width"] * place_words
            for source, one in zip(sources, (max_pool, shortcut), strict=True)
        ]
        if 0 < sum(needs) <= layout.LINE_BUFFER_WORDS:
            return layer, sources, place_words


@few
@given(seed=SEEDS)
def test_layer_setup(seed: int) -> None:
    """Every source gets at least the rows that an output row reaches, and no two rows lie in the same place."""
    unit, random = Driver("layer_setup"), Random(seed)
    for _ in range(12):
        layer, sources, place_words = large_layer(random)
        readout, output_planes = random.random() < 0.2, 2 * random.randint(1, 16)
        firing = Firing.READOUT if readout and not layer["max_pool"] else Firing.STEPWISE
        width = random.randint(1, 256)
        given_layer = LAYER.pack(
            **layer, firing=firing, input_planes=2 * place_words, output_planes=output_planes, output_width=width,
            **{f"source{number}": SOURCE.pack(**source) for number, source in enumerate(sources)},
        )  # fmt: skip
        unit.cycle(layer=given_layer)
        unit.cycle(layer=given_layer, start=1)
        while not (shown := unit.cycle(layer=given_layer)).done:
            pass
        check_held([shown.held0, shown.held1], layer, sources, place_words)
        assert shown.output_row_words == width * (16 if firing == Firing.READOUT else output_planes // 2)


# --- small layers -----------------------------------------------------------------------------------------------------


@dataclass
class Tap:
    """A tap, or the identity shortcut."""

    source: int
    dy: int
    dx: int
    weight_block: int
    is_shortcut: bool = False


@dataclass
class Layer:
    """A small layer of random shape: fields of the layer and of its sources as they are held."""

    fields: dict[str, int]
    held: list[dict[str, int]]
    taps: list[Tap]
    sources: list[dict[str, int]] = field(default_factory=list)

    @property
    def ports(self) -> dict[str, int]:
        """What a module is given."""
        sources = {f"source{number}": SOURCE.pack(**source) for number, source in enumerate(self.sources)}
        held = {f"held{number}": HELD.pack(**own) for number, own in enumerate(self.held)}
        return {"layer": LAYER.pack(**self.fields, **sources), **held}

    @property
    def place_words(self) -> int:
        """Words of an input place."""
        return self.fields["input_planes"] // 2

    def steps(self) -> int:
        """Return how many places the taps look at."""
        fields = self.fields
        planes = fields["input_planes"] if fields["binary_in"] else fields["timesteps"]
        places = fields["images"] * fields["output_groups"] * fields["output_height"] * fields["output_width"]
        return places * len(self.taps) * (1 if fields["max_pool"] else -(-planes // 2))

    def words(self) -> int:
        """Return how many words are loaded."""
        return sum(self.held[source]["slot_words"] for source, *_ in self.rows_to_load())

    def output_rows(self) -> Iterator[tuple[int, int, int, list[int]]]:
        """Yield group, image, row, and the number of each source's first row of that image."""
        count = 0
        for group in range(self.fields["output_groups"]):
            for image in range(self.fields["images"]):
                rows = [image if held["resident"] else count for held in self.held]
                bases = [held["height"] * number for held, number in zip(self.held, rows, strict=True)]
                for y in range(self.fields["output_height"]):
                    yield group, image, y, bases
                count += 1

    def reached(self, source: int, y: int) -> tuple[int, int]:
        """Return the first of the rows that an output row reaches, and the one behind the last."""
        held = self.held[source]
        rows = [y * held["stride_y"] + held["first_dy"], y * held["stride_y"] + held["last_dy"] + 1]
        first, last = (min(max(row, 0), held["height"]) for row in rows)
        return first, last

    def rows_to_load(self) -> list[tuple[int, int, int, int, int]]:
        """Return source, number, group, image and row of all rows, in the order in which output rows reach them."""
        loads = []
        done: dict[tuple[int, int, int], int] = {}  # the row after the last one, of a source, group and image
        for group, image, y, bases in self.output_rows():
            for source, held in enumerate(self.held):
                if not held["used"] or (held["resident"] and group > 0):
                    continue
                first, last = self.reached(source, y)
                for row in range(max(first, done.get((source, group, image), 0)), last):
                    loads.append((source, bases[source] + row, group, image, row))
                    done[source, group, image] = row + 1
        return loads


def few_or(random: Random, most: int, many: int) -> int:
    """Return a small number, and once in a while the largest one."""
    return many if random.random() < 0.05 else random.randint(1, most)


def small_layer(random: Random) -> Layer:
    """Return a layer that a test is through with in short time, and whose rows fit the line buffer."""
    while True:
        layer = any_layer(random)
        words = sum(held["slots"] * held["slot_words"] for held in layer.held)
        rows = sum(held["height"] for held in layer.held) * layer.fields["images"] * layer.fields["output_groups"]
        if words <= layout.LINE_BUFFER_WORDS - 64 and layer.steps() < 4000 and rows < 1000 and layer.words() < 10_000:
            return layer


def any_layer(random: Random) -> Layer:
    """Return a layer of a few rows, with slots for hardly more rows than one output row reaches."""
    max_pool = random.random() < 0.2
    shortcut = not max_pool and random.random() < 0.3
    binary_in = random.random() < 0.5
    timesteps = random.choice([1, 2, 3, 4, 5, 6, 31, 32]) if random.random() < 0.2 else random.randint(1, 4)
    fields = {
        "max_pool": max_pool, "shortcut": shortcut, "binary_in": binary_in, "timesteps": timesteps,
        "firing": random.choice([Firing.STEPWISE, Firing.DEFERRED]), "images": random.randint(1, 3),
        "input_planes": 2 * random.randint(1, 3) if binary_in else timesteps + timesteps % 2,
        "output_height": few_or(random, 5, 40), "output_width": few_or(random, 4, 40),
        "output_groups": random.randint(1, 3),
    }  # fmt: skip
    two = not max_pool and not shortcut and random.random() < 0.5
    taps = [random_tap(random, random.randint(0, 1) if two else 0) for _ in range(random.randint(1, 6))]
    layer = Layer({**fields, "tap_count": len(taps)}, [], taps)
    for number in range(2):
        layer.held.append(held_source(random, layer, number))
    if shortcut:
        taps.append(Tap(1, 0, 0, 0, is_shortcut=True))
    layer.held[1]["base"] = layer.held[0]["base"] + layer.held[0]["slots"] * layer.held[0]["slot_words"]
    for _ in layer.held:
        offsets = {name: 64 * random.getrandbits(20) for name in ("image_bytes", "block_bytes")}
        first, row_bytes = 64 * random.getrandbits(30), 8 * random.getrandbits(16)
        layer.sources.append({"region": random.randint(1, 2), "first_offset": first, "row_bytes": row_bytes, **offsets})
    return layer


def random_tap(random: Random, source: int) -> Tap:
    """Return a tap that looks near the place, or far away from the map."""
    far = random.random() < 0.1
    dy, dx = ((random.choice([-(2**15), -40, 40, 2**15 - 1]) if far else random.randint(-2, 2)) for _ in range(2))
    return Tap(source, dy, dx, random.randrange(256))


def held_source(random: Random, layer: Layer, number: int) -> dict[str, int]:
    """Return how a source of a layer is held."""
    rows = [tap.dy for tap in layer.taps if tap.source == number]
    is_shortcut = number == 1 and bool(layer.fields["shortcut"])
    rows += [0] * is_shortcut
    alone = is_shortcut or (number == 0 and bool(layer.fields["max_pool"]))
    used = bool(rows)
    rows = rows or [0]
    shape = {"height": few_or(random, 7, 256), "width": few_or(random, 5, 256)}
    shape |= {"stride_y": few_or(random, 3, 256), "stride_x": few_or(random, 3, 256)}
    if is_shortcut:
        shape = {name: layer.fields[f"output_{name}"] for name in ("height", "width")} | {"stride_y": 1, "stride_x": 1}
    blocks = 1 if alone else random.randint(1, 3)
    row_words = shape["width"] * layer.place_words
    need = min(max(rows) - min(rows) + 1, shape["height"])
    all_rows = shape["height"] * layer.fields["images"]
    resident = used and not alone and all_rows <= 256 and random.random() < 0.3
    return {
        "used": used, "resident": resident, "one_block": alone, "blocks": blocks, **shape, "first_dy": min(rows),
        "last_dy": max(rows), "row_words": row_words, "slot_words": blocks * row_words,
        "slots": all_rows if resident else need + random.randint(0, 2), "base": random.randrange(0, 64),
    }  # fmt: skip


class Walk:
    """Plays the sequencer before the loader: needs the rows of one output row after the other."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.rows = list(layer.output_rows())
        self.at = 0
        self.needed = [0, 0]  # not only their remainders
        self._see()

    def _see(self) -> None:
        _, _, y, bases = self.rows[self.at]
        self.needed = [base + self.layer.reached(source, y)[0] for source, base in enumerate(bases)]

    def step(self, loaded: list[int]) -> bool:
        """Pass an output row whose rows are there; whether it was the last one."""
        _, _, y, bases = self.rows[self.at]
        for source, held in enumerate(self.layer.held):
            first, last = self.layer.reached(source, y)
            if held["used"] and first < last and ahead(loaded[source], bases[source] + last) < 0:
                return False
        if self.at == len(self.rows) - 1:
            return True
        self.at += 1
        self._see()
        return False


class MapMemory:
    """Gives the words of accepted requests in order; knows which rows are there."""

    def __init__(self, layer: Layer, random: Random) -> None:
        self.layer, self.random = layer, random
        self.rows = deque(layer.rows_to_load())
        self.requests = deque(request for row in self.rows for request in self._requests(*row))
        self.told = deque(self.rows)
        self.words: deque[int] = deque()
        self.words_of_row = 0
        self.loaded = [0, 0]

    def _requests(self, source: int, number: int, group: int, image: int, row: int) -> list[tuple[int, ...]]:
        held, own = self.layer.held[source], self.layer.sources[source]
        offset = own["first_offset"] + image * own["image_bytes"] + row * own["row_bytes"]
        if held["one_block"]:
            offset += group * own["block_bytes"]
        address = held["base"] + number % held["slots"] * held["slot_words"]
        return [
            (own["region"], offset + block * own["block_bytes"], held["row_words"],
             source << 14 | address + block * held["row_words"])
            for block in range(held["blocks"])
        ]  # fmt: skip

    def check_told(self, index: int, address: int, needed: list[int]) -> None:
        """See where the loader says that the next row will lie, and that it does not overwrite one that is needed."""
        source, number, *_ = self.told.popleft()
        held = self.layer.held[source]
        assert index == source << 9 | number % 512
        assert address == held["base"] + number % held["slots"] * held["slot_words"]
        assert number - needed[source] < held["slots"]

    def accept(self, packed: int) -> None:
        """Take a request."""
        request = REQUEST.unpack(packed)
        expected = self.requests.popleft()
        assert (request.region, request.offset, request.words, request.destination) == expected
        self.words += [(request.destination + word) % 2**16 for word in range(request.words)]

    def give(self) -> dict[str, int]:
        """Return the next word."""
        source, number, *_ = self.rows[0]
        self.words_of_row += 1
        if self.words_of_row == self.layer.held[source]["slot_words"]:
            self.rows.popleft()
            self.words_of_row = 0
            self.loaded[source] = (number + 1) % NUMBERS
        return {"data_valid": 1, "data_index": self.words.popleft(), "data": self.random.getrandbits(64)}


def load_maps(layer: Layer, random: Random, pace: float) -> None:
    """Let the loader load a layer, and check whatever it does."""
    unit, ports = Driver("map_loader"), layer.ports
    unit.cycle(**ports)
    unit.cycle(start=1, **ports)
    walk, memory = Walk(layer), MapMemory(layer, random)
    through, quiet = False, 0
    word: dict[str, int] = {}  # given in the cycle before
    needed = [[0, 0]] * 3  # now and before: the loader compares some cycles before it tells
    for _ in cycles(60_000):
        loaded = list(memory.loaded)
        needed = [list(walk.needed), *needed[:2]]
        accepts = random.random() < pace
        before, word = word, memory.give() if memory.words and random.random() < max(pace, 0.5) else {}
        shown = unit.cycle(
            request_ready=accepts, needed=pack([number % NUMBERS for number in walk.needed], 12), **word, **ports
        )
        assert unpack(shown.loaded, 12, 2) == loaded
        assert shown.write_valid == bool(before)
        if before:
            assert (shown.write_address, shown.write_data) == (before["data_index"] % 2**14, before["data"])
        if shown.row_write:
            memory.check_told(shown.row_index, shown.row_address, needed[0])
        if shown.request_valid and accepts:
            memory.accept(shown.request)
        if not through and random.random() < pace:
            through = walk.step(loaded)
        quiet = quiet + 1 if through and not memory.rows else 0
        if quiet > 40:
            break
    assert not memory.requests and not memory.told


@few
@given(seed=SEEDS, pace=PACES)
def test_map_loader(seed: int, pace: float) -> None:
    """Rows come in the order in which they are needed, each to its slot when that is free."""
    random = Random(seed)
    for _ in range(3):
        load_maps(small_layer(random), random, pace)


def test_map_loader_counts_on() -> None:
    """Numbers of rows begin again after 4,096, and places of the row table after 512."""
    random = Random(5)
    fields = {"max_pool": 0, "shortcut": 0, "images": 150, "output_groups": 2, "output_height": 3, "input_planes": 2}
    layer = Layer(fields | {"tap_count": 1}, [], [Tap(0, 5, 0, 0)])
    layer.held = [held_source(random, layer, number) for number in range(2)]
    layer.held[0] |= {"height": 16, "width": 1, "stride_y": 5, "resident": 0, "blocks": 1, "slots": 6}
    layer.held[0] |= {"row_words": 1, "slot_words": 1}
    layer.sources = [{"region": 1, "first_offset": 0, "image_bytes": 64, "block_bytes": 64, "row_bytes": 8}, {}]
    load_maps(layer, random, 1.0)


# --- from an output place to places of the line buffer ----------------------------------------------------------------


def places_of(layer: Layer, address_of: dict[tuple[int, int], int]) -> Iterator[dict[str, int]]:
    """Yield the places of a layer in order; rows are looked up when they are due."""
    fields = layer.fields
    planes = fields["input_planes"] if fields["binary_in"] else fields["timesteps"]
    passes = 1 if fields["max_pool"] else -(-planes // 2)
    pairs = fields["firing"] == Firing.STEPWISE and not fields["binary_in"]
    for _, image, y, bases in layer.output_rows():
        for x in range(fields["output_width"]):
            for number in range(passes):
                for tap in layer.taps:
                    last = tap is layer.taps[-1]
                    place_ends = last and number == passes - 1
                    row_end = place_ends and x == fields["output_width"] - 1
                    ends = {"last": last, "hand_over": place_ends or (last and pairs), "row_end": row_end}
                    image_end = row_end and y == fields["output_height"] - 1
                    ends["group_end"] = image_end and image == fields["images"] - 1
                    held = layer.held[tap.source]
                    row, column = y * held["stride_y"] + tap.dy, x * held["stride_x"] + tap.dx
                    present = 0 <= row < held["height"] and 0 <= column < held["width"]
                    if present:
                        address = address_of[tap.source, bases[tap.source] + row] + column * layer.place_words + number
                        yield {"present": 1, "address": address % 2**14, "source": tap.source, **ends,
                               "shortcut": tap.is_shortcut, "weight_block": tap.weight_block}  # fmt: skip
                    elif last:
                        yield {"present": 0, **ends}


class Loader:
    """Plays the loader before the sequencer: tells where rows will lie, and later that they are there."""

    def __init__(self, layer: Layer, random: Random) -> None:
        self.layer, self.random = layer, random
        self.rows = deque(layer.rows_to_load())
        self.coming: deque[tuple[int, int]] = deque()
        self.loaded = [0, 0]
        self.address_of: dict[tuple[int, int], int] = {}

    def ports(self, needed: list[int], pace: float) -> dict[str, int]:
        """Return what the sequencer is given in the next cycle."""
        told = {}
        if self.coming and self.random.random() < pace:
            source, number = self.coming.popleft()
            self.loaded[source] = (number + 1) % NUMBERS
        if self.rows and self.random.random() < pace:
            source, number, *_ = self.rows[0]
            if ahead(number, needed[source]) < self.layer.held[source]["slots"]:
                self.rows.popleft()
                address = self.random.getrandbits(14)
                self.address_of[source, number] = address
                self.coming.append((source, number))
                told = {"row_write": 1, "row_index": source << 9 | number % 512, "row_address": address}
        return {"loaded": pack(self.loaded, 12), **told}


class Scanner:
    """Plays the scanner: says, some cycles after a place that ends a row, that the row has been passed."""

    def __init__(self, layer: Layer, random: Random) -> None:
        self.layer, self.random = layer, random
        self.rows = list(layer.output_rows())
        self.passed = self.taken = 0

    def passes(self, pace: float) -> bool:
        """Whether a row is passed in this cycle."""
        now = self.passed < self.taken and self.random.random() < pace
        self.passed += now
        return now

    def check_needed(self, needed: list[int]) -> None:
        """No row that an output row still reads may be given away."""
        if self.passed == len(self.rows) or needed == [0, 0]:  # all rows are there, and nothing is given away
            return
        _, _, y, bases = self.rows[self.passed]
        for source, held in enumerate(self.layer.held):
            if held["used"] and not held["resident"]:
                assert ahead(bases[source] + self.layer.reached(source, y)[0], needed[source]) >= 0


def walk_through(unit: Driver, layer: Layer, random: Random, pace: float) -> None:
    """Let the sequencer walk through a layer, and compare its places."""
    ports = layer.ports
    unit.cycle(**ports)
    unit.cycle(start=1, **ports)
    loader, scanner, needed = Loader(layer, random), Scanner(layer, random), [0, 0]
    expected = places_of(layer, loader.address_of)
    tap, left = 0, sum(1 for _ in layer.output_rows())
    for _ in cycles(20_000):
        takes = random.random() < pace
        own = loader.ports(needed, pace)
        shown = unit.cycle(place_ready=takes, row_passed=scanner.passes(pace), tap=tap, **own, **ports)
        needed = unpack(shown.needed, 12, 2)
        scanner.check_needed(needed)
        read = layer.taps[min(shown.tap_address, len(layer.taps) - 1)]
        tap = TAP.pack(source=read.source, weight_block=read.weight_block, dy=read.dy, dx=read.dx)
        if shown.place_valid and takes:
            check_place(shown.place, next(expected))
            scanner.taken += PLACE.unpack(shown.place).row_end
        if scanner.passed == left:
            break
    for _ in range(20):
        assert not unit.cycle(place_ready=1, **ports).place_valid
    assert next(expected, None) is None
    assert not loader.rows


def check_place(packed: int, expected: dict[str, int]) -> None:
    """Compare a place; where it points matters only if it is inside the map."""
    place = PLACE.unpack(packed)
    names = expected.keys() - ({"weight_block"} if expected.get("shortcut") else set())
    assert {name: getattr(place, name) for name in names} == {name: expected[name] for name in names}


@few
@given(seed=SEEDS, pace=PACES)
def test_sequencer(seed: int, pace: float) -> None:
    """Every tap of every place inside the map, in order, when its rows are there; no row is given away too early."""
    unit, random = Driver("sequencer"), Random(seed)
    for _ in range(2):
        walk_through(unit, small_layer(random), random, pace)
