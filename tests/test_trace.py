"""Membrane potentials computed beside the device lead to the device's own spikes and logits, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pynq_snn.accelerator import Accelerator
from pynq_snn.devices import available
from pynq_snn.devices.reference import ReferenceDevice, _LayerRun
from pynq_snn.errors import DeviceError, ProgramError
from pynq_snn.network import integrate
from pynq_snn.trace import Trace, record
from tests.networks import EXAMPLES, from_events, max_pooled, plain, random_input, residual, to_events

DEVICES = [name for name in ("reference", "kernel") if available()[name] is None]
LEAKY = {"leak_shift": 2, "hard_reset": True, "initial_potential": "zero"}
SETTINGS = [{"firing": "deferred"}, {"firing": "stepwise"}, {"firing": "stepwise", **LEAKY}]


def traced(trained: Any, device: str = "reference") -> Trace:
    network = integrate(trained)
    item = random_input(network, 3, 1)[0]
    with Accelerator(device) as accelerator:
        accelerator.load(network, keep_maps=True)
        return record(accelerator, item if network.input_kind == "pixels" else to_events(item))


def some_neurons(shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """Return the corners, where taps reach over the edge, and the middle, over several channels."""
    channels, height, width = shape
    places = {(0, 0), (height - 1, width - 1), (height // 2, width // 2)}
    return [(channel, y, x) for channel in range(0, channels, 7) for y, x in sorted(places)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("setting", SETTINGS, ids=["deferred", "stepwise", "leaky"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_potentials_lead_to_the_recorded_spikes(name: str, setting: dict[str, Any], device: str) -> None:
    trace = traced(EXAMPLES[name](**setting), device)
    fired = 0
    for layer in trace.network.layers[:-1]:
        if layer.max_pooling is None:
            membrane = trace.membrane(layer.name, some_neurons(layer.output_shape))  # compares with the device itself
            fired += membrane.spikes.sum()
    assert fired > 0
    assert np.array_equal(trace.running_logits()[-1], trace.logits)


@pytest.fixture
def stepwise_potentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[np.ndarray]]:
    """Collect the potentials after the reset that the golden model itself holds, one array [T, C, H, W] a layer."""
    collected: list[np.ndarray] = []
    original = _LayerRun._fire_stepwise

    def spy(self: _LayerRun, steps: list[Any]) -> Any:
        # With a soft reset, potential and spikes determine each other: no second simulation is needed here.
        potentials = []
        potential = np.broadcast_to(self.parameters["initial"], steps[0].shape).copy()
        spikes = original(self, steps)
        for current, spike in zip(steps, spikes, strict=True):
            potential = potential + current + self.parameters["bias"] - spike * self.parameters["threshold"]
            potentials.append(potential)
        collected.append(np.stack(potentials))
        return spikes

    monkeypatch.setattr(_LayerRun, "_fire_stepwise", spy)
    yield collected


def test_potentials_are_the_golden_models(stepwise_potentials: list[np.ndarray]) -> None:
    network = integrate(residual(firing="stepwise"))
    with Accelerator(ReferenceDevice()) as accelerator:
        accelerator.load(network, keep_maps=True)
        trace = record(accelerator, random_input(network, 3, 1)[0])
    for layer, expected in zip(network.layers[:-1], stepwise_potentials, strict=True):
        neurons = some_neurons(layer.output_shape)
        after = trace.membrane(layer.name, neurons).after
        assert np.array_equal(after, np.stack([expected[:, c, y, x] for c, y, x in neurons], axis=1))


def test_a_spike_that_does_not_follow_is_reported() -> None:
    trace = traced(plain(firing="stepwise"))
    layer = trace.network.layers[0]
    wrong = {name: trains.copy() for name, trains in trace.spikes.items()}
    wrong[layer.name][3, 0, 0, 0] ^= True
    with pytest.raises(DeviceError, match="layer0: the recorded spikes do not follow"):
        replace(trace, spikes=wrong).membrane(layer.name, [(0, 0, 0)])


def test_rates_and_lively_neurons() -> None:
    trace = traced(max_pooled(firing="stepwise"))
    assert set(trace.rates()) == set(trace.spikes)
    name = trace.network.layers[0].name
    assert trace.rates()[name] == trace.spikes[name].mean()
    assert trace.rate_maps()[name].shape == trace.spikes[name].shape[2:]
    totals = trace.spikes[name].sum(axis=0)
    lively = trace.lively(name, 3)
    half = trace.network.timesteps / 2
    assert abs(totals[lively[0]] - half) == np.abs(totals - half).min()
    assert len({channel for channel, _, _ in lively}) == 3


def test_wrong_questions() -> None:
    trace = traced(max_pooled())
    with pytest.raises(ProgramError, match="no layer 'nothing'"):
        trace.membrane("nothing", [(0, 0, 0)])
    with pytest.raises(ProgramError, match="is a max pooling"):
        trace.membrane(trace.network.layers[1].name, [(0, 0, 0)])
    with pytest.raises(ProgramError, match="lies outside"):
        trace.membrane(trace.network.layers[0].name, [(400, 0, 0)])
    network = integrate(from_events())
    with Accelerator("reference") as accelerator:
        accelerator.load(network)
        with pytest.raises(ProgramError, match="keep_maps=True"):
            record(accelerator, np.zeros((0, 4), np.int64))
