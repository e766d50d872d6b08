"""Initial potentials channel by channel: what a file says, what the devices do with it, and how they are calibrated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pynq_snn.accelerator import Accelerator
from pynq_snn.cli import main
from pynq_snn.convert.channel_ties import ChannelTies
from pynq_snn.convert.potentials import FINE_STEPS, PotentialReport, _find_start, _fire, calibrate_model
from pynq_snn.convert.rewriting import read_potentials, write_potentials
from pynq_snn.devices import available
from pynq_snn.encode import spike_counts
from pynq_snn.errors import DatasetError, ModelError
from pynq_snn.importer import import_network
from pynq_snn.network import POTENTIAL_STEPS, Network, TrainedNetwork
from pynq_snn.onnx_reader import parse_onnx
from tests.networks import EXAMPLES, NetworkBuilder, random_input, to_events, trained_networks
from tests.onnx_models import to_onnx

DEVICES = [name for name in ("reference", "kernel") if available()[name] is None]
DEVICE = DEVICES[-1]


def random_potentials(trained: TrainedNetwork, seed: int) -> list[list[int]]:
    random = np.random.default_rng(seed)
    layers = [layer for layer in trained.layers if layer.has_neurons]
    return [random.integers(0, POTENTIAL_STEPS + 1, layer.output_shape[0]).tolist() for layer in layers]


def with_potentials(trained: TrainedNetwork, potentials: list[Any]) -> bytes:
    model = to_onnx(trained)
    write_potentials(model, potentials)
    data: bytes = model.SerializeToString()
    return data


def plain_network(trained: TrainedNetwork, firing: str) -> Network:
    """Return what a file without potentials holds: its scales are float32, those of `trained` float64."""
    return Network.from_onnx(parse_onnx(to_onnx(trained).SerializeToString()), firing=firing)


def run(network: Network, inputs: np.ndarray, device: str = DEVICE) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return logits, and the spike counts of every hidden layer, [N, channels, height, width]."""
    logits, counts = [], []
    with Accelerator(device) as accelerator:
        accelerator.load(network, keep_maps=True)
        for picture in inputs:
            infer = accelerator.infer if network.input_kind == "pixels" else accelerator.infer_events
            logits.append(infer(picture if network.input_kind == "pixels" else to_events(picture)))
            maps = [(layer, accelerator.spike_map(layer.name)) for layer in network.layers[:-1]]
            counts.append([
                spike_counts(planes, network.coding(0))[: layer.output_shape[0]] for layer, planes in maps
            ])  # fmt: skip
    return np.stack(logits), [np.stack(maps) for maps in zip(*counts, strict=True)]


# --- files ------------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(trained=trained_networks(), seed=st.integers(0, 2**32 - 1))
def test_a_file_sets_the_potential_of_each_channel(trained: TrainedNetwork, seed: int) -> None:
    potentials = random_potentials(trained, seed)
    trained = replace(trained, fires="at")
    network = Network.from_onnx(parse_onnx(with_potentials(trained, potentials)), firing="stepwise")
    plain = plain_network(trained, "stepwise")
    given_lists = iter(potentials)
    for layer, before, source in zip(network.layers, plain.layers, trained.layers, strict=True):
        assert np.array_equal(layer.threshold, before.threshold) or layer.fraction_bits != before.fraction_bits
        if source.has_neurons:
            wanted = layer.threshold * (np.array(next(given_lists)) / POTENTIAL_STEPS)
            assert np.abs(layer.initial - wanted).max() <= 1  # rounded once from the real threshold
    assert next(given_lists, None) is None


@pytest.mark.parametrize("name", EXAMPLES)
def test_deferred_firing_does_not_look_at_them(name: str) -> None:
    trained = EXAMPLES[name]()
    data = with_potentials(trained, random_potentials(trained, 1))
    network, plain = Network.from_onnx(parse_onnx(data), firing="deferred"), plain_network(trained, "deferred")
    for layer, before in zip(network.layers, plain.layers, strict=True):
        assert np.array_equal(layer.initial, before.initial)


