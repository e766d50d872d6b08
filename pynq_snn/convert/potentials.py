"""Calibrates the membrane potentials that neurons start from, so that stepwise firing comes close to deferred firing.

A network that was trained on spike counts, or calibrated for them, fires exactly those under deferred firing. Under
stepwise firing a neuron cannot take a spike back, so its count also depends on when its inputs arrive, and each layer
hands its error on to the next. The potential before the first timestep moves a channel's counts and costs nothing at
run time. So layer by layer, with the spikes that the layers before really send, each channel gets the start whose
spike counts have the smallest squared error. (The start with the right mean count came out worse: docs/design.md.)

As many pictures as memory holds make a group; of more, each group gets starts of its own, and their mean is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from pynq_snn.accelerator import DEFAULT_TIMEOUT_S, Accelerator
from pynq_snn.convert.execution import Maps, max_pool, run_branch
from pynq_snn.convert.rewriting import check_input, rewrite_file, write_potentials
from pynq_snn.convert.scores import score_error
from pynq_snn.encode import spike_counts
from pynq_snn.errors import DatasetError, ModelError
from pynq_snn.importer import import_network
from pynq_snn.network import INPUT, POTENTIAL_STEPS, Layer, Network, TrainedNetwork, integrate
from pynq_snn.onnx_reader import parse_onnx

DEFAULT_PICTURES = 100
DOES = "initial potentials are calibrated"  # in messages
MOST_VALUES = 1 << 26  # of a layer's currents over all pictures and timesteps of a group

COARSE_STEP, FINE_STEPS = 16, (8, 4)  # of the search for a start: over all of a threshold, then beside the best
Scores = npt.NDArray[np.float64]  # [pictures, classes]
Counts = npt.NDArray[np.uint8]  # spikes of each neuron in a run, [pictures, channels, height, width]
Errors = npt.NDArray[np.float64]  # mean squared error of each channel's counts over pictures and places
CountErrors = dict[str, tuple[float, float]]  # by layer, root mean square before and after, in spikes
Potentials = npt.NDArray[np.int64]  # [channels], in parts of a threshold of which POTENTIAL_STEPS make one


@dataclass(frozen=True)
class PotentialReport:
    """What calibrated potentials gain, on the pictures that they were calibrated with.

    Attributes
    ----------
    timesteps : int
        T of the calibration: that of training.
    count_errors : dict of str to (float, float)
        By layer, how far a neuron's spike count is from the one under deferred firing, before and after; root mean
        square, in spikes.
    agreement : (float, float)
        Share of pictures whose class under stepwise firing is that under deferred firing, before and after.
    score_error : (float, float)
        Difference of the class scores from those under deferred firing (`scores.score_error`), before and after.
    kept : bool
        Whether the potentials were left as they were, because the new ones made the score error no smaller.
    """

    name: str
    timesteps: int
    pictures: int
    device: str
    count_errors: CountErrors
    agreement: tuple[float, float]
    score_error: tuple[float, float]
    kept: bool

    def to_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)

    def summary(self) -> str:
        """Return the gain on one line."""
        agreement = " -> ".join(f"{share:.1%}" for share in self.agreement)
        error = " -> ".join(f"{share:.1%}" for share in self.score_error)
        done = "initial potentials stay as they were" if self.kept else "initial potentials calibrated"
        return (
            f"{done}: class as under deferred firing {agreement}, difference of class scores {error} "
            f"(stepwise, T = {self.timesteps}, on the {self.pictures} calibration pictures)"
        )


def calibrate_file(
    source: str | Path,
    output: str | Path,
    calibrate: str | Path,
    *,
    pictures: int = DEFAULT_PICTURES,
    seed: int = 0,
    fit: str = "crop",
    device: str = "auto",
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> PotentialReport:
    """Write a quantised ONNX file with initial potentials for stepwise firing; all else stays.

    Parameters
    ----------
    source, output : str or Path
        A quantised ONNX file (docs/onnx.md) that reads pictures, and the file to write.
    calibrate : str or Path
        Pictures, labelled or not: what `pynq_snn.datasets.load_pictures` reads (its training part where it has two).
    pictures : int
        Most pictures to calibrate with.
    seed : int
        Of the choice of pictures.
    fit : {"crop", "pad"}
        See `pynq_snn.pictures.fit_picture`.
    device : str
        Where the network runs.
    timeout_s : float
        Longest time in seconds of one run.

    Raises
    ------
    ModelError
        The file is damaged, reads events, has a leak or a hard reset, or cannot be written.
    DatasetError, PictureError
        The pictures cannot be read.
    DeviceError
        The device is missing or failed.
    """
    return rewrite_file(
        source, output, calibrate, calibrate_model, DOES, pictures=pictures, seed=seed, fit=fit, device=device,
        timeout_s=timeout_s,
    )  # fmt: skip


def calibrate_model(
    data: bytes, pixels: npt.NDArray[Any], accelerator: Accelerator, *, path: str = "<bytes>"
) -> tuple[bytes, PotentialReport]:
    """Return a quantised ONNX file with initial potentials for stepwise firing, and what they gain.

    Parameters
    ----------
    data : bytes
    pixels : uint8 [N, H, W, C]
        Pictures of the network's input size, at least one.
    accelerator : Accelerator
        Where to run; holds the network with its new potentials under stepwise firing afterwards.
    path : str
        What messages call the file.

    Raises
    ------
    ModelError
        As for `calibrate_file`.
    DatasetError
        There are no pictures.
    """
    trained = import_network(parse_onnx(data, path))
    _check(trained, path)
    if not len(pixels):
        raise DatasetError("there are no pictures to calibrate with; give some with --calibrate")
    deferred, stepwise = (integrate(trained, firing=firing) for firing in ("deferred", "stepwise"))
    parts = np.array_split(pixels, -(-len(pixels) // _most_pictures(stepwise)))
    groups = [_observe(deferred, stepwise, part, accelerator) for part in parts]
    found = [_calibrate(stepwise, group) for group in groups]
    potentials = _mean_potentials([starts for starts, _ in found])
    if len(groups) > 1:  # the errors of each group's own starts are not those of the mean
        found = [_calibrate(stepwise, group, potentials) for group in groups]
    wanted, before = (np.concatenate(scores) for scores in zip(*[(g.wanted, g.before) for g in groups], strict=True))
    model = onnx.load_model_from_string(data)
    write_potentials(model, potentials)
    result: bytes = model.SerializeToString()
    accelerator.load(Network.from_onnx(parse_onnx(result, path), firing="stepwise"))
    after = _scores(accelerator, pixels)
    error = (score_error(wanted, before), score_error(wanted, after))
    kept = error[1] >= error[0]
    if kept:
        accelerator.load(stepwise)
    report = PotentialReport(
        name=trained.name,
        timesteps=trained.timesteps,
        pictures=len(pixels),
        device=accelerator.device.name,
        count_errors=_total_errors([errors for _, errors in found], [len(part) for part in parts]),
        agreement=(_agreement(wanted, before), _agreement(wanted, after)),
        score_error=error,
        kept=kept,
    )
    return data if kept else result, report


def _check(trained: TrainedNetwork, path: str) -> None:
    check_input(trained, path, DOES)
    if trained.hard_reset or trained.leak_shift:
        kind = "a hard reset" if trained.hard_reset else "a leak"
        raise ModelError(
            f"{path}: {kind} has no deferred firing to calibrate stepwise firing by; keep the file as it is"
        )


def _most_pictures(network: Network) -> int:
    largest = max(int(np.prod(layer.output_shape)) for layer in network.layers)
    return max(1, MOST_VALUES // (largest * network.timesteps))


def _mean_potentials(groups: list[list[list[int]]]) -> list[list[int]]:
    return [np.rint(np.mean(layers, axis=0)).astype(int).tolist() for layers in zip(*groups, strict=True)]


def _total_errors(groups: list[CountErrors], sizes: list[int]) -> CountErrors:
    """Return the root mean square errors of groups of these sizes as one, by layer."""
    totals = {}
    for name in groups[0]:
        squares = np.average(np.square([errors[name] for errors in groups]), axis=0, weights=sizes)
        before, after = np.sqrt(squares)
        totals[name] = (float(before), float(after))
    return totals


# --- runs on the accelerator ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Group:
    """What a group of pictures made the accelerator do, with the potentials of the file.

    Attributes
    ----------
    targets : dict of int to uint8 [pictures, channels, height, width]
        Spike counts under deferred firing, of each layer that fires.
    first : dict of int to bool [pictures, T, channels, height, width]
        Spikes under stepwise firing, of the layers that read pixels.
    wanted, before : float64 [pictures, classes]
        Class scores under deferred and under stepwise firing.
    """

    targets: dict[int, Counts]
    first: dict[int, npt.NDArray[np.bool_]]
    wanted: Scores
    before: Scores


def _observe(deferred: Network, stepwise: Network, pixels: npt.NDArray[Any], accelerator: Accelerator) -> _Group:
    targets, wanted = _deferred(deferred, pixels, accelerator)
    first, before = _stepwise(stepwise, pixels, accelerator)
    return _Group(targets, first, wanted, before)


def _deferred(network: Network, pixels: npt.NDArray[Any], accelerator: Accelerator) -> tuple[dict[int, Counts], Scores]:
    """Return the spike counts of each layer that fires, and the class scores."""
    coding = network.coding(0)  # of what any layer sends
    firing = [index for index, layer in enumerate(network.layers[:-1]) if layer.max_pooling is None]
    return _run(network, pixels, accelerator, firing, lambda planes: spike_counts(planes, coding).astype(np.uint8))


def _stepwise(
    network: Network, pixels: npt.NDArray[Any], accelerator: Accelerator
) -> tuple[dict[int, npt.NDArray[np.bool_]], Scores]:
    """Return the spikes of the layers that read pixels, bool [N, T, channels, height, width], and the class scores.

    Under direct coding these layers fire as often as under deferred firing whatever they start from; they keep it.
    """
    first = [index for index, layer in enumerate(network.layers) if _reads_pixels(layer)]
    return _run(network, pixels, accelerator, first, lambda planes: planes[: network.timesteps].astype(np.bool_))


def _run(
    network: Network,
    pixels: npt.NDArray[Any],
    accelerator: Accelerator,
    kept: Sequence[int],
    read: Callable[[npt.NDArray[np.bool_]], npt.NDArray[Any]],
) -> tuple[dict[int, npt.NDArray[Any]], Scores]:
    """Return what `read` makes of the kept layers' spike maps, picture by picture, and the class scores."""
    maps: dict[int, list[npt.NDArray[Any]]] = {index: [] for index in kept}

    def add() -> None:
        for index, found in maps.items():
            layer = network.layers[index]
            found.append(read(accelerator.spike_map(layer.name)[:, : layer.output_shape[0]]))

    accelerator.load(network, keep_maps=True)
    scores = _scores(accelerator, pixels, add)
    return {index: np.stack(found) for index, found in maps.items()}, scores


