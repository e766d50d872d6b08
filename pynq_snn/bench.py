"""How fast a network runs, and what it costs: measured where it can be, and otherwise named for what it is.

Every figure carries a tag. Two machines must not be mixed up: the *accelerator*, whose time is cycles / clock unless it
is the real board, and *this computer*, whose wall-clock time is always a measurement, but of a simulation where the
device is one. docs/benchmark.md explains the method.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn import layout
from pynq_snn.accelerator import Accelerator, RunReport
from pynq_snn.devices import Device, open_device
from pynq_snn.errors import PynqSnnError
from pynq_snn.network import Layer, Network
from pynq_snn.peers import counting_rule, peers
from pynq_snn.power import Meter, PowerTrace
from pynq_snn.power.model import Work, energy_parts
from pynq_snn.records import SimulatedSpeed, simulated_speed

# What a figure can be. The first three are also what a device says its cycles are.
ON_BOARD = "measured on the board"
SIMULATED = "cycle-accurate simulation"
ESTIMATE = "estimate"
ON_COMPUTER = "measured on this computer's processor"
EXACT = "exact count"
CALCULATED = "calculated"

# The core: 8 banks by input channel, 2 ports each, 32 lanes, and a row that is read serves 2 planes (docs/hardware.md).
ADDERS = 8 * 2 * layout.LANES * 2
DSP_SLICES = 0
BUS_BYTES_PER_CYCLE = 14  # DDR3-1050 x 16 bits at 70%, as in hls/cycle_model.hpp

DEFAULT_CLOCK_MHZ = 100.0
CLOCK_TOLERANCE = 0.005  # dividers on a board seldom hit a frequency exactly
DEFAULT_SECONDS = 3.0
BASELINE_S = 1.0
FEWEST_RUNS, MOST_RUNS = 3, 2000
PICTURES = 16
EVENT_DENSITY = 0.05
PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Clock:
    """The accelerator's clock in hertz, and where that number is from."""

    hz: float
    source: str


@dataclass(frozen=True)
class Inputs:
    """What a benchmark runs on.

    Attributes
    ----------
    items : sequence of uint8 [height, width, channels] or int [events, 4]
    description : str
    preprocess_s : float or None
        Median seconds to make one of a picture file; None where nothing had to be made.
    """

    items: Sequence[npt.NDArray[Any]]
    description: str
    preprocess_s: float | None


@dataclass(frozen=True)
class Figure:
    """One number with its unit and what kind of number it is; None where it cannot be had, and `tag` says why."""

    name: str
    value: float | None
    unit: str
    tag: str


@dataclass(frozen=True)
class LayerFigures:
    """One layer, per picture.

    Attributes
    ----------
    firing_rate : float
        Spikes per neuron and timestep; 0 for a readout.
    dense_operations : int
        Multiply-accumulates of the dense layer times timesteps.
    """

    name: str
    kind: str
    firing_rate: float
    operations: float
    dense_operations: int
    cycles: float
    stall_cycles: float
    ddr_bytes: float


