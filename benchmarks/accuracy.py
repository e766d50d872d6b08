"""Accuracy of the shipped models on a test set: full precision, quantised, and spiking under both firing orders.

    python -m benchmarks.accuracy --data CIFAR10 [--float vgg11=runs/vgg11/vgg11-float.onnx] [--curve COUNT]
        [--originals ORIGINALS]

Writes benchmarks/accuracy.json. A twin that is not named keeps the accuracy that an earlier run on as many pictures
found for it: training a quantised network further does not change the network that it came from.

Every picture whose class differs between the quantised network (onnxruntime) and the spiking one (deferred firing,
kernel device) is followed to the first spike count that differs: there the quantised network's value before rounding
has to sit on a rounding tie.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from tqdm import tqdm

from benchmarks import results
from pynq_snn import Accelerator
from pynq_snn.datasets import Dataset, load_dataset
from pynq_snn.encode import spike_counts
from pynq_snn.evaluation import match_labels
from pynq_snn.models import find_model, shipped_models
from pynq_snn.network import FIRING_ORDERS, Network

BATCH = 50
CURVE_TIMESTEPS = (1, 2, 4, 8, 16, 32)
# How far from a tie (k + 1/2) a value may be for float32 sums and 1/256 steps of thresholds to decide its rounding.
TIE_WIDTH = 0.02

Classes = npt.NDArray[np.int64]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="shipped models; all by default")
    parser.add_argument("--data", type=Path, required=True, help="test pictures, as for pynq-snn eval")
    parser.add_argument("--float", action="append", default=[], metavar="MODEL=FILE", help="full-precision twin")
    parser.add_argument("--count", type=int, help="first pictures only")
    parser.add_argument("--curve", type=int, metavar="COUNT", help=f"also T in {CURVE_TIMESTEPS}, first COUNT pictures")
    parser.add_argument("--originals", type=Path, help="the same pictures as they were before JPEG compression")
    parser.add_argument("--out", type=Path, default=results.FOLDER / "accuracy.json")
    arguments = parser.parse_args()
    twins = {name: Path(file) for name, _, file in (entry.partition("=") for entry in arguments.float)}
    dataset = load_dataset(arguments.data).first(arguments.count)
    originals = load_dataset(arguments.originals).first(arguments.count) if arguments.originals else None
    earlier = earlier_figures(arguments.out)
    figures: dict[str, Any] = {
        "measured": "accuracy and counts: exact, on the kernel device (C++ simulation of the core)",
        "data": {"name": "CIFAR-10 test pictures, JPEG copies"},
        "models": kept_figures(earlier, arguments.models) if arguments.models else {},
    }
    for name in arguments.models or shipped_models():
        found = measure(name, twins.get(name), dataset, arguments.curve, earlier.get(name, {}))
        if originals is not None:
            found["originals"] = measure_originals(name, twins.get(name), originals)
        elif "originals" in earlier.get(name, {}) and earlier[name]["sha256"] == found["sha256"]:
            found["originals"] = earlier[name]["originals"]
        figures["models"][name] = found
        results.write(
            arguments.out, "python -m benchmarks.accuracy --data CIFAR10 --float MODEL=FILE --curve 1000", figures
        )


def earlier_figures(path: Path) -> dict[str, Any]:
    """Return what an earlier run found, by model."""
    return dict(json.loads(path.read_text("utf-8"))["models"]) if path.exists() else {}


def kept_figures(earlier: dict[str, Any], measured: list[str]) -> dict[str, Any]:
    """Return what an earlier run found for shipped models that this run leaves out; their files must be the same."""
    same = {name: figures for name, figures in earlier.items() if name in shipped_models() and name not in measured}
    return {name: figures for name, figures in same.items() if figures["sha256"] == results.sha256(find_model(name))}


def measure(
    name: str, twin: Path | None, dataset: Dataset, curve: int | None, earlier: dict[str, Any]
) -> dict[str, Any]:
    """Return all figures of one model; that of its twin stays as in `earlier` ones where no file is named."""
    path = find_model(name)
    network = Network.from_onnx(path)
    labels = match_labels(dataset, network)
    quantised = onnx_classes(path, network, dataset, "quantised")
    figures: dict[str, Any] = {"file": path.name, "sha256": results.sha256(path), "timesteps": network.timesteps}
    figures["pictures"] = len(dataset)
    if twin is not None:
        figures["full_precision"] = measure_twin(twin, network, dataset, labels)
    elif "full_precision" in earlier and earlier["pictures"] == len(dataset):
        figures["full_precision"] = earlier["full_precision"]
    figures["quantised"] = {"accuracy": accuracy(quantised, labels), "with": f"onnxruntime {onnxruntime.__version__}"}
    steps = network.timesteps
    figures["spiking"], found = {}, {}
    for firing, window in (("deferred", steps), ("stepwise", steps), ("deferred", steps // 2)):
        title = f"{firing} T={window}"
        figures["spiking"][title], found[title] = spiking(path, window, firing, dataset, labels)
    classes = found[f"deferred T={steps}"]
    differing = np.flatnonzero(classes != quantised)
    figures["disagreements"] = [explain(path, dataset, int(i), quantised[i], classes[i]) for i in differing]
    if curve:
        figures["curve"] = measure_curve(path, dataset.first(curve), labels[:curve])
    return figures


def measure_curve(path: Path, dataset: Dataset, labels: Classes) -> dict[str, Any]:
    """Return accuracy and operations by timesteps, under both firing orders."""
    figures: dict[str, Any] = {"count": len(dataset), "timesteps": CURVE_TIMESTEPS}
    for firing in ("deferred", "stepwise"):
        points = [spiking(path, steps, firing, dataset, labels)[0] for steps in CURVE_TIMESTEPS]
        figures[firing] = {key: [p[key] for p in points] for key in ("accuracy", "synaptic_operations_per_image")}
    return figures


def measure_originals(name: str, twin: Path | None, dataset: Dataset) -> dict[str, Any]:
    """Return the accuracy on pictures that were not compressed, which the shipped models have not been trained on."""
    path = find_model(name)
    network = Network.from_onnx(path)
    labels = match_labels(dataset, network)
    figures: dict[str, Any] = {"pictures": len(dataset)}
    if twin is not None:
        figures["full_precision"] = measure_twin(twin, network, dataset, labels)
    return figures | by_firing_order(path, dataset, labels, ("accuracy", "synaptic_operations_per_image"))


def measure_twin(twin: Path, network: Network, dataset: Dataset, labels: Classes) -> dict[str, Any]:
    """Return the accuracy of a full-precision network that reads what `network` reads."""
    classes = onnx_classes(twin, network, dataset, "full precision")
    return {"accuracy": accuracy(classes, labels), "sha256": results.sha256(twin)}


def by_firing_order(path: Path, dataset: Dataset, labels: Classes, keys: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Return some figures of one model (see `spiking`) at its own T, under each firing order."""
    timesteps = Network.from_onnx(path).timesteps
    found = {firing: spiking(path, timesteps, firing, dataset, labels)[0] for firing in FIRING_ORDERS}
    return {firing: {key: figures[key] for key in keys} for firing, figures in found.items()}


