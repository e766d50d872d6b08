"""Networks of snnTorch and SpikingJelly: built, exported to NIR and simulated there, and converted here."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pynq_snn.nir_import import convert_nir
from tests.nir_reference import integers, random_spikes, run, write

T = 8
SHAPE = (2, 6, 6)
MODULES = ("0", "3", "6")  # of the weights in the networks below
Options = dict[str, Any]


def load(name: str) -> Any:
    """Import a package that warns while it is imported; skip the test where it is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("nir")
        pytest.importorskip("torch")
        try:
            return importlib.import_module(name)
        except ImportError as error:
            pytest.skip(f"{name} is not installed: {error}")


@pytest.fixture(scope="module")
def snntorch() -> Any:
    load("snntorch.export_nir")
    return load("snntorch")


@pytest.fixture(scope="module")
def spikingjelly() -> Any:
    logging.getLogger("torch").setLevel(logging.ERROR)
    load("spikingjelly.activation_based.nir_exchange")
    return load("spikingjelly.activation_based")


def network(neuron: Callable[[tuple[int, ...], float], Any], whole: bool = True) -> Any:
    """Return convolution, pooling, convolution, linear; `neuron` makes the neurons of a shape and a threshold."""
    import torch
    from torch import nn

    parts = nn.Sequential(
        nn.Conv2d(2, 5, 3, padding=1),
        neuron((5, 6, 6), 7.0),
        nn.AvgPool2d(2),
        nn.Conv2d(5, 36, 3, padding=1, bias=False),
        neuron((36, 3, 3), 5.0),
        nn.Flatten(),
        nn.Linear(324, 12),
        neuron((12,), 60.0),
    )
    generator = np.random.default_rng(3)
    for seed, index in enumerate((0, 3, 6)):
        part: Any = parts[index]
        for values in (part.weight, part.bias):
            if values is not None:
                shape = tuple(values.shape)
                high = 5 if len(shape) > 1 else 2
                new = integers(seed, *shape, low=-3 if high == 5 else -1, high=high)
                if not whole:
                    new = new + generator.normal(0, 0.5, shape).astype(np.float32)
                values.data = torch.tensor(new)
    return parts


def simulate(parts: Any, spikes: np.ndarray) -> list[np.ndarray]:
    """Return the spikes of each layer of neurons, float [T, 1, ...], as the framework computes them."""
    import torch

    recorded: list[list[np.ndarray]] = [[], [], []]

    def record(into: list[np.ndarray]) -> Any:
        return lambda _module, _inputs, output: into.append(output.detach().numpy().copy())

    hooks = [parts[index].register_forward_hook(record(recorded[i])) for i, index in enumerate((1, 4, 7))]
    with torch.no_grad():
        for step in spikes:
            parts(torch.tensor(step[None], dtype=torch.float32))
    for hook in hooks:
        hook.remove()
    return [np.stack(steps) for steps in recorded]


def leaky(snntorch: Any, beta: float, **options: Any) -> Callable[[tuple[int, ...], float], Any]:
    import torch

    def make(shape: tuple[int, ...], threshold: float) -> Any:
        # nir checks shapes, so the exporter wants parameters in the shape of the neurons
        return snntorch.Leaky(
            beta=torch.full(shape, beta), threshold=torch.full(shape, threshold), init_hidden=True, **options
        )

    return make


def export_snntorch(parts: Any, path: Path) -> Path:
    import torch
    from snntorch.export_nir import export_to_nir

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return write(export_to_nir(parts, torch.zeros(1, *SHAPE), ignore_dims=[0]), path)


def export_spikingjelly(parts: Any, path: Path) -> Path:
    import torch
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_to_nir(parts, torch.zeros(1, *SHAPE), save_path=path)
    return path


