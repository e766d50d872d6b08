"""Any float network of rectified neurons as a spiking network: what `pynq-snn convert FLOAT.onnx` does.

The float graph is read (`float_graph`), its normalisation folded (`folding`), and every layer in turn given thresholds
(`calibration`) and int8 weights (`quantisation`) on calibration pictures; the result is written in QCDQ form
(`writer`). Its neurons get the potentials that stepwise firing should start from (`potentials`), its channels an order
that suits the core (`reorder`), and it is compared with the float network (`report`). docs/convert.md says what is
supported and what it costs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pynq_snn import layout
from pynq_snn.convert.calibration import EQUALISATIONS, METHODS, Recipe
from pynq_snn.errors import DatasetError, ModelError

if TYPE_CHECKING:
    from pynq_snn.convert.execution import Maps
    from pynq_snn.convert.float_graph import FloatNetwork
    from pynq_snn.convert.potentials import PotentialReport
    from pynq_snn.convert.quantisation import Conversion
    from pynq_snn.convert.reorder import ReorderReport
    from pynq_snn.convert.report import ConversionReport
    from pynq_snn.datasets import Dataset
    from pynq_snn.network import Network
    from pynq_snn.onnx_reader import Graph

DEFAULT_TIMESTEPS = 8
DEFAULT_PICTURES = 256  # for calibration; fewer where they are large
DEFAULT_EVALUATION = 1000
PERCENTILES = (99.0, 99.9, 99.99)
POWERS = (2, 4, 8)
AUTO = "auto"
LARGE_PICTURE = 64 * 64  # places from which on a quarter of the calibration pictures is taken

__all__ = ["AUTO", "DEFAULT_TIMESTEPS", "EQUALISATIONS", "METHODS", "FloatOptions", "convert_float"]


@dataclass(frozen=True)
class FloatOptions:
    """How a float network is converted.

    Attributes
    ----------
    timesteps : int
        T, 1 to `layout.MAX_TIMESTEPS`.
    method : {"auto", "percentile", "error"}
        How thresholds are chosen; "auto" converts with each and keeps the one whose class scores differ least.
    percentile : float, optional
        Percentile of the activations that thresholds cover; several are tried by default.
    equalisation : {"auto", "channel", "layer"}
        One threshold a channel, made equal through the weights, or one a layer.
    pictures : int, optional
        Number of calibration pictures; a quarter of them only chooses between the methods.
    mean, std : sequence of float, optional
        x = (pixel / 255 - mean) / std, one number, or one per input channel; those in the file, or 0 and 1.
    input_size : (height, width), optional
        Where the file leaves it open.
    labels : sequence of str, optional
        Class names; by default those in the file, those of the pictures, or the class numbers.
    name : str, optional
        Of the network; the file's name by default.
    evaluation_pictures : int
        Most pictures to compare both networks on.
    device : str
        Where the spiking network runs for the comparison.
    fit : {"crop", "pad"}
        See `pynq_snn.pictures.fit_picture`.
    seed : int
        Of the choice of calibration pictures.
    keep_order : bool
        Leave the channels in the float network's order, instead of one in which the core's weight banks share the work.
    half_potentials : bool
        Let all neurons start at half of their threshold under stepwise firing, instead of at calibrated potentials.
    """

    timesteps: int = DEFAULT_TIMESTEPS
    method: str = AUTO
    percentile: float | None = None
    equalisation: str = AUTO
    pictures: int | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    input_size: tuple[int, int] | None = None
    labels: Sequence[str] | None = None
    name: str | None = None
    evaluation_pictures: int = DEFAULT_EVALUATION
    device: str = AUTO
    fit: str = "crop"
    seed: int = 0
    keep_order: bool = False
    half_potentials: bool = False


def convert_float(
    source: str | Path,
    output: str | Path,
    calibrate: str | Path,
    *,
    evaluate: str | Path | None = None,
    options: FloatOptions | None = None,
) -> ConversionReport:
    """Convert a float ONNX file to a quantised one (docs/onnx.md) and compare the two.

    Parameters
    ----------
    source : str or Path
        As PyTorch exports it: Conv, BatchNormalization, Relu, pooling, Add, Gemm.
    output : str or Path
        The ONNX file to write.
    calibrate : str or Path
        Pictures, labelled or not: what `pynq_snn.datasets.load_pictures` reads (its training part where it has two).
    evaluate : str or Path, optional
        Pictures to compare the networks on; by default those of `calibrate` that calibration did not use.
    options : FloatOptions, optional

    Raises
    ------
    ModelError
        The file is damaged, has no spiking counterpart, or cannot be written; the message names node and remedy.
    ProgramError
        A layer exceeds the accelerator's integers or memory.
    DatasetError, PictureError
        The pictures cannot be read, or are too few.
    """
    from pynq_snn.convert.folding import fold_normalisation
    from pynq_snn.convert.report import compare
    from pynq_snn.datasets import load_pictures

    options = FloatOptions() if options is None else options
    source, output = Path(source), Path(output)
    _check(source, options)
    graph = _load(source)
    network = fold_normalisation(_read(graph, options))
    dataset = load_pictures(calibrate, "train")
    labels = _labels(network, graph, dataset, options)
    shape = network.input_shape
    probe = _convert(network, np.zeros((2, *shape), np.float32), _recipes(options)[0], options.timesteps)
    spiking = _parse(_encode(network, probe, labels), source)  # finds what the accelerator cannot do before the work
    order = np.random.default_rng(options.seed).permutation(len(dataset))
    count = _calibration_count(options, shape, len(order))
    pixels = _pixels(dataset, order[:count], spiking, options.fit)
    pictures = normalised(network, pixels)
    conversion, candidates = _choose(network, pictures, options)
    data = _encode(network, conversion, labels)
    calibration = reordering = None
    if not options.half_potentials:
        data, calibration = _calibrate_potentials(data, pixels, options, output)
    if not options.keep_order:
        data, reordering = _reorder(data, pixels, options, output)
    spiking = _parse(data, output)
    try:
        output.write_bytes(data)
    except OSError as error:
        raise ModelError(f"{output}: cannot be written: {error.strerror or error}; give another path") from error
    seen = evaluate is None and count == len(order)
    compared = dataset if evaluate is None else load_pictures(evaluate, "test")
    chosen = (order if seen else order[count:]) if evaluate is None else np.arange(len(compared))
    chosen = chosen[: options.evaluation_pictures]
    return compare(
        network, conversion, spiking, compared.select(chosen), _pixels(compared, chosen, spiking, options.fit),
        candidates=candidates, calibration_count=count, seen=seen, device=options.device,
        source=str(source), output=str(output), reordering=reordering, potentials=calibration,
    )  # fmt: skip


def normalised(network: FloatNetwork, pixels: np.ndarray) -> Maps:
    """Return what a network reads, float32 [N, channels, height, width], of pixels, uint8 [N, H, W, C]."""
    mean, std = np.array(network.mean, np.float32), np.array(network.std, np.float32)
    values = (pixels.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _check(source: Path, options: FloatOptions) -> None:
    if not 1 <= options.timesteps <= layout.MAX_TIMESTEPS:
        raise ModelError(f"{source}: timesteps={options.timesteps} is out of range; use 1 to {layout.MAX_TIMESTEPS}")
    choices = (("method", options.method, METHODS), ("equalisation", options.equalisation, EQUALISATIONS))
    for name, value, known in choices:
        if value not in (AUTO, *known):
            raise ModelError(f"{source}: {name}={value!r} is not known; use one of {', '.join((AUTO, *known))}")
    if options.percentile is not None and not 50 <= options.percentile <= 100:
        raise ModelError(f"{source}: percentile={options.percentile:g} is out of range; use 50 to 100")
    if options.percentile is not None and options.method == "error":
        raise ModelError(f"{source}: a percentile means nothing to method=error; leave one of them out")
    for name, values in (("mean", options.mean), ("std", options.std)):
        if values is not None and not all(math.isfinite(value) for value in values):
            raise ModelError(f"{source}: {name} {list(values)} is not finite; give what the network was trained with")
    if options.std is not None and min(options.std) <= 0:
        raise ModelError(f"{source}: std {min(options.std):g} is not positive; give what the network was trained with")


def _load(source: Path) -> Graph:
    from pynq_snn.convert.float_graph import load_graph

    return load_graph(source)


def _read(graph: Graph, options: FloatOptions) -> FloatNetwork:
    from pynq_snn.convert.float_graph import read_float_network

    shape = graph.inputs[0].shape or ()
    channels = shape[1] if len(shape) == 4 and isinstance(shape[1], int) else 3
    metadata = {"timesteps": str(options.timesteps)}
    for key, values, neutral in (("mean", options.mean, 0.0), ("std", options.std, 1.0)):
        if values is not None:
            given = list(values) * channels if len(values) == 1 else list(values)
            metadata[key] = json.dumps(given)
        elif key not in graph.metadata:
            metadata[key] = json.dumps([neutral] * channels)
    if options.input_size is not None:
        metadata["input_size"] = json.dumps(list(options.input_size))
    if options.labels is not None:
        metadata["labels"] = json.dumps(list(options.labels))
    if options.name is not None:
        metadata["name"] = options.name
    return read_float_network(graph, metadata)


def _labels(network: FloatNetwork, graph: Graph, dataset: Dataset, options: FloatOptions) -> tuple[str, ...]:
    """Return the class names: given, of the file, or of the pictures where their number is right."""
    known = options.labels is not None or "labels" in graph.metadata
    if not known and len(dataset.classes) == len(network.labels):
        return dataset.classes
    return network.labels


def _recipes(options: FloatOptions) -> list[Recipe]:
    """Return the methods to try, with the first equalisation that is allowed."""
    equalisation = EQUALISATIONS[0] if options.equalisation == AUTO else options.equalisation
    recipes = []
    if options.method != "error":
        percentiles = PERCENTILES if options.percentile is None else (options.percentile,)
        recipes += [Recipe("percentile", percentile, 0, equalisation) for percentile in percentiles]
    if options.method != "percentile":
        recipes += [Recipe("error", 100.0, power, equalisation) for power in POWERS]
    return recipes


def _calibration_count(options: FloatOptions, shape: tuple[int, int, int], available: int) -> int:
    if available < 4:
        raise DatasetError(f"{available} pictures are too few to calibrate with; give at least 4, better 100 or more")
    wanted = options.pictures
    if wanted is None:
        wanted = DEFAULT_PICTURES if shape[1] * shape[2] < LARGE_PICTURE else DEFAULT_PICTURES // 4
    if wanted < 4:
        raise DatasetError(f"{wanted} pictures are too few to calibrate with; give at least 4, better 100 or more")
    return min(wanted, available)


def _pixels(dataset: Dataset, order: np.ndarray, spiking: Network, fit: str) -> np.ndarray:
    from pynq_snn.evaluation import fitted_pixels

    return fitted_pixels(dataset.select(order), spiking, fit=fit)


def _choose(network: FloatNetwork, pictures: Maps, options: FloatOptions) -> tuple[Conversion, list[tuple[str, float]]]:
    """Convert by each recipe; return the conversion with the least error, and titles and errors of all.

    The error is the root mean square difference of class scores on pictures that did not calibrate, as a share of
    how far the float network's scores lie apart.
    """
    from pynq_snn.convert.quantisation import run_float, run_spiking
    from pynq_snn.convert.scores import score_error

    held_out, used = pictures[::4], np.delete(pictures, np.s_[::4], axis=0)
    wanted = run_float(network, held_out)
    candidates: list[tuple[str, float]] = []

    def tried(recipe: Recipe) -> tuple[float, Conversion]:
        conversion = _convert(network, used, recipe, options.timesteps)
        error = score_error(wanted, run_spiking(conversion, held_out))
        candidates.append((recipe.title, error))
        return error, conversion

    results = [tried(recipe) for recipe in _recipes(options)]
    best = min(results, key=lambda result: result[0])
    if options.equalisation == AUTO:  # every method by every equalisation would take twice as long
        results.append(tried(replace(best[1].recipe, equalisation=EQUALISATIONS[1])))
        best = min(results, key=lambda result: result[0])
    return best[1], candidates


def _convert(network: FloatNetwork, pictures: Maps, recipe: Recipe, timesteps: int) -> Conversion:
    from pynq_snn.convert.quantisation import convert_layers

    return convert_layers(network, pictures, timesteps, recipe)


def _encode(network: FloatNetwork, conversion: Conversion, labels: tuple[str, ...]) -> bytes:
    from pynq_snn.convert.writer import write_model

    data: bytes = write_model(network, conversion, labels).SerializeToString()
    return data


def _calibrate_potentials(
    data: bytes, pixels: np.ndarray, options: FloatOptions, output: Path
) -> tuple[bytes, PotentialReport]:
    """Return a model's bytes with the initial potentials that stepwise firing needs."""
    from pynq_snn.accelerator import Accelerator
    from pynq_snn.convert.potentials import DEFAULT_PICTURES, calibrate_model

    with Accelerator(options.device) as accelerator:
        return calibrate_model(data, pixels[:DEFAULT_PICTURES], accelerator, path=str(output))


def _reorder(data: bytes, pixels: np.ndarray, options: FloatOptions, output: Path) -> tuple[bytes, ReorderReport]:
    """Return a model's bytes with its channels in an order that suits the core."""
    from pynq_snn.accelerator import Accelerator
    from pynq_snn.convert.reorder import DEFAULT_PICTURES, reorder_model

    with Accelerator(options.device) as accelerator:
        return reorder_model(data, pixels[:DEFAULT_PICTURES], accelerator, seed=options.seed, path=str(output))


def _parse(data: bytes, path: Path) -> Network:
    """Return the integer network of a model's bytes after a check that it can be compiled."""
    from pynq_snn.network import Network
    from pynq_snn.onnx_reader import parse_onnx
    from pynq_snn.program import compile_network

    network = Network.from_onnx(parse_onnx(data, str(path)))
    compile_network(network)
    return network
