"""Gives the channels of a quantised model an order in which the core's weight banks share the work.

Logits and spikes stay what they are, cycles fall: `pynq-snn convert` does it last, `pynq-snn reorder` to any model.
`channel_ties` knows what has to move together, `channel_order` what a good order is; this module shows it pictures.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from pynq_snn import layout
from pynq_snn.accelerator import DEFAULT_TIMEOUT_S, Accelerator
from pynq_snn.convert.channel_order import Order, Spikes, bank_cycles, find_order
from pynq_snn.convert.channel_ties import ChannelTies
from pynq_snn.convert.rewriting import check_input, rewrite_file
from pynq_snn.errors import DatasetError, ModelError
from pynq_snn.network import Network, TrainedNetwork, integrate
from pynq_snn.onnx_reader import parse_onnx

DEFAULT_PICTURES = 16
DOES = "an order of channels is found"  # in messages
MOST_SAMPLES = 8192  # pairs of words of a group; search time grows with it
_MOST_RECORDED = 2048  # of a map and a picture


@dataclass(frozen=True)
class GroupReport:
    """What the order of one group of channels gains.

    Attributes
    ----------
    maps : tuple of str
        Layers whose spikes have this order.
    channels : int
    bank_cycles : (int, int)
        Cycles of the fullest banks on the sampled places, before and after.
    """

    maps: tuple[str, ...]
    channels: int
    bank_cycles: tuple[int, int]


@dataclass(frozen=True)
class ReorderReport:
    """What reordering the channels of a model gains, on the pictures that the order was found with.

    Attributes
    ----------
    cycles : (int, int) or None
        Of all pictures one at a time, before and after; None of a device that counts none.
    cycles_are : str
        What kind of number they are.
    """

    name: str
    firing: str
    pictures: int
    device: str
    cycles: tuple[int, int] | None
    cycles_are: str
    groups: tuple[GroupReport, ...]

    @property
    def bank_cycles(self) -> tuple[int, int]:
        """Cycles of the fullest banks on the sampled places of all groups, before and after."""
        before, after = (sum(group.bank_cycles[index] for group in self.groups) for index in (0, 1))
        return before, after

    def to_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {**asdict(self), "bank_cycles": self.bank_cycles}

    def summary(self) -> str:
        """Return the gain on one line."""
        text = f"channels reordered: cycles of the fullest weight bank {_change(self.bank_cycles)}"
        if self.cycles is not None:
            text += f", of a picture {_change(self.cycles, self.pictures)} ({self.cycles_are})"
        return f"{text}; {self.pictures} calibration pictures, {self.firing} firing"


def _change(pair: tuple[int, int], parts: int = 1) -> str:
    share = f" ({pair[1] / pair[0] - 1:+.1%})" if pair[0] else ""
    return f"{pair[0] / parts:,.0f} -> {pair[1] / parts:,.0f}{share}"


def reorder_file(
    source: str | Path,
    output: str | Path,
    calibrate: str | Path,
    *,
    pictures: int = DEFAULT_PICTURES,
    seed: int = 0,
    fit: str = "crop",
    device: str = "auto",
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> ReorderReport:
    """Write a quantised ONNX file with its channels in a better order; nodes, names and metadata stay.

    Parameters
    ----------
    source, output : str or Path
        A quantised ONNX file (docs/onnx.md) that reads pictures, and the file to write.
    calibrate : str or Path
        Pictures, labelled or not: what `pynq_snn.datasets.load_pictures` reads (its training part where it has two).
    pictures : int
        Most pictures to show to the network.
    seed : int
        Of the choice of pictures and of the search.
    fit : {"crop", "pad"}
        See `pynq_snn.pictures.fit_picture`.
    device : str
        Where the network runs.
    timeout_s : float
        Longest time in seconds of one run.

    Raises
    ------
    ModelError
        The file is damaged, reads events, has an operator that orders of channels cannot pass, or cannot be written.
    DatasetError, PictureError
        The pictures cannot be read.
    DeviceError
        The device is missing or failed.
    """
    change = functools.partial(reorder_model, seed=seed)
    return rewrite_file(
        source,
        output,
        calibrate,
        change,
        DOES,
        pictures=pictures,
        seed=seed,
        fit=fit,
        device=device,
        timeout_s=timeout_s,
    )


def reorder_model(
    data: bytes, pixels: npt.NDArray[Any], accelerator: Accelerator, *, seed: int = 0, path: str = "<bytes>"
) -> tuple[bytes, ReorderReport]:
    """Return a quantised ONNX file with its channels in a better order, and what that gains.

    The network runs under the firing order of the file, before and after; logits that differ are an error.

    Parameters
    ----------
    data : bytes
    pixels : uint8 [N, H, W, C]
        Pictures of the network's input size, at least one.
    accelerator : Accelerator
        Where to run; holds the reordered network afterwards.
    seed : int
    path : str
        What messages call the file.

    Raises
    ------
    ModelError
        As for `reorder_file`.
    DatasetError
        There are no pictures.
    """
    ties = ChannelTies(parse_onnx(data, path))
    network = integrate(ties.network)
    check_input(network, path, DOES)
    if not len(pixels):
        raise DatasetError("there are no pictures to find an order with; give some with --calibrate")
    groups = ties.free_groups()
    recorder = _Recorder(ties.network, sorted({layer for layers in groups.values() for layer in layers}), seed)
    accelerator.load(network, keep_maps=True)
    before, wanted = _run(accelerator, pixels, recorder)
    samples = {group: recorder.samples(layers) for group, layers in groups.items()}
    orders = {group: find_order(spikes, seed=seed) for group, spikes in samples.items()}
    model = onnx.load_model_from_string(data)
    ties.reorder(model, orders)
    result: bytes = model.SerializeToString()
    accelerator.load(Network.from_onnx(parse_onnx(result, path)))
    after, found = _run(accelerator, pixels)
    if not np.array_equal(wanted, found):
        raise ModelError(f"{path}: its logits change with the order of its channels, which must not be; please report")
    reports = tuple(_group_report(network, groups[group], samples[group], orders[group]) for group in groups)
    device = accelerator.device
    cycles = (before, after) if before else None
    return result, ReorderReport(
        network.name, network.firing, len(pixels), device.name, cycles, device.cycles_are, reports
    )


def _group_report(network: Network, layers: Sequence[int], spikes: Spikes, order: Order) -> GroupReport:
    names = tuple(network.layers[index].name for index in layers)
    return GroupReport(names, len(order), (bank_cycles(spikes), bank_cycles(spikes[:, order])))


def _run(
    accelerator: Accelerator, pixels: npt.NDArray[Any], recorder: _Recorder | None = None
) -> tuple[int, npt.NDArray[np.int32]]:
    """Return cycles and logits of pictures that run one at a time."""
    cycles, logits = 0, []
    for picture in pixels:
        logits.append(accelerator.infer(picture))
        cycles += accelerator.last_run.cycles
        if recorder is not None:
            recorder.record(accelerator)
    return cycles, np.stack(logits)


class _Recorder:
    """Keeps places of maps, at random; pairs of words without spikes are left out, as the core skips them."""

    def __init__(self, network: TrainedNetwork, layers: Sequence[int], seed: int) -> None:
        self._network = network
        self._random = np.random.default_rng(seed)
        self._kept: dict[int, list[Spikes]] = {layer: [] for layer in layers}
        self._pairs = dict.fromkeys(layers, 0)  # of words with spikes, kept or not

    def record(self, accelerator: Accelerator) -> None:
        """Keep what the last run left."""
        for index, kept in self._kept.items():
            planes = accelerator.spike_map(self._network.layers[index].name)
            pairs = (planes[0::2] | planes[1::2]).transpose(0, 2, 3, 1).reshape(-1, planes.shape[1])
            pairs = pairs[pairs.any(axis=1)]
            self._pairs[index] += len(pairs)
            kept.append(pairs[self._random.permutation(len(pairs))[:_MOST_RECORDED]])

    def samples(self, layers: Sequence[int]) -> Spikes:
        """Return pairs of words of a group's maps, bool [n, channels], each map as often as it is read."""
        recorded = {index: np.concatenate(self._kept[index]) for index in layers}
        reads = {index: self._pairs[index] * _reads(self._network, index) for index in layers}
        # So many reads for each sample that no map has to give more than it has
        fewest = max((reads[index] / len(rows) for index, rows in recorded.items() if len(rows)), default=1.0)
        step = max(sum(reads.values()) / MOST_SAMPLES, fewest, 1e-9)
        parts = [
            rows[self._random.permutation(len(rows))[: round(reads[index] / step)]] for index, rows in recorded.items()
        ]
        return np.concatenate(parts)


def _reads(network: TrainedNetwork, index: int) -> float:
    """Return how often the core takes a place of a map out, in the mean: by each tap and group of output channels."""
    _, height, width = network.layers[index].output_shape
    reads = 0
    for layer in network.layers:
        channels, rows, columns = layer.output_shape
        groups = -(-channels // layout.LANES)
        for branch in layer.branches:
            if branch.source == index:
                taps = branch.weights[0, 0].size * branch.divisor
                reads += taps * rows * columns * groups
    return reads / (height * width)
