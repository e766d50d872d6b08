"""Spike events from files, by the library and by the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pynq_snn.accelerator import Accelerator
from pynq_snn.cli import main
from pynq_snn.encode import to_events
from pynq_snn.errors import RecordingError
from pynq_snn.network import Network, integrate
from pynq_snn.nir_import import convert_nir
from pynq_snn.recordings import load_events
from tests.networks import from_events, plain, random_input
from tests.nir_reference import integers, write

NETWORK = integrate(from_events(timesteps=4))
SPIKES = random_input(NETWORK, 5, 1)[0]


def save(array: Any, path: Path) -> Path:
    np.save(path, array)
    return path


@pytest.mark.parametrize(
    "convert", [np.asarray, np.uint8, np.int64, to_events, lambda s: to_events(s).astype(np.uint16)]
)
def test_spikes_and_address_events_are_the_same_events(convert: Callable[[Any], Any], tmp_path: Path) -> None:
    found = load_events(save(convert(SPIKES), tmp_path / "events.npy"), NETWORK)
    assert found.dtype == np.int64 and np.array_equal(found, to_events(SPIKES))


def test_a_window_may_be_empty(tmp_path: Path) -> None:
    assert load_events(save(np.zeros((0, 4), int), tmp_path / "events.npy"), NETWORK).shape == (0, 4)
    assert load_events(save(np.zeros_like(SPIKES), tmp_path / "events.npy"), NETWORK).shape == (0, 4)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (SPIKES.astype(np.float32), "float32"),
        (SPIKES[:-1], "reads windows of"),
        (SPIKES[..., None], "reads windows of"),
        (SPIKES * np.uint8(2), "from 0 to 2"),
        (-SPIKES.astype(np.int8), "from -1 to 0"),
        (np.zeros((3, 5), int), "expected spikes"),
        (np.int64(3), "expected spikes"),
        (np.ones((3, 4), bool), "reads windows of"),
        (np.array(["spike"]), "expected spikes"),
    ],
)
def test_other_arrays_are_refused(array: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=message):
        load_events(save(array, tmp_path / "events.npy"), NETWORK)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array at all", b"\x80\x04N."])
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "events.npy"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"events.npy: is no \.npy file"):
        load_events(path, NETWORK)


def test_a_cut_off_file_is_refused(tmp_path: Path) -> None:
    path = save(SPIKES, tmp_path / "events.npy")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RecordingError, match=r"is no \.npy file"):
        load_events(path, NETWORK)


def test_an_archive_of_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "events.npz", SPIKES)
    path = (tmp_path / "events.npz").rename(tmp_path / "events.npy")
    with pytest.raises(RecordingError, match=r"is no \.npy file"):
        load_events(path, NETWORK)


def test_objects_in_a_file_are_not_executed(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="Python objects"):
        load_events(save(np.array([print, None], object), tmp_path / "events.npy"), NETWORK)


def test_missing_files_and_networks_for_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file"):
        load_events(tmp_path / "events.npy", NETWORK)
    with pytest.raises(RecordingError, match="reads pictures, not events"):
        load_events(save(SPIKES, tmp_path / "events.npy"), integrate(plain()))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return a converted NIR file: neurons that fire above five weights of 1 in timesteps of 1e-4 s (the default)."""
    nir = pytest.importorskip("nir")
    nodes = {
        "input": nir.Input({"input": np.array([2, 4, 4])}),
        "conv": nir.Conv2d((4, 4), integers(1, 3, 2, 4, 4, low=0, high=3), 1, 0, 1, 1, np.zeros(3, np.float32)),
        "neurons": nir.IF(r=np.ones((3, 1, 1), np.float32), v_threshold=np.full((3, 1, 1), 5e-4, np.float32)),
        "output": nir.Output({"output": np.array([3, 1, 1])}),
    }
    file = write(
        nir.NIRGraph(nodes, [("input", "conv"), ("conv", "neurons"), ("neurons", "output")]), tmp_path / "net.nir"
    )
    convert_nir(file, tmp_path / "net.onnx", timesteps=4)
    return tmp_path / "net.onnx"


@pytest.mark.parametrize("device", ["reference", "kernel"])
def test_the_command_line_answers_like_the_library(
    device: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spikes = np.random.default_rng(2).random((4, 2, 4, 4)) < 0.4
    file = save(spikes, tmp_path / "events.npy")
    assert main(["run", str(file), "--model", str(model), "--device", device, "--json"]) == 0
    with Accelerator(device) as accelerator:
        accelerator.load(Network.from_onnx(model))
        expected = accelerator.infer_events(to_events(spikes))
    assert json.loads(capsys.readouterr().out)["logits"] == expected.tolist()
    assert expected.any()


def test_a_picture_for_a_network_that_reads_events_is_refused_with_the_remedy(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(tmp_path / "cat.png"), "--model", str(model)]) == 1
    assert "reads events, not pictures; give it a .npy file" in capsys.readouterr().err
