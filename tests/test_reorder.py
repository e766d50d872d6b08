"""Channels in another order: the same spikes and logits, fewer cycles, and files that differ in constants only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from pynq_snn.accelerator import Accelerator
from pynq_snn.cli import main
from pynq_snn.convert.channel_order import BANK_PORTS, BANKS, bank_cycles, find_order
from pynq_snn.convert.channel_ties import ChannelTies
from pynq_snn.convert.reorder import reorder_file, reorder_model
from pynq_snn.convert.rewriting import read_potentials, write_potentials
from pynq_snn.devices import available
from pynq_snn.errors import DatasetError, ModelError
from pynq_snn.importer import GraphWalk
from pynq_snn.models import shipped_models
from pynq_snn.network import FIRING_ORDERS, Network, TrainedNetwork, integrate
from pynq_snn.onnx_reader import parse_onnx
from pynq_snn.onnx_writer import QcdqWriter
from pynq_snn.synthetic import NetworkBuilder
from tests.conftest import ROOT
from tests.networks import EXAMPLES, random_input, run, trained_networks
from tests.onnx_models import to_onnx

DEVICES = [name for name in ("reference", "kernel") if available()[name] is None]
DEVICE = DEVICES[-1]


# --- orders -----------------------------------------------------------------------------------------------------------


def by_hand(spikes: np.ndarray) -> int:
    """Return the cycles of `bank_cycles`, pair by pair."""
    cycles = 0
    for row in spikes:
        for start in range(0, len(row), 64):
            pair = row[start : start + 64]
            cycles += max(-(-int(pair[bank::8].sum()) // 2) for bank in range(8))
    return cycles


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(0, 40), st.floats(0, 1))
def test_an_order_holds_each_channel_once_and_never_costs_more(
    seed: int, channels: int, places: int, rate: float
) -> None:
    random = np.random.default_rng(seed)
    spikes = random.random((places, channels)) < rate * random.random(channels)
    order = find_order(spikes, tries=200, seed=seed)
    assert sorted(order) == list(range(channels))
    assert bank_cycles(spikes) == by_hand(spikes)
    assert bank_cycles(spikes[:, order]) == by_hand(spikes[:, order]) <= bank_cycles(spikes)
    assert (find_order(spikes, tries=200, seed=seed) == order).all()


def test_channels_that_fire_together_go_to_different_banks() -> None:
    spikes = np.zeros((10, 64), bool)
    spikes[:, ::8] = True  # all in bank 0
    assert bank_cycles(spikes) == 40
    assert bank_cycles(spikes[:, find_order(spikes)]) == 10


def test_the_banks_are_those_of_the_core() -> None:
    text = (ROOT / "hls" / "cycle_model.hpp").read_text("utf-8")
    declared = dict(re.findall(r"constexpr std::uint32_t (\w+) = (\d+);", text))
    assert (int(declared["WEIGHT_BANKS"]), int(declared["BANK_PORTS"])) == (BANKS, BANK_PORTS)


# --- whole networks ---------------------------------------------------------------------------------------------------


def shuffled(model: onnx.ModelProto, seed: int) -> tuple[bytes, ChannelTies, dict[int, np.ndarray]]:
    """Return a model's bytes with all channels that may move in a random order, and those orders."""
    data = model.SerializeToString()
    ties = ChannelTies(parse_onnx(data))
    random = np.random.default_rng(seed)
    orders = {
        group: random.permutation(ties.network.layers[layers[0]].output_shape[0])
        for group, layers in ties.free_groups().items()
    }
    changed = onnx.load_model_from_string(data)
    ties.reorder(changed, orders)
    return changed.SerializeToString(), ties, orders


