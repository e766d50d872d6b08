"""The made-up networks of the package, and random ones for hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from pynq_snn.accelerator import Accelerator
from pynq_snn.devices import Device
from pynq_snn.encode import to_events
from pynq_snn.network import Network, TrainedNetwork
from pynq_snn.synthetic import (
    EXAMPLES,
    NetworkBuilder,
    from_events,
    max_pooled,
    plain,
    pooled_spikes,
    random_input,
    residual,
    strided_and_pooled,
    wide_kernel,
)

__all__ = [
    "EXAMPLES",
    "NetworkBuilder",
    "from_events",
    "max_pooled",
    "plain",
    "pooled_spikes",
    "random_input",
    "residual",
    "run",
    "strided_and_pooled",
    "to_events",
    "trained_networks",
    "wide_kernel",
]


def run(network: Network, inputs: np.ndarray, device: str | Device) -> tuple[np.ndarray, list[np.ndarray], Any]:
    """Return logits of all inputs, spike maps of the last input, and the run report."""
    with Accelerator(device) as accelerator:
        accelerator.load(network, keep_maps=True)
        if network.input_kind == "pixels":
            logits = accelerator.infer(inputs, batch=2)
        else:
            logits = accelerator.infer_events([to_events(item) for item in inputs], batch=2)
        last = (len(inputs) - 1) % 2
        maps = [accelerator.spike_map(layer.name, last) for layer in network.layers[:-1]]
        return logits, maps, accelerator.last_run


@st.composite
def trained_networks(draw: Any) -> TrainedNetwork:
    """Random networks with one to four layers before the readout."""
    stepwise_only = draw(st.sampled_from([False, False, True]))
    options: dict[str, Any] = {"timesteps": draw(st.sampled_from([1, 2, 3, 4, 8, 16]))}
    options["firing"] = "stepwise" if stepwise_only else draw(st.sampled_from(["stepwise", "deferred"]))
    if stepwise_only:
        options["hard_reset"] = draw(st.booleans())
        options["leak_shift"] = draw(st.integers(0, 4))
        options["initial_potential"] = draw(st.sampled_from(["half", "zero"]))
        options["fires"] = draw(st.sampled_from(["at", "above"]))
    kind = draw(st.sampled_from(["pixels", "events"]))
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    builder = NetworkBuilder(draw(st.integers(0, 2**32 - 1)), shape, input_kind=kind, **options)
    for index in range(draw(st.integers(1, 4))):
        _draw_layer(draw, builder, index)
    return builder.readout(draw(st.integers(1, 40)), pool_all=draw(st.booleans()))


def _draw_layer(draw: Any, builder: NetworkBuilder, index: int) -> None:
    depth, height, width = builder.shape(index - 1)
    smallest = min(height, width)
    if index and smallest >= 2 and draw(st.integers(0, 4)) == 0:
        builder.max_pool(2, draw(st.integers(1, 2)), draw(st.integers(0, 1)))
        return
    kernel = draw(st.integers(1, 5))
    least_padding = max(0, kernel - smallest + 1) // 2  # for the kernel to fit
    padding = draw(st.integers(least_padding, kernel // 2))
    geometry = {"kernel": kernel, "stride": draw(st.integers(1, 2)), "padding": padding}
    after_conv = [(side + 2 * geometry["padding"] - kernel) // geometry["stride"] + 1 for side in (height, width)]
    pooling = draw(st.sampled_from(["none", "before", "after"]))
    if pooling == "after" and min(after_conv) >= 2:
        geometry["after"] = 2
    if pooling == "before" and index and smallest >= 2 and (smallest // 2) + 2 * geometry["padding"] >= kernel:
        geometry["before"] = 2
    same = kernel % 2 == 1 and geometry["padding"] == kernel // 2 and geometry["stride"] == 1 and len(geometry) == 3
    if index and same and draw(st.booleans()):
        builder.conv(depth, identity=index - 1, **geometry)
    else:
        builder.conv(draw(st.integers(1, 70)), **geometry)
