"""Float networks as spiking ones: what is read, how close the conversion comes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from PIL import Image

from pynq_snn.accelerator import Accelerator
from pynq_snn.cli import main
from pynq_snn.convert import FloatOptions, convert_float, normalised
from pynq_snn.convert.calibration import Recipe, choose_thresholds
from pynq_snn.convert.float_graph import FloatNetwork, read_float_network
from pynq_snn.convert.folding import fold_normalisation
from pynq_snn.convert.quantisation import convert_layers, run_float, run_spiking
from pynq_snn.convert.report import write_report
from pynq_snn.convert.scores import score_error
from pynq_snn.convert.writer import write_model
from pynq_snn.devices import available
from pynq_snn.errors import DatasetError, ModelError, PynqSnnError
from pynq_snn.network import FIRING_ORDERS, Network
from pynq_snn.onnx_reader import parse_onnx
from tests.onnx_models import ModelWriter

EXPORTS = Path(__file__).parent / "exports"
SIZE = (3, 12, 10)
CLASSES = 4
COUNT = 40  # pictures of a set
DEVICE = "reference" if available()["kernel"] else "kernel"
LEAST = Recipe("error", 100.0, 4, "channel")
NEUTRAL = {"timesteps": "8", "mean": "[0, 0, 0]", "std": "[1, 1, 1]"}


class FloatWriter(ModelWriter):
    """Random float layers, node by node."""

    def __init__(self, seed: int, size: tuple[int, int, int] = SIZE) -> None:
        super().__init__()
        self.random = np.random.default_rng(seed)
        self.size = size

    def real(self, value: np.ndarray) -> str:
        return self.constant(np.asarray(value, np.float32))

    def conv(self, source: str, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, **attributes: Any) -> str:
        weights = self.random.normal(0, 1.4 / np.sqrt(inputs * kernel**2), (outputs, inputs, kernel, kernel))
        bias = self.random.normal(0, 0.1, outputs)
        pads = attributes.pop("pads", [kernel // 2] * 4)
        return self.node(
            "Conv", source, self.real(weights), self.real(bias), strides=[stride] * 2, pads=pads, **attributes
        )

    def norm(self, source: str, channels: int, spread: float = 0.3) -> str:
        vectors = (
            np.exp(self.random.normal(0, spread, channels)) * self.random.choice([1, 1, 1, -1], channels),
            self.random.normal(0, 0.2, channels), self.random.normal(0, 0.2, channels),
            self.random.uniform(0.5, 1.5, channels),
        )  # fmt: skip
        return self.node("BatchNormalization", source, *(self.real(vector) for vector in vectors))

    def linear(self, source: str, inputs: int, outputs: int, matmul: bool = False, **attributes: Any) -> str:
        weights = self.random.normal(0, 1.4 / np.sqrt(inputs), (outputs, inputs))
        bias = self.real(self.random.normal(0, 0.1, outputs))
        if matmul:
            return self.node("Add", self.node("MatMul", source, self.real(weights.T)), bias)
        return self.node("Gemm", source, self.real(weights), bias, transB=1, **attributes)

    def finished(self, output: str, metadata: dict[str, str] | None = None) -> onnx.ModelProto:
        return self.model(output, ("N", *self.size), metadata or {}, CLASSES)


def float_model(seed: int, shortcut: str = "identity", pooling: str = "max", matmul: bool = False) -> onnx.ModelProto:
    """Return a small network with a residual block."""
    w = FloatWriter(seed)
    x = w.node("Relu", w.norm(w.conv("input", 3, 8), 8))
    if pooling == "max":
        x = w.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    elif pooling == "max first":
        x = w.node("Relu", w.node("MaxPool", w.conv(x, 8, 8), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4))
    elif pooling == "average":
        x = w.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        x = w.node("Relu", w.conv(x, 8, 8))
    elif pooling == "average first":
        x = w.node("Relu", w.node("AveragePool", w.conv(x, 8, 8), kernel_shape=[2, 2], strides=[2, 2]))
    inner = w.node("Relu", w.norm(w.conv(x, 8, 8), 8))
    if shortcut == "identity":
        x = w.node("Relu", w.node("Add", w.norm(w.conv(inner, 8, 8), 8), x))
    elif shortcut == "downsample":
        residual = w.norm(w.conv(inner, 8, 8, stride=2), 8)
        x = w.node("Relu", w.node("Add", residual, w.norm(w.conv(x, 8, 8, kernel=1, stride=2), 8)))
    elif shortcut == "scaled identity":
        x = w.node("Relu", w.norm(w.node("Add", x, w.conv(inner, 8, 8)), 8))
    else:
        x = w.node("Clip", w.conv(inner, 8, 8), w.real(np.array(0.0)), w.real(np.array(1.0)))
    x = w.node("Flatten", w.node("GlobalAveragePool", x))
    x = w.node("Relu", w.linear(x, 8, 12, matmul))
    return w.finished(w.linear(x, 12, CLASSES, matmul))


def read(model: onnx.ModelProto | bytes, **metadata: str) -> FloatNetwork:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return read_float_network(parse_onnx(data, "float.onnx"), {**NEUTRAL, **metadata})


def runtime_scores(data: bytes, values: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: values})[0])


def random_pixels(count: int, size: tuple[int, int, int] = SIZE, seed: int = 0) -> np.ndarray:
    """Return smooth pictures, uint8 [N, H, W, C]."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (count, 4, 4, size[0]))
    rows, columns = np.arange(size[1]) * 4 // size[1], np.arange(size[2]) * 4 // size[2]
    return coarse[:, rows][:, :, columns].astype(np.uint8)


