"""Files of the package's own ONNX writer are sound ONNX, mean the same to onnxruntime, and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pynq_snn.accelerator import Accelerator
from pynq_snn.errors import ModelError
from pynq_snn.network import Network
from pynq_snn.onnx_writer import QcdqWriter

RANDOM = np.random.default_rng(9)


def weights(*shape: int) -> tuple[Any, Any, Any]:
    values = RANDOM.integers(-127, 128, shape).astype(np.int8)
    return (
        values,
        RANDOM.uniform(0.5, 1, shape[0]) / (60 * np.sqrt(np.prod(shape[1:]))),
        RANDOM.normal(0, 0.2, shape[0]),
    )


def pictures() -> QcdqWriter:
    writer = QcdqWriter("pictures", (3, 12, 10), timesteps=8, labels=("a", "b", "c"), mean=125 / 255, std=0.25)
    writer.convolution("first", *weights(7, 3, 3, 3), padding=1).fire(0.5).max_pool(2)
    writer.convolution("second", *weights(9, 7, 3, 3), stride=2).average_pool(2).fire(0.3)
    return writer.linear("scores", *weights(3, 9))


def places() -> QcdqWriter:
    writer = QcdqWriter(
        "places", (2, 8, 8), timesteps=4, labels=("x", "y"), input_kind="events", firing="stepwise", leak_shift=2
    )
    writer.convolution("edges", *weights(5, 2, 5, 5)[:2], padding=2).fire(0.2)
    return writer.global_pool().linear("scores", *weights(2, 5))


@pytest.mark.parametrize("make", [pictures, places])
def test_onnx_finds_nothing_to_complain_of(make: Any) -> None:
    onnx = pytest.importorskip("onnx")
    onnx.checker.check_model(onnx.load_from_string(make().to_bytes()), full_check=True)


def test_deferred_firing_is_what_onnxruntime_computes(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    path = pictures().save(tmp_path / "pictures.onnx")
    network = Network.from_onnx(path)
    images = RANDOM.integers(0, 256, (6, 12, 10, 3), np.uint8)
    with Accelerator("reference") as accelerator:
        accelerator.load(network)
        scores = network.scores(accelerator.infer(images))
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    normalised = ((images / 255 - 125 / 255) / 0.25).astype(np.float32).transpose(0, 3, 1, 2)
    (expected,) = session.run(None, {"input": normalised})
    assert np.abs(expected).max() > 0.1
    assert np.allclose(scores, expected, atol=0.02)


def test_metadata_arrives(tmp_path: Path) -> None:
    network = Network.from_onnx(places().save(tmp_path / "places.onnx"))
    assert (network.name, network.labels, network.timesteps) == ("places", ("x", "y"), 4)
    assert (network.input_kind, network.input_shape, network.firing) == ("events", (2, 8, 8), "stepwise")
    assert network.leak_shift == 2


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda writer: writer.linear("l", np.zeros((2, 3)), np.ones(2)), "weights are float64"),
        (lambda writer: writer.linear("l", np.zeros((2, 3, 1, 1), np.int8), np.ones(2)), "2 axes"),
        (lambda writer: writer.linear("l", np.zeros((2, 3), np.int8), np.ones(3)), "one value for each of 2 outputs"),
        (lambda writer: writer.convolution("c", np.zeros((2, 1, 3, 3), np.int8), np.ones(2), np.ones(1)), "bias"),
    ],
)
def test_arrays_that_do_not_fit(call: Any, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        call(QcdqWriter("x", (1, 4, 4), timesteps=8, labels=("a", "b")))


def test_a_network_that_cannot_run_is_refused_when_saved(tmp_path: Path) -> None:
    writer = QcdqWriter("x", (1, 4, 4), timesteps=8, labels=("a", "b"))
    with pytest.raises(ModelError):
        writer.linear("scores", np.ones((2, 99), np.int8), np.ones(2)).save(tmp_path / "x.onnx")
    with pytest.raises(ModelError, match="timesteps=99"):
        QcdqWriter("x", (1, 4, 4), timesteps=99, labels=("a",))
