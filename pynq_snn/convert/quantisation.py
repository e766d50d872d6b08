"""Turns a float network into int8 weights and thresholds, layer by layer, on what those before really send.

Equalisation: a rectified channel may be scaled by any positive factor if the weights that read it are divided by it.
Each channel is divided by its threshold, so that every neuron of the spiking network has the threshold 1 and no channel
wastes the T levels of another. Bias correction (Nagel et al., "Data-Free Quantization Through Weight Equalization and
Bias Correction", 2019): what rounding moves a channel's mean current by is taken back by its bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pynq_snn import layout
from pynq_snn.convert.calibration import Recipe, choose_thresholds
from pynq_snn.convert.execution import Maps, current, max_pool, rectify, spikes
from pynq_snn.convert.float_graph import FloatArray, FloatLayer, FloatNetwork
from pynq_snn.network import INPUT

WEAKEST_SHORTCUT = 1e-6  # gain on an identity shortcut below which it is as good as none


@dataclass(frozen=True)
class SpikingLayer:
    """A converted layer.

    Attributes
    ----------
    weights : tuple of int8 [channels out, channels in, kernel height, kernel width]
        Of each branch.
    scales : tuple of float64 [channels out]
        Of each branch: current of one weight step and an input of 1, in the layer's own unit: its threshold is 1.
    bias, identity_gain : float64 [channels]
        In the layer's own unit.
    threshold : float64 [channels]
        What the unit stands for in the float network; 1 for the readout.
    """

    layer: FloatLayer
    weights: tuple[npt.NDArray[np.int8], ...]
    scales: tuple[FloatArray, ...]
    bias: FloatArray
    identity_gain: FloatArray
    threshold: FloatArray


@dataclass(frozen=True)
class LayerError:
    """How far a layer's activations are from the float network's.

    Attributes
    ----------
    error : float
        Root mean square of the difference, as a share of the activations' own.
    correlation : float
        Of the two, 1 where they agree.
    rate : float
        Spikes of a neuron per timestep, on average; NaN for a readout.
    cut_off : float
        Share of activations above the threshold; NaN for a readout.
    weight_error : float
        Root mean square of what rounding to int8 changed, as a share of the weights' own.
    """

    name: str
    error: float
    correlation: float
    rate: float
    cut_off: float
    weight_error: float


@dataclass(frozen=True)
class Conversion:
    """A converted network, what it was made with, and how close its layers are on the calibration pictures."""

    recipe: Recipe
    timesteps: int
    layers: tuple[SpikingLayer, ...]
    errors: tuple[LayerError, ...]


def convert_layers(network: FloatNetwork, pictures: Maps, timesteps: int, recipe: Recipe) -> Conversion:
    """Convert all layers in order.

    Parameters
    ----------
    network : FloatNetwork
    pictures : float32 [N, channels, height, width]
        Normalised calibration pictures.
    timesteps : int
    recipe : Recipe
    """
    exact, sent = {INPUT: pictures}, {INPUT: pictures}
    thresholds: dict[int, FloatArray] = {INPUT: np.ones(network.input_shape[0])}
    layers, errors = [], []
    for index, layer in enumerate(network.layers):
        if layer.max_pooling is not None:
            source = layer.max_pooling_source
            thresholds[index] = thresholds[source]
            exact[index], sent[index] = (max_pool(maps[source], layer.max_pooling) for maps in (exact, sent))
            layers.append(_pooling(layer, thresholds[index]))
        else:
            unrounded = current(layer, _own_weights(layer), layer.bias, exact)
            converted, currents, weight_error = _convert(layer, unrounded, sent, thresholds, timesteps, recipe)
            layers.append(converted)
            thresholds[index] = converted.threshold
            exact[index] = rectify(layer, unrounded)
            sent[index] = spikes(currents, converted.threshold, timesteps) if layer.fires else currents
            errors.append(_compare(layer, exact[index], sent[index], converted.threshold, weight_error))
        _forget(network.layers, index, exact, sent)
    return Conversion(recipe, timesteps, tuple(layers), tuple(errors))


def _convert(
    layer: FloatLayer,
    unrounded: Maps,
    sent: dict[int, Maps],
    thresholds: dict[int, FloatArray],
    timesteps: int,
    recipe: Recipe,
) -> tuple[SpikingLayer, Maps, float]:
    """Return the converted layer, its currents on the calibration pictures, and its weights' rounding error."""
    weights, scales, weight_error = quantise_branches(layer, thresholds)
    real = _real_weights(layer, weights, scales, thresholds)
    raw = current(layer, real, layer.bias, sent)
    moved = (unrounded - raw).mean(axis=(0, 2, 3), dtype=np.float64)
    currents = raw + moved.astype(np.float32)[None, :, None, None]
    channels = len(layer.bias)
    threshold = np.ones(channels)
    if layer.fires:
        threshold = choose_thresholds(rectify(layer, unrounded), currents, timesteps, recipe, layer.ceiling)
    gain = np.zeros(channels)
    if layer.identity is not None:
        gain = layer.identity_gain * thresholds[layer.identity] / threshold
        gain = np.where(np.abs(gain) < WEAKEST_SHORTCUT, WEAKEST_SHORTCUT, gain)
    own_unit = tuple(scale / threshold for scale in scales)
    bias = (layer.bias + moved) / threshold
    return SpikingLayer(layer, weights, own_unit, bias, gain, threshold), currents, weight_error