VARIANTS = st.tuples(
    st.integers(0, 10_000),
    st.sampled_from(["identity", "downsample", "scaled identity", "clip"]),
    st.sampled_from(["none", "max", "max first", "average", "average first"]),
    st.booleans(),
)


# --- reading and converting -------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None, derandomize=True)
@given(VARIANTS)
def test_conversion_comes_close_and_runs_as_it_was_measured(variant: tuple[int, str, str, bool]) -> None:
    model = float_model(*variant)
    network = fold_normalisation(read(model))
    pixels = random_pixels(24, seed=variant[0])
    values = normalised(network, pixels)
    wanted = runtime_scores(model.SerializeToString(), values)
    np.testing.assert_allclose(run_float(network, values), wanted, atol=2e-4)

    conversion = convert_layers(network, values, 32, LEAST)
    found = run_spiking(conversion, values)
    assert score_error(wanted, found) < 0.25
    data = write_model(network, conversion, network.labels).SerializeToString()
    # Sums in another order may round a count the other way, so a few scores differ, but not all
    close = np.isclose(runtime_scores(data, values), found, atol=1e-3 * np.abs(found).max())
    assert close.mean() > 0.7
    spiking = Network.from_onnx(parse_onnx(data))
    assert spiking.timesteps == 32
    with Accelerator(DEVICE) as accelerator:
        accelerator.load(spiking)
        scores = spiking.scores(accelerator.infer(pixels[:2]))
    np.testing.assert_allclose(scores, found[:2], atol=0.1 * np.abs(found).max())


def test_more_timesteps_come_closer() -> None:
    network = read(float_model(3))
    values = normalised(network, random_pixels(40))
    wanted = run_float(network, values)
    errors = [
        score_error(wanted, run_spiking(convert_layers(network, values, timesteps, LEAST), values))
        for timesteps in (2, 8, 32)
    ]
    assert errors[0] > 2 * errors[1] > 3 * errors[2]


