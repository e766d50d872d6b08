"""The core's way to memory, module by module: each against a model that says what its header promises."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.overlay.verilated import missing_tools
from tests.rtl.unit_bench import BURST, FENCED, PACES, REQUEST, SEEDS, WRITE_REQUEST, Driver, cycles, few, pack

pytestmark = pytest.mark.skipif(bool(missing_tools()), reason=missing_tools())
INCREMENTING, EIGHT_BYTES, MODIFIABLE = 1, 3, 3
SLAVE_ERROR = 2


@few
@given(seed=SEEDS, pace=PACES)
def test_axi_slice(seed: int, pace: float) -> None:
    """A queue of two whose outputs come from registers; nothing of it is left after a reset."""
    unit, random = Driver("axi_slice"), Random(seed)
    for _ in range(2):
        held, offered = deque[int](), 0
        unit.cycle(in_valid=1, in_data=0xFFFF)
        unit.cycle()
        assert not unit.look(resetn=1).in_ready
        unit.cycle(resetn=1)
        offers = False
        passed = 0
        for _ in range(200):
            offers, takes = offers or random.random() < pace, random.random() < pace
            shown = unit.cycle(resetn=1, in_valid=offers, in_data=offered, out_ready=takes)
            assert shown.out_valid == bool(held)
            assert not held or shown.out_data == held[0]
            assert shown.in_ready == (len(held) < 2)
            if held and takes:
                held.popleft()
                passed += 1
            if offers and shown.in_ready:
                held.append(offered)
                offered, offers = random.getrandbits(16), False
        assert pace < 1 or passed == 199  # a word in every cycle


# --- fence and cutter -------------------------------------------------------------------------------------------------


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


# --- bursts -----------------------------------------------------------------------------------------------------------


def bursts_of(address: int, words: int) -> list[tuple[int, int]]:
    """Return address and words of a request's bursts: each as far as the next boundary of 128 bytes."""
    bursts = []
    while words:
        count = min(16 - address % 16, words)
        bursts.append((address, count))
        address, words = address + count, words - count
    return bursts


def random_fenced(random: Random) -> dict[str, int]:
    """Return a request that has passed the fence."""
    return {
        "address": random.choice([random.getrandbits(28), 16 * random.getrandbits(24)]),
        "words": random.choice([1, 2, 15, 16, 17, 32, 33, 100]),
        "destination": random.getrandbits(16),
    }


def word_at(address: int) -> int:
    """Return what memory holds at an address."""
    return address * 0x9E3779B97F4A7C15 % 2**64


class Reads:
    """Memory's side of a read port: takes addresses, and gives data back in order."""

    def __init__(self, random: Random, pace: float, error_beat: int = 0) -> None:
        self.random, self.pace = random, pace
        self.beats: deque[tuple[int, bool]] = deque()
        self.error_beat = error_beat  # counted from 1
        self.given = 0
        self.bursts: list[tuple[int, int]] = []
        self.owed = 0

    def ports(self) -> dict[str, int]:
        """Return what the port sees in a cycle."""
        inputs = {"axi_arready": int(self.random.random() < self.pace)}
        if self.beats and self.random.random() < self.pace:
            address, last = self.beats.popleft()
            self.given += 1
            wrong = self.given == self.error_beat
            inputs |= {"axi_rvalid": 1, "axi_rdata": word_at(address) ^ wrong, "axi_rlast": last}
            inputs["axi_rresp"] = SLAVE_ERROR * wrong
            self.owed -= last
        return inputs

    def see(self, shown: Any, ready: int) -> None:
        """Take an address, if there is one."""
        assert shown.axi_rready
        if not (shown.axi_arvalid and ready):
            return
        assert (shown.axi_arsize, shown.axi_arburst) == (EIGHT_BYTES, INCREMENTING)
        assert (shown.axi_arcache, shown.axi_arprot, shown.axi_arid) == (MODIFIABLE, 0, 0)
        address, beats = shown.axi_araddr // 8, shown.axi_arlen + 1
        assert shown.axi_araddr % 8 == 0
        self.bursts.append((address, beats))
        self.beats += [(address + beat, beat == beats - 1) for beat in range(beats)]
        self.owed += 1


