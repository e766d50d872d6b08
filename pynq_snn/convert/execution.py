"""Runs layers in float32 with numpy: the float network, and the quantised one beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from pynq_snn.convert.float_graph import FloatArray, FloatBranch, FloatLayer
from pynq_snn.network import NO_POOLING, Branch, MaxPooling, Pooling

Maps = npt.NDArray[np.float32]  # [N, channels, height, width]
MOST_PATCH_BYTES = 1 << 26  # of the patches that are multiplied at once


def current(layer: FloatLayer, weights: Sequence[FloatArray], bias: FloatArray, sources: Mapping[int, Maps]) -> Maps:
    """Return what a layer's neurons integrate, float32 [N, channels, height, width].

    Parameters
    ----------
    layer : FloatLayer
        Its geometry and shortcut.
    weights : sequence of float64 arrays
        Of its branches, in place of its own.
    bias : float64 [channels]
    sources : mapping of int to float32 [N, channels, height, width]
        Activations of the layers that it reads.
    """
    total: Maps = bias.astype(np.float32)[None, :, None, None]
    for branch, values in zip(layer.branches, weights, strict=True):
        total = total + run_branch(branch, values.astype(np.float32), sources[branch.source])
    if layer.identity is not None:
        gain = layer.identity_gain.astype(np.float32)[None, :, None, None]
        total = total + gain * sources[layer.identity]
    return total


def run_branch(branch: FloatBranch | Branch, weights: Maps, source: Maps) -> Maps:
    """Return what a branch adds to a layer's current: average pooling, convolution, average pooling.

    Parameters
    ----------
    branch : FloatBranch or Branch
        Its geometry.
    weights : float32 [channels out, channels in, kernel height, kernel width]
        In place of its own.
    source : float32 [N, channels in, height, width]
    """
    pooled = _average(source, branch.pool_before)
    return _average(_convolve(pooled, weights, branch.stride, branch.padding), branch.pool_after)


def _convolve(source: Maps, weights: Maps, stride: int, padding: int) -> Maps:
    outputs, channels, height, width = weights.shape
    padded = np.pad(source, ((0, 0), (0, 0), (padding, padding), (padding, padding))) if padding else source
    matrix = weights.reshape(outputs, -1).T
    rows = (padded.shape[2] - height) // stride + 1
    columns = (padded.shape[3] - width) // stride + 1
    at_once = max(1, MOST_PATCH_BYTES // (4 * rows * columns * channels * height * width))
    result = np.empty((len(source), outputs, rows, columns), np.float32)
    for start in range(0, len(source), at_once):
        windows = sliding_window_view(padded[start : start + at_once], (height, width), axis=(2, 3))
        patches = windows[:, :, ::stride, ::stride].transpose(0, 2, 3, 1, 4, 5).reshape(-1, len(matrix))
        product = (patches @ matrix).reshape(-1, rows, columns, outputs)
        result[start : start + at_once] = product.transpose(0, 3, 1, 2)
    return result


def _average(maps: Maps, pooling: Pooling) -> Maps:
    if pooling == NO_POOLING:
        return maps
    windows = sliding_window_view(maps, (pooling.height, pooling.width), axis=(2, 3))
    return windows[:, :, :: pooling.stride_y, :: pooling.stride_x].mean(axis=(4, 5), dtype=np.float32)


def max_pool(maps: Maps, pooling: MaxPooling) -> Maps:
    """Return the maxima of activations, which are never below 0, so that padding counts as 0."""
    edge = (pooling.padding, pooling.padding)
    windows = sliding_window_view(
        np.pad(maps, ((0, 0), (0, 0), edge, edge)), (pooling.window, pooling.window), axis=(2, 3)
    )
    return np.ascontiguousarray(windows[:, :, :: pooling.stride, :: pooling.stride].max(axis=(4, 5)))


def rectify(layer: FloatLayer, currents: Maps) -> Maps:
    """Return the activations of the float network."""
    return np.clip(currents, 0, np.float32(layer.ceiling)) if layer.fires else currents


def spikes(currents: Maps, threshold: FloatArray, timesteps: int) -> Maps:
    """Return spike counts times their step threshold / T, as QuantizeLinear, Clip and DequantizeLinear make them.

    Parameters
    ----------
    threshold : float64 [channels]
    """
    step = (threshold / timesteps).astype(np.float32)[None, :, None, None]
    return step * np.clip(np.rint(currents / step), 0, np.float32(timesteps))