def test_channels_of_different_ranges_are_equalised() -> None:
    w = FloatWriter(5)
    x = w.node("Relu", w.norm(w.conv("input", 3, 16), 16, spread=2.0))
    x = w.node("Relu", w.norm(w.conv(x, 16, 16), 16, spread=2.0))
    model = w.finished(w.linear(w.node("Flatten", w.node("GlobalAveragePool", x)), 16, CLASSES))
    network = read(model)
    values = normalised(network, random_pixels(40))
    errors = {
        equalisation: convert_layers(network, values, 8, Recipe("error", 100.0, 2, equalisation)).errors[1]
        for equalisation in ("channel", "layer")
    }
    # The error of a layer is that of its loud channels; the quiet ones must gain
    quiet = {}
    for equalisation in errors:
        conversion = convert_layers(network, values, 8, Recipe("error", 100.0, 2, equalisation))
        quiet[equalisation] = conversion.layers[0].threshold
    assert quiet["channel"].max() > 4 * quiet["channel"].min()
    assert np.ptp(quiet["layer"]) == 0
    assert errors["channel"].error < errors["layer"].error


def test_bias_correction_keeps_the_mean_current() -> None:
    network = read(float_model(11))
    values = normalised(network, random_pixels(40))
    conversion = convert_layers(network, values, 3, LEAST)
    mean = run_float(network, values).mean(axis=0), run_spiking(conversion, values).mean(axis=0)
    np.testing.assert_allclose(*mean, atol=1e-3)


def test_the_least_error_is_the_least() -> None:
    random = np.random.default_rng(1)
    activations = np.maximum(random.normal(0, [[[[1.0]], [[5.0]]]], (50, 2, 4, 4)), 0).astype(np.float32)
    thresholds = choose_thresholds(activations, activations, 4, Recipe("error", 100.0, 2, "channel"), 1e9)

    def error(channel: int, threshold: float) -> float:
        step = threshold / 4
        counted = step * np.clip(np.rint(activations[:, channel] / step), 0, 4)
        return float(np.square(counted - activations[:, channel]).mean())

    for channel in (0, 1):
        tried = np.linspace(0.2, 1.2, 60) * activations[:, channel].max()
        assert error(channel, thresholds[channel]) < 1.02 * min(error(channel, value) for value in tried)
    percentile = choose_thresholds(activations, activations, 4, Recipe("percentile", 90.0, 0, "channel"), 3.0)
    assert (activations[:, 0] <= percentile[0]).mean() == pytest.approx(0.9, abs=0.01)
    assert percentile[1] == 3.0  # the ceiling of a Clip


