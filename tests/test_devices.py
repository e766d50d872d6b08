"""The central test: one program, all devices, equal bits; and equal to a dense evaluation that knows no programs."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from pynq_snn.accelerator import Accelerator
from pynq_snn.devices import Device, available
from pynq_snn.encode import encode_events, encode_pixels, spike_counts, unpack_planes
from pynq_snn.network import INPUT, Network, TrainedNetwork, integrate
from tests import golden
from tests.networks import EXAMPLES, random_input, residual, run, to_events, trained_networks

pytestmark = pytest.mark.filterwarnings("ignore::pynq_snn.errors.ConversionWarning")
DEVICES = [name for name in ("reference", "kernel") if available()[name] is None]
STEPWISE = {"firing": "stepwise"}


def check(trained: TrainedNetwork, device: str | Device, count: int = 3) -> None:
    network = integrate(trained)
    inputs = random_input(network, 11, count)
    logits, maps, report = run(network, inputs, device)
    operations = spikes = 0
    for item, row in zip(inputs, logits, strict=True):
        expected, counts = golden.evaluate(network, item)
        assert row.tolist() == expected.tolist()
        spikes += sum(int(each.sum()) for each in counts)
        operations += count_operations(network, item)
    for index, (spike_map, expected_counts) in enumerate(zip(maps, counts, strict=True)):
        found = spike_counts(spike_map, network.coding(index))
        assert np.array_equal(found, expected_counts), network.layers[index].name
    assert report.spikes == spikes
    assert report.synaptic_operations == operations


def count_operations(network: Network, item: np.ndarray) -> int:
    """Additions by the definition in docs/numerics.md section 5, from spike maps of the reference device."""
    with Accelerator("reference") as accelerator:
        program_of = accelerator.load(network, keep_maps=True)
        program = accelerator.program
        if network.input_kind == "pixels":
            accelerator.infer(item)
            assert program.patches is not None
            packed = encode_pixels(item, program.input_map, program.patches, network.mean_pixel)
        else:
            accelerator.infer_events(to_events(item))
            packed = encode_events(to_events(item), program.input_map, network.timesteps)
        bits = {i: accelerator.spike_map(layer.name) for i, layer in enumerate(program_of.layers[:-1])}
    first = unpack_planes(packed, program.input_map)
    total = 0
    if network.input_kind == "pixels":  # patches: every set bit of a patch meets one tap per averaged place
        for layer in network.layers:
            for branch in layer.branches:
                if branch.source == INPUT:
                    pool = branch.pool_after
                    rows = (first.shape[2] - pool.height) // pool.stride_y * pool.stride_y + pool.height
                    columns = (first.shape[3] - pool.width) // pool.stride_x * pool.stride_x + pool.width
                    total += int(first[:, :, :rows, :columns].sum()) * len(branch.weights)
        bits[INPUT] = np.zeros((1, *network.input_shape), np.bool_)
    else:
        bits[INPUT] = first
    return total + golden.synaptic_operations(network, bits)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("firing", ["stepwise", "deferred"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_kind(name: str, firing: str, device: str) -> None:
    check(EXAMPLES[name](firing=firing), device)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("firing", ["stepwise", "deferred"])
@pytest.mark.parametrize("timesteps", [1, 2, 3, 4, 8, 16, 32])
def test_every_number_of_timesteps(timesteps: int, firing: str, device: str) -> None:
    check(residual(timesteps=timesteps, firing=firing), device, count=1)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("initial_potential", ["half", "zero"])
@pytest.mark.parametrize("hard_reset", [False, True])
@pytest.mark.parametrize("leak_shift", [0, 1, 4, 15])
def test_leak_and_reset(leak_shift: int, hard_reset: bool, initial_potential: str, device: str) -> None:
    options = {"leak_shift": leak_shift, "hard_reset": hard_reset, "initial_potential": initial_potential}
    check(residual(**STEPWISE, **options), device, count=1)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(trained=trained_networks())
def test_random_networks(trained: TrainedNetwork, device: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(trained, device, count=2)


def test_activity_of_the_examples_is_worth_testing() -> None:
    """The networks above would prove little if no neuron fired, or all did."""
    for name, build in EXAMPLES.items():
        network = integrate(build(firing="stepwise"))
        _, counts = golden.evaluate(network, random_input(network, 11, 1)[0])
        for layer, count in zip(network.layers, counts, strict=False):
            rate = count.mean() / network.timesteps
            assert 0.02 < rate < 0.98, (name, layer.name, rate)