@dataclass(frozen=True)
class Bench:
    """The result of one benchmark.

    Attributes
    ----------
    setting : dict
        Model, timesteps, firing order, device, batch, runs, inputs, clock, power source.
    accelerator, computer, split : list of Figure
        Of the accelerator; of the computer that ran this program; and where the time of a picture goes.
    energy_parts : dict of str to float
        Joules per picture by the model's terms; empty where power was measured or given.
    recorded_rtl : SimulatedSpeed or None
        What the RTL took for this model file on test pictures, as recorded with the package.
    """

    setting: dict[str, Any]
    accelerator: list[Figure]
    computer: list[Figure]
    split: list[Figure]
    layers: list[LayerFigures]
    energy_parts: dict[str, float] = field(default_factory=dict)
    power_trace: PowerTrace | None = None
    power_window: tuple[float, float] | None = None
    baseline_w: float | None = None
    recorded_rtl: SimulatedSpeed | None = None

    def figure(self, name: str) -> Figure:
        """Return a figure by name."""
        return next(each for each in (*self.accelerator, *self.computer, *self.split) if each.name == name)

    def as_json(self) -> dict[str, Any]:
        """Return everything but the samples of power, with the peers and the counting rule, for `json.dumps`."""
        return {
            "setting": self.setting,
            "accelerator": [asdict(figure) for figure in self.accelerator],
            "computer": [asdict(figure) for figure in self.computer],
            "time_split": [asdict(figure) for figure in self.split],
            "layers": [asdict(layer) for layer in self.layers],
            "energy_parts_j": self.energy_parts,
            "baseline_w": self.baseline_w,
            "recorded_rtl": None if self.recorded_rtl is None else asdict(self.recorded_rtl),
            "peers": [asdict(peer) for peer in peers()],
            "counting_rule": counting_rule(),
        }


# --- what to run on ---------------------------------------------------------------------------------------------------


def overlay_manifest() -> dict[str, Any] | None:
    """Return the manifest of the shipped overlay; None where there is none.

    Raises
    ------
    PynqSnnError
        It is damaged.
    """
    installed = PACKAGE / "data" / "overlays"
    path = (installed if installed.is_dir() else PACKAGE.parent / "overlays") / "manifest.json"
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PynqSnnError(f"{path} is damaged ({error}); install pynq-snn again") from error
    return manifest


def choose_clock(megahertz: float | None = None, device: Device | None = None) -> Clock:
    """Return the clock of a device that has one, or the one asked for, or the overlay's, or the default.

    Raises
    ------
    PynqSnnError
        The device has another clock than was asked for; or the overlay's manifest is damaged.
    """
    own: float | None = getattr(device, "clock_mhz", None)
    if own is not None and device is not None:
        if megahertz is not None and abs(own / megahertz - 1) > CLOCK_TOLERANCE:
            raise PynqSnnError(
                f"the {device.name} device runs at {own:g} MHz, not at {megahertz:g} MHz; leave out --clock"
            )
        return Clock(own * 1e6, f"of the {device.name} device")
    if megahertz is not None:
        return Clock(megahertz * 1e6, "given")
    manifest = overlay_manifest()
    if manifest is not None and "clock_mhz" in manifest:
        return Clock(float(manifest["clock_mhz"]) * 1e6, "overlay manifest")
    return Clock(DEFAULT_CLOCK_MHZ * 1e6, "default; there is no overlay to take it from")


def open_at_clock(name: str, megahertz: float | None = None) -> Device:
    """Open a device by name; one that simulates a clock gets the one asked for, or else the overlay's.

    Raises
    ------
    DeviceError
        As `pynq_snn.devices.open_device`.
    """
    if name != "rtl":
        return open_device(name)
    from pynq_snn.devices.rtl import RtlDevice

    # The model of the memory is fast or slow relative to the core, so the RTL has to know its clock from the start.
    return RtlDevice(clock_mhz=choose_clock(megahertz).hz / 1e6)


def sample_picture() -> Path:
    """Return the file of the photograph that comes with the package."""
    installed = PACKAGE / "data" / "examples"
    return (installed if installed.is_dir() else PACKAGE.parent / "examples") / "cat.png"