def check_equal(trained: TrainedNetwork, seed: int, firing: str, device: str) -> None:
    model = to_onnx(trained)
    changed, ties, orders = shuffled(model, seed)
    before = integrate(ties.network, firing=firing)
    after = Network.from_onnx(parse_onnx(changed), firing=firing)
    inputs = random_input(before, seed, 2)
    wanted, wanted_maps, _ = run(before, inputs, device)
    found, found_maps, _ = run(after, inputs, device)
    assert np.array_equal(wanted, found)
    order_of = {layer: orders[group] for group, layers in ties.free_groups().items() for layer in layers}
    for index, order in order_of.items():
        assert np.array_equal(found_maps[index], wanted_maps[index][:, order])
    hidden = {index for layer in before.layers for index in layer.sources if index >= 0}
    pooled = {layer.max_pooling_source for layer in before.layers if layer.max_pooling is not None}
    assert hidden - pooled <= set(order_of)


def check_logits(before: bytes, after: bytes, inputs: np.ndarray, firing: str | None = None) -> None:
    wanted, found = (
        run(Network.from_onnx(parse_onnx(each), firing=firing), inputs, DEVICE)[0] for each in (before, after)
    )
    assert np.array_equal(wanted, found)


def firing_orders(trained: TrainedNetwork) -> list[str]:
    return ["stepwise"] if trained.hard_reset or trained.leak_shift else list(FIRING_ORDERS)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(trained=trained_networks(), seed=st.integers(0, 2**32 - 1), data=st.data())
