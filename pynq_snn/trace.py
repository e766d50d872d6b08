"""What happened inside a network while it looked at one input: spike trains and membrane potentials.

The device, whichever it is, gives the spikes; the membrane potentials of chosen neurons never leave a core's registers,
so they are computed here, from the spikes that their layer read, by docs/numerics.md section 3. Whether they lead
to the very spikes that the device recorded is checked each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn.accelerator import Accelerator
from pynq_snn.encode import spike_counts
from pynq_snn.errors import DeviceError, ProgramError
from pynq_snn.layout import Coding
from pynq_snn.network import INPUT, Branch, Layer, Network
from pynq_snn.program import branch_taps, visible_size

Neuron = tuple[int, int, int]  # channel, row, column
Trains = npt.NDArray[np.bool_]
Values = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Membrane:
    """Membrane potentials of some neurons of one layer, in the layer's integer units.

    Attributes
    ----------
    before, after : int64 [T, neurons]
        Potential as it meets the threshold at each timestep, and after the reset.
        A readout only integrates: both are equal.
    threshold : int64 [neurons]
        Empty for a readout.
    spikes : bool [T, neurons]
        As the device recorded them; all False for a readout.
    """

    layer: str
    neurons: tuple[Neuron, ...]
    before: Values
    after: Values
    threshold: Values
    spikes: Trains


@dataclass(frozen=True)
class Trace:
    """One input's way through a network.

    Attributes
    ----------
    pixels : uint8 [height, width, channels] or None
        The input, for a network that reads pixels.
    events : bool [T, channels, height, width] or None
        The input, for a network that reads events.
    spikes : dict of layer name to bool [T, channels, height, width]
        Under deferred firing a neuron's spikes fill the first timesteps.
    logits : int32 [classes]
    """

    network: Network
    pixels: npt.NDArray[np.uint8] | None
    events: Trains | None
    spikes: dict[str, Trains]
    logits: npt.NDArray[np.int32]

    def rates(self) -> dict[str, float]:
        """Return the firing rate of each layer: spikes per neuron and timestep."""
        return {name: float(trains.mean()) for name, trains in self.spikes.items()}

    def rate_maps(self) -> dict[str, npt.NDArray[np.float64]]:
        """Return for each layer with places the mean rate at each of them, float64 [height, width]."""
        return {name: trains.mean(axis=(0, 1)) for name, trains in self.spikes.items() if trains[0, 0].size > 1}

    def lively(self, layer: str, count: int = 4) -> tuple[Neuron, ...]:
        """Return the neurons whose number of spikes is nearest to T / 2, where a potential shows most.

        At most one in each channel, so that they differ; the liveliest first.
        """
        totals = self._trains(layer).sum(axis=0)
        distance = np.abs(totals - self.network.timesteps / 2)
        channels = np.argsort(distance.reshape(len(totals), -1).min(axis=1), kind="stable")[:count]
        places = [np.unravel_index(int(distance[channel].argmin()), totals.shape[1:]) for channel in channels]
        return tuple((int(c), int(y), int(x)) for c, (y, x) in zip(channels, places, strict=True))

    def membrane(self, layer: str, neurons: Sequence[Neuron]) -> Membrane:
        """Return the membrane potentials of chosen neurons over the timesteps.

        Parameters
        ----------
        layer : str
            Any layer with neurons or the readout.
        neurons : sequence of (channel, row, column)

        Raises
        ------
        ProgramError
            There is no such layer, it is a max pooling, or a neuron lies outside it.
        DeviceError
            The device's spikes are not those that follow from its own spikes one layer before.
        """
        described = self._layer(layer, neurons)
        current = self._currents(described, neurons)
        channels = [channel for channel, _, _ in neurons]
        initial = described.initial[channels].astype(np.int64)
        if described.kind == "readout":
            sums = initial + current.cumsum(axis=0)
            silent = np.zeros(sums.shape, np.bool_)
            return Membrane(layer, tuple(neurons), sums, sums, np.zeros(0, np.int64), silent)
        threshold = described.threshold[channels].astype(np.int64)
        bias = described.bias[channels].astype(np.int64)
        before, after = self._fire(current, initial, bias, threshold)
        recorded = np.stack([self.spikes[layer][:, c, y, x] for c, y, x in neurons], axis=1)
        if not np.array_equal(before >= threshold, recorded):
            raise DeviceError(
                f"layer {layer}: the recorded spikes do not follow from those of the layer before; "
                "the device is at fault"
            )
        return Membrane(layer, tuple(neurons), before, after, threshold, recorded)

    def running_logits(self) -> Values:
        """Return the readout's potentials after each timestep, int64 [T, classes]; the last row equals `logits`."""
        readout = self.network.layers[-1]
        return self.membrane(readout.name, [(channel, 0, 0) for channel in range(self.network.classes)]).before

    # --- one layer ----------------------------------------------------------------------------------------------------

    def _layer(self, name: str, neurons: Sequence[Neuron]) -> Layer:
        layers = {layer.name: layer for layer in self.network.layers}
        if name not in layers:
            raise ProgramError(f"there is no layer {name!r}; there are {', '.join(layers)}")
        layer = layers[name]
        if layer.max_pooling is not None:
            raise ProgramError(f"layer {name!r} is a max pooling and has no membrane potentials; choose another")
        for neuron in neurons:
            if len(neuron) != 3 or not all(0 <= at < size for at, size in zip(neuron, layer.output_shape, strict=True)):
                raise ProgramError(f"layer {name!r}: neuron {neuron} lies outside {layer.output_shape}")
        return layer

    def _trains(self, name: str) -> Trains:
        if name not in self.spikes:
            raise ProgramError(f"layer {name!r} has no spikes; there are {', '.join(self.spikes)}")
        return self.spikes[name]

    def _source(self, branch: Branch) -> tuple[Values, int]:
        """Return what a branch reads, int64 [T, channels, rows, columns], and the width of the margin around it."""
        if branch.source != INPUT or self.pixels is None:
            trains = self.events if branch.source == INPUT else self.spikes[self.network.layers[branch.source].name]
            assert trains is not None
            rows, columns = visible_size(branch, *trains.shape[2:])
            return trains[:, :, :rows, :columns].astype(np.int64), 0
        channels, height, width = self.network.input_shape
        margin = branch.padding
        padded = np.empty((channels, height + 2 * margin, width + 2 * margin), np.int64)
        padded[:] = np.array(self.network.mean_pixel)[:, None, None]
        padded[:, margin : margin + height, margin : margin + width] = self.pixels.transpose(2, 0, 1)
        return np.broadcast_to(padded, (self.network.timesteps, *padded.shape)), margin

    def _currents(self, layer: Layer, neurons: Sequence[Neuron]) -> Values:
        """Return the currents into chosen neurons, int64 [T, neurons], without bias."""
        total = np.zeros((self.network.timesteps, len(neurons)), np.int64)
        once = self.network.firing == "deferred" or layer.kind == "readout"
        for branch in layer.branches:
            part = self._branch_currents(branch, neurons) << layer.fraction_bits
            if branch.source == INPUT and self.pixels is not None and once:
                part[1:] = 0  # direct coding is stepwise; otherwise pixels enter one time (docs/numerics.md, section 3)
            total += part
        if layer.identity is not None:
            spikes = self.spikes[self.network.layers[layer.identity].name]
            for number, (channel, y, x) in enumerate(neurons):
                total[:, number] += spikes[:, channel, y, x] * int(layer.shortcut[channel])
        return total

    def _branch_currents(self, branch: Branch, neurons: Sequence[Neuron]) -> Values:
        source, margin = self._source(branch)
        taps, (stride_y, stride_x) = branch_taps(branch, 0, 1, 0)
        weights = branch.weights.reshape(*branch.weights.shape[:2], -1).astype(np.int64)
        sums = np.zeros((len(source), len(neurons)), np.int64)
        for number, (channel, y, x) in enumerate(neurons):
            for dy, dx, position, _ in taps:
                row, column = y * stride_y + dy + margin, x * stride_x + dx + margin
                if 0 <= row < source.shape[2] and 0 <= column < source.shape[3]:
                    sums[:, number] += source[:, :, row, column] @ weights[channel, :, position]
        return sums

    def _fire(self, current: Values, initial: Values, bias: Values, threshold: Values) -> tuple[Values, Values]:
        """Return the potentials before and after each timestep's reset."""
        network = self.network
        potential = initial.copy()
        if network.firing == "deferred":
            potential, current = potential + current.sum(axis=0), np.zeros_like(current)
            bias = np.zeros_like(bias)
        before, after = np.empty_like(current), np.empty_like(current)
        for step, incoming in enumerate(current):
            if network.leak_shift and network.firing == "stepwise":
                potential = potential - (potential >> network.leak_shift)
            potential = potential + incoming + bias
            before[step] = potential
            reset = np.zeros_like(potential) if network.hard_reset else potential - threshold
            potential = np.where(potential >= threshold, reset, potential)
            after[step] = potential
        return before, after


