"""Routing followed back, on a device of two slices: A of the first can reach B1 and BX of the second."""

from __future__ import annotations

import lzma
import pickle
from pathlib import Path
from typing import Any

import pytest

from overlays.flow.connections import Fabric, Features, Tracer

FIRST, SECOND = "SLICE_X0Y0", "SLICE_X1Y0"
TILE = "CLBLL_L_X0Y0"
WIRES = ["FIRST_A", "FIRST_AMUX", "HALF_WAY", "SECOND_B1", "SECOND_BX", "VCC_WIRE", "ALWAYS"]
PINS = [("A", 4), ("AMUX", 4), ("B1", 2), ("BX", 2)]
ZERO_NET, ONE_NET, TABLE_NET, SMALL_NET, STORED_NET = range(1, 6)
SITES = {FIRST: (TILE, "SLICEL_X0"), SECOND: (TILE, "SLICEL_X1")}

CELLS: dict[str, dict[str, Any]] = {
    "driver": {"type": "SLICE_LUTX", "port_directions": {"O6": "output"}, "connections": {"O6": [TABLE_NET]}},
    "small": {"type": "SLICE_LUTX", "port_directions": {"O5": "output"}, "connections": {"O5": [SMALL_NET]}},
    "sink": {"type": "SLICE_LUTX", "port_directions": {"A1": "input"}, "connections": {"A1": [TABLE_NET]}},
    "register": {"type": "SLICE_FFX", "port_directions": {"D": "input"}, "connections": {"D": [SMALL_NET]}},
}
PLACES = {
    (FIRST, "A6LUT"): "driver", (FIRST, "A5LUT"): "small", (SECOND, "B6LUT"): "sink", (SECOND, "BFF"): "register",
}  # fmt: skip


def good_features() -> Features:
    return {
        (TILE, "HALF_WAY"): {"FIRST_A"},
        (TILE, "SECOND_B1"): {"HALF_WAY"},
        (TILE, "SECOND_BX"): {"ALWAYS"},
        (TILE, "SLICEL_X0"): {"AOUTMUX.O5"},
        (TILE, "SLICEL_X1"): {"BFFMUX.BX"},
    }


def reached(folder: Path, features: Features) -> dict[str, tuple[int | None, int | None]]:
    """What the bits bring to each input, and what the netlist wants there."""
    first = [WIRES.index("FIRST_A"), WIRES.index("FIRST_AMUX"), 65535, 65535]
    second = [65535, 65535, WIRES.index("SECOND_B1"), WIRES.index("SECOND_BX")]
    graph = {
        "tiles": [(0, 0, 0, TILE)], "tt": ["CLBLL_L"], "wires": [[(name,) for name in WIRES]], "segs": [],
        "sitetypes": [("SLICEL", PINS)], "pinmaps": [first, second],
        "sites": [(FIRST, 0, 0, 0, 0), (SECOND, 0, 0, 0, 1)],
    }  # fmt: skip
    file = folder / "graph.pkl.xz"
    file.write_bytes(lzma.compress(pickle.dumps(graph)))
    fabric = Fabric(file, features, lambda _: {"ALWAYS.FIRST_AMUX"})
    tracer = Tracer(CELLS, PLACES, features, SITES, fabric, (ZERO_NET, ONE_NET))
    return {f"{cell}.{port}": (found, wanted) for cell, port, found, wanted in tracer.inputs()}


def test_inputs_are_followed_through_arcs_fixed_connections_and_multiplexers(tmp_path: Path) -> None:
    assert reached(tmp_path, good_features()) == {
        "sink.A1": (TABLE_NET, TABLE_NET), "register.D": (SMALL_NET, SMALL_NET),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "sources", "cell"),
    [
        ("HALF_WAY", set(), "sink.A1"),
        ("HALF_WAY", {"FIRST_AMUX"}, "sink.A1"),
        ("HALF_WAY", {"FIRST_A", "FIRST_AMUX"}, "sink.A1"),
        ("SECOND_B1", {"HALF_WAY", "VCC_WIRE"}, "sink.A1"),
        ("SECOND_BX", {"HALF_WAY"}, "register.D"),
        ("SLICEL_X0", {"AOUTMUX.O6"}, "register.D"),
        ("SLICEL_X0", set(), "register.D"),
        ("SLICEL_X1", {"BFFMUX.O6"}, "register.D"),
        ("SLICEL_X1", {"BFFMUX.BX", "BFFMUX.O6"}, "register.D"),
    ],
)
def test_a_wrong_connection_is_noticed(tmp_path: Path, place: str, sources: set[str], cell: str) -> None:
    features = good_features() | {(TILE, place): sources}
    found, wanted = reached(tmp_path, features)[cell]
    assert found != wanted


def test_constants_are_told_apart_from_nets(tmp_path: Path) -> None:
    features = good_features() | {(TILE, "SECOND_B1"): {"VCC_WIRE"}}
    assert reached(tmp_path, features)["sink.A1"] == (ONE_NET, TABLE_NET)
