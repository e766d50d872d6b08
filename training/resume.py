"""Parameters to start a stage from: a checkpoint, or a model file that `training.export` wrote.

A model file holds everything but the optimiser's state and what rounding to int8 took away, so training can go on from
a shipped model when its checkpoints are long gone.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from pynq_snn.metadata import POTENTIALS
from pynq_snn.network import POTENTIAL_STEPS
from training.quantisers import SpikeCount

# Names in a model file (training.export), and those of the same parameters in a network (training.networks).
MODULES = (
    (r"layer(\d+)\.step", r"activations.\1.step"),
    (r"layer(\d+)\.", r"units.\1."),
    (r"stem\.spikes\.step", r"stem_activation.step"),
    (r"block(\d+)\.spikes([12])\.step", r"blocks.\1.activation\2.step"),
    (r"block(\d+)\.", r"blocks.\1."),
)
NORM = {"gain": "weight", "bias": "bias", "mean": "running_mean", "variance": "running_var"}


def load_parameters(path: Path) -> dict[str, torch.Tensor]:
    """Return the parameters in a checkpoint (``.pt``) or a model file (``.onnx``) by their names in the network.

    Raises
    ------
    SystemExit
        The file is neither.
    """
    if path.suffix == ".onnx":
        return _from_model(onnx.load(path))
    if path.suffix == ".pt":
        return dict(torch.load(path, map_location="cpu", weights_only=True)["network"])
    raise SystemExit(f"{path}: training starts from a checkpoint (.pt) or from an exported model (.onnx)")


def _from_model(model: onnx.ModelProto) -> dict[str, torch.Tensor]:
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    timesteps = int(values["timesteps"]) if "timesteps" in values else 1  # a full-precision twin has no steps
    found = {}
    for name, value in values.items():
        module, _, leaf = name.rpartition(".")
        if leaf == "weight" and f"{module}.scale" in values:
            scale = values[f"{module}.scale"]
            value = (
                value.astype(np.float32) * scale.reshape(-1, *[1] * (value.ndim - 1)) if scale.ndim else value * scale
            )
        target = _name_in_network(name)
        if target.endswith(".step"):
            target, value = target.removesuffix("step") + "threshold", value * timesteps
        if target.rpartition(".")[2] in ("weight", "bias", "threshold", "running_mean", "running_var"):
            found[target] = torch.from_numpy(np.array(value, np.float32))
    return found


def _name_in_network(name: str) -> str:
    for pattern, replacement in MODULES:
        changed, count = re.subn(f"^{pattern}", replacement, name)
        if count:
            name = changed
            break
    module, _, leaf = name.rpartition(".")
    return f"{module}.{NORM[leaf]}" if module.endswith(".norm") and leaf in NORM else name


def plain_names(parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return parameters by the names that they have without quantisation in training."""
    return {key.replace("parametrizations.", "").replace(".original", ""): value for key, value in parameters.items()}


@torch.no_grad()
def warm_start(network: nn.Module, path: Path) -> None:
    """Copy the parameters in `path` into `network`.

    Thresholds that the file lacks keep their initial value; those that the network lacks (it is a full-precision twin)
    are left out.

    Raises
    ------
    SystemExit
        The file holds another network.
    """
    own = network.state_dict()
    for name, value in load_parameters(path).items():
        module, _, leaf = name.rpartition(".")
        parametrised = f"{module}.parametrizations.{leaf}.original"
        target = own.get(parametrised if parametrised in own else name)
        if target is None and leaf == "threshold":
            continue
        if target is None or target.shape != value.shape:
            raise SystemExit(f"{path}: {name} {tuple(value.shape)} does not belong to this network")
        target.copy_(value)


def set_starts(network: nn.Module, path: Path) -> None:
    """Give neurons the initial potentials of a model file that has some (``pynq-snn potentials`` writes them)."""
    if path.suffix != ".onnx":
        return
    properties = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    potentials = json.loads(properties.get(POTENTIALS, "[]"))
    neurons = [module for module in network.modules() if isinstance(module, SpikeCount)]
    for neuron, steps in zip(neurons, potentials, strict=bool(potentials)):
        neuron.start = torch.tensor(steps, dtype=torch.float32) / POTENTIAL_STEPS
