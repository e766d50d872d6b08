"""NIR's definition of a feed-forward graph, evaluated in float64, small graphs to evaluate, and runs of converted ones.

Written from the equations of the NIR primitives (https://neuroir.org/docs/primitives.html), discretised by forward
Euler; it shares nothing with the conversion that it checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pynq_snn.accelerator import Accelerator
from pynq_snn.network import Network
from tests.networks import to_events

DT = 1e-4


def evaluate(graph: Any, spikes: np.ndarray, *, soft: bool = False, at: bool = False, dt: float = DT) -> dict[str, Any]:
    """Return what every node puts out, float64 [T, ...] by name.

    Parameters
    ----------
    spikes : bool [T, C, H, W]
    soft : bool
        Subtract the threshold instead of resetting to v_reset.
    at : bool
        Fire at v >= v_threshold instead of v > v_threshold.
    """
    name = next(name for name, node in graph.nodes.items() if type(node).__name__ == "Input")
    after = dict(graph.edges)
    shape = tuple(int(side) for side in next(iter(graph.nodes[name].input_type.values())))
    values = spikes.reshape(len(spikes), *shape).astype(np.float64)
    outputs = {}
    while name in after:
        name = after[name]
        node = graph.nodes[name]
        if type(node).__name__ in ("IF", "LIF"):
            values = _neurons(node, values, soft, at, dt)
        else:
            values = np.stack([_compute(node, step) for step in values])
        outputs[name] = values
    return outputs


def _compute(node: Any, x: np.ndarray) -> np.ndarray:
    kind = type(node).__name__
    if kind == "Conv2d":
        return _convolve(node, x)
    if kind in ("Linear", "Affine"):
        return node.weight.astype(np.float64) @ x + (node.bias if kind == "Affine" else 0.0)
    if kind in ("AvgPool2d", "SumPool2d"):
        return _pool(node, x, np.mean if kind == "AvgPool2d" else np.sum)
    return x.reshape(-1) if kind == "Flatten" else x


def _convolve(node: Any, x: np.ndarray) -> np.ndarray:
    kernel = node.weight.shape[2]
    stride = int(np.ravel(node.stride)[0])
    margin = kernel // 2 if node.padding == "same" else 0 if node.padding == "valid" else int(np.ravel(node.padding)[0])
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("cyxij,ocij->oyx", windows, node.weight.astype(np.float64)) + np.reshape(node.bias, (-1, 1, 1))


def _pool(node: Any, x: np.ndarray, combine: Any) -> np.ndarray:
    size, stride = (np.broadcast_to(value, 2) for value in (node.kernel_size, node.stride))
    windows = np.lib.stride_tricks.sliding_window_view(x, tuple(size), axis=(1, 2))
    return combine(windows[:, :: stride[0], :: stride[1]], axis=(3, 4))


def _neurons(node: Any, currents: np.ndarray, soft: bool, at: bool, dt: float) -> np.ndarray:
    v = np.zeros(currents.shape[1:]) + node.v_reset
    spikes = []
    for current in currents:
        if type(node).__name__ == "IF":
            v = v + dt * node.r * current
        else:
            v = v + dt / node.tau * (node.v_leak - v + node.r * current)
        z = v >= node.v_threshold if at else v > node.v_threshold
        v = np.where(z, v - node.v_threshold if soft else node.v_reset, v)
        spikes.append(z.astype(np.float64))
    return np.stack(spikes)


# --- graphs -----------------------------------------------------------------------------------------------------------


def chain(input_shape: Sequence[int], *nodes: Any, edges: Sequence[tuple[str, str]] = (), outputs: int = 1) -> Any:
    """Return a graph of named (name, node) pairs in a row, between Input and Output, plus further edges.

    The shapes that Conv2d, Flatten and (but for `outputs`) Output declare are wrong; the conversion works out its own.
    """
    import nir

    names = ["input", *(name for name, _ in nodes), "output"]
    placed = {"input": nir.Input(np.array(input_shape)), **dict(nodes), "output": nir.Output(np.array([outputs]))}
    links = [*zip(names[:-1], names[1:], strict=True), *edges]
    return nir.NIRGraph(nodes=placed, edges=links, type_check=False)


def neuron(shape: Sequence[int] = (), *, leak: float = 0.0, threshold: Any = 1.0, **changes: Any) -> Any:
    """Return IF neurons of gain 1, or LIF neurons that leak this share of their potential in each timestep."""
    import nir

    values: dict[str, Any] = {"v_threshold": threshold, "v_reset": 0.0}
    if leak:
        values |= {"tau": DT / leak, "r": 1 / leak, "v_leak": 0.0}
    else:
        values |= {"r": 1 / DT}
    filled = {key: np.zeros(tuple(shape)) + value for key, value in (values | changes).items()}
    return nir.LIF(**filled) if leak else nir.IF(**filled)


def conv(weights: np.ndarray, bias: np.ndarray | None = None, **changes: Any) -> Any:
    import nir

    settings: dict[str, Any] = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}
    bias = np.zeros(len(weights)) if bias is None else bias
    return nir.Conv2d(input_shape=np.array([1, 1]), weight=weights, bias=bias, **(settings | changes))


def pool(window: int | tuple[int, int], kind: str = "AvgPool2d", padding: int = 0) -> Any:
    import nir

    size = np.array([window, window] if isinstance(window, int) else window)
    return getattr(nir, kind)(kernel_size=size, stride=size, padding=np.array([padding] * 2))


def flatten(start: int = 0) -> Any:
    import nir

    return nir.Flatten(input_type={"input": np.array([1])}, start_dim=start, end_dim=-1)


def integers(seed: int, *shape: int, low: int = -3, high: int = 5) -> np.ndarray:
    """Return random weights that int8 holds exactly, float32."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.float32)


def write(graph: Any, path: Path) -> Path:
    import nir

    nir.write(path, graph)
    return path


# --- runs -------------------------------------------------------------------------------------------------------------


def random_spikes(timesteps: int, shape: Sequence[int], seed: int, rate: float = 0.4) -> np.ndarray:
    """Return bool [T, C, H, W]."""
    return np.random.default_rng(seed).random((timesteps, *shape)) < rate


def run(file: Path, spikes: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return each layer's spikes, bool [T, C, H, W] by the name of its weights, and the class scores."""
    network = Network.from_onnx(file)
    with Accelerator("reference") as accelerator:
        accelerator.load(network, keep_maps=True)
        logits = accelerator.infer_events(to_events(spikes))
        maps = {layer.name: accelerator.spike_map(layer.name)[: len(spikes)] for layer in network.layers[:-1]}
    return maps, network.scores(logits)