def test_normalisation_by_channel_goes_into_the_weights() -> None:
    model = float_model(7)
    network = fold_normalisation(read(model, mean="[0.485, 0.456, 0.406]", std="[0.229, 0.224, 0.225]"))
    assert len(set(network.std)) == 1
    assert np.allclose(np.array(network.mean) * 255 % 1, 0)
    pixels = random_pixels(8)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    exact = ((pixels / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
    wanted = runtime_scores(model.SerializeToString(), exact)
    found = run_float(network, normalised(network, pixels))
    np.testing.assert_allclose(found, wanted, atol=0.02 * np.abs(wanted).max())


@pytest.mark.parametrize("name", ["resnet_legacy", "resnet_dynamo"])
def test_exports_of_pytorch(name: str) -> None:
    data = (EXPORTS / f"{name}.onnx").read_bytes()
    network = read(data)
    assert [layer.identity for layer in network.layers if layer.identity is not None] == [1]
    assert sum(len(layer.branches) == 2 for layer in network.layers) == 1
    values = np.random.default_rng(0).normal(0, 1, (40, 3, 16, 16)).astype(np.float32)
    wanted = runtime_scores(data, values)
    np.testing.assert_allclose(run_float(network, values), wanted, atol=1e-4)
    assert score_error(wanted, run_spiking(convert_layers(network, values, 32, LEAST), values)) < 0.2


def test_values_in_a_second_file(tmp_path: Path) -> None:
    model = float_model(2)
    expected = read(model).layers[0].branches[0].weights
    onnx.save_model(model, str(tmp_path / "net.onnx"), save_as_external_data=True, location="net.data",
                    size_threshold=0)  # fmt: skip
    found = read_float_network(tmp_path / "net.onnx", NEUTRAL)
    assert (found.layers[0].branches[0].weights == expected).all()
    (tmp_path / "net.data").unlink()
    with pytest.raises(ModelError, match="external data cannot be read"):
        read_float_network(tmp_path / "net.onnx", NEUTRAL)


# --- what is refused --------------------------------------------------------------------------------------------------


def graph_with(*steps: Any) -> onnx.ModelProto:
    w = FloatWriter(0)
    x = "input"
    for step in steps:
        x = step(w, x)
    return w.finished(x)


def rectified(w: FloatWriter, x: str) -> str:
    return w.node("Relu", w.conv(x, 3, 4))


def scores(w: FloatWriter, x: str) -> str:
    return w.linear(w.node("Flatten", w.node("GlobalAveragePool", x)), 4, CLASSES)


def node(operator: str, **attributes: Any) -> Any:
    return lambda w, x: w.node(operator, x, name="culprit", **attributes)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([rectified, node("Sigmoid"), scores], "Sigmoid culprit: is no rectifier.*retrain the network with Relu"),
        ([rectified, node("LeakyRelu", alpha=0.1), scores], "LeakyRelu culprit: is no rectifier"),
        ([rectified, lambda w, x: w.conv(w.conv(x, 4, 4), 4, 4, name="culprit"), scores],
         "Conv culprit: reads conv.* without a Relu between; put one there"),
        ([rectified, lambda w, x: w.node("Relu", w.conv(x, 4, 4, group=2, name="culprit")), scores],
         "culprit: group=2 is not supported"),
        ([rectified, lambda w, x: w.node("Relu", w.conv(x, 4, 4, dilations=[2, 2], name="culprit")), scores],
         r"culprit: dilations=\[2, 2\] are not supported; use 1"),
        ([lambda w, x: w.node("Clip", w.conv(x, 3, 4), w.real(np.array(-1.0)), w.real(np.array(1.0)), name="culprit"),
          scores], r"Clip culprit: clips to \[-1, 1\]; spike counts start at 0"),
        ([rectified, node("Softmax", axis=1), scores], "Softmax culprit: is supported at the end only"),
        ([rectified, lambda w, x: w.node("Concat", x, x, axis=1, name="culprit"), scores], "culprit.*side by side"),
        ([rectified, lambda w, x: w.node("QuantizeLinear", x, w.real(np.array(0.1)), name="culprit"), scores],
         "culprit: this network is quantised already; convert the float network"),
        ([rectified, node("Resize"), scores], "culprit: operator Resize is not supported; use Add"),
        ([rectified, lambda w, x: w.node("Add", x, x, name="culprit"), scores], "culprit: adds spikes to spikes"),
        ([lambda w, x: w.linear(w.node("Flatten", x), 360, CLASSES)], "has no Relu"),
        ([rectified], "is not a sum of weighted spikes"),
        ([rectified, lambda w, x: w.linear(w.node("Flatten", w.node("GlobalAveragePool", x)), 4, 4, alpha=2.0,
                                           name="culprit")], "culprit: alpha=2.0 is not supported"),
    ],
)  # fmt: skip
def test_what_cannot_spike_is_named(steps: list[Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read(graph_with(*steps))


def test_weights_that_are_not_finite() -> None:
    model = float_model(0)
    values = numpy_helper.to_array(model.graph.initializer[0]).copy()
    values[0, 0, 0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, model.graph.initializer[0].name))
    with pytest.raises(ModelError, match="NaN or infinity"):
        read(model)


@pytest.fixture
def float_file(tmp_path: Path) -> Path:
    """Return a float network that finds all its classes in random pictures."""
    path, model = tmp_path / "net.onnx", float_model(4)
    network = read(model)
    mean = run_float(network, normalised(network, random_pixels(COUNT))).mean(axis=0)
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == model.graph.node[-1].input[2])
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) - mean, bias.name))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def labelled(tmp_path: Path, float_file: Path) -> Path:
    """Return a folder of pictures in subfolders named after the float network's answers."""
    pixels = random_pixels(COUNT)
    network = read(float_file.read_bytes())
    answers = run_float(network, normalised(network, pixels)).argmax(axis=1)
    for index, (picture, answer) in enumerate(zip(pixels, answers, strict=True)):
        folder = tmp_path / "pictures" / f"class {'abcd'[answer]}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{index}.png")
    return tmp_path / "pictures"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timesteps": 33}, "timesteps=33 is out of range; use 1 to 32"),
        ({"method": "guess"}, "method='guess' is not known"),
        ({"equalisation": "row"}, "equalisation='row' is not known"),
        ({"percentile": 20.0}, "percentile=20 is out of range"),
        ({"percentile": 99.0, "method": "error"}, "means nothing"),
        ({"std": [0.0]}, "std 0 is not positive"),
        ({"mean": [float("nan")]}, "is not finite"),
        ({"mean": [0.5, 0.5]}, "2 means and 3 stds"),
        ({"labels": ["a", "b"]}, "4 outputs but metadata labels names 2"),
        ({"input_size": (9, 9)}, r"is \[12, 10\] but metadata input_size is \[9, 9\]"),
    ],
)
def test_options_are_checked(tmp_path: Path, float_file: Path, options: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "set.npz", images=random_pixels(8), labels=np.zeros(8, int))
    with pytest.raises(ModelError, match=message):
        convert_float(float_file, tmp_path / "out.onnx", tmp_path / "set.npz", options=FloatOptions(**options))
    assert not (tmp_path / "out.onnx").exists()


