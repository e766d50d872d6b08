"""The largest shapes that the layout promises, on all devices."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pynq_snn import layout
from pynq_snn.accelerator import Accelerator
from pynq_snn.devices import available
from pynq_snn.errors import ProgramError
from pynq_snn.network import TrainedNetwork, integrate
from pynq_snn.program import compile_network
from tests.networks import NetworkBuilder, plain, random_input

DEVICES = [name for name in ("reference", "kernel") if available()[name] is None]


def picture_of_224() -> TrainedNetwork:
    builder = NetworkBuilder(1, (3, 224, 224), timesteps=2)
    builder.conv(8, kernel=7, stride=2, padding=3)
    builder.max_pool(3, 2, 1)
    builder.conv(4, kernel=3, stride=2)
    builder.conv(4, after=2, kernel=1, padding=0)
    return builder.readout(10, pool_all=True)


def channels_of_2048() -> TrainedNetwork:
    builder = NetworkBuilder(2, (3, 3, 3), timesteps=2)
    builder.conv(2048, kernel=1, padding=0)
    builder.conv(2048, kernel=1, padding=0)
    return builder.readout(3, pool_all=True)


def fan_in_of_8192() -> TrainedNetwork:
    builder = NetworkBuilder(3, (3, 5, 5), timesteps=2)
    builder.conv(512, kernel=1, padding=0)
    builder.conv(40, kernel=4, padding=1)
    return builder.readout(3, pool_all=True)


def pooling_of_1024_places() -> TrainedNetwork:
    builder = NetworkBuilder(8, (3, 32, 32), timesteps=2)
    builder.conv(40, kernel=1, padding=0)
    return builder.readout(3, pool_all=True)


@pytest.mark.parametrize(
    "build", [picture_of_224, channels_of_2048, fan_in_of_8192, pooling_of_1024_places], ids=lambda f: f.__name__
)
def test_largest_networks(build: object) -> None:
    assert callable(build)
    network = integrate(build())
    images = random_input(network, 3, 1)
    results = []
    for name in DEVICES:
        with Accelerator(name) as accelerator:
            accelerator.load(network)
            logits = accelerator.infer(images)
            report = accelerator.last_run
            results.append((logits.tolist(), report.spikes, report.synaptic_operations))
    assert results[0][1] > 1000
    assert all(result == results[0] for result in results)


def test_weights_beyond_the_fan_in_are_refused() -> None:
    builder = NetworkBuilder(4, (3, 4, 4), timesteps=2)
    builder.conv(544, kernel=1, padding=0)
    first = builder.conv(544)
    builder.conv(8, first, second=(0, 3, 1))
    network = integrate(builder.readout(3, pool_all=True))
    with pytest.raises(ProgramError, match="layer layer2: 9792 inputs of a neuron exceed the core's 8192"):
        compile_network(network)


def test_too_many_pooled_places_are_refused() -> None:
    builder = NetworkBuilder(9, (3, 33, 33), timesteps=2)
    builder.conv(4, kernel=1, padding=0)
    network = integrate(builder.readout(3, pool_all=True))
    with pytest.raises(ProgramError, match="1089 places are summed for one output.* pool in two steps"):
        compile_network(network)


def test_rows_beyond_the_line_buffer_are_refused() -> None:
    builder = NetworkBuilder(10, (3, 32, 32), timesteps=32)
    builder.conv(64, kernel=1, padding=0)
    network = integrate(builder.readout(3, pool_all=True), firing="stepwise")
    with pytest.raises(ProgramError, match="reaches take 262144 bytes on chip, above the core's 131072; pool earlier"):
        compile_network(network)


def test_channels_beyond_the_limit_are_refused() -> None:
    builder = NetworkBuilder(5, (3, 2, 2), timesteps=2)
    builder.conv(layout.MAX_CHANNELS + 1, kernel=1, padding=0)
    with pytest.raises(ProgramError, match="output_channels=2049 exceeds the core's 1 to 2048"):
        compile_network(integrate(builder.readout(2, pool_all=True)))


def test_too_many_layers_are_refused() -> None:
    network = integrate(plain(timesteps=1))
    many = dataclasses.replace(network, layers=network.layers[:1] * 300 + network.layers[-1:])
    with pytest.raises(ProgramError, match="301 layers exceed the core's 255"):
        compile_network(many)


def test_a_first_layer_that_sees_too_much_is_refused() -> None:
    builder = NetworkBuilder(6, (3, 30, 30), timesteps=1)
    network = integrate(builder.readout(2, source=-1))
    with pytest.raises(ProgramError, match="the first layer reads 2700 pixels at once"):
        compile_network(network)


def test_a_network_that_is_only_a_readout() -> None:
    builder = NetworkBuilder(7, (3, 5, 5), timesteps=4)
    trained = builder.readout(4, source=-1)
    rows = []
    for firing in ("stepwise", "deferred"):
        network = integrate(trained, firing=firing)
        for name in DEVICES:
            with Accelerator(name) as accelerator:
                accelerator.load(network)
                rows.append(accelerator.infer(random_input(network, 3, 2)))
    assert all(np.array_equal(row, rows[0]) for row in rows)