def _reads_pixels(layer: Layer) -> bool:
    return INPUT in layer.sources and layer.kind != "readout"


def _scores(
    accelerator: Accelerator, pixels: npt.NDArray[Any], after_each: Callable[[], None] = lambda: None
) -> Scores:
    """Return the class scores of pictures that run one at a time."""
    scores = []
    for picture in pixels:
        scores.append(accelerator.network.scores(accelerator.infer(picture)))
        after_each()
    return np.stack(scores)


def _agreement(wanted: Scores, found: Scores) -> float:
    return float(np.mean(wanted.argmax(axis=1) == found.argmax(axis=1)))


# --- calibration ------------------------------------------------------------------------------------------------------


def _calibrate(
    network: Network, group: _Group, starts: list[list[int]] | None = None
) -> tuple[list[list[int]], CountErrors]:
    """Return the potentials of each layer that fires, and the errors of their neurons' counts.

    With `starts`, these are the potentials, and nothing is searched.
    """
    spikes: dict[int, Maps] = {index: maps.astype(np.float32) for index, maps in group.first.items()}
    potentials: list[list[int]] = []
    errors: CountErrors = {}
    for index, layer in enumerate(network.layers[:-1]):
        if layer.max_pooling is not None:
            spikes[index] = _pool(spikes[layer.max_pooling_source], layer)
            continue
        start = np.round(layer.initial * (POTENTIAL_STEPS / layer.threshold)).astype(np.int64)
        if index not in spikes:
            currents = _currents(layer, spikes)
            if starts is None:
                start, errors[layer.name] = _find_start(currents, start, group.targets[index])
            else:
                given, start = start, np.array(starts[len(potentials)], np.int64)
                before, after = (_errors(currents, each, group.targets[index]) for each in (given, start))
                errors[layer.name] = _root(before), _root(after)
            spikes[index] = _fire(currents, start)
        potentials.append(start.tolist())
        _forget(network, index, spikes)
    return potentials, errors