def test_random_networks_compute_the_same(trained: TrainedNetwork, seed: int, data: Any) -> None:
    firing = data.draw(st.sampled_from(firing_orders(trained)))
    check_equal(trained, seed, firing, data.draw(st.sampled_from(DEVICES)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("firing", FIRING_ORDERS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_kind_of_layer_computes_the_same(name: str, firing: str, device: str) -> None:
    check_equal(EXAMPLES[name](), 3, firing, device)


def test_maps_that_are_added_or_pooled_have_one_order() -> None:
    ties = ChannelTies(parse_onnx(to_onnx(EXAMPLES["residual"]()).SerializeToString()))
    assert list(ties.free_groups().values()) == [[0, 2], [1], [3], [4]]
    ties = ChannelTies(parse_onnx(to_onnx(EXAMPLES["max_pooled"]()).SerializeToString()))
    assert list(ties.free_groups().values()) == [[0, 1], [2]]


def skewed(channels: int = 64, **options: Any) -> TrainedNetwork:
    """Return a network whose loud channels all stand in one bank."""
    builder = NetworkBuilder(2, (3, 8, 8), **options)
    first = builder.conv(channels)
    builder.layers[first].offset[:] = np.where(np.arange(channels) % BANKS == 0, 4.0, -8.0)
    builder.conv(33)
    return builder.readout(10)


@pytest.mark.parametrize("firing", FIRING_ORDERS)
def test_a_better_order_takes_fewer_cycles(firing: str) -> None:
    trained = skewed(firing=firing)
    data = to_onnx(trained).SerializeToString()
    pixels = random_input(trained, 0, 4)
    with Accelerator(DEVICE) as accelerator:
        changed, report = reorder_model(data, pixels, accelerator)
        assert reorder_model(data, pixels, accelerator)[0] == changed
    assert report.firing == firing
    assert all(group.bank_cycles[1] <= group.bank_cycles[0] for group in report.groups)
    assert 2 * report.groups[0].bank_cycles[1] < report.groups[0].bank_cycles[0]
    if DEVICE == "kernel":
        assert report.cycles is not None and report.cycles[1] < 0.95 * report.cycles[0]
    others = random_input(trained, 1, 4)
    for order in FIRING_ORDERS:
        check_logits(data, changed, others, order)


def test_a_device_without_cycles_says_nothing_about_them() -> None:
    trained = skewed(16)
    with Accelerator("reference") as accelerator:
        _, report = reorder_model(to_onnx(trained).SerializeToString(), random_input(trained, 0, 1), accelerator)
    assert report.cycles is None and "of a picture" not in report.summary()


# --- files ------------------------------------------------------------------------------------------------------------


def without_values(data: bytes) -> bytes:
    """Return a model with its constants and initial potentials emptied: names, types and sizes stay."""
    model = onnx.load_model_from_string(data)
    if read_potentials(model):
        write_potentials(model, [])
    for tensor in model.graph.initializer:
        tensor.raw_data = b""
    result: bytes = model.SerializeToString()
    return result


@pytest.mark.parametrize("name", shipped_models())
def test_shipped_models_can_be_reordered(name: str) -> None:
    """What the training scripts write; onnxruntime names the same classes."""
    model = onnx.load(str(shipped_models()[name]))
    changed, ties, orders = shuffled(model, 1)
    assert len(orders) == {"resnet18": 12, "vgg11": 8}[name]
    assert without_values(changed) == without_values(model.SerializeToString())
    values = np.random.default_rng(0).normal(0, 1, (4, *ties.network.input_shape)).astype(np.float32)
    scores = [
        onnxruntime.InferenceSession(each, providers=["CPUExecutionProvider"]).run(None, {"input": values})[0]
        for each in (model.SerializeToString(), changed)
    ]
    assert np.array_equal(scores[0].argmax(axis=1), scores[1].argmax(axis=1))


def test_flattened_maps_move_in_blocks_of_places() -> None:
    """What `QcdqWriter` writes."""
    random = np.random.default_rng(5)
    writer = QcdqWriter("mine", (1, 6, 5), timesteps=4, labels=("a", "b", "c"))
    weights = random.integers(-90, 90, (10, 1, 3, 3)).astype(np.int8)
    writer.convolution("conv", weights, random.uniform(0.02, 0.05, 10), random.normal(0, 0.1, 10)).fire(1.0)
    weights = random.integers(-90, 90, (7, 10 * 4 * 3)).astype(np.int8)
    writer.linear("hidden", weights, random.uniform(0.002, 0.005, 7), random.normal(0, 0.1, 7)).fire(1.0)
    weights = random.integers(-90, 90, (3, 7)).astype(np.int8)
    data = writer.linear("scores", weights, np.full(3, 0.01), np.zeros(3)).to_bytes()
    changed, ties, orders = shuffled(onnx.load_model_from_string(data), 6)
    assert [len(order) for order in orders.values()] == [10, 7]
    pixels = random_input(ties.network, 0, 3)
    check_logits(data, changed, pixels)


def in_constant_nodes(model: onnx.ModelProto, attribute: str) -> onnx.ModelProto:
    """Move biases and the like into Constant nodes."""
    moved = [tensor for tensor in model.graph.initializer if tensor.data_type == 1 and len(tensor.dims) == 1]
    nodes = []
    for tensor in moved:
        value = tensor if attribute == "value" else numpy_helper.to_array(tensor).tolist()
        nodes.append(helper.make_node("Constant", [], [tensor.name], **{attribute: value}))
    kept = [tensor for tensor in model.graph.initializer if tensor not in moved]
    everything = nodes + list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(everything)
    return model


def test_constants_may_be_nodes() -> None:
    model = in_constant_nodes(to_onnx(EXAMPLES["plain"]()), "value")
    changed, ties, _ = shuffled(model, 2)
    pixels = random_input(ties.network, 0, 2)
    check_logits(model.SerializeToString(), changed, pixels)
    with pytest.raises(ModelError, match="is a list in an attribute.*save it as an initializer"):
        shuffled(in_constant_nodes(to_onnx(EXAMPLES["plain"]()), "value_floats"), 2)


def test_constants_that_two_layers_share_tie_their_orders() -> None:
    model = to_onnx(skewed(33))
    convolutions = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    assert len(convolutions) == 2
    convolutions[1].input[2] = convolutions[0].input[2]
    changed, ties, orders = shuffled(model, 4)
    assert list(ties.free_groups().values()) == [[0, 1]] and len(orders) == 1
    pixels = random_input(ties.network, 0, 2)
    check_logits(model.SerializeToString(), changed, pixels)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_an_operator_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the importer learn an operator, this one has to learn what it does to channels."""
    original = GraphWalk.__init__

    def taught(self: GraphWalk, graph: Any) -> None:
        original(self, graph)
        self.handlers["Shuffle"] = self._pass_through

    monkeypatch.setattr(GraphWalk, "__init__", taught)
    for operator in ("Relu", "DequantizeLinear"):
        model = to_onnx(EXAMPLES["plain"]())
        node = next(node for node in model.graph.node if node.op_type == operator or operator == "Relu")
        shuffle = helper.make_node("Shuffle", [node.output[0]], ["shuffled"], name="culprit")
        for reader in model.graph.node:
            reader.input[:] = ["shuffled" if name == node.output[0] else name for name in reader.input]
        model.graph.node.append(shuffle)
        with pytest.raises(ModelError, match="Shuffle culprit: "):
            ChannelTies(parse_onnx(model.SerializeToString()))


def test_events_and_no_pictures_are_refused() -> None:
    with Accelerator(DEVICE) as accelerator:
        data = to_onnx(EXAMPLES["from_events"]()).SerializeToString()
        with pytest.raises(ModelError, match="reads events, .*keep the file as it is"):
            reorder_model(data, np.zeros((1, 8, 6, 2), np.uint8), accelerator)
        with pytest.raises(DatasetError, match="give some with --calibrate"):
            reorder_model(to_onnx(skewed(8)).SerializeToString(), np.zeros((0, 8, 8, 3), np.uint8), accelerator)


# --- the command ------------------------------------------------------------------------------------------------------

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    path = tmp_path / "set.npz"
    np.savez(path, images=random_input(skewed(8), 4, 6), labels=np.zeros(6, int))
    return path


def test_reorder_writes_a_model_that_answers_the_same(capsys: Capture, tmp_path: Path, pictures: Path) -> None:
    source, output, again = (tmp_path / name for name in ("net.onnx", "out.onnx", "again.onnx"))
    source.write_bytes(to_onnx(skewed()).SerializeToString())
    arguments = ["reorder", str(source), "--calibrate", str(pictures), "--device", DEVICE, "--pictures", "4"]
    assert main([*arguments, "-o", str(output), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["pictures"], result["device"], result["output"]) == (4, DEVICE, str(output))
    assert result["bank_cycles"][1] < result["bank_cycles"][0]
    assert [group["channels"] for group in result["groups"]] == [64, 33]
    assert main([*arguments, "-o", str(again)]) == 0
    text = capsys.readouterr().out
    assert "fullest bank" in text and "channels reordered: " in text and f"wrote {again}" in text
    assert output.read_bytes() == again.read_bytes() != source.read_bytes()
    pixels = random_input(skewed(), 9, 3)
    check_logits(source.read_bytes(), output.read_bytes(), pixels)


@pytest.mark.parametrize(
    ("model", "output", "message"),
    [
        ("none.onnx", "out.onnx", "no such file"),
        ("net.onnx", "no/out.onnx", "cannot be written"),
        ("events.onnx", "out.onnx", "reads events"),
    ],
)
def test_reorder_says_what_is_wrong(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: Path, model: str, output: str,
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("net.onnx").write_bytes(to_onnx(skewed(8)).SerializeToString())
    Path("events.onnx").write_bytes(to_onnx(EXAMPLES["from_events"]()).SerializeToString())
    assert main(["reorder", model, "--calibrate", str(pictures), "-o", output, "--device", DEVICE]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not Path("out.onnx").exists()


def test_a_set_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(to_onnx(skewed(8)).SerializeToString())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError):
        reorder_file(tmp_path / "net.onnx", tmp_path / "out.onnx", tmp_path / "empty")
