"""NIR files: spikes equal those of NIR's definition and of the frameworks that wrote the file, or a clear refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pynq_snn.nir_import import convert_nir
from tests.nir_reference import (
    chain,
    conv,
    evaluate,
    flatten,
    integers,
    neuron,
    pool,
    random_spikes,
    run,
    write,
)  # fmt: skip

nir = pytest.importorskip("nir", reason="NIR files need the nir package: pip install 'pynq-snn[nir]'")

T = 8
SHAPE = (2, 6, 6)


def convolutional(bias: bool = False, sums: bool = False, **settings: Any) -> Any:
    """Return conv, neurons, pooling, conv, pooling, neurons, linear, neurons; all weights are whole numbers."""
    kind = "SumPool2d" if sums else "AvgPool2d"
    biases = [integers(seed, size, low=-1, high=2) if bias else None for seed, size in ((7, 5), (8, 40))]
    factor = 4 if sums else 1
    return chain(
        SHAPE,
        ("conv1", conv(integers(1, 5, 2, 3, 3), biases[0])),
        ("spikes1", neuron((5, 6, 6), threshold=7.0, **settings)),
        ("pool1", pool(2, kind)),
        ("conv2", conv(integers(2, 40, 5, 3, 3), biases[1], padding="same")),
        ("spikes2", neuron((40, 3, 3), threshold=5.0 * factor, **settings)),
        ("flat", flatten()),
        ("linear", nir.Linear(integers(3, 12, 360))),
        ("spikes3", neuron((12,), threshold=60.0, **settings)),
    )


PAIRS = {"conv1": "spikes1", "conv2": "spikes2", "linear": "spikes3"}


def assert_equal(graph: Any, file: Path, spikes: np.ndarray, pairs: dict[str, str], **options: Any) -> None:
    """Compare all spikes of the converted network with NIR's definition; the scores are the spike counts."""
    expected = evaluate(graph, spikes, **options)
    maps, scores = run(file, spikes)
    assert set(maps) == set(pairs)
    for layer, neurons in pairs.items():
        found = maps[layer].reshape(expected[neurons].shape)
        assert 0 < found.mean() < 1
        assert (found == expected[neurons]).all(), layer
    assert scores.tolist() == expected[list(pairs.values())[-1]].sum(axis=0).tolist()


# --- spikes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("at", [False, True])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("leak", [0.0, 0.5, 0.125])
def test_spikes_equal_the_definition(tmp_path: Path, leak: float, soft: bool, at: bool, seed: int) -> None:
    graph = convolutional(leak=leak)
    options: dict[str, Any] = {"reset": "soft" if soft else "hard", "fires": "at" if at else "above"}
    report = convert_nir(write(graph, tmp_path / "net.nir"), tmp_path / "net.onnx", timesteps=T, **options)
    assert set(report.weight_errors.values()) == {0.0}
    assert_equal(graph, tmp_path / "net.onnx", random_spikes(T, SHAPE, seed), PAIRS, soft=soft, at=at)


@pytest.mark.parametrize("settings", [{"bias": True}, {"sums": True}, {"bias": True, "sums": True, "leak": 0.25}])
def test_biases_and_sum_pooling(tmp_path: Path, settings: dict[str, Any]) -> None:
    graph = convolutional(**settings)
    convert_nir(write(graph, tmp_path / "net.nir"), tmp_path / "net.onnx", timesteps=T)
    assert_equal(graph, tmp_path / "net.onnx", random_spikes(T, SHAPE, 5), PAIRS)