def default_inputs(network: Network) -> Inputs:
    """Return cut-outs of the bundled photograph, or random events for a network that reads events; always the same."""
    random = np.random.default_rng(0)
    if network.input_kind == "events":
        shape = (network.timesteps, *network.input_shape)
        windows = []
        for _ in range(PICTURES):
            t, channel, y, x = np.nonzero(random.random(shape) < EVENT_DENSITY)
            windows.append(np.stack([t, y, x, channel], axis=1))
        return Inputs(
            windows, f"{PICTURES} windows of random events, {EVENT_DENSITY:.0%} of places and timesteps", None
        )
    from PIL import Image

    from pynq_snn.pictures import fit_picture

    items, times = [], []
    with Image.open(sample_picture()) as photograph:
        photograph.load()
        for _ in range(PICTURES):
            # Between the whole photograph and half of it, at a random place.
            share = random.uniform(0.5, 1.0)
            width, height = (max(1, round(side * share)) for side in photograph.size)
            left, top = (int(random.integers(0, whole - part + 1))
                         for whole, part in zip(photograph.size, (width, height), strict=True))  # fmt: skip
            items.append(fit_picture(photograph.crop((left, top, left + width, top + height)), network))
    for _ in range(5):
        begin = time.perf_counter()
        fit_picture(sample_picture(), network)
        times.append(time.perf_counter() - begin)
    description = f"{PICTURES} cut-outs of the photograph {sample_picture().name}"
    return Inputs(items, description, statistics.median(times))


def dataset_inputs(path: str, network: Network, *, count: int = 256) -> Inputs:
    """Return the first pictures of a data set, fitted to a network (see `pynq_snn.datasets.load_dataset`)."""
    from pynq_snn.datasets import load_dataset
    from pynq_snn.pictures import fit_picture

    dataset = load_dataset(path)
    items, times = [], []
    for picture in dataset.images[:count]:
        begin = time.perf_counter()
        items.append(fit_picture(picture, network))
        times.append(time.perf_counter() - begin)
    if not items:
        raise PynqSnnError(f"{path} holds no pictures; give one that does")
    return Inputs(items, f"{len(items)} pictures of {Path(path).name}", statistics.median(times))


# --- measuring --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Run:
    """One run of the core: seconds of the whole call, and what the driver and the core reported."""

    call_s: float
    report: RunReport


@dataclass(frozen=True)
class _Measured:
    runs: list[_Run]
    load_s: float
    trace: PowerTrace | None
    window: tuple[float, float]
    baseline_w: float | None


def run_bench(
    accelerator: Accelerator,
    network: Network,
    inputs: Inputs | None = None,
    *,
    batch: int = 1,
    seconds: float = DEFAULT_SECONDS,
    clock: Clock | None = None,
    power_w: float | None = None,
    meter: Meter | None = None,
) -> Bench:
    """Run a network again and again, and return what that took.

    Parameters
    ----------
    accelerator : Accelerator
        Any device; the network is loaded into it.
    inputs : Inputs, optional
        `default_inputs` of the network by default.
    batch : int
        Inputs in one run of the core.
    seconds : float
        Shortest time to go on for; at least FEWEST_RUNS runs, at most MOST_RUNS.
    clock : Clock, optional
        `choose_clock(device=...)` by default.
    power_w : float, optional
        Power of the board in watts, where the user knows it.
    meter : Meter, optional
        Watches for a second of rest, and then during the runs.

    Raises
    ------
    PynqSnnError
        As `Accelerator.load` and `infer`, or the meter failed or saw too little.
    """
    inputs = default_inputs(network) if inputs is None else inputs
    clock = choose_clock(device=accelerator.device) if clock is None else clock
    measured = _measure(accelerator, network, inputs, batch, seconds, meter)
    return _Evaluation(accelerator, network, inputs, batch, clock, power_w, meter, measured).result()


def _measure(
    accelerator: Accelerator, network: Network, inputs: Inputs, batch: int, seconds: float, meter: Meter | None
) -> _Measured:
    begin = time.perf_counter()
    accelerator.load(network)
    load_s = time.perf_counter() - begin
    batches = _batches(inputs.items, batch)
    _run(accelerator, next(batches))  # the first run allocates buffers and warms caches
    if meter is None:
        return _Measured(_repeat(accelerator, batches, seconds), load_s, None, (0.0, 0.0), None)
    meter.start()
    try:
        rest_from = time.time()
        time.sleep(BASELINE_S)
        start = time.time()
        runs = _repeat(accelerator, batches, seconds)
        end = time.time()
    except BaseException:
        meter.close()
        raise
    trace = meter.stop()
    return _Measured(runs, load_s, trace, (start, end), trace.mean_w(rest_from, start))