def quantise_branches(
    layer: FloatLayer, thresholds: dict[int, FloatArray]
) -> tuple[tuple[npt.NDArray[np.int8], ...], tuple[FloatArray, ...], float]:
    """Return int8 weights, their scales per output channel in the float network's unit, and the rounding error.

    Two branches get scales by which they count in the same unit (docs/numerics.md, section 6); a readout one scale
    for all classes, so that integer scores can be compared.
    """
    scaled = [
        branch.weights * thresholds[branch.source][None, :, None, None] for branch in layer.branches
    ]  # an input of 1 is a neuron that fires at every timestep
    places = [branch.pool_before.places * branch.pool_after.places for branch in layer.branches]
    peaks = [np.abs(values).max(axis=(1, 2, 3)) / count for values, count in zip(scaled, places, strict=True)]
    unit = np.max(peaks, axis=0) / layout.WEIGHT_LIMIT
    if not layer.fires:
        unit = np.full(len(unit), unit.max())
    unit = np.where(unit > 0, unit, 1.0)
    scales = tuple(unit * count for count in places)
    limit = layout.WEIGHT_LIMIT
    weights = tuple(
        np.clip(np.rint(values / scale[:, None, None, None]), -limit, limit).astype(np.int8)
        for values, scale in zip(scaled, scales, strict=True)
    )
    differences = [
        np.square(values - rounded * scale[:, None, None, None]).sum()
        for values, rounded, scale in zip(scaled, weights, scales, strict=True)
    ]
    power = sum(float(np.square(values).sum()) for values in scaled)
    return weights, scales, float(np.sqrt(sum(differences) / power)) if power else 0.0


def _real_weights(
    layer: FloatLayer,
    weights: Sequence[npt.NDArray[np.int8]],
    scales: Sequence[FloatArray],
    thresholds: dict[int, FloatArray],
) -> list[FloatArray]:
    """Return rounded weights in the float network's unit."""
    return [
        values * scale[:, None, None, None] / thresholds[branch.source][None, :, None, None]
        for branch, values, scale in zip(layer.branches, weights, scales, strict=True)
    ]


def _own_weights(layer: FloatLayer) -> list[FloatArray]:
    return [branch.weights for branch in layer.branches]


def run_layer(
    converted: SpikingLayer, sent: dict[int, Maps], thresholds: dict[int, FloatArray], timesteps: int
) -> Maps:
    """Return what a converted layer sends, in the float network's unit, float32 [N, channels, height, width]."""
    layer, threshold = converted.layer, converted.threshold
    scales = [scale * threshold for scale in converted.scales]
    weights = _real_weights(layer, converted.weights, scales, thresholds)
    currents = current(layer, weights, converted.bias * threshold, sent)
    return spikes(currents, threshold, timesteps) if layer.fires else currents


def _pooling(layer: FloatLayer, threshold: FloatArray) -> SpikingLayer:
    nothing = np.zeros(len(threshold))
    return SpikingLayer(layer, (), (), nothing, nothing, threshold)


def _forget(layers: Sequence[FloatLayer], done: int, *maps: dict[int, Maps]) -> None:
    """Drop activations that no later layer reads."""
    needed = {done, *(source for layer in layers[done + 1 :] for source in layer.sources)}
    for activations in maps:
        for index in set(activations) - needed:
            del activations[index]


def _compare(layer: FloatLayer, wanted: Maps, sent: Maps, threshold: FloatArray, weight_error: float) -> LayerError:
    power = float(np.square(wanted, dtype=np.float64).mean())
    error = float(np.square(sent - wanted, dtype=np.float64).mean())
    spread = float(wanted.std(dtype=np.float64) * sent.std(dtype=np.float64))
    together = float(((wanted - wanted.mean()) * (sent - sent.mean())).mean(dtype=np.float64))
    limit = threshold.astype(np.float32)[None, :, None, None]
    return LayerError(
        name=layer.name,
        error=float(np.sqrt(error / power)) if power else 0.0,
        correlation=together / spread if spread else float(error == 0),
        rate=float((sent / limit).mean(dtype=np.float64)) if layer.fires else float("nan"),
        cut_off=float((wanted > limit).mean()) if layer.fires else float("nan"),
        weight_error=weight_error,
    )


def run_float(network: FloatNetwork, pictures: Maps) -> Maps:
    """Return the float network's class scores, float32 [N, classes]."""
    values = {INPUT: pictures}
    for index, layer in enumerate(network.layers):
        if layer.max_pooling is not None:
            values[index] = max_pool(values[layer.max_pooling_source], layer.max_pooling)
        else:
            values[index] = rectify(layer, current(layer, _own_weights(layer), layer.bias, values))
        _forget(network.layers, index, values)
    return _scores(values[len(network.layers) - 1])


def run_spiking(conversion: Conversion, pictures: Maps) -> Maps:
    """Return the converted network's class scores in real numbers, float32 [N, classes]."""
    values = {INPUT: pictures}
    thresholds: dict[int, FloatArray] = {INPUT: np.ones(pictures.shape[1])}
    for index, converted in enumerate(conversion.layers):
        layer = converted.layer
        if layer.max_pooling is not None:
            values[index] = max_pool(values[layer.max_pooling_source], layer.max_pooling)
        else:
            values[index] = run_layer(converted, values, thresholds, conversion.timesteps)
        thresholds[index] = converted.threshold
        _forget([converted.layer for converted in conversion.layers], index, values)
    return _scores(values[len(conversion.layers) - 1])


def _scores(maps: Maps) -> Maps:
    return maps.reshape(len(maps), -1)