@pytest.mark.parametrize("name", EXAMPLES)
def test_half_everywhere_is_what_a_file_without_them_means(name: str) -> None:
    trained = EXAMPLES[name]()
    half = [[POTENTIAL_STEPS // 2] * len(values) for values in random_potentials(trained, 1)]
    network = Network.from_onnx(parse_onnx(with_potentials(trained, half)), firing="stepwise")
    for layer, before in zip(network.layers, plain_network(trained, "stepwise").layers, strict=True):
        assert np.array_equal(layer.initial, before.initial)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", EXAMPLES)
def test_devices_start_from_them(name: str, device: str) -> None:
    trained = EXAMPLES[name]()
    network = Network.from_onnx(parse_onnx(with_potentials(trained, random_potentials(trained, 2))), firing="stepwise")
    inputs = random_input(trained, 3, 2)
    logits, counts = run(network, inputs, device)
    reference, reference_counts = run(network, inputs, "reference")
    assert np.array_equal(logits, reference)
    assert all(np.array_equal(*pair) for pair in zip(counts, reference_counts, strict=True))
    _, plain = run(plain_network(trained, "stepwise"), inputs, device)
    assert any(not np.array_equal(*pair) for pair in zip(counts, plain, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lists: lists[:-1], "1 lists for 2 layers that fire"),
        (lambda lists: [lists[0][:-1], *lists[1:]], "values for"),
        (lambda lists: [[POTENTIAL_STEPS + 1, *lists[0][1:]], *lists[1:]], "whole numbers, 0 to 256"),
        (lambda lists: [[-1, *lists[0][1:]], *lists[1:]], "whole numbers, 0 to 256"),
        (lambda lists: [[0.5, *lists[0][1:]], *lists[1:]], "whole numbers, 0 to 256"),
        (lambda lists: [[True, *lists[0][1:]], *lists[1:]], "whole numbers, 0 to 256"),
        (lambda lists: lists[0], "whole numbers, 0 to 256"),
    ],
)
def test_lists_that_do_not_fit_are_refused(change: Any, message: str) -> None:
    trained = EXAMPLES["plain"]()
    lists = random_potentials(trained, 0)
    assert len(lists) == 2
    with pytest.raises(ModelError, match=f"metadata initial_potentials: .*{message}"):
        import_network(parse_onnx(with_potentials(trained, change(lists))))


@pytest.mark.parametrize("name", EXAMPLES)
def test_they_move_with_their_channels(name: str) -> None:
    trained = EXAMPLES[name]()
    data = with_potentials(trained, random_potentials(trained, 4))
    ties = ChannelTies(parse_onnx(data))
    random = np.random.default_rng(5)
    orders = {
        group: random.permutation(trained.layers[layers[0]].output_shape[0])
        for group, layers in ties.free_groups().items()
    }
    model = onnx.load_model_from_string(data)
    ties.reorder(model, orders)
    assert read_potentials(model) != read_potentials(onnx.load_model_from_string(data))
    inputs = random_input(trained, 6, 2)
    before = run(Network.from_onnx(parse_onnx(data), firing="stepwise"), inputs)[0]
    after = run(Network.from_onnx(parse_onnx(model.SerializeToString()), firing="stepwise"), inputs)[0]
    assert np.array_equal(before, after)


# --- calibration ------------------------------------------------------------------------------------------------------


def check_errors(report: PotentialReport, trained: TrainedNetwork, changed: bytes, inputs: Any) -> None:
    """Compare the errors that a report gives with those of the file that was written."""
    network = Network.from_onnx(parse_onnx(changed), firing="stepwise")
    found, wanted = run(network, inputs)[1], run(plain_network(trained, "deferred"), inputs)[1]
    names = [layer.name for layer in network.layers]
    for layer_name, (_, error) in report.count_errors.items():
        index = names.index(layer_name)
        # The calibration adds float32 where the core adds integers: a spike in a thousand may differ
        assert np.sqrt(np.square(found[index] - wanted[index]).mean()) == pytest.approx(error, abs=0.02)


@pytest.mark.parametrize("name", [name for name, build in EXAMPLES.items() if build().input_kind == "pixels"])
def test_spike_counts_come_closer_to_those_of_deferred_firing(name: str) -> None:
    trained = EXAMPLES[name]()
    data = to_onnx(trained).SerializeToString()
    inputs = random_input(trained, 0, 12)
    with Accelerator(DEVICE) as accelerator:
        changed, report = calibrate_model(data, inputs, accelerator)
        assert calibrate_model(data, inputs, accelerator) == (changed, report)
    assert report.pictures == 12 and report.timesteps == trained.timesteps
    assert all(after <= before for before, after in report.count_errors.values())
    if report.kept:
        assert changed == data and report.score_error[1] >= report.score_error[0]
        return
    assert report.score_error[1] < report.score_error[0]
    check_errors(report, trained, changed, inputs)


def test_more_pictures_than_memory_holds_make_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = EXAMPLES["strided_and_pooled"]()
    data = to_onnx(trained).SerializeToString()
    inputs = random_input(trained, 0, 12)
    parts = np.array_split(inputs, 3)

    def starts(changed: bytes) -> list[list[int]]:
        return read_potentials(onnx.load_model_from_string(changed))

    with Accelerator(DEVICE) as accelerator:
        monkeypatch.setattr("pynq_snn.convert.potentials._most_pictures", lambda network: 5)
        changed, report = calibrate_model(data, inputs, accelerator)
        alone = [calibrate_model(data, part, accelerator) for part in parts]
    assert report.pictures == 12 and not report.kept and not any(part.kept for _, part in alone)
    for mean, *single in zip(starts(changed), *[starts(part) for part, _ in alone], strict=True):
        assert np.abs(np.array(mean) - np.mean(single, axis=0)).max() <= 0.5
    check_errors(report, trained, changed, inputs)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), start=st.integers(0, POTENTIAL_STEPS))
