"""The networks that come with the package: the same bits on every device, the same classes as onnxruntime."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from pynq_snn.accelerator import Accelerator
from pynq_snn.datasets import load_dataset
from pynq_snn.errors import ConversionWarning
from pynq_snn.evaluation import match_labels
from pynq_snn.models import shipped_models
from pynq_snn.network import Network
from pynq_snn.pictures import fit_picture
from tests.conftest import ROOT

MODELS = sorted(shipped_models())
PICTURE = ROOT / "examples" / "cat.png"


def run(model: str, device: str, firing: str, images: np.ndarray) -> tuple[list[int], int, int]:
    """Return logits, spikes and synaptic operations."""
    with warnings.catch_warnings(), Accelerator(device) as accelerator:
        warnings.simplefilter("ignore", ConversionWarning)
        accelerator.load(model, firing=firing)
        logits = accelerator.infer(images)
        return logits.tolist(), accelerator.last_run.spikes, accelerator.last_run.synaptic_operations


@pytest.mark.parametrize("firing", ["deferred", "stepwise"])
@pytest.mark.parametrize("model", MODELS)
def test_equal_bits_on_all_devices(model: str, firing: str) -> None:
    network = Network.from_onnx(shipped_models()[model])
    noise = np.random.default_rng(3).integers(0, 256, (32, 32, 3), np.uint8)
    images = np.stack([fit_picture(PICTURE, network), noise])
    assert run(model, "kernel", firing, images) == run(model, "reference", firing, images)


@pytest.mark.parametrize("model", MODELS)
def test_the_photograph_is_a_cat_for_onnxruntime_too(model: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime has no wheel here")
    path = shipped_models()[model]
    network = Network.from_onnx(path)
    image = fit_picture(PICTURE, network)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    mean = np.array(network.mean_pixel, np.float32)
    (scores,) = session.run(None, {"input": ((image - mean) / np.float32(64)).transpose(2, 0, 1)[None]})
    logits = np.array(run(model, "kernel", "deferred", image[None])[0])
    assert network.labels[scores[0].argmax()] == "cat"
    # The same numbers up to rounding ties, of which one picture meets few.
    assert np.abs(network.scores(logits)[0] - scores[0]).max() < 0.1 * np.abs(scores).max()


@pytest.mark.parametrize("model", MODELS)
def test_accuracy_on_a_sample(model: str, cifar10_folder: Path) -> None:
    dataset = load_dataset(cifar10_folder).first(200)
    with Accelerator("kernel") as accelerator:
        network = accelerator.load(model)
        classes = accelerator.infer(np.asarray(dataset.images)).argmax(axis=1)
    assert (classes == match_labels(dataset, network)).mean() >= 0.82
