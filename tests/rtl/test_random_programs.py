"""The core on random networks under random stalls, and the estimate of its cycles."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pynq_snn.accelerator import Accelerator
from pynq_snn.devices.rtl import ALL_CHANNELS, RtlDevice
from pynq_snn.devices.rtl_model import Faults
from pynq_snn.network import Network, TrainedNetwork, integrate
from tests.networks import NetworkBuilder, random_input, to_events, trained_networks

pytestmark = [pytest.mark.rtl_tools, pytest.mark.filterwarnings("ignore::pynq_snn.errors.ConversionWarning")]
CLOSE_ENOUGH = 0.15  # of the estimate, per network


@pytest.fixture(scope="module")
def core() -> Iterator[RtlDevice]:
    opened = RtlDevice()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def rtl(core: RtlDevice) -> Accelerator:
    return Accelerator(core)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Accelerator]:
    opened = Accelerator("kernel")
    yield opened
    opened.close()


@st.composite
def memory_troubles(draw: st.DrawFn) -> Faults:
    """Stalls of any set of channels and longer latencies."""
    return Faults(
        seed=draw(st.integers(0, 2**32)),
        stall_per_mille=draw(st.sampled_from([0, 0, 100, 500, 900])),
        stalled_channels=draw(st.integers(0, ALL_CHANNELS)),
        extra_latency_cycles=draw(st.sampled_from([0, 0, 7, 200])),
    )


def answers(accelerator: Accelerator, network: Network, inputs: np.ndarray, batch: int) -> tuple[object, ...]:
    """Return logits, spike maps of the last image, and each layer's spikes and additions."""
    accelerator.load(network, keep_maps=True)
    if network.input_kind == "pixels":
        logits = accelerator.infer(inputs, batch=batch)
    else:
        logits = accelerator.infer_events([to_events(item) for item in inputs], batch=batch)
    maps = [accelerator.spike_map(layer.name).tolist() for layer in network.layers[:-1]]
    return logits.tolist(), maps, [(layer.spikes, layer.additions) for layer in accelerator.last_run.layers]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(trained=trained_networks(), troubles=memory_troubles(), batch=st.integers(1, 3))
def test_random_networks(
    core: RtlDevice, rtl: Accelerator, kernel: Accelerator, trained: TrainedNetwork, troubles: Faults, batch: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = integrate(trained)
    inputs = random_input(network, 17, batch + 1)
    core.set_faults(troubles)
    assert answers(rtl, network, inputs, batch) == answers(kernel, network, inputs, batch)


def middle_sized(firing: str) -> Network:
    """A residual network with pooling and strides, large enough that no layer is all beginning and end."""
    builder = NetworkBuilder(23, (3, 20, 20), timesteps=8, firing=firing)
    stem = builder.conv(64)
    first = builder.conv(64)
    joined = builder.conv(64, first, identity=stem)
    builder.max_pool(2, 2)
    builder.conv(96, stride=2)
    assert joined
    return integrate(builder.readout(10, pool_all=True))


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("firing", ["deferred", "stepwise"])
def test_the_kernels_estimate_is_close(
    core: RtlDevice, rtl: Accelerator, kernel: Accelerator, firing: str, batch: int
) -> None:
    network = middle_sized(firing)
    inputs = random_input(network, 5, batch)
    cycles = []
    core.set_faults(Faults())
    for accelerator in (rtl, kernel):
        accelerator.load(network)
        accelerator.infer(inputs, batch=batch)
        cycles.append(accelerator.last_run.cycles)
    simulated, estimate = cycles
    assert abs(estimate / simulated - 1) < CLOSE_ENOUGH, f"estimate {estimate}, RTL {simulated}"
