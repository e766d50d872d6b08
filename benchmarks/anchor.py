"""SpikingJelly's converter on the same full-precision networks, pictures and timesteps as the shipped models.

    python -m benchmarks.anchor --data CIFAR10 --float vgg11=runs/vgg11/vgg11-float.onnx [--count 1000]

Writes benchmarks/anchor.json; what it says about other models stays. Needs PyTorch and SpikingJelly 2
(``pip install pynq-snn[train] spikingjelly requests``). SpikingJelly starts from a full-precision twin (an exported
file or a checkpoint), calibrates on training pictures, and simulates float weights in PyTorch.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from spikingjelly.activation_based import ann2snn, functional
from torch import nn
from tqdm import tqdm

from benchmarks import results
from benchmarks.accuracy import CURVE_TIMESTEPS
from pynq_snn.datasets import Dataset, load_dataset
from training.augment import normalise
from training.convolution import Convolution
from training.networks import NETWORKS
from training.resume import warm_start

BATCH = 100
CALIBRATION = 1000

RECIPES: dict[str, Callable[[Any], Any]] = {
    "maximum": lambda data: ann2snn.RateCodingRecipe(data, mode="Max"),
    "99.9 percentile": lambda data: ann2snn.RateCodingRecipe(data, mode="99.9%"),
    "99.9 percentile by channel, half a threshold at first": lambda data: ann2snn.RateCodingRecipe(
        data, mode="99.9%", channel_wise=True, half_threshold=True, pre_spike_maxpool=True
    ),
    "local threshold balancing": lambda data: ann2snn.LocalThresholdBalancingRecipe(data),
}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10, as for training")
    parser.add_argument("--float", action="append", required=True, metavar="MODEL=FILE", help="full-precision twin")
    parser.add_argument("--count", type=int, default=1000, help="first test pictures")
    parser.add_argument("--out", type=Path, default=results.FOLDER / "anchor.json")
    arguments = parser.parse_args()
    training = load_dataset(arguments.data, "train").first(CALIBRATION)
    test = load_dataset(arguments.data, "test").first(arguments.count)
    kept = json.loads(arguments.out.read_text("utf-8"))["models"] if arguments.out.exists() else {}
    figures: dict[str, Any] = {
        "measured": "accuracy, simulated by SpikingJelly in PyTorch with float32 weights",
        "data": {"name": "CIFAR-10 test pictures, JPEG copies", "calibration": len(training)},
        "timesteps": CURVE_TIMESTEPS,
        "models": kept,
    }
    for entry in arguments.float:
        name, _, file = entry.partition("=")
        network = NETWORKS[name](classes=len(test.classes)).eval()
        warm_start(network, Path(file))
        accuracies = {
            title: curve(convert(network, recipe, training), test, f"{name}, {title}")
            for title, recipe in RECIPES.items()
        }
        figures["models"][name] = {"count": len(test), "accuracy": accuracies}
        command = "python -m benchmarks.anchor --data CIFAR10 --float MODEL=FILE --count COUNT"
        results.write(arguments.out, command, figures)


def batches(dataset: Dataset) -> Iterator[torch.Tensor]:
    """Yield normalised pictures, float32 [BATCH, 3, H, W]."""
    images = np.ascontiguousarray(np.asarray(dataset.images).transpose(0, 3, 1, 2))
    for part in torch.from_numpy(images).split(BATCH):
        yield normalise(part)


def convert(network: nn.Module, recipe: Callable[[Any], Any], training: Dataset) -> nn.Module:
    """Return the spiking network that SpikingJelly makes of a full-precision one."""
    calibration = [(batch, torch.zeros(len(batch))) for batch in batches(training)]
    return ann2snn.Converter(recipe(calibration)).convert(with_plain_convolutions(network)).eval()


def with_plain_convolutions(network: nn.Module) -> nn.Module:
    """Return a copy with PyTorch's own convolutions: SpikingJelly traces a network, and cannot look into ours."""
    network = copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, Convolution):
                window: dict[str, Any] = {key: getattr(child, key) for key in ("kernel_size", "stride", "padding")}
                plain = nn.Conv2d(child.in_channels, child.out_channels, bias=False, **window)
                plain.weight = child.weight
                setattr(parent, name, plain)
    return network


@torch.no_grad()
def curve(network: nn.Module, test: Dataset, title: str) -> list[float]:
    """Return the accuracy in percent at each T, from sums of class scores over one run of the longest T."""
    labels = torch.from_numpy(test.labels)
    right = np.zeros(len(CURVE_TIMESTEPS), int)
    for number, batch in enumerate(tqdm(batches(test), desc=title, total=-(-len(test) // BATCH))):
        functional.reset_net(network)
        scores = torch.zeros(())
        wanted = labels[number * BATCH : number * BATCH + len(batch)]
        for timestep in range(1, max(CURVE_TIMESTEPS) + 1):
            scores = scores + network(batch)
            if timestep in CURVE_TIMESTEPS:
                right[CURVE_TIMESTEPS.index(timestep)] += int((scores.argmax(1) == wanted).sum())
    return [round(100 * float(count) / len(test), 2) for count in right]


if __name__ == "__main__":
    main()