def converted(file: Path, spikes: np.ndarray, **options: Any) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the spikes of each layer, bool [T, C, H, W], and the class scores of a NIR file."""
    convert_nir(file, file.with_suffix(".onnx"), timesteps=T, **options)
    maps, scores = run(file.with_suffix(".onnx"), spikes)
    return list(maps.values()), scores


def assert_equal(expected: list[np.ndarray], found: list[np.ndarray], scores: np.ndarray) -> None:
    for theirs, ours in zip(expected, found, strict=True):
        assert 0 < theirs.mean() < 1
        assert (theirs.reshape(ours.shape) == ours).all()
    assert scores.tolist() == expected[-1].sum(axis=(0, 1)).tolist()


# --- equal spikes -----------------------------------------------------------------------------------------------------

SNNTORCH = [
    pytest.param(1.0, {"reset_mechanism": "subtract"}, {"reset": "soft"}, id="IF, soft reset"),
    pytest.param(1.0, {"reset_mechanism": "zero"}, {"reset": "hard"}, id="IF, hard reset"),
    pytest.param(0.5, {"reset_mechanism": "zero"}, {"reset": "hard"}, id="LIF 1/2, hard reset"),
    pytest.param(0.75, {"reset_mechanism": "zero"}, {"reset": "hard"}, id="LIF 1/4, hard reset"),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("beta, theirs, ours", SNNTORCH)
def test_snntorch(snntorch: Any, tmp_path: Path, beta: float, theirs: Options, ours: Options, seed: int) -> None:
    parts = network(leaky(snntorch, beta, **theirs))
    spikes = random_spikes(T, SHAPE, seed)
    expected = simulate(parts, spikes)
    assert_equal(expected, *converted(export_snntorch(parts, tmp_path / "net.nir"), spikes, **ours))


SPIKINGJELLY = [
    pytest.param("IFNode", {}, "hard", id="IF, hard reset"),
    pytest.param("IFNode", {}, "soft", id="IF, soft reset"),
    pytest.param("LIFNode", {"tau": 2.0, "decay_input": False}, "hard", id="LIF 1/2, hard reset"),
    pytest.param("LIFNode", {"tau": 4.0, "decay_input": True}, "hard", id="LIF 1/4 of input too, hard reset"),
    pytest.param("LIFNode", {"tau": 2.0, "decay_input": False}, "soft", id="LIF 1/2, soft reset"),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind, options, reset", SPIKINGJELLY)
def test_spikingjelly(spikingjelly: Any, tmp_path: Path, kind: str, options: Options, reset: str, seed: int) -> None:
    def make(v_reset: float | None) -> Callable[[tuple[int, ...], float], Any]:
        node = getattr(spikingjelly.neuron, kind)
        decay = options.get("tau", 1.0) if options.get("decay_input") else 1.0
        return lambda _shape, threshold: node(v_threshold=threshold / decay, v_reset=v_reset, **options)

    spikes = random_spikes(T, SHAPE, seed)
    expected = simulate(network(make(None if reset == "soft" else 0.0)), spikes)
    file = export_spikingjelly(network(make(0.0)), tmp_path / "net.nir")  # its exporter refuses soft resets
    assert_equal(expected, *converted(file, spikes, reset=reset, fires="at"))


def test_spikingjelly_at_another_resting_potential(spikingjelly: Any, tmp_path: Path) -> None:
    parts = network(lambda _shape, threshold: spikingjelly.neuron.LIFNode(
        tau=2.0, decay_input=False, v_threshold=threshold - 4.0, v_reset=-4.0
    ))  # fmt: skip
    spikes = random_spikes(T, SHAPE, 1)
    expected = simulate(parts, spikes)
    assert_equal(expected, *converted(export_spikingjelly(parts, tmp_path / "net.nir"), spikes, fires="at"))


# --- where they are not equal -----------------------------------------------------------------------------------------


def test_real_weights_fire_at_the_same_rates(snntorch: Any, tmp_path: Path) -> None:
    parts = network(leaky(snntorch, 0.5, reset_mechanism="zero"), whole=False)
    spikes = random_spikes(T, SHAPE, 4)
    expected = simulate(parts, spikes)
    found, _ = converted(export_snntorch(parts, tmp_path / "net.nir"), spikes)
    for theirs, ours in zip(expected, found, strict=True):
        assert abs(theirs.mean() - ours.mean()) < 0.02
    assert (expected[0].reshape(found[0].shape) == found[0]).mean() > 0.99


def test_snntorch_subtracts_behind_the_leak(snntorch: Any, tmp_path: Path) -> None:
    """The difference that docs/nir.md tells of exists: a leaky, delayed soft reset is another neuron."""
    parts = network(leaky(snntorch, 0.5, reset_mechanism="subtract"))
    spikes = random_spikes(T, SHAPE, 0)
    expected = simulate(parts, spikes)
    found, _ = converted(export_snntorch(parts, tmp_path / "net.nir"), spikes, reset="soft")
    assert (expected[0].reshape(found[0].shape) != found[0]).any()
    assert (expected[0].reshape(found[0].shape) == found[0]).mean() > 0.9