def accuracy(classes: Classes, labels: Classes) -> float:
    """Return the share of right classes in percent."""
    return round(100 * float((classes == labels).mean()), 4)


def batches(count: int, title: str) -> Iterator[slice]:
    """Yield the pictures of each batch, with a progress bar."""
    for start in tqdm(range(0, count, BATCH), desc=title, disable=None):
        yield slice(start, min(start + BATCH, count))


def normalised(path: Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return pictures as the network in `path` wants them: float32 [N, 3, H, W]."""
    from pynq_snn.importer import import_network
    from pynq_snn.onnx_reader import parse_onnx

    trained = import_network(parse_onnx(path.read_bytes()))
    mean, std = np.array(trained.mean, np.float32), np.array(trained.std, np.float32)
    pixels = np.asarray(images, np.float32) / np.float32(255)
    return ((pixels - mean) / std).transpose(0, 3, 1, 2)


def session_of(model: Path | onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Return onnxruntime ready to run a model on one core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    content = str(model) if isinstance(model, Path) else model.SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def onnx_classes(path: Path, network: Network, dataset: Dataset, title: str) -> Classes:
    """Return the class that onnxruntime finds for each picture."""
    session = session_of(path)
    preprocessing = Path(network.path)
    return np.concatenate(
        [
            session.run(None, {session.get_inputs()[0].name: normalised(preprocessing, images_of(dataset, part))})[
                0
            ].argmax(axis=1)
            for part in batches(len(dataset), title)
        ]
    )


def images_of(dataset: Dataset, part: slice) -> npt.NDArray[np.uint8]:
    """Return pictures as one array; the sets that models are trained on have one size."""
    if not isinstance(dataset.images, np.ndarray):
        raise SystemExit("the pictures have different sizes; give a data set of one size")
    return dataset.images[part]


def spiking(
    path: Path, timesteps: int, firing: str, dataset: Dataset, labels: Classes
) -> tuple[dict[str, Any], Classes]:
    """Run every picture through the kernel; return the figures and the classes found."""
    found, operations, spikes = [], 0, np.zeros(0)
    with Accelerator("kernel") as accelerator:
        network = accelerator.load(path, timesteps=timesteps, firing=firing)
        for part in batches(len(dataset), f"{firing} T={timesteps}"):
            logits = accelerator.infer(images_of(dataset, part), batch=BATCH)
            found.append(network.scores(logits).argmax(axis=1))  # logits of classes may differ in unit
            operations += accelerator.last_run.synaptic_operations
            counted = np.array([layer.spikes for layer in accelerator.last_run.layers], float)
            spikes = counted if not spikes.size else spikes + counted
    classes = np.concatenate(found)
    neurons = np.array([np.prod(layer.output_shape) for layer in network.layers])
    rates = spikes / (neurons * timesteps * len(dataset))
    per_image = operations / len(dataset)
    return {
        "accuracy": accuracy(classes, labels),
        "synaptic_operations_per_image": round(per_image),
        "share_of_dense": round(per_image / (network.macs * timesteps), 5),
        "firing_rates": {
            layer.name: round(float(rate), 5)
            for layer, rate in zip(network.layers, rates, strict=True)
            if layer.kind != "readout"
        },
    }, classes


# --- rounding ties ----------------------------------------------------------------------------------------------------


def explain(path: Path, dataset: Dataset, index: int, quantised: np.int64, found: np.int64) -> dict[str, Any]:
    """Return where the spiking network first counts differently from the quantised one, and how close a tie was."""
    image = images_of(dataset, slice(index, index + 1))
    entry: dict[str, Any] = {"picture": index, "quantised": int(quantised), "spiking": int(found)}
    for layer, expected, exact in onnx_counts(path, image):
        counts = kernel_counts(path, image)[layer]
        differing = np.flatnonzero(counts.ravel() != expected.ravel())
        if differing.size:
            off_tie = np.abs((exact.ravel()[differing] % 1) - 0.5)
            entry.update(
                first_layer=layer,
                neurons_that_differ=int(differing.size),
                largest_distance_from_a_tie=round(float(off_tie.max()), 6),
                rounding_tie=bool(off_tie.max() < TIE_WIDTH),
            )
            return entry
    return {**entry, "first_layer": None, "rounding_tie": False}


def onnx_counts(
    path: Path, image: npt.NDArray[np.uint8]
) -> Iterator[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.float64]]]:
    """Yield for each activation its number, its counts, and the values that were rounded to them."""
    model = onnx.load(str(path))
    makers = {output: node for node in model.graph.node for output in node.output}
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    clips = [node for node in model.graph.node if node.op_type == "Clip"]
    rounded = [makers[clip.input[0]] for clip in clips]
    for clip, quantise in zip(clips, rounded, strict=True):
        model.graph.output.append(onnx.helper.make_tensor_value_info(clip.output[0], onnx.TensorProto.UINT8, None))
        model.graph.output.append(onnx.helper.make_tensor_value_info(quantise.input[0], onnx.TensorProto.FLOAT, None))
    session = session_of(model)
    wanted = [
        name for clip, quantise in zip(clips, rounded, strict=True) for name in (clip.output[0], quantise.input[0])
    ]
    values = session.run(wanted, {session.get_inputs()[0].name: normalised(path, image)})
    for number, quantise in enumerate(rounded):
        exact = values[2 * number + 1][0].astype(np.float64) / float(constants[quantise.input[1]])
        yield number, values[2 * number][0].astype(np.int64), exact


def kernel_counts(path: Path, image: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.int64]]:
    """Return the spike counts of each activation, behind its max pooling where it has one."""
    with Accelerator("kernel") as accelerator:
        network = accelerator.load(path, firing="deferred", keep_maps=True)
        accelerator.infer(image)
        pooled = {layer.max_pooling_source for layer in network.layers if layer.max_pooling is not None}
        return [
            spike_counts(accelerator.spike_map(layer.name), accelerator.program.maps[layer.name].layout.coding)
            for number, layer in enumerate(network.layers)
            if layer.kind != "readout" and number not in pooled
        ]


if __name__ == "__main__":
    main()