def test_too_few_pictures_and_unwritable_output(tmp_path: Path, float_file: Path) -> None:
    np.savez(tmp_path / "few.npz", images=random_pixels(3), labels=np.zeros(3, int))
    with pytest.raises(DatasetError, match="3 pictures are too few"):
        convert_float(float_file, tmp_path / "out.onnx", tmp_path / "few.npz")
    np.savez(tmp_path / "set.npz", images=random_pixels(8), labels=np.zeros(8, int))
    with pytest.raises(ModelError, match="cannot be written"):
        convert_float(float_file, tmp_path / "no" / "out.onnx", tmp_path / "set.npz",
                      options=FloatOptions(method="percentile", percentile=99.9))  # fmt: skip


def test_a_layer_that_is_too_large_is_refused_before_calibration(tmp_path: Path) -> None:
    w = FloatWriter(0, (3, 64, 64))
    flat = w.node("Flatten", w.node("Relu", w.conv("input", 3, 4)))
    (tmp_path / "big.onnx").write_bytes(w.finished(w.linear(flat, 4 * 64 * 64, CLASSES)).SerializeToString())
    np.savez(tmp_path / "set.npz", images=random_pixels(8), labels=np.zeros(8, int))
    with pytest.raises(PynqSnnError, match="big: .*(inputs|of one neuron|exceed)"):
        convert_float(tmp_path / "big.onnx", tmp_path / "out.onnx", tmp_path / "set.npz")


# --- the command ------------------------------------------------------------------------------------------------------

Capture = pytest.CaptureFixture[str]


def convert(*arguments: object, code: int = 0) -> int:
    returned = main(["convert", *(str(argument) for argument in arguments)])
    assert returned == code
    return returned