def _forget(network: Network, done: int, spikes: dict[int, Maps]) -> None:
    """Drop the spikes that no later layer reads."""
    needed = {source for layer in network.layers[done + 1 :] for source in layer.sources}
    for index in [index for index in spikes if index <= done and index not in needed]:
        del spikes[index]


def _currents(layer: Layer, spikes: Mapping[int, Maps]) -> Maps:
    """Return what each timestep adds to the potentials, in thresholds; float32 [N, T, channels, height, width]."""
    pictures, timesteps = spikes[layer.sources[0]].shape[:2]
    total: Maps = np.zeros((1, 1, 1, 1), np.float32)
    for branch in layer.branches:
        source = spikes[branch.source].reshape(-1, *spikes[branch.source].shape[2:])
        total = total + run_branch(branch, branch.weights.astype(np.float32), source) * np.float32(branch.divisor)
    total *= np.float32(2**layer.fraction_bits)
    if layer.identity is not None:
        total += _by_channel(layer.shortcut) * spikes[layer.identity].reshape(total.shape)
    total += _by_channel(layer.bias)
    total /= _by_channel(layer.threshold)
    return total.reshape(pictures, timesteps, *total.shape[1:])


def _by_channel(values: npt.NDArray[Any]) -> Maps:
    result: Maps = values.astype(np.float32)[:, None, None]
    return result


