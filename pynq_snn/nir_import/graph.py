"""From a NIR file to a chain of nodes: everything that is said about edges and files, nothing about neurons."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn.errors import ModelError

MAX_BYTES = 1 << 30  # of all arrays of a file together, unpacked
INSTALL = "NIR files need the nir package: pip install 'pynq-snn[nir]'"

Shape = tuple[int, ...]


class Refused(Exception):
    """Something in a graph that cannot be converted; the text goes on after the file's name."""


@dataclass(frozen=True)
class Chain:
    """The nodes of a feed-forward graph in order, without Input and Output.

    Attributes
    ----------
    nodes : tuple of (name, node)
        Nodes of the nir package.
    input_shape : tuple of int
        As the file's Input node declares it, without a batch of one: [C, H, W] or [N], or empty if it does not.
    """

    nodes: tuple[tuple[str, Any], ...]
    input_shape: Shape


def read_graph(path: Path) -> Any:
    """Return the nir.NIRGraph of a file.

    Raises
    ------
    Refused
        The package `nir` is missing, or the file is not a NIR file, is damaged, or unpacks to more than 1 GiB.
    """
    try:
        import h5py
        import nir
    except ImportError as error:
        raise ModelError(f"{INSTALL} ({error})") from error
    try:
        with h5py.File(path, "r") as file:
            size = _array_bytes(file, h5py)
        if size > MAX_BYTES:
            raise Refused(f"holds {size:,} bytes of arrays; at most {MAX_BYTES:,} can be converted")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of nir and h5py about their own future
            graph = nir.read(path, type_check=False)
    except Refused:
        raise
    except FileNotFoundError as error:
        raise Refused("is not there; check the path") from error
    except Exception as error:  # a damaged file makes HDF5 and the nir package raise whatever comes first
        reason = "it is a folder" if path.is_dir() else f"{type(error).__name__}: {error}"
        raise Refused(f"is not a NIR graph ({reason}); check the path, or export the network again") from error
    return graph


def _array_bytes(file: Any, h5py: Any) -> int:
    """Return the bytes of all arrays once they are unpacked; a few compressed bytes may stand for many."""
    sizes: list[int] = []

    def collect(_: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(item.nbytes)

    file.visititems(collect)
    return sum(sizes)


def order(graph: Any) -> Chain:
    """Return the nodes between the one input and the one output, in the order in which spikes pass them.

    Raises
    ------
    Refused
        The graph is not one chain: recurrent, branching, several inputs or outputs, nested, or in parts.
    """
    nodes = dict(graph.nodes)
    edges = _edges(graph, nodes)
    kinds = {name: type(node).__name__ for name, node in nodes.items()}
    for name, kind in kinds.items():
        if kind == "NIRGraph":
            raise Refused(f"node {name} is a graph in the graph, {_nested(nodes[name])}")
    start, end = _only(kinds, "Input"), _only(kinds, "Output")
    after: dict[str, list[str]] = {name: [] for name in nodes}
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        after[source].append(target)
        before[target].append(source)
    _check_acyclic(after)
    for name in nodes:
        if len(after[name]) > 1:
            raise Refused(f"node {name} feeds {len(after[name])} nodes ({', '.join(after[name])}); only chains convert")
        if len(before[name]) > 1:
            raise Refused(
                f"node {name} sums {len(before[name])} nodes ({', '.join(before[name])}); only chains convert"
            )
    path, name = [], start
    while after[name]:
        name = after[name][0]
        path.append(name)
    if not path or path[-1] != end:
        raise Refused(f"Input {start} leads to {name} and not to Output {end}; connect them")
    lost = sorted(set(nodes) - {start, *path})
    if lost:
        raise Refused(f"nodes {', '.join(lost)} do not lie between Input and Output; remove them")
    return Chain(tuple((name, nodes[name]) for name in path[:-1]), _input_shape(nodes[start].input_type, start))


def _edges(graph: Any, nodes: dict[str, Any]) -> list[tuple[str, str]]:
    edges = list(dict.fromkeys((str(source), str(target)) for source, target in graph.edges))
    for edge in edges:
        for name in edge:
            if name not in nodes:
                raise Refused(f"edge {edge[0]} -> {edge[1]} names node {name}, which is not there; export again")
    return edges


def _nested(graph: Any) -> str:
    try:
        after: dict[str, list[str]] = {name: [] for name in graph.nodes}
        for source, target in graph.edges:
            after[str(source)].append(str(target))
        _check_acyclic(after)
    except Refused as refused:
        return f"and it {refused}"
    except KeyError:
        pass
    return "as some exporters write blocks; export the network as one flat sequence"


def _only(kinds: dict[str, str], kind: str) -> str:
    names = [name for name, found in kinds.items() if found == kind]
    if len(names) != 1:
        listed = f" ({', '.join(names)})" if names else ""
        raise Refused(f"has {len(names)} {kind} nodes{listed}; a network needs one")
    return names[0]


def _check_acyclic(after: dict[str, list[str]]) -> None:
    """Refuse recurrent connections, naming one cycle (peeling off nodes that lead nowhere leaves only cycles)."""
    left = {name: set(targets) for name, targets in after.items()}
    while left:
        ends = {name for name, targets in left.items() if not targets & left.keys()}
        if not ends:
            cycle = [next(iter(left))]
            while (name := min(left[cycle[-1]] & left.keys())) not in cycle:
                cycle.append(name)
            loop = " -> ".join([*cycle[cycle.index(name) :], name])
            raise Refused(f"is recurrent ({loop}); the accelerator runs feed-forward networks")
        left = {name: targets for name, targets in left.items() if name not in ends}


def _input_shape(types: Any, name: str) -> Shape:
    value = next(iter(types.values())) if isinstance(types, dict) and types else None
    if value is None:
        return ()
    sides: npt.NDArray[Any] = np.asarray(value).reshape(-1)
    if sides.dtype.kind not in "iuf" or not all(side >= 1 and side == side // 1 for side in sides.tolist()):
        raise Refused(f"node {name} has shape {sides.tolist()}; expected whole numbers above 0")
    shape = tuple(int(side) for side in sides)
    if len(shape) in (2, 4) and shape[0] == 1:
        return shape[1:]
    return (1, *shape) if len(shape) == 2 else shape
