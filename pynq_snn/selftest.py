"""Finds out whether a device computes what it should: registers, memory, every kind of layer, refusals, and timing.

Meant for the first hour with a board. Every section is a function that returns what it measured and raises
`SelfTestError` where something is wrong; a section that fails does not keep the next ones from running.
"""

from __future__ import annotations

import datetime
import os
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn import __version__, layout
from pynq_snn.accelerator import DEFAULT_TIMEOUT_S, Accelerator
from pynq_snn.devices import Buffer, Device, available, open_device
from pynq_snn.encode import to_events
from pynq_snn.errors import ConversionWarning, DeviceError, PynqSnnError
from pynq_snn.layout import ErrorCode, Region
from pynq_snn.models import DEFAULT_MODEL, shipped_models
from pynq_snn.network import Network, integrate
from pynq_snn.program import seal_command
from pynq_snn.synthetic import EXAMPLES, random_input

FIRING_ORDERS = ("deferred", "stepwise")
PATTERNS = (0x0000_0000, 0xFFFF_FFFF, 0x5555_5555, 0xAAAA_AAAA)
MEMORY_SIZES = (64, 4096, 1 << 20, 8 << 20)  # bytes
REPEATS, REPEATS_OF_SOFTWARE = 20, 2  # runs of the shipped network; software is expected to be the same each time
SEED = 2026
MARGIN_REPEATS = 5
MARGIN_START, MARGIN_LIMIT = 4.0, 3.0  # the search goes from a quarter of the rated clock to three times as much
MARGIN_STEP = 1.04  # at least, from one clock to the next
MARGIN_TIMEOUT_S = 5.0


class SelfTestError(PynqSnnError):
    """A device did not do what it should; `figures` is what was measured all the same."""

    def __init__(self, message: str, figures: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.figures = figures or {}


@dataclass(frozen=True)
class Section:
    """The outcome of one section.

    Attributes
    ----------
    name : str
    state : {"passed", "failed", "skipped"}
    detail : str
        What was done, what is wrong, or why it was skipped.
    seconds : float
    figures : dict
        What was measured.
    """

    name: str
    state: str
    detail: str
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)


class _Skipped(Exception):
    """A section does not apply here; the message says why."""


def run_selftest(
    device: str | Device = "auto", *, margin: bool = True, timeout_s: float = DEFAULT_TIMEOUT_S
) -> Iterator[dict[str, Any]]:
    """Test a device, and yield the report after every section.

    Parameters
    ----------
    device : str or Device
        Name of a device, or an open one, which is closed in the end.
    margin : bool
        Search for the clock at which a board begins to fail. It is the last section: a core that is clocked too fast
        may stop the whole board, so what was found before should be on disk by then.
    timeout_s : float
        Longest time in seconds that one run may take.

    Yields
    ------
    dict
        ``ok``, facts about software, machine and device, and ``sections`` so far (see `Section`); made for JSON.

    Raises
    ------
    DeviceError
        The device cannot be opened.
    """
    opened = open_device(device) if isinstance(device, str) else device
    with Accelerator(opened, timeout_s=timeout_s) as accelerator:
        report: dict[str, Any] = {
            "pynq_snn": __version__,
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "machine": {"processor": platform.machine(), "system": platform.platform(),
                        "python": platform.python_version(), "numpy": np.__version__},
            "device": _device_facts(opened),
            "ok": True,
            "sections": [],
        }  # fmt: skip
        sections = [*_SECTIONS, *([("timing margin", _timing_margin)] if margin else [])]
        for name, function in sections:
            section = _run_section(name, function, accelerator)
            report["sections"].append(asdict(section))
            report["ok"] = report["ok"] and section.state != "failed"
            report["device"] = _device_facts(opened)
            yield report


def _run_section(name: str, function: Callable[[Accelerator], tuple[str, Any]], accelerator: Accelerator) -> Section:
    begin = time.perf_counter()
    figures: dict[str, Any] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ConversionWarning
            )  # the made-up networks are not meant to be converted well
            state, (detail, figures) = "passed", function(accelerator)
    except _Skipped as reason:
        state, detail = "skipped", str(reason)
    except PynqSnnError as error:
        state, detail, figures = "failed", str(error), getattr(error, "figures", {})
    return Section(name, state, detail, round(time.perf_counter() - begin, 3), figures)


