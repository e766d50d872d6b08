"""From ONNX to a network: equal to onnxruntime where the file is good, one clear line where it is not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from onnx import helper, numpy_helper

from pynq_snn.accelerator import Accelerator
from pynq_snn.errors import ConversionWarning, ModelError, ProgramError
from pynq_snn.importer import import_network
from pynq_snn.network import Network, TrainedNetwork, integrate
from pynq_snn.onnx_reader import parse_onnx
from tests.networks import EXAMPLES, NetworkBuilder, plain, random_input, to_events, trained_networks
from tests.onnx_models import ModelWriter, metadata_of, to_onnx


def parse(model: onnx.ModelProto) -> TrainedNetwork:
    return import_network(parse_onnx(model.SerializeToString()))


def float_input(trained: TrainedNetwork, inputs: np.ndarray) -> np.ndarray:
    """Return what onnxruntime is to see, float32 [N, C, H, W]."""
    if trained.input_kind == "events":
        return inputs.mean(axis=1).astype(np.float32)
    mean, std = (np.array(values)[None, :, None, None] for values in (trained.mean, trained.std))
    return ((inputs.transpose(0, 3, 1, 2) / 255 - mean) / std).astype(np.float32)


def shared_scale_residual(**options: Any) -> TrainedNetwork:
    """A residual network whose two branches were trained on one grid."""
    builder = NetworkBuilder(8, (3, 8, 8), **options)
    stem = builder.conv(32)
    middle = builder.conv(48, stem, stride=2)
    index = builder.conv(48, middle, second=(stem, 1, 2))
    first, second = builder.layers[index].branches
    shared = dataclasses.replace(second, scale=first.scale)
    builder.layers[index] = dataclasses.replace(builder.layers[index], branches=(first, shared))
    return builder.readout(10, pool_all=True)


@pytest.mark.parametrize("name", [*(name for name in EXAMPLES if name != "residual"), "shared_scale_residual"])
@pytest.mark.parametrize("timesteps", [1, 4, 8])
def test_deferred_firing_equals_onnxruntime(name: str, timesteps: int) -> None:
    build: Callable[..., TrainedNetwork] = EXAMPLES.get(name, shared_scale_residual)
    model = to_onnx(build(timesteps=timesteps))
    trained = parse(model)
    network = integrate(trained)
    inputs = random_input(network, 1, 4)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {"input": float_input(trained, inputs)})
    with Accelerator("reference") as accelerator:
        accelerator.load(network)
        if network.input_kind == "pixels":
            logits = accelerator.infer(inputs)
        else:
            logits = accelerator.infer_events([to_events(item) for item in inputs])
    # One count that falls differently at a rounding tie would show as thousands of times this
    assert np.abs(network.scores(logits) - expected).max() < 2e-4


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(trained=trained_networks())
def test_import_returns_what_was_written(trained: TrainedNetwork) -> None:
    found = parse(to_onnx(trained))
    for name in (
        "input_kind",
        "input_shape",
        "timesteps",
        "firing",
        "hard_reset",
        "leak_shift",
        "labels",
        "mean",
        "std",
    ):
        assert getattr(found, name) == getattr(trained, name)
    assert len(found.layers) == len(trained.layers)
    for mine, theirs in zip(found.layers, trained.layers, strict=True):
        assert mine.output_shape == theirs.output_shape
        assert mine.sources == theirs.sources
        assert mine.step == (theirs.step if theirs.max_pooling is None else 0.0)
        assert mine.max_pooling == theirs.max_pooling
        assert np.allclose(mine.offset, theirs.offset, rtol=1e-6)
        for left, right in zip(mine.branches, theirs.branches, strict=True):
            assert left.weights.shape == right.weights.shape
            mine_real, theirs_real = (b.weights * b.scale[:, None, None, None] for b in (left, right))
            assert np.allclose(mine_real, theirs_real, rtol=1e-6)
            assert (left.stride, left.padding, left.pool_before) == (right.stride, right.padding, right.pool_before)
            assert left.pool_after == right.pool_after


def test_macs_are_those_of_the_dense_network() -> None:
    network = integrate(parse(to_onnx(plain())))
    assert [layer.macs for layer in network.layers] == [3 * 40 * 9 * 63, 40 * 33 * 9 * 63, 33 * 63 * 10]


# --- files that are not good ---------------------------------------------------------------------------------------


def small_model(**changes: Any) -> onnx.ModelProto:
    """Conv, fire, Flatten, Gemm; keyword arguments override parts of it."""
    builder = NetworkBuilder(1, (3, 6, 6), **changes.pop("options", {}))
    builder.conv(4)
    return to_onnx(builder.readout(2))


def node_of(model: onnx.ModelProto, operator: str, which: int = 0) -> onnx.NodeProto:
    return [node for node in model.graph.node if node.op_type == operator][which]


def replace_constant(model: onnx.ModelProto, name: str, value: np.ndarray) -> None:
    for tensor in model.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(value, name))


def set_attribute(model: onnx.ModelProto, operator: str, **attributes: Any) -> None:
    node = node_of(model, operator)
    kept = [a for a in node.attribute if a.name not in attributes]
    del node.attribute[:]
    node.attribute.extend(kept + [helper.make_attribute(name, value) for name, value in attributes.items()])


def set_metadata(model: onnx.ModelProto, key: str, value: str | None) -> None:
    kept = {entry.key: entry.value for entry in model.metadata_props if entry.key != key}
    del model.metadata_props[:]
    helper.set_model_props(model, kept if value is None else {**kept, key: value})


@pytest.mark.parametrize(
    ("operator", "attributes", "message"),
    [
        ("Conv", {"group": 2}, r"Conv layer0: group=2 is not supported; use a convolution without groups"),
        ("Conv", {"dilations": [2, 2]}, r"Conv layer0: dilations=\[2, 2\] are not supported"),
        ("Conv", {"strides": [1, 2]}, r"Conv layer0: strides=\[1, 2\] are not supported; use 1 or 2"),
        ("Conv", {"strides": [3, 3]}, r"strides=\[3, 3\] are not supported"),
        ("Conv", {"strides": [0, 0]}, r"strides=\[0, 0\] are not supported"),
        ("Conv", {"pads": [1, 1, 0, 0]}, r"pads=\[1, 1, 0, 0\] are not supported"),
        ("Conv", {"pads": [-1, -1, -1, -1]}, r"pads=\[-1, -1, -1, -1\] are not supported"),
        ("Conv", {"pads": [99, 99, 99, 99]}, r"pads=\[99, 99, 99, 99\] exceed"),
        ("Conv", {"auto_pad": "SAME_UPPER"}, r"auto_pad=SAME_UPPER is not supported"),
        ("Conv", {"kernel_shape": [5, 5]}, r"kernel_shape=\[5, 5\] differs from weights"),
        ("Conv", {"strides": 1}, r"strides=1 is not a list of integers"),
        ("BatchNormalization", {"training_mode": 1}, r"training_mode=1"),
        ("BatchNormalization", {"epsilon": -2.0}, r"variance 1 is negative"),
        ("Flatten", {"axis": 2}, r"axis=2 is not supported; use 1"),
        ("Gemm", {"alpha": 0.5}, r"alpha=0.5 is not supported"),
        ("Gemm", {"transA": 1}, r"transA=1 is not supported"),
        ("DequantizeLinear", {"axis": 9}, r"axis=9 is out of range for 4 dimensions"),
    ],
    ids=str,
)
def test_attributes_that_are_not_supported(operator: str, attributes: dict[str, Any], message: str) -> None:
    if operator == "Gemm":
        builder = NetworkBuilder(1, (3, 9, 9))
        builder.conv(4)
        model = to_onnx(builder.readout(2))
    else:
        model = small_model()
    if operator == "Flatten" and not any(node.op_type == "Flatten" for node in model.graph.node):
        pytest.fail("the model has no Flatten")
    set_attribute(model, operator, **attributes)
    with pytest.raises(ModelError, match=message) as caught:
        parse(model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("operator", ["LeakyRelu", "Sigmoid", "ConvTranspose", "LSTM", "Resize"])
def test_operators_that_are_not_supported(operator: str) -> None:
    model = small_model()
    node_of(model, "BatchNormalization").op_type = operator
    with pytest.raises(ModelError, match=rf"operator {operator} is not supported; use Add, AveragePool"):
        parse(model)


@pytest.mark.parametrize(
    ("operator", "index", "value", "message"),
    [
        ("DequantizeLinear", 1, np.array([np.nan] * 4, np.float32), "its scale holds NaN or infinity"),
        ("DequantizeLinear", 1, np.array([1, 2, 3, 0], np.float32), "scale 0 is not positive"),
        ("DequantizeLinear", 1, np.array([1, 2, 3, -1], np.float32), "scale -1 is not positive"),
        ("DequantizeLinear", 1, np.ones(3, np.float32), r"3 scales do not match axis 0 of weights \[4, 3, 3, 3\]"),
        ("DequantizeLinear", 2, np.ones(4, np.int8), "its zero point is not 0"),
        ("DequantizeLinear", 0, np.zeros((4, 3, 3, 3), np.uint8), "its constant is uint8; weights must be int8"),
        ("DequantizeLinear", 0, np.zeros((4, 3, 9, 9), np.int8), "kernel 9x9 is not supported"),
        ("DequantizeLinear", 0, np.zeros((4, 3, 3, 1), np.int8), "kernel 3x1 is not supported"),
        ("DequantizeLinear", 0, np.zeros((4, 5, 3, 3), np.int8), "expects 5 input channels but gets 3"),
        ("DequantizeLinear", 0, np.zeros((4, 3), np.int8), "are not two-dimensional kernels"),
        ("Conv", 1, np.zeros((4, 3, 3, 3), np.float32), "its weights are float32, not int8"),
        ("Conv", 1, np.full((4, 3, 3, 3), np.nan, np.float32), "its weights hold NaN or infinity"),
        ("BatchNormalization", 1, np.full(4, np.inf, np.float32), "its scale holds NaN or infinity"),
        ("BatchNormalization", 4, np.full(4, -1, np.float32), "variance -1 is negative"),
        ("BatchNormalization", 1, np.ones(5, np.float32), "its parameters do not have 4 channels"),
        ("QuantizeLinear", 1, np.array(0, np.float32), "scale 0 is not positive"),
        ("QuantizeLinear", 1, np.ones(4, np.float32), "has 4 scales; a layer has one threshold"),
        ("QuantizeLinear", 1, np.array(0.5, np.float32), r"scale 0.25 differs from its QuantizeLinear's 0.5"),
        ("QuantizeLinear", 2, np.array(0, np.int8), "quantises activations to int8; use uint8"),
        ("QuantizeLinear", 2, np.array(3, np.uint8), "its zero point is not 0"),
        ("Clip", 2, np.array(7, np.uint8), r"Clip to 7 between .* expected Clip\(0, 8\)"),
        ("Clip", 1, np.array(1, np.uint8), "min=1 cuts off low spike counts"),
    ],
)
def test_constants_that_are_not_right(operator: str, index: int, value: np.ndarray, message: str) -> None:
    model = small_model()
    node = node_of(model, operator)
    model.graph.initializer.append(numpy_helper.from_array(value, "changed"))
    node.input[index] = "changed"
    with pytest.raises(ModelError, match=message) as caught:
        parse(model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("timesteps", "0", "0 is out of range, 1 to 32"),
        ("timesteps", "many", "'many' is not a whole number"),
        ("firing", "sometimes", "'sometimes' is not one of deferred, stepwise"),
        ("reset", "no", "'no' is not one of soft, hard"),
        ("leak_shift", "16", "16 is out of range"),
        ("mean", "[1, 2]", "2 means and 3 stds for 3 input channels"),
        ("mean", "[NaN, 0, 0]", "is not a list of numbers"),
        ("std", "[0.2, 0.2, 0]", "0 is not positive"),
        ("std", "hello", "'hello' is not JSON"),
        ("labels", '{"a": 1}', "is not a JSON list"),
        ("labels", '["one"]', "has 2 outputs but metadata labels names 1"),
        ("input_size", "[6, 7]", r"is \[6, 6\] but metadata input_size is \[6, 7\]"),
        ("input_size", "[6]", r"\[6\] is not \[height, width\]"),
    ],
)
def test_metadata_that_is_not_right(key: str, value: str | None, message: str) -> None:
    model = small_model()
    set_metadata(model, key, value)
    with pytest.raises(ModelError, match=message):
        parse(model)


def writer_with_layer() -> tuple[ModelWriter, str]:
    """A writer with one layer of 4 channels on a 3x6x6 input, and the name of its spikes."""
    writer = ModelWriter()
    weights = writer.weights(np.ones((4, 3, 3, 3), np.int8), np.full(4, 0.01))
    return writer, writer.fire(writer.node("Conv", "input", weights, pads=[1] * 4), 0.25, 8)


def finish(writer: ModelWriter, source: str, inputs: int) -> onnx.ModelProto:
    weights = writer.weights(np.ones((2, inputs), np.int8), np.full(1, 0.01, np.float32))
    output = writer.node("Gemm", writer.node("Flatten", source), weights, transB=1)
    metadata = metadata_of(NetworkBuilder(1, (3, 6, 6)).readout(2, source=-1))
    return writer.model(output, ("N", 3, 6, 6), metadata, 2)


def spikes_plus_spikes() -> onnx.ModelProto:
    writer, spikes = writer_with_layer()
    return finish(writer, writer.node("Add", spikes, spikes), 144)


def two_linear_layers() -> onnx.ModelProto:
    writer, spikes = writer_with_layer()
    first = writer.node("Conv", spikes, writer.weights(np.ones((4, 4, 1, 1), np.int8), np.ones(4)))
    return finish(writer, writer.node("Conv", first, writer.weights(np.ones((4, 4, 1, 1), np.int8), np.ones(4))), 144)


def shapes_that_do_not_add() -> onnx.ModelProto:
    writer, spikes = writer_with_layer()
    conv = writer.node("Conv", spikes, writer.weights(np.ones((4, 4, 3, 3), np.int8), np.ones(4)))
    return finish(writer, writer.fire(writer.node("Add", conv, spikes), 0.25, 8), 64)


def wrong_number_of_inputs() -> onnx.ModelProto:
    writer, spikes = writer_with_layer()
    return finish(writer, spikes, 100)


def padded_average() -> onnx.ModelProto:
    writer, spikes = writer_with_layer()
    return finish(writer, writer.node("AveragePool", spikes, kernel_shape=[2, 2], strides=[2, 2], pads=[1] * 4), 64)


def ends_in_spikes() -> onnx.ModelProto:
    writer, spikes = writer_with_layer()
    metadata = metadata_of(NetworkBuilder(1, (3, 6, 6)).readout(2, source=-1))
    return writer.model(spikes, ("N", 3, 6, 6), metadata)


def layer_that_leads_nowhere() -> onnx.ModelProto:
    writer, spikes = writer_with_layer()
    weights = writer.weights(np.ones((4, 4, 1, 1), np.int8), np.ones(4))
    writer.fire(writer.node("Conv", spikes, weights, name="lost"), 0.25, 8)
    return finish(writer, spikes, 144)


def no_clip() -> onnx.ModelProto:
    writer = ModelWriter()
    weights = writer.weights(np.ones((4, 3, 3, 3), np.int8), np.full(4, 0.01))
    scale, zero = writer.constant(np.array(0.25, np.float32)), writer.constant(np.array(0, np.uint8))
    counts = writer.node("QuantizeLinear", writer.node("Conv", "input", weights, pads=[1] * 4), scale, zero)
    return finish(writer, writer.node("DequantizeLinear", counts, scale, zero), 144)


def symbolic_size() -> onnx.ModelProto:
    model = small_model()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    set_metadata(model, "input_size", None)
    return model


def relu_before_add() -> onnx.ModelProto:
    writer, spikes = writer_with_layer()
    weights = writer.weights(np.ones((4, 4, 1, 1), np.int8), np.ones(4))
    return finish(
        writer,
        writer.fire(writer.node("Add", writer.node("Relu", writer.node("Conv", spikes, weights)), spikes), 0.25, 8),
        144,
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (spikes_plus_spikes, "adds spikes to spikes"),
        (two_linear_layers, "reads the unquantised output of .*; put QuantizeLinear, Clip"),
        (shapes_that_do_not_add, r"adds shapes \[4, 4, 4\] and \[4, 6, 6\]; they must agree"),
        (wrong_number_of_inputs, "expects 100 inputs but gets 4x6x6 = 144"),
        (padded_average, r"pads=\[1, 1, 1, 1\] are not supported; pool without padding"),
        (ends_in_spikes, "is not a sum of weighted spikes; end the network with Gemm"),
        (layer_that_leads_nowhere, "layer lost leads nowhere"),
        (no_clip, r"no Clip between QuantizeLinear and DequantizeLinear; expected Clip\(0, 8\)"),
        (symbolic_size, "fix channels, height and width, or set metadata input_size"),
        (relu_before_add, "comes after a MaxPool, Relu or Clip"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_graphs_that_do_not_fit(build: Callable[[], onnx.ModelProto], message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        parse(build())
    assert "\n" not in str(caught.value)


def test_brevitas_style_weights() -> None:
    """Weights that the file quantises at run time give the same network as stored int8 weights."""
    trained = plain()
    model = to_onnx(trained)
    expected = parse(model)
    node = node_of(model, "DequantizeLinear")
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    scale = values[node.input[1]]
    real = (values[node.input[0]].astype(np.float32) * scale[:, None, None, None]).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(real, "real"))
    limits = [numpy_helper.from_array(np.array(v, np.int8), n) for v, n in ((-127, "low"), (127, "high"))]
    model.graph.initializer.extend(limits)
    quantize = helper.make_node("QuantizeLinear", ["real", node.input[1], node.input[2]], ["q"], axis=0)
    clip = helper.make_node("Clip", ["q", "low", "high"], ["clipped"])
    node.input[0] = "clipped"
    for extra in (clip, quantize):
        model.graph.node.insert(0, extra)
    found = parse(model)
    assert np.array_equal(found.layers[0].branches[0].weights, expected.layers[0].branches[0].weights)


def test_a_max_pool_before_the_activation_comes_after_it() -> None:
    writer = ModelWriter()
    weights = writer.weights(np.full((4, 3, 3, 3), 9, np.int8), np.full(4, 0.01))
    conv = writer.node("Conv", "input", weights, pads=[1] * 4)
    pooled = writer.node("MaxPool", conv, kernel_shape=[2, 2], strides=[2, 2])
    network = parse(finish(writer, writer.fire(pooled, 0.25, 8), 36))
    assert [layer.kind for layer in network.layers] == ["convolution", "max_pool", "readout"]
    assert network.layers[0].output_shape == (4, 6, 6)
    assert network.layers[1].output_shape == (4, 3, 3)


# --- from trained to integers --------------------------------------------------------------------------------------


def test_std_that_differs_between_channels_warns_and_stays_close() -> None:
    trained = plain()
    uneven = dataclasses.replace(trained, std=(0.25, 0.2, 0.3))
    with pytest.warns(ConversionWarning, match="std differs between input channels"):
        network = integrate(uneven)
    model = to_onnx(uneven)
    images = random_input(network, 2, 4)
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(
        None, {"input": float_input(uneven, images)}
    )
    with Accelerator("reference") as accelerator:
        accelerator.load(network)
        scores = network.scores(accelerator.infer(images))
    assert np.corrcoef(scores.ravel(), expected.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(
    ("options", "arguments", "message"),
    [
        (
            {"leak_shift": 2, "firing": "stepwise"},
            {"firing": "deferred"},
            "no meaning with a leak; use --firing stepwise",
        ),
        ({"hard_reset": True, "firing": "stepwise"}, {"firing": "deferred"}, "no meaning with hard reset"),
        ({}, {"firing": "late"}, "firing order 'late' is not known"),
        ({}, {"timesteps": 0}, "timesteps=0 is out of range"),
        ({}, {"timesteps": 33}, "timesteps=33 is out of range; use 1 to 32"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        integrate(plain(**options), **arguments)


def with_scale(trained: TrainedNetwork, factor: float) -> TrainedNetwork:
    """Return `trained` with the weights of its second layer scaled."""
    layer = trained.layers[1]
    branches = tuple(dataclasses.replace(b, scale=b.scale * factor) for b in layer.branches)
    layers = (trained.layers[0], dataclasses.replace(layer, branches=branches), *trained.layers[2:])
    return dataclasses.replace(trained, layers=layers)


def test_thresholds_that_are_too_small_for_integers_are_refused() -> None:
    with pytest.raises(ProgramError, match="layer1: the threshold of channel .* too small for integers"):
        integrate(with_scale(plain(), 1e6))


def test_potentials_that_could_leave_int32_are_refused() -> None:
    with pytest.raises(ProgramError, match="layer1: the membrane potential could leave int32 at T=8"):
        integrate(with_scale(plain(), 1e-6))


def test_fraction_bits_fall_before_a_network_is_refused() -> None:
    bits = [integrate(with_scale(plain(), 10.0**-power)).layers[1].fraction_bits for power in range(6)]
    assert bits[0] == 8
    assert bits == sorted(bits, reverse=True)
    assert bits[-1] < 8


def test_channels_without_weights_still_follow_their_bias() -> None:
    trained = plain()
    layer = trained.layers[1]
    weights = layer.branches[0].weights.copy()
    weights[::2] = 0
    offset = layer.offset.copy()
    offset[0], offset[2] = 1.0, -1.0  # half of the threshold V = 2 at each timestep, and never
    changed = dataclasses.replace(
        layer, branches=(dataclasses.replace(layer.branches[0], weights=weights),), offset=offset
    )
    network = integrate(dataclasses.replace(trained, layers=(trained.layers[0], changed, trained.layers[2])))
    with Accelerator("reference") as accelerator:
        accelerator.load(network, keep_maps=True)
        accelerator.infer(random_input(network, 3, 1))
        spike_map = accelerator.spike_map("layer1")
    counts = spike_map[:, [0, 2]].astype(int)
    values = np.tensordot(1 << np.arange(len(counts) - 1, -1, -1), counts, axes=1)
    assert (values[0] == 4).all() and (values[1] == 0).all()


def test_network_from_graph_and_options() -> None:
    graph = parse_onnx(to_onnx(plain()).SerializeToString())
    network = Network.from_onnx(graph, timesteps=3, firing="stepwise")
    assert (network.timesteps, network.trained_timesteps, network.firing) == (3, 8, "stepwise")
    assert json.loads(json.dumps(network.labels)) == [str(i) for i in range(10)]