def test_convert_with_labels_writes_model_and_report(
    capsys: Capture, tmp_path: Path, float_file: Path, labelled: Path
) -> None:
    output, report = tmp_path / "out.onnx", tmp_path / "report"
    convert(float_file, "--calibrate", labelled, "-o", output, "--timesteps", 32, "--pictures", 28, "--json",
            "--device", DEVICE, "--report", report)  # fmt: skip
    result = json.loads(capsys.readouterr().out)
    assert (result["timesteps"], result["count"], result["seen"]) == (32, 12, False)
    assert result["accuracy"]["float"] == 1.0
    assert result["accuracy"]["deferred"] == result["agreement"]["deferred"] > 0.6
    assert len(result["candidates"]) == 7
    assert result["reordering"]["bank_cycles"][1] <= result["reordering"]["bank_cycles"][0]
    assert result["potentials"]["score_error"][1] < result["potentials"]["score_error"][0]
    text = (report / "convert.txt").read_text()
    assert "initial potentials calibrated" in text and "channels reordered" in text
    assert result["method"] == min(result["candidates"], key=lambda entry: entry["error"])["method"]
    assert all(layer["error"] < 0.3 for layer in result["layers"])
    files = {path.name for path in report.iterdir()}
    assert files == {"convert.json", "convert.txt", "layers.svg", "methods.svg", "rates.svg"}
    assert json.loads((report / "convert.json").read_text()) == result
    network = Network.from_onnx(output)
    assert network.labels == tuple(sorted(folder.name for folder in labelled.iterdir()))
    assert network.name == "net"