def record(accelerator: Accelerator, item: npt.NDArray[Any]) -> Trace:
    """Run one input and keep all of its spikes.

    Parameters
    ----------
    accelerator : Accelerator
        With a network loaded with ``keep_maps=True``, on any device.
    item : uint8 [height, width, channels], or int [N, 4]
        Pixels, or address events (timestep, y, x, channel).

    Raises
    ------
    ProgramError
        The network was loaded without ``keep_maps``, or the input does not fit it.
    DeviceError, DeviceTimeout
        As for `Accelerator.infer`.
    """
    network = accelerator.network
    if not accelerator.program.keep_maps:
        raise ProgramError("spike maps are not kept; load the network with keep_maps=True")
    item = np.asarray(item)
    if network.input_kind == "pixels":
        logits = accelerator.infer(item)
        pixels, events = item, None
    else:
        logits = accelerator.infer_events(item)
        pixels, events = None, _event_trains(item, network)
    spikes = dict(_recorded(accelerator))
    return Trace(network, pixels, events, spikes, logits)


def _recorded(accelerator: Accelerator) -> Iterator[tuple[str, Trains]]:
    program = accelerator.program
    for name, place in program.maps.items():
        planes = accelerator.spike_map(name)
        timesteps = program.network.timesteps
        if place.layout.coding == Coding.TIMESTEPS:
            yield name, planes[:timesteps]
        else:
            counts = spike_counts(planes, Coding.BINARY)
            yield name, np.arange(timesteps)[:, None, None, None] < counts


def _event_trains(events: npt.NDArray[Any], network: Network) -> Trains:
    trains = np.zeros((network.timesteps, *network.input_shape), np.bool_)
    if events.size:
        t, y, x, channel = events.T
        trains[t, channel, y, x] = True
    return trains
