"""snn_compute alone against the kernel: every layer kind, memories that pause, batches, resets in the middle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pynq_snn.accelerator import Accelerator
from pynq_snn.devices import available
from pynq_snn.devices.interface import Device
from pynq_snn.network import Network, TrainedNetwork, integrate
from tests.networks import EXAMPLES, NetworkBuilder, random_input, to_events
from tests.overlay.verilated import missing_tools
from tests.rtl.compute_bench import ComputeBenchDevice, Conditions

pytestmark = [
    pytest.mark.filterwarnings("ignore::pynq_snn.errors.ConversionWarning"),
    pytest.mark.skipif(bool(missing_tools()), reason=missing_tools()),
]
REFERENCE = "kernel" if available()["kernel"] is None else "reference"
OPTIONS: dict[str, dict[str, Any]] = {
    "deferred": {},
    "stepwise": {"firing": "stepwise"},
    "leaky": {"firing": "stepwise", "leak_shift": 2, "hard_reset": True, "timesteps": 5},
}


def observe(network: Network, inputs: np.ndarray, device: str | Device, batch: int) -> list[Any]:
    """Return everything that must be equal on all devices."""
    with Accelerator(device) as accelerator:
        accelerator.load(network, keep_maps=True)
        if network.input_kind == "pixels":
            logits = accelerator.infer(inputs, batch=batch)
        else:
            logits = accelerator.infer_events([to_events(item) for item in inputs], batch=batch)
        report = accelerator.last_run
        assert report is not None
        images = range((len(inputs) - 1) % batch + 1)
        maps = [accelerator.spike_map(layer.name, i).tolist() for layer in network.layers[:-1] for i in images]
        return [logits.tolist(), [(layer.name, layer.additions, layer.spikes) for layer in report.layers], maps]


def check(trained: TrainedNetwork, conditions: Conditions, count: int = 2, batch: int = 2) -> None:
    network = integrate(trained)
    inputs = random_input(network, 11, count)
    found = observe(network, inputs, ComputeBenchDevice(conditions), batch)
    assert found == observe(network, inputs, REFERENCE, batch)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_kind(name: str, options: str) -> None:
    check(EXAMPLES[name](**OPTIONS[options]), Conditions(), count=3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", ["residual", "max_pooled", "from_events"])
def test_memory_that_pauses(name: str, seed: int) -> None:
    conditions = Conditions(seed=seed, latency=(1, 400, 40, 7)[seed], pause_percent=(60, 5, 30, 0)[seed],
                            bytes_per_cycle=(14, 14, 5, 64)[seed])  # fmt: skip
    check(EXAMPLES[name](timesteps=4), conditions)


@pytest.mark.parametrize("cycle", [1, 60, 200, 700, 2500, 9000])
def test_reset_in_the_middle(cycle: int) -> None:
    check(EXAMPLES["residual"](), Conditions(pause_percent=10, reset_cycle=cycle))


@pytest.mark.parametrize("timesteps", [1, 2, 3, 7, 16, 32])
def test_timesteps(timesteps: int) -> None:
    check(EXAMPLES["residual"](timesteps=timesteps), Conditions(), count=1)
    check(EXAMPLES["max_pooled"](timesteps=timesteps, firing="stepwise"), Conditions(), count=1)


def test_weights_around_the_ring() -> None:
    """Groups of 63 and more blocks, whose places wait for weights while rows of maps arrive."""
    builder = NetworkBuilder(9, (3, 4, 5))
    builder.conv(220)
    builder.conv(170)
    builder.conv(100)
    check(builder.readout(40), Conditions(), count=9, batch=8)


def test_rows_around_the_line_buffer() -> None:
    """A picture of which the line buffer holds fewer rows than it has."""
    builder = NetworkBuilder(10, (3, 30, 96), timesteps=16, firing="stepwise")
    builder.conv(96, kernel=1, padding=0)
    builder.conv(40, stride=2)
    check(builder.readout(3, pool_all=True), Conditions(latency=10), count=1, batch=1)