class Client:
    """One of the two clients of a read port: what it asks for, and what must come back."""

    def __init__(self, name: str, random: Random, chunks: range) -> None:
        self.name = name
        self.requests = deque(random_fenced(random) for _ in range(12))
        self.bursts: deque[tuple[int, int]] = deque()
        self.words: deque[tuple[int, int]] = deque()
        for request in self.requests:
            for address, count in bursts_of(request["address"], request["words"]):
                if address >> 4 & 1 in chunks:
                    self.bursts.append((address, count))
                    index = request["destination"] + address - request["address"]
                    self.words += [((index + word) % 2**16, word_at(address + word)) for word in range(count)]

    def ask(self, shown: Any, wants: bool) -> dict[str, int]:
        """Return the next request, where the port has room."""
        if not (self.requests and wants and getattr(shown, f"{self.name}_room")):
            return {}
        return {f"{self.name}_valid": 1, f"{self.name}_request": FENCED.pack(**self.requests.popleft())}

    def see(self, shown: Any) -> None:
        """Compare a word that comes back."""
        if getattr(shown, f"{self.name}_data_valid"):
            assert (getattr(shown, f"{self.name}_data_index"), shown.data) == self.words.popleft()


@few
@given(seed=SEEDS, pace=PACES, parity=st.integers(0, 1))
def test_read_port(seed: int, pace: float, parity: int) -> None:
    """Each client gets all its words in order; whole requests go first, but not more than four bursts in a row."""
    unit, random = Driver("read_port"), Random(seed)
    whole, shared = Client("whole", random, range(2)), Client("shared", random, range(parity, parity + 1))
    memory = Reads(random, max(pace, 0.3))
    expected = {"whole": list(whole.bursts), "shared": list(shared.bursts)}
    in_a_row = 0
    for _ in cycles(20_000):
        answers = memory.ports()
        look = unit.look(parity=parity)
        asks = whole.ask(look, random.random() < pace) | shared.ask(look, random.random() < pace)
        shown = unit.cycle(parity=parity, **asks, **answers)
        before = len(memory.bursts)
        memory.see(shown, answers["axi_arready"])
        assert memory.owed <= 16
        for burst in memory.bursts[before:]:
            is_whole = bool(whole.bursts) and burst == whole.bursts[0]
            (whole if is_whole else shared).bursts.popleft()
            in_a_row = in_a_row + 1 if is_whole else 0
            if pace == 1.0 and len(shared.requests) < 8 and len(shared.bursts) > 16:
                assert in_a_row <= 4
        whole.see(shown)
        shared.see(shown)
        assert not shown.bus_error
        if not whole.words and not shared.words:
            break
    assert sorted(memory.bursts) == sorted(expected["whole"] + expected["shared"])
    assert unit.cycle(parity=parity).idle


@few
@given(seed=SEEDS, pace=PACES, error_beat=st.integers(1, 60))
def test_read_port_stops(seed: int, pace: float, error_beat: int) -> None:
    """A beat with an error is reported and dropped; after `stop` no burst begins, and what is owed is waited for."""
    unit, random = Driver("read_port"), Random(seed)
    for _ in range(2):  # a second time after `clear`
        whole, shared = Client("whole", random, range(2)), Client("shared", random, range(1))
        memory, errors, stopped_at = Reads(random, max(pace, 0.3), error_beat), 0, 0
        stop = False
        for _ in cycles():
            answers = memory.ports()
            look = unit.look()
            asks = {} if stop else whole.ask(look, True) | shared.ask(look, True)
            shown = unit.cycle(stop=stop, **asks, **answers)
            memory.see(shown, answers["axi_arready"])
            if not stop:
                whole.see(shown)
                shared.see(shown)
            if shown.bus_error and not errors:
                stop, stopped_at = True, len(memory.bursts)
            errors += shown.bus_error
            if stop and shown.idle:
                break
        assert errors == 1
        assert len(memory.bursts) <= stopped_at + 3  # those that were in the address slice
        assert memory.owed == 0 and not memory.beats
        unit.cycle(stop=1, clear=1)
        for _ in range(10):
            assert not unit.cycle(axi_arready=1).axi_arvalid


# --- writes -----------------------------------------------------------------------------------------------------------