def _firing(currents: Maps, start: Potentials) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield which soft-reset neurons fire at each timestep when they start from `start`."""
    potential = np.empty_like(currents[:, 0])
    potential[:] = _by_channel(start / POTENTIAL_STEPS)
    for timestep in range(currents.shape[1]):
        potential += currents[:, timestep]
        fired = potential >= 1
        yield fired
        potential -= fired


def _fire(currents: Maps, start: Potentials) -> Maps:
    """Return their spikes, in the shape of `currents`."""
    return np.stack([fired.astype(np.float32) for fired in _firing(currents, start)], axis=1)


def _errors(currents: Maps, start: Potentials, target: Counts) -> Errors:
    difference = -target.astype(np.float32)
    for fired in _firing(currents, start):
        difference += fired
    errors: Errors = np.square(difference).mean(axis=(0, 2, 3), dtype=np.float64)
    return errors


def _find_start(currents: Maps, given: Potentials, target: Counts) -> tuple[Potentials, tuple[float, float]]:
    """Return the starts whose counts come closest to the target, and the error of those given and of these.

    Where no other start comes closer, the one given stays.
    """
    best, error = given, _errors(currents, given, target)
    before = error

    def consider(start: Potentials) -> None:
        nonlocal best, error
        found = _errors(currents, start, target)
        best, error = np.where(found < error, start, best), np.minimum(found, error)

    for level in range(0, POTENTIAL_STEPS + 1, COARSE_STEP):
        consider(np.full_like(given, level))
    for step in FINE_STEPS:
        for start in (best - step, best + step):
            consider(start.clip(0, POTENTIAL_STEPS))
    return best, (_root(before), _root(error))


def _root(errors: Errors) -> float:
    return float(np.sqrt(errors.mean()))


def _pool(spikes: Maps, layer: Layer) -> Maps:
    """Return the trains of the largest running counts (docs/numerics.md, section 4)."""
    assert layer.max_pooling is not None
    running = np.cumsum(spikes, axis=1)
    pooled = max_pool(running.reshape(-1, *spikes.shape[2:]), layer.max_pooling)
    pooled = pooled.reshape(*spikes.shape[:2], *pooled.shape[1:])
    return np.diff(pooled, axis=1, prepend=np.float32(0))
