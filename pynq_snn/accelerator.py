"""The driver: loads a network into a device's memory, starts runs, and reads results and counters."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn import layout
from pynq_snn.devices import Buffer, Device, open_device
from pynq_snn.encode import encode_events, encode_pixels, unpack_planes
from pynq_snn.errors import DeviceError, ProgramError
from pynq_snn.layout import ErrorCode, Region
from pynq_snn.network import Network
from pynq_snn.program import Program, compile_network

DEFAULT_TIMEOUT_S = 120.0
DEFAULT_BATCH = 16  # images in one run: enough to share a fetch of the weights, small enough for a board's memory

_EXPLANATIONS = {
    ErrorCode.BAD_MAGIC: "it found no program; load the model again",
    ErrorCode.BAD_VERSION: "the program is of another version; use the overlay that came with this package",
    ErrorCode.BAD_SIZE: "buffer sizes do not fit the program; load the model again",
    ErrorCode.BAD_CHECKSUM: "the program was damaged in memory; load the model again",
    ErrorCode.BAD_DESCRIPTOR: "a layer descriptor is out of range; load the model again",
    ErrorCode.ADDRESS_FENCE: "the program reaches outside its buffers; load the model again",
    ErrorCode.WATCHDOG: "the run took more cycles than allowed; raise watchdog_cycles",
    ErrorCode.BUS: "the memory refused an access; load the model again",
    ErrorCode.ABORTED: "it was told to stop",
}


@dataclass(frozen=True)
class LayerCounters:
    """What the core counted in one layer, over all images of a call."""

    name: str
    cycles: int
    stall_cycles: int
    additions: int
    spikes: int
    bytes_read: int
    bytes_written: int


@dataclass(frozen=True)
class RunReport:
    """Figures of one call of `Accelerator.infer`.

    Attributes
    ----------
    device, cycles_are : str
        Which device ran, and what its cycles are: measured, cycle-accurate simulation, or estimate.
    images : int
    encode_s, latency_s : float
        Seconds spent on packing inputs, and from start to done of the core.
    layers : tuple of LayerCounters
    """

    device: str
    cycles_are: str
    images: int
    encode_s: float
    latency_s: float
    layers: tuple[LayerCounters, ...]

    @property
    def cycles(self) -> int:
        """Cycles of all layers."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def spikes(self) -> int:
        """Spikes fired by all layers."""
        return sum(layer.spikes for layer in self.layers)

    @property
    def synaptic_operations(self) -> int:
        """Additions of a weight to a current, made because a spike arrived."""
        return sum(layer.additions for layer in self.layers)