def _device_facts(device: Device) -> dict[str, Any]:
    facts = {"name": device.name, "description": device.description, "cycles_are": device.cycles_are}
    optional = ("clock_mhz", "waits_for", "downloads", "recoveries")
    return facts | {name: getattr(device, name) for name in optional if hasattr(device, name)}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise SelfTestError(message)


# --- sections ---------------------------------------------------------------------------------------------------------


def _identity(accelerator: Accelerator) -> tuple[str, Any]:
    figures = {
        name: accelerator.device.read_named(name)
        for name in ("core_id", "core_version", "build_hash", "control", "error_code")
    }
    _require(
        bool(figures["control"] & layout.CONTROL_IDLE), f"the core is not idle: control is {figures['control']:#x}"
    )
    text = f"core {figures['core_id']:#010x}, version {figures['core_version']}, build {figures['build_hash']:#010x}"
    return text, figures


def _registers(accelerator: Accelerator) -> tuple[str, Any]:
    device = accelerator.device
    arguments = [register for register in layout.REGISTERS if register.direction == "in"]
    offsets = [register.offset + 4 * word for register in arguments for word in range(register.bits // 32)]
    patterns = [*PATTERNS, *(1 << bit for bit in range(32))]
    for pattern in patterns:
        # Each register gets another value, so that two that answer to one address show
        values = {offset: (pattern ^ offset * 0x0101_0101) & layout.WORD_MAX for offset in offsets}
        for offset, value in values.items():
            device.write(offset, value)
        for offset, value in values.items():
            found = device.read(offset)
            _require(found == value, f"register {offset:#05x}: {value:#010x} was written, {found:#010x} is read")
    for offset in offsets:
        device.write(offset, 0)
    return f"{len(offsets)} words, {len(patterns)} patterns each", {"words": len(offsets)}


def _memory(accelerator: Accelerator) -> tuple[str, Any]:
    random = np.random.default_rng(SEED)
    addresses = {}
    for size in MEMORY_SIZES:
        buffer = accelerator.device.allocate(size)
        try:
            _require(not buffer.array.any(), f"a buffer of {size} bytes is not zeroed")
            for pattern in (random.integers(0, 256, size, np.uint8), np.arange(size).astype(np.uint8)):
                buffer.array[:] = pattern
                buffer.flush()
                buffer.invalidate()
                wrong = np.flatnonzero(buffer.array != pattern)
                _require(
                    not len(wrong), f"{len(wrong)} of {size} bytes read back differently, the first at {wrong[:1]}"
                )
            addresses[str(size)] = f"{buffer.address:#x}"
        finally:
            buffer.free()
    return f"buffers of {', '.join(f'{size:,}' for size in MEMORY_SIZES)} bytes", {"addresses": addresses}


def _every_layer_kind(accelerator: Accelerator) -> tuple[str, Any]:
    done, different = 0, []
    with Accelerator("reference") as reference:
        for name, build in EXAMPLES.items():
            for firing in FIRING_ORDERS:
                network = integrate(build(firing=firing))
                inputs = random_input(network, SEED, 2)
                done += 1
                fault = _compare(accelerator, reference, network, inputs)
                if fault:
                    different.append(f"{name} ({firing}): {fault}")
    _require(not different, "; ".join(different))
    return f"{done} networks, logits and all spike maps equal those of the reference", {"networks": done}


def _compare(accelerator: Accelerator, reference: Accelerator, network: Network, inputs: npt.NDArray[Any]) -> str:
    """Return where the two differ first; nothing where they are equal."""
    results = []
    for each in (accelerator, reference):
        each.load(network, keep_maps=True)
        if network.input_kind == "pixels":
            results.append(each.infer(inputs))
        else:
            results.append(each.infer_events([to_events(item) for item in inputs]))
    for image in range(len(inputs)):
        for layer in network.layers[:-1]:
            wrong = accelerator.spike_map(layer.name, image) != reference.spike_map(layer.name, image)
            if wrong.any():
                return f"{int(wrong.sum())} of {wrong.size} spikes of {layer.name} differ"
    return "" if np.array_equal(results[0], results[1]) else f"logits {results[0].tolist()} != {results[1].tolist()}"


def _refusals(accelerator: Accelerator) -> tuple[str, Any]:
    """Damaged programs must end in the right error, and leave a core that still works."""
    network = integrate(EXAMPLES["plain"]())
    inputs = random_input(network, SEED, 1)
    accelerator.load(network)
    expected = accelerator.infer(inputs)
    for code, damage in _DAMAGES.items():
        data = accelerator.program.data.copy()
        damage(data)
        found = _error_of(accelerator, data)
        _require(found == code, f"a program that must end in {code.name} ended with error code {found}")
        _require(np.array_equal(accelerator.infer(inputs), expected), f"wrong logits after {code.name}")
    return f"{len(_DAMAGES)} damaged programs refused, a good one run after each", {}


def _error_of(accelerator: Accelerator, data: npt.NDArray[np.uint8]) -> int:
    """Run the bytes of a program without the driver, and return the core's error code."""
    device = accelerator.device
    buffers: dict[Region, Buffer] = {}
    try:
        for region, size in accelerator.program.buffer_bytes(1).items():
            buffers[region] = device.allocate(size)
            device.write_named(f"{region.name.lower()}_address", buffers[region].address)
            device.write_named(f"{region.name.lower()}_bytes", size)
        buffers[Region.PROGRAM].array[:] = data
        buffers[Region.PROGRAM].flush()
        device.write_named("images", 1)
        device.write_named("watchdog_cycles", 0)
        device.write_named("control", layout.CONTROL_START)
        try:
            device.wait(accelerator.timeout_s)
            return device.read_named("error_code")
        finally:
            device.reset()
    finally:
        for buffer in buffers.values():
            buffer.free()


def _flip_command_byte(data: npt.NDArray[np.uint8]) -> None:
    data[layout.HEADER_BYTES + 8] ^= 1


def _wrong_magic(data: npt.NDArray[np.uint8]) -> None:
    data[0] ^= 1


def _set_field(name: str, value: int) -> Callable[[npt.NDArray[np.uint8]], None]:
    def damage(data: npt.NDArray[np.uint8]) -> None:
        index = [declared.name for declared in layout.DESCRIPTOR_FIELDS].index(name)
        offset = layout.HEADER_BYTES + 4 * index
        data[offset : offset + 4] = np.array([value], "<u4").view(np.uint8)
        words = data[: layout.HEADER_BYTES].view("<u4")
        header = {declared.name: int(words[i]) for i, declared in enumerate(layout.HEADER_FIELDS)}
        seal_command(data[: header["command_bytes"]], header)

    return damage


_DAMAGES: dict[ErrorCode, Callable[[npt.NDArray[np.uint8]], None]] = {
    ErrorCode.BAD_MAGIC: _wrong_magic,
    ErrorCode.BAD_CHECKSUM: _flip_command_byte,
    ErrorCode.BAD_DESCRIPTOR: _set_field("timesteps", layout.MAX_TIMESTEPS + 1),
    ErrorCode.ADDRESS_FENCE: _set_field("source0_offset", 0x7FFF_FFC0),
}


def _shipped_network(accelerator: Accelerator) -> tuple[str, Any]:
    network, images, expected, oracle = _shipped_case(accelerator.device)
    accelerator.load(network)
    latencies = []
    repeats = REPEATS if accelerator.device.name == "board" else REPEATS_OF_SOFTWARE
    for repeat in range(repeats):
        found = accelerator.infer(images)
        _require(np.array_equal(found, expected), f"run {repeat + 1} of {repeats} gave other logits than the {oracle}")
        latencies.append(accelerator.last_run.latency_s / len(images))
    report = accelerator.last_run
    figures = {
        "model": network.name,
        "images": len(images),
        "repeats": repeats,
        "compared_with": oracle,
        "latency_s": {"median": float(np.median(latencies)), "least": min(latencies), "most": max(latencies)},
        "cycles_per_image": report.cycles / len(images),
        "cycles_are": report.cycles_are,
        "synaptic_operations_per_image": report.synaptic_operations / len(images),
        "layers": [asdict(layer) for layer in report.layers],
    }
    return f"{network.name}: {repeats} runs equal those of the {oracle}", figures


def _shipped_case(device: Device) -> tuple[Network, npt.NDArray[np.uint8], npt.NDArray[np.int32], str]:
    """Return the default network, images, their logits, and which other device computed them."""
    if DEFAULT_MODEL not in shipped_models():
        raise _Skipped(f"this package holds no model named {DEFAULT_MODEL}")
    oracle = "kernel" if device.name != "kernel" and available()["kernel"] is None else "reference"
    images = np.random.default_rng(SEED).integers(0, 256, (4 if device.name == "board" else 1, 32, 32, 3), np.uint8)
    with Accelerator(oracle) as other:
        network = other.load(DEFAULT_MODEL)
        return network, images, other.infer(images), oracle


def _timing_margin(accelerator: Accelerator) -> tuple[str, Any]:
    """Raise the clock, from far below the rated one, until the first error."""
    device: Any = accelerator.device
    if device.name != "board":
        raise _Skipped("only a board has a clock that can be raised")
    rated = device.clock_mhz
    network, images, expected, _ = _shipped_case(device)
    accelerator.load(network)
    patience, accelerator.timeout_s = accelerator.timeout_s, MARGIN_TIMEOUT_S
    if hasattr(os, "sync"):
        os.sync()  # a core clocked too fast may stop the board
    good: list[float] = []
    failure = None
    for clock_mhz in _clocks_to_try(rated):
        failure = _fails_at(accelerator, device, clock_mhz, images, expected)
        if failure is not None:
            break
        good.append(clock_mhz)
    device.reload()
    device.set_clock(rated)
    accelerator.timeout_s = patience
    figures = {"rated_mhz": rated, "good_mhz": good, "first_failure": failure, "margin": max(good, default=0) / rated}
    if failure is not None and failure["clock_mhz"] <= rated:
        advice = f"good up to {good[-1]:.2f} MHz" if good else "it is not the clock: see the sections above"
        raise SelfTestError(
            f"wrong at {failure['clock_mhz']:.2f} MHz, not above the rated {rated:.2f}; {advice}", figures
        )
    accelerator.load(network)
    _require(np.array_equal(accelerator.infer(images), expected), "back at the rated clock the logits are wrong")
    return f"good up to {good[-1]:.2f} MHz, {good[-1] / rated:.2f} times the rated {rated:.2f} MHz", figures


def _clocks_to_try(rated_mhz: float) -> list[float]:
    """Return clocks that the processing system can make, rising, in MHz, the rated one among them."""
    from pynq_snn.overlay import block_design

    divisors = range(1, block_design.MAX_DIVISOR + 1)
    possible = sorted({block_design.CLOCK_SOURCE_MHZ / (first * second) for first in divisors for second in divisors})
    clocks = [rated_mhz]
    for clock in possible:
        if clocks[-1] * MARGIN_STEP <= clock <= rated_mhz * MARGIN_LIMIT:
            clocks.append(clock)
    for clock in reversed(possible):
        if rated_mhz / MARGIN_START <= clock <= clocks[0] / MARGIN_STEP:
            clocks.insert(0, clock)
    return clocks


def _fails_at(accelerator: Accelerator, device: Any, clock_mhz: float, images: Any, expected: Any) -> Any:
    try:
        device.set_clock(clock_mhz)
        for _ in range(MARGIN_REPEATS):
            found = accelerator.infer(images)
            if not np.array_equal(found, expected):
                wrong = int((found != expected).sum())
                return {"clock_mhz": clock_mhz, "what": f"{wrong} of {expected.size} logits are wrong"}
    except DeviceError as error:
        return {"clock_mhz": clock_mhz, "what": str(error)}
    return None


_SECTIONS: list[tuple[str, Callable[[Accelerator], tuple[str, Any]]]] = [
    ("identity", _identity),
    ("registers", _registers),
    ("memory", _memory),
    ("every layer kind", _every_layer_kind),
    ("refusals", _refusals),
    ("shipped network", _shipped_network),
]