def test_convert_without_labels_prints_a_table(capsys: Capture, tmp_path: Path, float_file: Path) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    for index, picture in enumerate(random_pixels(12)):
        Image.fromarray(picture).save(folder / f"{index}.png")
    output = tmp_path / "out.onnx"
    convert(float_file, "--calibrate", folder, "-o", output, "--method", "error", "--equalise", "channel", "--mean",
            "0.5", "--std", "0.25", "--labels", "a,b,c,d", "--name", "mine", "--device", DEVICE)  # fmt: skip
    text = capsys.readouterr().out
    assert "accuracy" not in text
    assert "class as in float" in text and "the calibration pictures themselves" in text
    assert "least error (squares), by channel" in text and "by layer" not in text
    network = Network.from_onnx(output)
    assert (network.name, network.labels) == ("mine", ("a", "b", "c", "d"))
    assert network.mean_pixel == (128, 128, 128)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["net.onnx"], "thresholds need pictures; give a folder of them with --calibrate"),
        (["net.onnx", "--dt", "0.1"], "--dt is for a NIR file; leave it out"),
        (["net.nir", "--mean", "0.5"], "--mean is for a float ONNX file; leave it out"),
        (["net.pt"], "give a .onnx or a .nir file"),
        (["none.onnx", "--calibrate", "."], "No such file"),
    ],
)
def test_convert_says_what_is_wrong(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, float_file: Path, arguments: list[str],
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    convert(*arguments, "-o", "out.onnx", code=1)
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_potentials_are_for_stepwise_firing_only(capsys: Capture, tmp_path: Path, float_file: Path) -> None:
    np.savez(tmp_path / "set.npz", images=random_pixels(8), labels=np.zeros(8, int))
    arguments = (float_file, "--calibrate", tmp_path / "set.npz", "--method", "percentile", "--percentile", "99.9",
                 "--equalise", "channel", "--timesteps", 16, "--device", DEVICE)  # fmt: skip
    convert(*arguments, "-o", tmp_path / "out.onnx")
    assert "initial potentials calibrated" in capsys.readouterr().out
    convert(*arguments, "-o", tmp_path / "half.onnx", "--half-potentials")
    assert "initial potentials" not in capsys.readouterr().out
    logits = {}
    for name in ("out.onnx", "half.onnx"):
        for firing in FIRING_ORDERS:
            with Accelerator(DEVICE) as accelerator:
                accelerator.load(Network.from_onnx(tmp_path / name, firing=firing))
                logits[name, firing] = accelerator.infer(random_pixels(5, seed=3))
    assert np.array_equal(logits["out.onnx", "deferred"], logits["half.onnx", "deferred"])
    assert not np.array_equal(logits["out.onnx", "stepwise"], logits["half.onnx", "stepwise"])


def test_the_order_of_channels_changes_no_answer(capsys: Capture, tmp_path: Path, float_file: Path) -> None:
    np.savez(tmp_path / "set.npz", images=random_pixels(8), labels=np.zeros(8, int))
    arguments = (float_file, "--calibrate", tmp_path / "set.npz", "--method", "percentile", "--percentile", "99.9",
                 "--equalise", "channel", "--device", DEVICE)  # fmt: skip
    convert(*arguments, "-o", tmp_path / "out.onnx")
    assert "channels reordered" in capsys.readouterr().out
    convert(*arguments, "-o", tmp_path / "kept.onnx", "--keep-order")
    assert "channels reordered" not in capsys.readouterr().out
    assert (tmp_path / "out.onnx").read_bytes() != (tmp_path / "kept.onnx").read_bytes()
    logits = []
    for name in ("out.onnx", "kept.onnx"):
        with Accelerator(DEVICE) as accelerator:
            accelerator.load(Network.from_onnx(tmp_path / name))
            logits.append(accelerator.infer(random_pixels(5, seed=3)))
    assert np.array_equal(logits[0], logits[1])


def test_labels_from_a_file(capsys: Capture, tmp_path: Path, float_file: Path, labelled: Path) -> None:
    (tmp_path / "labels.txt").write_text("one\ntwo\n\nthree\nfour\n")
    np.savez(tmp_path / "set.npz", images=random_pixels(8), labels=np.zeros(8, int))
    convert(float_file, "--calibrate", tmp_path / "set.npz", "-o", tmp_path / "out.onnx", "--labels",
            tmp_path / "labels.txt", "--method", "percentile", "--percentile", "99.9", "--equalise", "layer",
            "--device", DEVICE)  # fmt: skip
    assert Network.from_onnx(tmp_path / "out.onnx").labels == ("one", "two", "three", "four")


def test_report_folder_that_cannot_be_made(tmp_path: Path, float_file: Path) -> None:
    np.savez(tmp_path / "set.npz", images=random_pixels(8), labels=np.zeros(8, int))
    options = FloatOptions(method="percentile", percentile=99.9, device=DEVICE, equalisation="channel")
    report = convert_float(float_file, tmp_path / "out.onnx", tmp_path / "set.npz", options=options)
    with pytest.raises(PynqSnnError, match="give another --report folder"):
        write_report(report, tmp_path / "set.npz" / "folder")


def test_convert_a_nir_file(capsys: Capture, tmp_path: Path) -> None:
    nir = pytest.importorskip("nir", reason="NIR files need the nir package: pip install 'pynq-snn[nir]'")
    weights = np.array([[1.0, -1.0, 0.5], [0.5, 1.0, -0.5]])
    neuron = nir.IF(r=np.full(2, 1.0 / 1e-3), v_threshold=np.ones(2), v_reset=np.zeros(2))
    nir.write(str(tmp_path / "net.nir"), nir.NIRGraph.from_list(
        nir.Input(np.array([3])), nir.Affine(weights, np.zeros(2)), neuron, nir.Output(np.array([2]))
    ))  # fmt: skip
    arguments = (tmp_path / "net.nir", "-o", tmp_path / "out.onnx", "--dt", "1e-3", "--timesteps", "12", "--reset",
                 "soft", "--fires", "at", "--labels", "left,right")  # fmt: skip
    convert(*arguments, "--json")
    result = json.loads(capsys.readouterr().out)
    assert (result["timesteps"], result["reset"], result["fires"], result["leak_shift"]) == (12, "soft", "at", 0)
    convert(*arguments)
    text = capsys.readouterr().out
    assert "T=12, stepwise firing" in text and "class scores are the spikes" in text and "changed by int8" in text
    network = Network.from_onnx(tmp_path / "out.onnx")
    assert (network.labels, network.firing, network.timesteps) == (("left", "right"), "stepwise", 12)
