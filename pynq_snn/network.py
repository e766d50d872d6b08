"""A spiking network in integers: the only place that knows neurons.

`TrainedNetwork` is what a file says, with real-valued scales; `Network` is what the accelerator computes at a given
number of timesteps and firing order. `integrate` goes from one to the other by the formulas of docs/numerics.md,
section 6, and proves that int32 cannot overflow (section 7).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pynq_snn import layout
from pynq_snn.errors import ConversionWarning, ProgramError
from pynq_snn.layout import Coding, Firing

if TYPE_CHECKING:
    from pynq_snn.onnx_reader import Graph

Int8Array = npt.NDArray[np.int8]
Int32Array = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float64]

INPUT = -1  # source index of the network's input
INT32_MAX = 2**31 - 1
FIRING_ORDERS = {"stepwise": Firing.STEPWISE, "deferred": Firing.DEFERRED}
POTENTIAL_STEPS = 256  # to a threshold, of the initial potentials that a file gives channel by channel
UNIT_TOLERANCE = 1e-6  # relative: two branches whose units agree this closely share a grid as they are
WEAKEST_CURRENT = 1e-7  # of the threshold: a channel whose weights cannot move it further has none


@dataclass(frozen=True)
class Pooling:
    """Average pooling window in rows and columns; the stride equals the window unless given."""

    height: int
    width: int
    stride_y: int
    stride_x: int

    @property
    def places(self) -> int:
        """Places averaged."""
        return self.height * self.width


NO_POOLING = Pooling(1, 1, 1, 1)


@dataclass(frozen=True)
class Branch:
    """One weighted path into a layer: average pooling of spikes, convolution, average pooling of currents.

    Attributes
    ----------
    source : int
        Index of the layer whose spikes it reads, or INPUT.
    weights : int8 [channels out, channels in, kernel height, kernel width]
        A linear layer is a convolution whose kernel covers the whole map.
    scale : float64 [channels out]
        Real current of one weight step times one unit of input; the sign of a folded batch norm included.
    """

    source: int
    weights: Int8Array
    scale: FloatArray
    stride: int = 1
    padding: int = 0
    pool_before: Pooling = NO_POOLING
    pool_after: Pooling = NO_POOLING

    @property
    def divisor(self) -> int:
        """Places averaged by both poolings together."""
        return self.pool_before.places * self.pool_after.places


@dataclass(frozen=True)
class MaxPooling:
    """Max pooling: the spike train of the largest running count, under deferred firing the largest count."""

    window: int
    stride: int
    padding: int


@dataclass(frozen=True)
class TrainedLayer:
    """A layer as trained, in real numbers.

    Attributes
    ----------
    branches : tuple of Branch
        One or two; none for max pooling.
    identity : int or None
        Source of an identity shortcut.
    identity_scale : float64 [channels]
        Gain on the identity shortcut's spikes.
    offset : float64 [channels]
        Constant current: bias and the offset of batch norm.
    step : float or None
        What one spike count stands for, V / T; None for a readout.
    output_shape : (channels, height, width)
    macs : int
        Multiply-accumulates of the dense layer in one timestep.
    kind : {"convolution", "linear", "readout", "max_pool"}
    start : float64 [channels] or None
        Membrane potential before the first timestep of stepwise firing, in thresholds; None for the network's own.
    """

    name: str
    branches: tuple[Branch, ...]
    identity: int | None
    identity_scale: FloatArray
    offset: FloatArray
    step: float | None
    output_shape: tuple[int, int, int]
    macs: int
    kind: str
    max_pooling: MaxPooling | None = None
    max_pooling_source: int = INPUT
    start: FloatArray | None = None

    @property
    def has_neurons(self) -> bool:
        """Whether it integrates and fires; a readout and a max pooling do not."""
        return self.step is not None and self.max_pooling is None

    @property
    def sources(self) -> tuple[int, ...]:
        """Indices of all layers that this one reads."""
        return _sources(self)


@dataclass(frozen=True)
class TrainedNetwork:
    """What a model file holds, independent of timesteps and firing order.

    Attributes
    ----------
    timesteps : int
        T that the activations were trained at.
    mean, std : tuple of float
        Normalisation in pixel units of 0 to 1: x = (pixel / 255 - mean) / std, per input channel.
    input_kind : {"pixels", "events"}
    fires : {"at", "above"}
        Whether a stepwise neuron fires when its potential reaches the threshold, or only when it exceeds it.
    """

    name: str
    path: str
    layers: tuple[TrainedLayer, ...]
    input_kind: str
    input_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    timesteps: int
    firing: str
    hard_reset: bool
    leak_shift: int
    initial_potential: str
    labels: tuple[str, ...]
    fires: str = "at"


@dataclass(frozen=True)
class Layer:
    """A layer in integers, as docs/numerics.md section 3 computes it.

    Attributes
    ----------
    kind : {"convolution", "linear", "readout", "max_pool"}
    initial, bias, threshold, shortcut : int32 [channels]
    unit : float64 [channels]
        Real current of one weight step; `unit / 2**fraction_bits` is one unit of the membrane potential.
    """

    name: str
    kind: str
    branches: tuple[Branch, ...]
    identity: int | None
    initial: Int32Array
    bias: Int32Array
    threshold: Int32Array
    shortcut: Int32Array
    unit: FloatArray
    fraction_bits: int
    output_shape: tuple[int, int, int]
    macs: int
    max_pooling: MaxPooling | None = None
    max_pooling_source: int = INPUT

    @property
    def sources(self) -> tuple[int, ...]:
        """Indices of all layers that this one reads."""
        return _sources(self)

    @property
    def weight_count(self) -> int:
        """Number of int8 weights."""
        return sum(branch.weights.size for branch in self.branches)


@dataclass(frozen=True)
class Network:
    """A spiking network at a given number of timesteps and firing order.

    Attributes
    ----------
    firing : {"stepwise", "deferred"}
    mean_pixel : tuple of int
        Pixel that stands for zero after normalisation, one value per channel: the colour of padding.
    input_shape : (channels, height, width)
    """

    name: str
    path: str
    layers: tuple[Layer, ...]
    input_kind: str
    input_shape: tuple[int, int, int]
    mean_pixel: tuple[int, ...]
    timesteps: int
    trained_timesteps: int
    firing: str
    hard_reset: bool
    leak_shift: int
    labels: tuple[str, ...]

    @classmethod
    def from_onnx(
        cls, model: str | Path | Graph, *, timesteps: int | None = None, firing: str | None = None
    ) -> Network:
        """Read a quantised ONNX file.

        Parameters
        ----------
        model : str, Path or Graph
            A QCDQ ONNX file.
        timesteps : int, optional
            T to run at; the file's own by default.
        firing : {"stepwise", "deferred"}, optional
            Firing order; the file's own by default.

        Raises
        ------
        ModelError
            The file is damaged, or holds something the accelerator cannot do.
        """
        from pynq_snn.importer import import_network

        return integrate(import_network(model), timesteps=timesteps, firing=firing)

    @property
    def input_channels(self) -> int:
        return self.input_shape[0]

    @property
    def input_height(self) -> int:
        return self.input_shape[1]

    @property
    def input_width(self) -> int:
        return self.input_shape[2]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.layers[-1].output_shape[0]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense network in one timestep."""
        return sum(layer.macs for layer in self.layers)

    def scores(self, logits: npt.NDArray[Any]) -> FloatArray:
        """Return real-valued class scores, float64 [N, classes], of integer logits, int32 [N, classes]."""
        readout = self.layers[-1]
        return np.asarray(logits, np.float64) * (readout.unit / 2.0**readout.fraction_bits)

    def probabilities(self, logits: npt.NDArray[Any]) -> FloatArray:
        """Return the softmax of `scores`, float64 [N, classes]."""
        scores = self.scores(logits)
        exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)

    def coding(self, source: int) -> Coding:
        """Return the coding of a source's spike map."""
        if source == INPUT:
            return Coding.BINARY if self.input_kind == "pixels" else Coding.TIMESTEPS
        return Coding.TIMESTEPS if self.firing == "stepwise" else Coding.BINARY

    def largest_input(self, source: int) -> int:
        """Return the largest number that one place of a source holds in one current."""
        return _largest_input(source, self.coding(source), self.timesteps)