class Writes:
    """Memory's side of the write port: addresses, data and answers, each at its own pace."""

    def __init__(self, random: Random, pace: float, error_burst: int = 0) -> None:
        self.random, self.pace = random, pace
        self.addresses: deque[tuple[int, int]] = deque()
        self.beats: list[tuple[int, int]] = []  # word and strobes
        self.content: dict[int, int] = {}
        self.bursts: list[tuple[int, int]] = []
        self.lengths: deque[int] = deque()  # of bursts whose data have come
        self.answers = self.answered = self.without_strobes = 0
        self.error_burst = error_burst

    def ports(self) -> dict[str, int]:
        """Return what the port sees in a cycle."""
        inputs = {
            "axi_awready": int(self.random.random() < self.pace),
            "axi_wready": int(self.random.random() < self.pace),
        }
        if self.answers and self.random.random() < self.pace:
            self.answers -= 1
            self.answered += 1
            inputs |= {"axi_bvalid": 1, "axi_bresp": SLAVE_ERROR * (self.answered == self.error_burst)}
        return inputs

    def see(self, shown: Any, inputs: dict[str, int]) -> None:
        """Take what is offered."""
        assert shown.axi_bready
        if shown.axi_awvalid and inputs["axi_awready"]:
            assert (shown.axi_awsize, shown.axi_awburst) == (EIGHT_BYTES, INCREMENTING)
            assert (shown.axi_awcache, shown.axi_awprot, shown.axi_awid) == (MODIFIABLE, 0, 0)
            self.bursts.append((shown.axi_awaddr // 8, shown.axi_awlen + 1))
            self.addresses.append(self.bursts[-1])
        if shown.axi_wvalid and inputs["axi_wready"]:
            assert shown.axi_wid == 0
            assert shown.axi_wstrb in (0, 255)
            self.beats.append((shown.axi_wdata, shown.axi_wstrb))
            if shown.axi_wlast:
                self.lengths.append(len(self.beats))
        self._match()

    def _match(self) -> None:
        while self.addresses and self.lengths:
            address, beats = self.addresses.popleft()
            assert self.lengths.popleft() == beats
            for place in range(beats):
                word, strobes = self.beats.pop(0)
                if strobes:
                    self.content[address + place] = word
                self.without_strobes += not strobes
            self.lengths = deque(length - beats for length in self.lengths)
            self.answers += 1


@few
@given(seed=SEEDS, pace=PACES)
def test_write_port(seed: int, pace: float) -> None:
    """Every word lies where its request says; each request is reported when its last burst has begun."""
    unit, random = Driver("write_port"), Random(seed)
    requests = [random_fenced(random) for _ in range(12)]
    for number, request in enumerate(requests):
        request["address"] = (request["address"] & ~0xFFFF0) + (number << 8)  # apart from each other
    words = deque(random.getrandbits(64) for request in requests for _ in range(request["words"]))
    expected: dict[int, int] = {}
    given_words = deque(words)
    for request in requests:
        expected |= {request["address"] + place: given_words.popleft() for place in range(request["words"])}
    bursts = [burst for request in requests for burst in bursts_of(request["address"], request["words"])]
    memory, left, done = Writes(random, max(pace, 0.3)), deque(requests), 0
    for _ in cycles(20_000):
        inputs = memory.ports()
        if left and unit.look().room and random.random() < pace:
            inputs |= {"request_valid": 1, "request": FENCED.pack(**left.popleft())}
        gives = bool(words) and random.random() < pace
        shown = unit.cycle(data_valid=gives, data=words[0] if gives else 0, **inputs)
        memory.see(shown, inputs)
        if gives and shown.data_ready:
            words.popleft()
        done += shown.request_done
        assert not shown.bus_error
        if len(memory.content) == len(expected) and shown.idle:
            break
    assert memory.content == expected
    assert memory.bursts == bursts
    assert done == len(requests)


@few
@given(seed=SEEDS, pace=PACES, error_burst=st.integers(1, 10))
def test_write_port_stops(seed: int, pace: float, error_burst: int) -> None:
    """An error response is reported; after `stop` no burst begins, and what is owed goes out without strobes."""
    unit, random = Driver("write_port"), Random(seed)
    for _ in range(2):  # a second time after `clear`
        memory, errors, stop, stopped_at = Writes(random, max(pace, 0.3), error_burst), 0, False, 0
        with_strobes = 0  # beats after `stop`
        for _ in cycles():
            inputs = memory.ports()
            if unit.look().room and not stop and random.random() < 0.5:
                inputs |= {"request_valid": 1, "request": FENCED.pack(address=random.getrandbits(20), words=40)}
            shown = unit.cycle(stop=stop, data_valid=not stop, data=random.getrandbits(64), **inputs)
            memory.see(shown, inputs)
            with_strobes += stop and shown.axi_wvalid and inputs["axi_wready"] and shown.axi_wstrb != 0
            errors += shown.bus_error
            if shown.bus_error:
                stop, stopped_at = True, len(memory.bursts)
            if stop and shown.idle:
                break
        assert errors == 1
        assert len(memory.bursts) <= stopped_at + 3
        assert with_strobes <= 2  # those that were in the data slice
        assert not memory.beats and not memory.addresses and not memory.answers
        unit.cycle(stop=1, clear=1)
        for _ in range(10):
            shown = unit.cycle(axi_awready=1, axi_wready=1)
            assert not shown.axi_awvalid and not shown.axi_wvalid
    shown = unit.cycle()
    assert shown.room and shown.data_ready


def test_write_port_holds_a_thousand_words() -> None:
    """As many words as the buffer has, and no more, are taken before there is a request for them."""
    unit, taken = Driver("write_port"), 0
    for _ in range(1100):
        taken += unit.cycle(data_valid=1, data=taken).data_ready
    assert taken == 1023