def test_the_search_finds_the_start_that_counts_came_from(seed: int, start: int) -> None:
    random = np.random.default_rng(seed)
    currents = random.normal(0.3, 0.6, (16, 8, 1, 8, 8)).astype(np.float32)
    target = _fire(currents, np.array([start])).sum(axis=1).astype(np.uint8)
    found, (before, after) = _find_start(currents, np.array([POTENTIAL_STEPS // 2]), target)
    assert abs(int(found[0]) - start) <= FINE_STEPS[-1] and after <= before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hard_reset": True, "firing": "stepwise"}, "a hard reset has no deferred firing"),
        ({"leak_shift": 2, "firing": "stepwise"}, "a leak has no deferred firing"),
        ({"input_kind": "events"}, "reads events, but initial potentials are calibrated on pictures"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(options: dict[str, Any], message: str) -> None:
    builder = NetworkBuilder(1, (2, 6, 6), **options)
    builder.conv(8)
    data = to_onnx(builder.readout(3)).SerializeToString()
    with Accelerator(DEVICE) as accelerator, pytest.raises(ModelError, match=message):
        calibrate_model(data, np.zeros((1, 6, 6, 2), np.uint8), accelerator)


def test_pictures_are_needed() -> None:
    data = to_onnx(EXAMPLES["plain"]()).SerializeToString()
    with Accelerator(DEVICE) as accelerator, pytest.raises(DatasetError, match="no pictures to calibrate with"):
        calibrate_model(data, np.zeros((0, 8, 8, 3), np.uint8), accelerator)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    path = tmp_path / "set.npz"
    np.savez(path, images=random_input(EXAMPLES["residual"](), 4, 6), labels=np.zeros(6, int))
    return path


def test_the_command_writes_a_model(capsys: pytest.CaptureFixture[str], tmp_path: Path, pictures: Path) -> None:
    source, output = tmp_path / "net.onnx", tmp_path / "out.onnx"
    trained = EXAMPLES["residual"]()
    source.write_bytes(to_onnx(trained).SerializeToString())
    arguments = ["potentials", str(source), "--calibrate", str(pictures), "--device", DEVICE, "--pictures", "4"]
    assert main([*arguments, "-o", str(output), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["pictures"] == 4 and report["output"] == str(output)
    assert main([*arguments, "-o", str(output)]) == 0
    text = capsys.readouterr().out
    assert "class as under deferred firing" in text and f"wrote {output}" in text
    assert Network.from_onnx(output).layers[0].name == trained.layers[0].name
    assert main(["potentials", str(source), "--calibrate", str(pictures), "-o", str(tmp_path / "no" / "x.onnx")]) == 1
    assert "cannot be written" in capsys.readouterr().err
