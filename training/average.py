"""The mean of models of one network, for instance of what the quantised and the stepwise stage left.

    python -m training.average vgg11 runs/vgg11/quantised.pt runs/vgg11/stepwise.pt --log runs/vgg11/quantised.json \
        -o vgg11.onnx

Fine-tuning for stepwise firing costs accuracy under deferred firing. Half of the way back serves both orders: networks
that were fine-tuned from the same parameters lie in one basin, and their mean is often better than either ("model
soups", Wortsman et al., ICML 2022, arXiv 2203.05482). Take the mean before ``pynq-snn reorder``: weights are added
channel by channel.
"""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path

import torch
from torch import nn

from training.export import Exporter, metadata_of
from training.networks import NETWORKS
from training.quantisers import SpikeCount
from training.resume import load_parameters, plain_names

LEAST_SIMILARITY = 0.5  # cosine, of the weights of one layer; unrelated channels have about 0, fine-tuned ones over 0.9


class RunningMean:
    """Mean of a network's parameters over the steps of a training (Izmailov et al., UAI 2018, arXiv 1803.05407).

    At a constant learning rate, parameters wander around a place that generalises better than any that they visit.
    Statistics of batch norm are not averaged: they have to stay as they are meanwhile.
    """

    def __init__(self, network: nn.Module):
        self._network = network
        self._count = 0
        self._mean = {name: torch.zeros_like(value) for name, value in network.named_parameters()}

    @torch.no_grad()
    def add(self) -> None:
        """Take the present parameters into the mean."""
        self._count += 1
        for name, value in self._network.named_parameters():
            self._mean[name].lerp_(value, 1 / self._count)

    @torch.no_grad()
    def install(self) -> None:
        """Give the network the mean, if anything was added."""
        if self._count:
            for name, value in self._network.named_parameters():
                value.copy_(self._mean[name])


def average(name: str, files: list[Path], classes: int, timesteps: int) -> nn.Module:
    """Return the quantised network whose parameters are the mean of those in checkpoints or exported models.

    Raises
    ------
    SystemExit
        A file belongs to another network, lacks parameters (a full-precision twin has no thresholds), or has its
        channels in another order.
    """
    network = NETWORKS[name](functools.partial(SpikeCount, timesteps), classes=classes)
    own = {key: value for key, value in network.state_dict().items() if value.is_floating_point()}
    found = [plain_names(load_parameters(file)) for file in files]
    for file, parameters in zip(files, found, strict=True):
        wrong = [key for key, value in own.items() if key not in parameters or parameters[key].shape != value.shape]
        if wrong:
            raise SystemExit(f"{file}: {wrong[0]} is missing or of another shape; give quantised models of a {name}")
    for file, parameters in zip(files[1:], found[1:], strict=True):
        _check_related(file, parameters, files[0], found[0])
    mean = {key: torch.stack([parameters[key] for parameters in found]).mean(0) for key in own}
    network.load_state_dict(mean, strict=False)  # all but the counters of batches, which nothing reads
    return network.eval()


def _check_related(
    file: Path, parameters: dict[str, torch.Tensor], first: Path, expected: dict[str, torch.Tensor]
) -> None:
    """Refuse weights that are strangers to those of the first file: their mean would be a network that guesses."""
    for key in [key for key, value in expected.items() if value.ndim > 1]:
        similarity = float(nn.functional.cosine_similarity(parameters[key].flatten(), expected[key].flatten(), dim=0))
        if similarity < LEAST_SIMILARITY:
            raise SystemExit(
                f"{file}: {key} is unlike that of {first} (cosine similarity {similarity:.2f}, at least "
                f"{LEAST_SIMILARITY:g} is needed); give networks that were trained from the same parameters, with "
                "their channels in one order (take the mean before `pynq-snn reorder`)"
            )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=sorted(NETWORKS))
    parser.add_argument("models", nargs="+", type=Path, help="checkpoints (.pt) or exported models (.onnx)")
    parser.add_argument("--log", type=Path, required=True, help="log of a stage, for classes and picture size")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    log = json.loads(arguments.log.read_text())
    timesteps = log["recipe"]["timesteps"]
    network = average(arguments.network, arguments.models, len(log["classes"]), timesteps)
    metadata = metadata_of(arguments.network, log["classes"], timesteps, tuple(log["size"]))
    arguments.output.write_bytes(Exporter(network, quantised=True).model(metadata).SerializeToString())
    print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
