"""What several test files need: a small model on disk, a picture, and the data set if this machine has it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pynq_snn.models import DEFAULT_MODEL, shipped_models
from tests.networks import NetworkBuilder
from tests.onnx_models import save, to_onnx

ROOT = Path(__file__).resolve().parent.parent
LABELS = ("cat", "dog", "ship")


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a model of two layers and a readout: 3 x 12 x 10 pixels, classes LABELS."""
    builder = NetworkBuilder(11, (3, 12, 10))
    builder.conv(33)
    builder.conv(8, after=2)
    trained = replace(builder.readout(len(LABELS)), name="tiny", labels=LABELS)
    return save(to_onnx(trained), tmp_path_factory.mktemp("models") / "tiny.onnx")


@pytest.fixture(scope="session")
def picture_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a noisy picture of 37 x 50 pixels."""
    pixels = np.random.default_rng(5).integers(0, 256, (50, 37, 3), np.uint8)
    path = tmp_path_factory.mktemp("pictures") / "noise.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="session")
def cifar10_folder() -> Path:
    """Return the CIFAR-10 folder; skip the test where there is none."""
    path = Path(os.environ.get("PYNQ_SNN_CIFAR10", ROOT / "data" / "cifar10"))
    if not path.exists():
        pytest.skip("no CIFAR-10 here: set PYNQ_SNN_CIFAR10 to its folder")
    return path


@pytest.fixture(scope="session")
def shipped_model() -> Path:
    """Return the path of the default model."""
    return shipped_models()[DEFAULT_MODEL]
