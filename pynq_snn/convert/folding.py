"""Moves what the accelerator's input cannot express into the weights of the layers that read the pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pynq_snn.convert.float_graph import FloatBranch, FloatLayer, FloatNetwork
from pynq_snn.network import INPUT, round_half_away


def fold_normalisation(network: FloatNetwork) -> FloatNetwork:
    """Return the network with one std for all channels and means that are whole pixel values.

    The core adds pixels of one scale, and pads with whole ones (docs/numerics.md, section 6). Other stds go into the
    weights, exactly. A mean's part behind the point goes into the bias, which is exact but for padded places: there
    less than half a grey level differs.
    """
    std, mean = np.array(network.std), np.array(network.mean)
    whole = round_half_away(255 * mean) / 255
    common = float(std[0])
    shift = (whole - mean) / std  # x = factor * x' + shift, with x' = (pixel / 255 - whole) / common
    factor = common / std
    layers = tuple(_folded(layer, factor, shift) if INPUT in layer.sources else layer for layer in network.layers)
    return replace(
        network, layers=layers, mean=tuple(float(value) for value in whole), std=(common,) * len(network.std)
    )


def _folded(layer: FloatLayer, factor: np.ndarray, shift: np.ndarray) -> FloatLayer:
    bias = layer.bias
    branches: list[FloatBranch] = []
    for branch in layer.branches:
        if branch.source == INPUT:
            bias = bias + branch.weights.sum(axis=(2, 3)) @ shift
            branch = replace(branch, weights=branch.weights * factor[None, :, None, None])
        branches.append(branch)
    return replace(layer, branches=tuple(branches), bias=bias)
