"""Write a trained network as ONNX: the quantised one in QCDQ form (docs/onnx.md), its twin in plain float32."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from pynq_snn.metadata import properties
from pynq_snn.qcdq import QcdqGraph
from training.augment import MEAN, STD
from training.networks import NETWORKS, ConvUnit, ResNet18
from training.quantisers import WEIGHT_LEVELS, SharedUnits, SpikeCount, own_scale
from training.resume import plain_names

PRODUCER = "pynq-snn training"
FloatArray = npt.NDArray[np.float64]


def to_array(tensor: torch.Tensor) -> FloatArray:
    """Return a tensor as float64."""
    return tensor.detach().double().cpu().numpy()


class Exporter:
    """Writes one network; `quantised` chooses between QCDQ and float32."""

    def __init__(self, network: nn.Module, quantised: bool) -> None:
        timesteps = next((m.timesteps for m in network.modules() if isinstance(m, SpikeCount)), 1)
        self.network = network
        self.quantised = quantised
        self.graph = QcdqGraph(timesteps, PRODUCER)
        self.shared = SharedUnits(network).scales if quantised else {}

    # --- parts --------------------------------------------------------------------------------------------------------

    def weights(self, name: str, weight: FloatArray, scale: FloatArray) -> str:
        """Return a weight: int8 behind DequantizeLinear, or float32 as it is."""
        if not self.quantised:
            return self.graph.constant(f"{name}.weight", weight.astype(np.float32))
        spread = scale.reshape(-1, *[1] * (weight.ndim - 1)) if scale.ndim else scale
        values = np.clip(np.rint(weight / spread), -WEIGHT_LEVELS, WEIGHT_LEVELS).astype(np.int8)
        return self.graph.weights(name, values, np.atleast_1d(scale))

    def unit(self, name: str, unit: ConvUnit, source: str) -> str:
        """Return what a convolution, its batch normalisation and its pooling compute."""
        weight = to_array(unit.conv.weight)
        scale = to_array(self.shared.get(unit.conv, lambda: own_scale(unit.conv.weight))())
        conv = self.graph.node(
            "Conv",
            f"{name}.conv",
            source,
            self.weights(f"{name}.conv", weight, scale),
            kernel_shape=list(unit.conv.kernel_size),
            strides=list(unit.conv.stride),
            pads=list(unit.conv.padding) * 2,
        )
        norm: Any = unit.norm
        vectors = {
            "gain": norm.weight, "bias": norm.bias, "mean": norm.running_mean, "variance": norm.running_var,
        }  # fmt: skip
        constants = [
            self.graph.constant(f"{name}.norm.{key}", to_array(value).astype(np.float32))
            for key, value in vectors.items()
        ]
        output = self.graph.node("BatchNormalization", f"{name}.norm", conv, *constants, epsilon=float(norm.eps))
        if isinstance(unit.pool, nn.MaxPool2d):
            return self.graph.node("MaxPool", f"{name}.pool", output, kernel_shape=[2, 2], strides=[2, 2])
        return output

    def fire(self, name: str, activation: nn.Module, current: str) -> str:
        """Return spike counts times their step, or the rectified current in the float twin."""
        if not isinstance(activation, SpikeCount):
            return self.graph.node("Relu", name, current)
        step = self.graph.constant(f"{name}.step", to_array(activation.step).astype(np.float32))
        return self.graph.fire(name, current, step)

    def classifier(self, source: str) -> str:
        """Return the class scores; one scale for all classes makes integer scores comparable."""
        linear: Any = self.network.classifier
        weight = to_array(linear.weight)
        scale = np.array(np.abs(weight).max() / WEIGHT_LEVELS)
        bias = self.graph.constant("classifier.bias", to_array(linear.bias).astype(np.float32))
        flat = self.graph.node("Flatten", "flatten", source)
        return self.graph.node("Gemm", "scores", flat, self.weights("classifier", weight, scale), bias, transB=1)

    # --- networks -----------------------------------------------------------------------------------------------------

    def model(self, metadata: dict[str, str]) -> onnx.ModelProto:
        """Return the checked model of the whole network."""
        source = self._resnet18() if isinstance(self.network, ResNet18) else self._vgg11()
        output = self.classifier(source)
        classifier: Any = self.network.classifier
        height, width = json.loads(metadata["input_size"])
        return self.graph.finished(output, (len(MEAN), height, width), classifier.out_features, metadata)

    def _vgg11(self) -> str:
        network: Any = self.network
        value = "input"
        for index, (unit, activation) in enumerate(zip(network.units, network.activations, strict=True)):
            value = self.fire(f"layer{index}", activation, self.unit(f"layer{index}", unit, value))
        return value

    def _resnet18(self) -> str:
        network: Any = self.network
        value = self.fire("stem.spikes", network.stem_activation, self.unit("stem", network.stem, "input"))
        for index, block in enumerate(network.blocks):
            name = f"block{index}"
            inner = self.fire(f"{name}.spikes1", block.activation1, self.unit(f"{name}.unit1", block.unit1, value))
            residual = self.unit(f"{name}.unit2", block.unit2, inner)
            shortcut = value
            if isinstance(block.shortcut, ConvUnit):
                shortcut = self.unit(f"{name}.shortcut", block.shortcut, value)
            summed = self.graph.node("Add", f"{name}.sum", residual, shortcut)
            value = self.fire(f"{name}.spikes2", block.activation2, summed)
        return self.graph.node("GlobalAveragePool", "pooled", value)


def metadata_of(name: str, labels: list[str], timesteps: int, size: tuple[int, int]) -> dict[str, str]:
    """Return the metadata_props of a model (docs/onnx.md)."""
    mean, std = [value / 255 for value in MEAN], [STD / 255] * len(MEAN)
    return properties(name, timesteps, labels, size, mean=mean, std=std)


def load_float(name: str, checkpoint: Path, classes: int) -> nn.Module:
    """Return the full-precision twin of a checkpoint, in evaluation mode."""
    network = NETWORKS[name](classes=classes)
    network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["network"])
    return network.eval()


def load_quantised(name: str, checkpoint: Path, classes: int, timesteps: int) -> nn.Module:
    """Return the quantised network of a checkpoint, in evaluation mode, with its weights not yet rounded."""
    network = NETWORKS[name](functools.partial(SpikeCount, timesteps), classes=classes)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["network"]
    network.load_state_dict(plain_names(state))
    return network.eval()


def export_run(name: str, folder: Path) -> None:
    """Write ``NAME.onnx`` from the last checkpoint of a training run in `folder`, and its twin ``NAME-float.onnx``.

    The twin is left out where the run started from another network and has none.
    """
    stage = "stepwise" if (folder / "stepwise.pt").exists() else "quantised"
    log = json.loads((folder / f"{stage}.json").read_text())
    labels, size = log["classes"], tuple(log["size"])
    timesteps = log["recipe"]["timesteps"]
    metadata = metadata_of(name, labels, timesteps, size)
    networks = {f"{name}.onnx": (load_quantised(name, folder / f"{stage}.pt", len(labels), timesteps), True)}
    if (folder / "float.pt").exists():
        networks[f"{name}-float.onnx"] = (load_float(name, folder / "float.pt", len(labels)), False)
    for file, (network, quantised) in networks.items():
        model = Exporter(network, quantised).model(metadata)
        (folder / file).write_bytes(model.SerializeToString())
        print(f"wrote {folder / file}")