def _batches(items: Sequence[npt.NDArray[Any]], batch: int) -> Iterator[list[npt.NDArray[Any]]]:
    """Yield full batches for ever, round and round."""
    place = 0
    while True:
        yield [items[(place + offset) % len(items)] for offset in range(batch)]
        place = (place + batch) % len(items)


def _repeat(accelerator: Accelerator, batches: Iterator[list[npt.NDArray[Any]]], seconds: float) -> list[_Run]:
    runs: list[_Run] = []
    end = time.perf_counter() + seconds
    while len(runs) < FEWEST_RUNS or (time.perf_counter() < end and len(runs) < MOST_RUNS):
        runs.append(_run(accelerator, next(batches)))
    return runs


def _run(accelerator: Accelerator, items: list[npt.NDArray[Any]]) -> _Run:
    begin = time.perf_counter()
    if accelerator.network.input_kind == "pixels":
        accelerator.infer(np.stack(items), batch=len(items))
    else:
        accelerator.infer_events(items, batch=len(items))
    return _Run(time.perf_counter() - begin, accelerator.last_run)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


# --- figures ----------------------------------------------------------------------------------------------------------


class _Evaluation:
    """Turns what was measured into figures."""

    def __init__(
        self,
        accelerator: Accelerator,
        network: Network,
        inputs: Inputs,
        batch: int,
        clock: Clock,
        power_w: float | None,
        meter: Meter | None,
        measured: _Measured,
    ) -> None:
        self.device, self.network, self.inputs, self.batch, self.clock = (
            accelerator.device, network, inputs, batch, clock,
        )  # fmt: skip
        self.power_w, self.meter, self.measured = power_w, meter, measured
        self.runs = measured.runs
        self.pictures = batch * len(self.runs)
        self.on_board = self.device.cycles_are == ON_BOARD
        self.cycles = sum(run.report.cycles for run in self.runs) / self.pictures
        self.time_tag: str = self.device.cycles_are if self.cycles else "this device counts no cycles"
        self.run_times = self._run_times()
        self.seconds = sum(self.run_times) / self.pictures  # of the accelerator, per picture
        self.operations = sum(run.report.synaptic_operations for run in self.runs) / self.pictures
        self.dense = network.macs * network.timesteps
        self.ddr_bytes = sum(self._total(run, "bytes_read", "bytes_written") for run in self.runs) / self.pictures

    def _run_times(self) -> list[float]:
        """Return the accelerator's seconds of each run; empty where the device counts no cycles."""
        if self.on_board:
            return [run.report.latency_s for run in self.runs]
        return [run.report.cycles / self.clock.hz for run in self.runs] if self.cycles else []

    @staticmethod
    def _total(run: _Run, *counters: str) -> int:
        return sum(int(getattr(layer, counter)) for layer in run.report.layers for counter in counters)

    def result(self) -> Bench:
        energy, parts = self._energy()
        return Bench(
            setting=self._setting(),
            accelerator=[*self._speed(), *self._memory(), *energy],
            computer=self._computer(),
            split=self._split(),
            layers=self._layers(),
            energy_parts=parts,
            power_trace=self.measured.trace,
            power_window=self.measured.window if self.measured.trace is not None else None,
            baseline_w=self.measured.baseline_w,
            recorded_rtl=simulated_speed(self.network),
        )

    def _setting(self) -> dict[str, Any]:
        return {
            "model": self.network.name,
            "timesteps": self.network.timesteps,
            "firing": self.network.firing,
            "device": self.device.name,
            "device_is": self.device.description,
            "cycles_are": self.device.cycles_are,
            "batch": self.batch,
            "runs": len(self.runs),
            "inputs": self.inputs.description,
            "clock_mhz": self.clock.hz / 1e6,
            "clock_from": self.clock.source,
            "power_from": self._power_source(),
        }

    def _power_source(self) -> str:
        if self.meter is not None:
            return self.meter.description
        return "given" if self.power_w is not None else "model of the board (docs/benchmark.md)"

    def _speed(self) -> list[Figure]:
        peak = 2 * ADDERS * self.clock.hz / 1e9
        fixed = [
            Figure("peak_gops", peak, "GOPS", CALCULATED),
            Figure("peak_gops_per_adder", peak / ADDERS, "GOPS", CALCULATED),
            Figure("gops_per_dsp", None, "GOPS", "no DSP slice is used"),
        ]
        if not self.run_times:
            names = {"latency_median": "s", "fps_median": "1/s", "cycles": "cycles", "dense_gops": "GOPS",
                     "effective_gsops": "GSOPS"}  # fmt: skip
            return [*(Figure(name, None, unit, self.time_tag) for name, unit in names.items()), *fixed]
        times, tag = self.run_times, self.time_tag
        spread = {"min": min(times), "median": statistics.median(times), "p99": percentile(times, 0.99)}
        dense = 2 * self.dense / self.seconds / 1e9
        return [
            *(Figure(f"latency_{name}", value, "s", tag) for name, value in spread.items()),
            # The fewest pictures a second belong to the slowest runs.
            Figure("fps_min", self.batch / max(times), "1/s", tag),
            Figure("fps_median", self.batch / spread["median"], "1/s", tag),
            Figure("fps_p99", self.batch / spread["p99"], "1/s", tag),
            Figure("cycles", self.cycles, "cycles", tag),
            Figure("dense_gops", dense, "GOPS", tag),
            Figure("effective_gsops", self.operations / self.seconds / 1e9, "GSOPS", tag),
            *fixed[:1],
            Figure("dense_gops_per_adder", dense / ADDERS, "GOPS", tag),
            *fixed[1:],
        ]

    def _memory(self) -> list[Figure]:
        neurons = sum(_neurons(layer) for layer in self.network.layers if layer.kind != "readout")
        spikes = sum(run.report.spikes for run in self.runs) / self.pictures
        exact = [
            Figure("operations", self.operations, "operations", EXACT),
            Figure("dense_operations", self.dense, "operations", CALCULATED),
            Figure("share_of_dense", self.operations / self.dense if self.dense else None, "", EXACT),
            Figure("firing_rate", spikes / (neurons * self.network.timesteps) if neurons else None, "", EXACT),
        ]
        if not self.ddr_bytes:
            reason = "this device counts no bytes"
            return [*exact, Figure("ddr_bytes", None, "B", reason), Figure("ddr_bandwidth", None, "B/s", reason)]
        bandwidth = self.ddr_bytes / self.seconds if self.seconds else None
        return [
            *exact,
            Figure("ddr_bytes", self.ddr_bytes, "B", self.time_tag),
            Figure("ddr_bandwidth", bandwidth, "B/s", self.time_tag),
        ]

    def _energy(self) -> tuple[list[Figure], dict[str, float]]:
        """Return the accelerator's energy figures, and the parts of a modelled energy."""
        parts: dict[str, float] = {}
        if not self.run_times:
            figures = (("power", "W"), ("energy", "J"), ("dense_gops_per_watt", "GOPS/W"))
            return [Figure(name, None, unit, self.time_tag) for name, unit in figures], parts
        above: list[Figure] = []
        if self.meter is not None and self.on_board:
            assert self.measured.trace is not None and self.measured.baseline_w is not None
            tag = f"{ON_BOARD}, {self.meter.description}"
            start, end = self.measured.window
            energy = self.measured.trace.energy_j(start, end) / self.pictures
            watts = self.measured.trace.mean_w(start, end)
            resting = self.measured.baseline_w * (end - start) / self.pictures
            above = [Figure("energy_above_rest", energy - resting, "J", tag)]
        elif self.power_w is not None:
            watts, energy = self.power_w, self.power_w * self.seconds
            tag = f"power given, time: {self.time_tag}"
        else:
            parts = energy_parts(Work(self.seconds, self.clock.hz, self.operations, self.ddr_bytes))
            energy, tag = sum(parts.values()), ESTIMATE
            watts = energy / self.seconds
        gops = 2 * self.dense / self.seconds / 1e9
        return [
            Figure("power", watts, "W", tag),
            Figure("energy", energy, "J", tag),
            *above,
            Figure("dense_gops_per_watt", gops / watts, "GOPS/W", tag),
            Figure("effective_gsops_per_watt", self.operations / self.seconds / 1e9 / watts, "GSOPS/W", tag),
        ], parts

    def _computer(self) -> list[Figure]:
        """Return wall-clock figures of a simulation; none on the board, where they are the accelerator's own."""
        if self.on_board:
            return []
        times = [run.report.latency_s for run in self.runs]
        figures = [
            Figure("simulation_min", min(times), "s", ON_COMPUTER),
            Figure("simulation_median", statistics.median(times), "s", ON_COMPUTER),
            Figure("simulation_p99", percentile(times, 0.99), "s", ON_COMPUTER),
            Figure("simulation_fps", self.pictures / sum(times), "1/s", ON_COMPUTER),
        ]
        if self.measured.trace is not None and self.meter is not None and self.measured.baseline_w is not None:
            start, end = self.measured.window
            tag = f"measured, {self.meter.description}; of what the meter hangs on, not of a board"
            figures += [
                Figure("metered_power", self.measured.trace.mean_w(start, end), "W", tag),
                Figure("metered_power_at_rest", self.measured.baseline_w, "W", tag),
                Figure("metered_energy", self.measured.trace.energy_j(start, end) / self.pictures, "J", tag),
            ]
        return figures

    def _split(self) -> list[Figure]:
        """Return where the time of one picture goes, in order; loading happens once."""
        host = ON_BOARD if self.on_board else ON_COMPUTER
        encode = sum(run.report.encode_s for run in self.runs) / self.pictures
        rest = sum(run.call_s - run.report.encode_s - run.report.latency_s for run in self.runs) / self.pictures
        stalls = sum(self._total(run, "stall_cycles") for run in self.runs) / self.pictures
        stall = self.seconds * stalls / self.cycles if self.cycles else None
        return [
            Figure("load", self.measured.load_s, "s", f"{host}, once"),
            Figure("preprocess", self.inputs.preprocess_s, "s",
                   host if self.inputs.preprocess_s is not None else "nothing to do"),
            Figure("encode", encode, "s", host),
            Figure("compute", None if stall is None else self.seconds - stall, "s", self.time_tag),
            Figure("stall", stall, "s", self.time_tag),
            Figure("read", rest, "s", host),
        ]  # fmt: skip

    def _layers(self) -> list[LayerFigures]:
        figures = []
        for index, layer in enumerate(self.network.layers):
            counters = [run.report.layers[index] for run in self.runs]
            mean = {
                name: sum(getattr(counter, name) for counter in counters) / self.pictures for name in layout.COUNTERS
            }
            figures.append(
                LayerFigures(
                    name=layer.name,
                    kind=layer.kind,
                    firing_rate=mean["spikes"] / (_neurons(layer) * self.network.timesteps),
                    operations=mean["additions"],
                    dense_operations=layer.macs * self.network.timesteps,
                    cycles=mean["cycles"],
                    stall_cycles=mean["stall_cycles"],
                    ddr_bytes=mean["bytes_read"] + mean["bytes_written"],
                )
            )
        return figures


def _neurons(layer: Layer) -> int:
    return math.prod(layer.output_shape)