def _sources(layer: TrainedLayer | Layer) -> tuple[int, ...]:
    if layer.max_pooling is not None:
        return (layer.max_pooling_source,)
    identity = () if layer.identity is None else (layer.identity,)
    return tuple(branch.source for branch in layer.branches) + identity


def _largest_input(source: int, coding: Coding, timesteps: int) -> int:
    if coding == Coding.TIMESTEPS:
        return 1
    return 255 if source == INPUT else timesteps


def round_half_away(values: Any) -> FloatArray:
    """Round to whole numbers, halves away from zero, as docs/numerics.md asks for; float64 of the same shape."""
    values = np.asarray(values, np.float64)
    return np.sign(values) * np.floor(np.abs(values) + 0.5)


def integrate(trained: TrainedNetwork, *, timesteps: int | None = None, firing: str | None = None) -> Network:
    """Turn a trained network into integers (docs/numerics.md, sections 6 and 7).

    Parameters
    ----------
    timesteps : int, optional
        T, 1 to `layout.MAX_TIMESTEPS`; the trained one by default. Thresholds keep their real value.
    firing : {"stepwise", "deferred"}, optional

    Raises
    ------
    ProgramError
        The firing order or the number of timesteps is not available, or a layer cannot be kept within int32.
    """
    timesteps = trained.timesteps if timesteps is None else timesteps
    firing = trained.firing if firing is None else firing
    _check_options(trained, timesteps, firing)
    builder = _Integrator(trained, timesteps, firing)
    layers = tuple(builder.layer(layer) for layer in trained.layers)
    mean_pixel = round_half_away(255 * np.array(trained.mean)).astype(int)
    return Network(
        name=trained.name,
        path=trained.path,
        layers=layers,
        input_kind=trained.input_kind,
        input_shape=trained.input_shape,
        mean_pixel=tuple(int(value) for value in np.clip(mean_pixel, 0, 255)),
        timesteps=timesteps,
        trained_timesteps=trained.timesteps,
        firing=firing,
        hard_reset=trained.hard_reset,
        leak_shift=trained.leak_shift,
        labels=trained.labels,
    )