class Accelerator:
    """A spiking accelerator with one network loaded.

    Parameters
    ----------
    device : str or Device
        Name of a device (`pynq_snn.devices`), or an open one, which is then closed together with this object.
    timeout_s : float
        Longest time in seconds that one run may take.
    verify : bool
        Read programs back after loading and compare them.
    watchdog_cycles : int
        Cycles after which the core itself ends a run; 0 for never.

    Raises
    ------
    DeviceError
        The device is missing, or is not a core that this package knows.

    Examples
    --------
    >>> with Accelerator("kernel") as accelerator:                                # doctest: +SKIP
    ...     accelerator.load("vgg11")
    ...     accelerator.classify(images)
    """

    def __init__(
        self,
        device: str | Device = "auto",
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        verify: bool = True,
        watchdog_cycles: int = 0,
    ) -> None:
        self.device = open_device(device) if isinstance(device, str) else device
        self.timeout_s = timeout_s
        self.verify = verify
        self.watchdog_cycles = watchdog_cycles
        self._lock = threading.RLock()
        self._program: Program | None = None
        self._buffers: dict[Region, Buffer] = {}
        self._capacity = 0
        self._last_batch = 0
        self._last_run: RunReport | None = None
        self._closed = False
        try:
            self._check_core()
        except BaseException:
            self.device.close()
            raise

    def _check_core(self) -> None:
        core_id, version = self.device.read_named("core_id"), self.device.read_named("core_version")
        if core_id != layout.CORE_ID:
            raise DeviceError(
                f"the {self.device.name} device answers with ID {core_id:#010x} instead of {layout.CORE_ID:#010x}; "
                "another design is loaded"
            )
        if version != layout.LAYOUT_VERSION:
            raise DeviceError(
                f"the {self.device.name} device runs programs of version {version}, this package makes version "
                f"{layout.LAYOUT_VERSION}; use the core that came with this package"
            )

    # --- loading ------------------------------------------------------------------------------------------------------

    def load(
        self,
        model: str | Path | Network,
        *,
        timesteps: int | None = None,
        firing: str | None = None,
        keep_maps: bool = False,
    ) -> Network:
        """Load a network into the device's memory, in place of the one before.

        Parameters
        ----------
        model : str, Path or Network
            Name of a shipped model, path of a quantised ONNX file, or a network. `timesteps` and `firing` apply to the
            first two.
        timesteps : int, optional
            T; the model's own by default.
        firing : {"stepwise", "deferred"}, optional
            Firing order; the model's own by default.
        keep_maps : bool
            Keep the spike maps of all layers, for `spike_map`.

        Returns
        -------
        Network

        Raises
        ------
        ModelError
            The file is damaged or holds something unsupported.
        ProgramError
            The network exceeds a limit of the core.
        DeviceError
            The device has too little memory, or what it holds is not what was written.
        """
        if not isinstance(model, Network):
            from pynq_snn.models import find_model

            model = Network.from_onnx(find_model(model), timesteps=timesteps, firing=firing)
        elif timesteps is not None or firing is not None:
            raise ProgramError("timesteps and firing are part of a Network; build it with them instead")
        program = compile_network(model, keep_maps=keep_maps)
        with self._lock:
            self._check_open()
            self._free_buffers()
            try:
                self._load_program(program)
            except BaseException:
                self._free_buffers()
                raise
            self._program = program
        return model

    def _load_program(self, program: Program) -> None:
        buffer = self.device.allocate(len(program.data))
        self._buffers[Region.PROGRAM] = buffer
        buffer.array[:] = program.data
        buffer.flush()
        if self.verify:
            buffer.invalidate()
            different = np.flatnonzero(buffer.array != program.data)
            if len(different):
                raise DeviceError(
                    f"{len(different)} of {len(program.data)} program bytes read back differently, the first at "
                    f"{int(different[0]):#x}; the memory is faulty or in use by something else"
                )

    def _reserve(self, program: Program, images: int) -> None:
        """Have buffers for a batch of `images`."""
        if images <= self._capacity:
            return
        for region in (Region.INPUT, Region.WORKSPACE, Region.OUTPUT):
            self._free_buffer(region)
        self._capacity = 0
        sizes = program.buffer_bytes(images)
        for region in (Region.INPUT, Region.WORKSPACE, Region.OUTPUT):
            self._buffers[region] = self.device.allocate(sizes[region])
        self._capacity = images

    def _free_buffer(self, region: Region) -> None:
        buffer = self._buffers.pop(region, None)
        if buffer is not None:
            buffer.free()

    def _free_buffers(self) -> None:
        self._program = None
        self._capacity = self._last_batch = 0
        for region in list(self._buffers):
            self._free_buffer(region)

    # --- inference ----------------------------------------------------------------------------------------------------

    def infer(self, images: npt.NDArray[Any], *, batch: int = DEFAULT_BATCH) -> npt.NDArray[np.int32]:
        """Run pictures through the network.

        Parameters
        ----------
        images : uint8 [N, height, width, channels] or [height, width, channels]
            Pixels of the network's input size; `pynq_snn.pictures.fit_picture` makes them from any picture.
        batch : int
            Most images in one run of the core.

        Returns
        -------
        int32 [N, classes] or [classes]
            Integer logits; `Network.scores` turns them into real numbers.

        Raises
        ------
        ProgramError
            No network is loaded, or the images do not fit it.
        DeviceError
            The core reported an error; it is idle again.
        DeviceTimeout
            The core did not finish; it is idle again.
        """
        with self._lock:
            program = self._loaded("pixels")
            network = program.network
            pictures = np.asarray(images)
            expected = (network.input_height, network.input_width, network.input_channels)
            single = pictures.ndim == 3
            if pictures.dtype != np.uint8 or pictures.ndim not in (3, 4) or pictures.shape[-3:] != expected:
                raise ProgramError(
                    f"images are {pictures.dtype} {list(pictures.shape)}; {network.name} reads uint8 [N, "
                    f"{expected[0]}, {expected[1]}, {expected[2]}] (see pynq_snn.pictures.fit_picture)"
                )
            logits = self._infer_all(program, pictures[None] if single else pictures, batch)
            return logits[0] if single else logits

    def infer_events(
        self, events: npt.NDArray[Any] | Sequence[npt.NDArray[Any]], *, batch: int = DEFAULT_BATCH
    ) -> npt.NDArray[np.int32]:
        """Run pre-encoded spike events through a network that reads events.

        Parameters
        ----------
        events : int [M, 4], or a sequence of such arrays
            Address events of one window of T timesteps: timestep, y, x, channel; in any order.

        Returns
        -------
        int32 [classes], or [N, classes] for a sequence of N windows

        Raises
        ------
        ProgramError
            No network for events is loaded, or an event lies outside its input.
        DeviceError, DeviceTimeout
            As for `infer`.
        """
        with self._lock:
            program = self._loaded("events")
            single = isinstance(events, np.ndarray)
            logits = self._infer_all(program, [events] if single else list(events), batch)
            return logits[0] if single else logits

    def stream_events(self, windows: Iterable[npt.NDArray[Any]]) -> Iterator[npt.NDArray[np.int32]]:
        """Yield the logits, int32 [classes], of each window of events as it arrives (see `infer_events`)."""
        for window in windows:
            yield self.infer_events(np.asarray(window))

    def classify(self, images: npt.NDArray[Any], top: int = 5) -> list[list[tuple[str, float]]]:
        """Return for each image, uint8 [N, height, width, channels], the `top` (label, probability), best first."""
        with self._lock:
            logits = np.atleast_2d(self.infer(images))
            network = self.network
            probabilities = network.probabilities(logits)
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        return [
            [(network.labels[index], float(row[index])) for index in order]
            for row, order in zip(probabilities, best, strict=True)
        ]

    def _infer_all(self, program: Program, inputs: Any, batch: int) -> npt.NDArray[np.int32]:
        if not 1 <= batch <= layout.MAX_IMAGES:
            raise ProgramError(f"batch={batch} is out of range; use 1 to {layout.MAX_IMAGES}")
        logits, reports = [np.zeros((0, program.network.classes), np.int32)], []
        for start in range(0, len(inputs), batch):
            part, report = self._run_batch(program, inputs[start : start + batch])
            logits.append(part)
            reports.append(report)
        self._last_run = _merge(reports, self.device, program)
        return np.concatenate(logits)

    def _run_batch(self, program: Program, inputs: Any) -> tuple[npt.NDArray[np.int32], RunReport]:
        images = len(inputs)
        self._reserve(program, images)
        begin = time.perf_counter()
        buffer = self._buffers[Region.INPUT]
        for index, item in enumerate(inputs):
            start = index * program.input_bytes
            buffer.array[start : start + program.input_bytes] = _encode(program, item)
        buffer.flush()
        encoded = time.perf_counter()
        self._start_and_wait(program, images)
        self._last_batch = images
        finished = time.perf_counter()
        output = self._buffers[Region.OUTPUT]
        output.invalidate()
        logits = output.array[: images * program.output_bytes].view("<i4").reshape(images, -1)
        layers = _read_counters(output.array, program, images)
        report = RunReport(
            self.device.name, self.device.cycles_are, images, encoded - begin, finished - encoded, layers
        )
        return logits[:, : program.network.classes].astype(np.int32), report

    def _start_and_wait(self, program: Program, images: int) -> None:
        device = self.device
        sizes = program.buffer_bytes(images)
        for region, buffer in self._buffers.items():
            device.write_named(f"{region.name.lower()}_address", buffer.address)
            device.write_named(f"{region.name.lower()}_bytes", sizes[region])
        device.write_named("images", images)
        device.write_named("watchdog_cycles", self.watchdog_cycles)
        try:
            device.write_named("control", layout.CONTROL_START)
            device.wait(self.timeout_s)
        except BaseException:
            device.reset()
            raise
        code = device.read_named("error_code")
        if code != ErrorCode.NONE:
            detail = device.read_named("error_detail")
            device.reset()
            raise _core_error(device, program, code, detail)

    def _loaded(self, kind: str) -> Program:
        self._check_open()
        program = self._program
        if program is None:
            raise ProgramError("no network is loaded; call load() first")
        if program.network.input_kind != kind:
            call = "infer_events" if kind == "pixels" else "infer"
            raise ProgramError(f"{program.network.name} reads {program.network.input_kind}; use {call}()")
        return program

    # --- results ------------------------------------------------------------------------------------------------------

    @property
    def network(self) -> Network:
        """The loaded network; raises ProgramError where there is none."""
        return self.program.network

    @property
    def program(self) -> Program:
        """The loaded program; raises ProgramError where there is none."""
        if self._program is None:
            raise ProgramError("no network is loaded; call load() first")
        return self._program

    @property
    def last_run(self) -> RunReport:
        """Figures of the last call of `infer`, `infer_events` or `classify`; raises ProgramError before the first."""
        if self._last_run is None:
            raise ProgramError("nothing has run yet; call infer() first")
        return self._last_run

    def spike_map(self, layer: str, image: int = 0) -> npt.NDArray[np.bool_]:
        """Return a layer's spike map after a run.

        Parameters
        ----------
        layer : str
            Name of a layer of a network that was loaded with ``keep_maps=True``.
        image : int
            Position in the last batch.

        Returns
        -------
        bool [planes, channels, height, width]
            Planes are timesteps, or bits of the spike count: ``program.maps[layer].layout.coding`` says which
            (`pynq_snn.encode.spike_counts` handles both).

        Raises
        ------
        ProgramError
            The maps were not kept, there is no such layer, or no such image in the last batch.
        """
        with self._lock:
            program = self.program
            if not program.keep_maps:
                raise ProgramError("spike maps were not kept; load the network with keep_maps=True")
            if layer not in program.maps:
                raise ProgramError(f"layer {layer!r} has no spike map; there are {', '.join(program.maps)}")
            images = self._last_batch
            if not 0 <= image < images:
                raise ProgramError(f"image {image} is not in the last batch of {images}")
            place = program.maps[layer]
            buffer = self._buffers[place.region]
            buffer.invalidate()
            start = place.offset * images + place.layout.image_bytes * image
            return unpack_planes(buffer.array[start : start + place.layout.image_bytes], place.layout)

    # --- end ----------------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceError("the accelerator is closed; open a new one")

    def close(self) -> None:
        """Free all memory and close the device; safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                self._free_buffers()
            finally:
                self.device.close()

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _encode(program: Program, item: Any) -> npt.NDArray[np.uint8]:
    if program.patches is None:
        return encode_events(item, program.input_map, program.network.timesteps)
    return encode_pixels(item, program.input_map, program.patches, program.network.mean_pixel)


def _read_counters(output: npt.NDArray[np.uint8], program: Program, images: int) -> tuple[LayerCounters, ...]:
    start = images * program.output_bytes
    layers = program.network.layers
    end = start + len(layers) * layout.COUNTER_RECORD_BYTES
    records = output[start:end].view("<u8").reshape(len(layers), -1)
    return tuple(
        LayerCounters(layer.name, *(int(value) for value in record[: len(layout.COUNTERS)]))
        for layer, record in zip(layers, records, strict=True)
    )


def _merge(reports: list[RunReport], device: Device, program: Program) -> RunReport:
    """Return the sum of several runs."""
    layers = []
    for index, layer in enumerate(program.network.layers):
        totals = {name: sum(getattr(report.layers[index], name) for report in reports) for name in layout.COUNTERS}
        layers.append(LayerCounters(layer.name, **totals))
    return RunReport(
        device.name,
        device.cycles_are,
        sum(report.images for report in reports),
        sum(report.encode_s for report in reports),
        sum(report.latency_s for report in reports),
        tuple(layers),
    )


def _core_error(device: Device, program: Program, code: int, detail: int) -> DeviceError:
    try:
        known = ErrorCode(code)
    except ValueError:
        return DeviceError(f"the {device.name} device reports unknown error {code}; its core is of another version")
    layer, low = detail >> 16, detail & 0xFFFF
    where = ""
    if known in (ErrorCode.BAD_DESCRIPTOR, ErrorCode.ADDRESS_FENCE) and layer < len(program.network.layers):
        names = [declared.name for declared in layout.DESCRIPTOR_FIELDS]
        what = f", field {names[low]}" if known == ErrorCode.BAD_DESCRIPTOR and low < len(names) else ""
        where = f" in layer {program.network.layers[layer].name}{what}"
    return DeviceError(f"the {device.name} device reports {known.name}{where}: {_EXPLANATIONS[known]}")