def _check_options(trained: TrainedNetwork, timesteps: int, firing: str) -> None:
    if firing not in FIRING_ORDERS:
        raise ProgramError(f"firing order {firing!r} is not known; use one of {', '.join(FIRING_ORDERS)}")
    if not 1 <= timesteps <= layout.MAX_TIMESTEPS:
        raise ProgramError(f"timesteps={timesteps} is out of range; use 1 to {layout.MAX_TIMESTEPS}")
    if firing == "deferred" and (trained.hard_reset or trained.leak_shift):
        kind = "hard reset" if trained.hard_reset else "a leak"
        raise ProgramError(f"{trained.name}: deferred firing has no meaning with {kind}; use --firing stepwise")


class _Integrator:
    """Computes the integer layers one by one; knows what each source's spikes stand for."""

    def __init__(self, trained: TrainedNetwork, timesteps: int, firing: str) -> None:
        self.trained = trained
        self.timesteps = timesteps
        self.firing = FIRING_ORDERS[firing]
        self.amplitudes: list[float] = []  # V of each layer, or of the layer that a max pooling reads

    def amplitude(self, source: int) -> float:
        """Real value of one spike in its timestep (V), or of one grey level of a pixel."""
        if source != INPUT:
            return self.amplitudes[source]
        return 1.0 / (255.0 * self.trained.std[0]) if self.trained.input_kind == "pixels" else 1.0

    def step(self, source: int) -> float:
        """Real value of one unit of a source in a layer's current: V, or V / T where counts are summed at once."""
        if self.firing == Firing.STEPWISE or (source == INPUT and self.trained.input_kind == "pixels"):
            return self.amplitude(source)
        return self.amplitude(source) / self.timesteps

    def layer(self, layer: TrainedLayer) -> Layer:
        if layer.max_pooling is not None:
            self.amplitudes.append(self.amplitude(layer.max_pooling_source))
            return self._max_pool(layer)
        layer = self._fold_pixels(layer)
        branches, unit = _common_unit(layer, [self.step(branch.source) for branch in layer.branches])
        self.amplitudes.append(0.0 if layer.step is None else layer.step * self.trained.timesteps)
        for fraction_bits in range(layout.MAX_FRACTION_BITS, -1, -1):
            candidate = self._with_fraction_bits(layer, branches, unit, fraction_bits)
            if candidate is not None:
                return candidate
        raise ProgramError(
            f"{layer.name}: the membrane potential could leave int32 at T={self.timesteps}; "
            "use fewer timesteps, or retrain with smaller weights or a lower threshold"
        )

    def _max_pool(self, layer: TrainedLayer) -> Layer:
        nothing = np.zeros(layer.output_shape[0], np.int32)
        return Layer(
            name=layer.name,
            kind=layer.kind,
            branches=(),
            identity=None,
            initial=nothing,
            bias=nothing,
            threshold=nothing,
            shortcut=nothing,
            unit=np.ones(len(nothing)),
            fraction_bits=0,
            output_shape=layer.output_shape,
            macs=0,
            max_pooling=layer.max_pooling,
            max_pooling_source=layer.max_pooling_source,
        )

    def _fold_pixels(self, layer: TrainedLayer) -> TrainedLayer:
        """Move mean and standard deviation of the input into the weights and the offset of the layers that see it."""
        if self.trained.input_kind != "pixels" or INPUT not in layer.sources:
            return layer
        if layer.identity == INPUT:
            raise ProgramError(f"{layer.name}: a shortcut from the pixels is not supported; shortcuts start at spikes")
        offset = layer.offset
        branches = []
        for branch in layer.branches:
            if branch.source == INPUT:
                branch = _with_uniform_std(branch, np.array(self.trained.std), layer.name)
                mean = np.array(self.trained.mean) / self.trained.std[0]
                per_channel = branch.weights.astype(np.float64).sum(axis=(2, 3)) @ mean
                offset = offset - branch.scale * per_channel
            branches.append(branch)
        return replace(layer, branches=tuple(branches), offset=offset)

    def _with_fraction_bits(
        self, layer: TrainedLayer, branches: tuple[Branch, ...], unit: FloatArray, fraction_bits: int
    ) -> Layer | None:
        """Return the layer with F fraction bits, or None where int32 could overflow."""
        q = 2.0**fraction_bits / unit
        readout = layer.step is None
        stepwise = self.firing == Firing.STEPWISE and not readout
        # A readout that sees single timesteps at their full amplitude sums T of them
        times = self.timesteps if readout and self.firing == Firing.STEPWISE and not self._is_binary(layer) else 1
        fire_at = self.amplitudes[-1] if stepwise else self.amplitudes[-1] / self.timesteps
        threshold = np.zeros(len(unit)) if readout else round_half_away(q * fire_at)
        shortcut = np.zeros(len(unit))
        if layer.identity is not None:
            shortcut = round_half_away(q * layer.identity_scale * self.step(layer.identity))
        if stepwise:
            initial, bias = round_half_away(q * fire_at * self._start(layer)), round_half_away(q * layer.offset)
            if self.trained.fires == "above":
                threshold, initial, bias = self._strict(q * fire_at, threshold, initial, bias)
        else:
            start = 0.0 if readout else fire_at / 2
            initial, bias = round_half_away(q * (start + times * layer.offset)), np.zeros(len(unit))
        if not readout and threshold.min() < 1:
            channel = int(threshold.argmin())
            raise ProgramError(
                f"{layer.name}: the threshold of channel {channel} is {float(fire_at / unit[channel]):.3g} weight "
                "steps, too small for integers; retrain with a higher threshold or smaller weights"
            )
        bound = self._largest_potential(layer, branches, fraction_bits, shortcut, initial, bias, threshold)
        if bound > INT32_MAX:
            return None
        return Layer(
            name=layer.name,
            kind=layer.kind,
            branches=branches,
            identity=layer.identity,
            initial=initial.astype(np.int32),
            bias=bias.astype(np.int32),
            threshold=threshold.astype(np.int32),
            shortcut=shortcut.astype(np.int32),
            unit=unit / times,
            fraction_bits=fraction_bits,
            output_shape=layer.output_shape,
            macs=layer.macs,
        )

    def _start(self, layer: TrainedLayer) -> FloatArray | float:
        """Return the membrane potential before the first timestep of stepwise firing, in thresholds."""
        if layer.start is not None:
            return layer.start
        return 0.5 if self.trained.initial_potential == "half" else 0.0

    def _strict(
        self, exact: FloatArray, threshold: FloatArray, initial: FloatArray, bias: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return integers with which ``>=`` means ``>`` (docs/numerics.md, section 6); `exact` is q * V.

        A hard reset forgets the potential, so the threshold may move; a soft reset subtracts the threshold, so the
        potential moves instead, and the bias keeps the leak from pulling it back.
        """
        if self.trained.hard_reset:
            return np.floor(exact * (1 + UNIT_TOLERANCE)) + 1, initial, bias
        leak_shift = self.trained.leak_shift
        return threshold, initial - 2.0**leak_shift, bias - (1 if leak_shift else 0)

    def _largest_potential(
        self,
        layer: TrainedLayer,
        branches: tuple[Branch, ...],
        fraction_bits: int,
        shortcut: FloatArray,
        initial: FloatArray,
        bias: FloatArray,
        threshold: FloatArray,
    ) -> float:
        """Bound on the magnitude of every intermediate value of docs/numerics.md section 3, over all inputs."""
        positive, negative = np.maximum(shortcut, 0.0), np.minimum(shortcut, 0.0)
        for branch in branches:
            weights = branch.weights.astype(np.float64).reshape(len(branch.weights), -1) * 2.0**fraction_bits
            positive = positive + np.maximum(weights, 0).sum(axis=1) * branch.divisor
            negative = negative + np.minimum(weights, 0).sum(axis=1) * branch.divisor
        source = layer.sources[0]
        current = np.maximum(positive, -negative) * _largest_input(source, self._coding(source), self.timesteps)
        once = self._is_binary(layer) and (self.firing == Firing.DEFERRED or layer.step is None)
        currents = current if once else current * self.timesteps
        return float(np.max(currents + np.abs(initial) + self.timesteps * np.abs(bias) + np.abs(threshold)))

    def _is_binary(self, layer: TrainedLayer) -> bool:
        """Whether the layer reads numbers at once; all its sources must agree, as the core doubles all or none."""
        codings = {self._coding(source) for source in layer.sources}
        if len(codings) > 1 or (INPUT in layer.sources and len(set(layer.sources)) > 1):
            raise ProgramError(f"{layer.name}: reads both the input and spikes of a layer; put a layer in between")
        return codings == {Coding.BINARY}

    def _coding(self, source: int) -> Coding:
        if source == INPUT:
            return Coding.BINARY if self.trained.input_kind == "pixels" else Coding.TIMESTEPS
        return Coding.TIMESTEPS if self.firing == Firing.STEPWISE else Coding.BINARY


def _requantise(branch: Branch, real: FloatArray, scale: FloatArray) -> Branch:
    """Return `branch` with the real-valued weights `real` on the grid `scale`, float64 [channels out]."""
    limit = layout.WEIGHT_LIMIT
    weights = np.clip(round_half_away(real / scale[:, None, None, None]), -limit, limit)
    return replace(branch, weights=weights.astype(np.int8), scale=scale)


def _with_uniform_std(branch: Branch, std: FloatArray, name: str) -> Branch:
    """Return `branch` for an input whose channels all have the first channel's standard deviation."""
    if np.allclose(std, std[0], rtol=UNIT_TOLERANCE, atol=0):
        return branch
    warnings.warn(
        f"{name}: std differs between input channels, so its int8 weights are rounded anew; "
        "train with one std for all channels to avoid this",
        ConversionWarning,
        stacklevel=6,
    )
    real = branch.weights * branch.scale[:, None, None, None] * (std[0] / std)[None, :, None, None]
    peak = np.abs(real).max(axis=(1, 2, 3))
    scale = np.where(peak > 0, peak / layout.WEIGHT_LIMIT, 1.0)
    return _requantise(branch, real, scale)


def _common_unit(layer: TrainedLayer, steps: list[float]) -> tuple[tuple[Branch, ...], FloatArray]:
    """Return the branches on one grid with positive units, and the real current of one weight step, [channels]."""
    branches = [_with_positive_scale(b, layer, step) for b, step in zip(layer.branches, steps, strict=True)]
    units = [branch.scale * step / branch.divisor for branch, step in zip(branches, steps, strict=True)]
    alive = [branch.weights.any(axis=(1, 2, 3)) for branch in branches]
    unit = np.where(alive[0], units[0], 0.0)
    if len(branches) == 2:
        different = alive[0] & alive[1] & ~np.isclose(units[0], units[1], rtol=UNIT_TOLERANCE, atol=0)
        peaks = [np.abs(b.weights.astype(np.float64)).max(axis=(1, 2, 3)) for b in branches]
        finest = np.maximum(units[0] * peaks[0], units[1] * peaks[1]) / layout.WEIGHT_LIMIT
        unit = np.where(different, finest, np.where(alive[0], units[0], np.where(alive[1], units[1], 0.0)))
        if different.any():
            warnings.warn(
                f"{layer.name}: its two branches have different scales in {int(different.sum())} channels, so their "
                "int8 weights are rounded anew to a common grid; convert or train with a shared scale to avoid this",
                ConversionWarning,
                stacklevel=5,
            )
            for index, (branch, step) in enumerate(zip(branches, steps, strict=True)):
                real = branch.weights * branch.scale[:, None, None, None]
                new = _requantise(branch, real, np.where(unit > 0, unit, 1.0) * branch.divisor / step)
                weights = np.where(different[:, None, None, None], new.weights, branch.weights)
                branches[index] = replace(branch, weights=weights)
    silent = 1.0 if layer.step is None else layer.step / 1024  # any unit does where all weights are 0
    return tuple(branches), np.where(unit > 0, unit, silent)


def _with_positive_scale(branch: Branch, layer: TrainedLayer, step: float) -> Branch:
    """Flip the weights of channels with a negative scale; clear weights that are too weak to move their neuron."""
    weights = np.where(branch.scale[:, None, None, None] < 0, -branch.weights.astype(np.int16), branch.weights)
    if weights.max(initial=0) > layout.WEIGHT_LIMIT:
        warnings.warn(
            f"{layer.name}: weight -128 under a negative batch-norm gain becomes 127 instead of 128",
            ConversionWarning,
            stacklevel=6,
        )
    weights = np.minimum(weights, layout.WEIGHT_LIMIT)
    scale = np.abs(branch.scale)
    weakest = 0.0 if layer.step is None else layer.step * WEAKEST_CURRENT
    reach = np.abs(weights.astype(np.float64)).sum(axis=(1, 2, 3)) * scale * step * 255
    weights = np.where((reach <= weakest)[:, None, None, None], 0, weights)
    return replace(branch, weights=weights.astype(np.int8), scale=scale)
