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


def reached(
    folder: Path, features: Features, places: dict[tuple[str, str], str] = PLACES
) -> dict[str, tuple[int | None, int | None]]:
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
    fabric = Fabric(file, features, lambda _: {"ALWAYS.FIRST_AMUX"}, lambda _: set())
    tracer = Tracer(CELLS, places, features, SITES, fabric, (ZERO_NET, ONE_NET))
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


def test_a_multiplexer_without_a_bit_takes_its_resting_input(tmp_path: Path) -> None:
    graph = {
        "tiles": [(0, 0, 0, "BRAM_L_X0Y0")], "tt": ["BRAM_L"], "segs": [],
        "wires": [[("ADDRESS",), ("BESIDE",), ("CASCADE",)]],
        "sitetypes": [("FIFO18E1", [("RDEN", 2)]), ("SLICEL", [("A", 4)])], "pinmaps": [[0], [1], [2]],
        "sites": [("RAMB18_X0Y0", 0, 0, 0, 0), ("SLICE_X0Y0", 1, 0, 0, 1), ("SLICE_X1Y0", 1, 0, 0, 2)],
    }  # fmt: skip
    file = tmp_path / "graph.pkl.xz"
    file.write_bytes(lzma.compress(pickle.dumps(graph)))

    def sources(features: Features) -> set[tuple[str, str] | str]:
        fabric = Fabric(file, features, lambda _: set(), lambda _: {"ADDRESS.BESIDE"})
        return fabric.sources("RAMB18_X0Y0", "ENARDEN")  # as the same pin of a RAMB18E1 is called

    assert sources({}) == {("SLICE_X0Y0", "A")}
    assert sources({("BRAM_L_X0Y0", "ADDRESS"): {"CASCADE"}}) == {("SLICE_X1Y0", "A")}


BUFFER, BUFFER_TILE = "BUFGCTRL_X0Y17", "CLK_BUFG_TOP_R_X0Y0"
PASSES = {
    "BUFGCTRL_X0Y1.IN_USE",
    "BUFGCTRL_X0Y1.IS_IGNORE1_INVERTED",
    "BUFGCTRL_X0Y1.ZINV_CE0",
    "BUFGCTRL_X0Y1.ZINV_S0",
}


@pytest.mark.parametrize(
    ("settings", "enable", "found"),
    [
        (PASSES, set(), TABLE_NET),
        (PASSES, {"VCC_WIRE"}, TABLE_NET),
        (PASSES, {"GND_WIRE"}, None),
        (PASSES - {"BUFGCTRL_X0Y1.IN_USE"}, set(), None),
        ({setting.replace("X0Y1.", "X0Y2.") for setting in PASSES}, set(), None),
    ],
)
def test_a_global_buffer_without_a_cell_passes_a_net_on(
    tmp_path: Path, settings: set[str], enable: set[str], found: int | None
) -> None:
    graph = {
        "tiles": [(0, 0, 0, BUFFER_TILE)], "tt": ["CLK_BUFG_TOP_R"], "segs": [],
        "wires": [[("IN",), ("OUT",), ("CE",), ("TO",), ("VCC_WIRE",), ("GND_WIRE",)]],
        "sitetypes": [("SLICEL", [("A", 4)]), ("SLICEL", [("A1", 2)]),
                      ("BUFGCTRL", [("I0", 2), ("O", 4), ("CE0", 2), ("S0", 2)])],
        "pinmaps": [[0], [3], [0, 1, 2, 2]],
        "sites": [(FIRST, 0, 0, 0, 0), (SECOND, 1, 0, 0, 1), (BUFFER, 2, 0, 0, 2)],
    }  # fmt: skip
    file = tmp_path / "graph.pkl.xz"
    file.write_bytes(lzma.compress(pickle.dumps(graph)))
    features: Features = {
        (BUFFER_TILE, "BUFGCTRL"): settings,
        (BUFFER_TILE, "TO"): {"OUT"},
        (BUFFER_TILE, "CE"): enable,
    }
    fabric = Fabric(file, features, lambda _: set(), lambda _: set())
    tracer = Tracer(CELLS, {(FIRST, "A6LUT"): "driver"}, features, SITES, fabric, (ZERO_NET, ONE_NET))
    assert tracer.at_pin(SECOND, "A1") == found


def test_a_table_without_a_cell_and_without_a_bit_gives_0(tmp_path: Path) -> None:
    features = good_features()
    places = {place: name for place, name in PLACES.items() if name != "driver"}
    assert reached(tmp_path, features, places)["sink.A1"] == (ZERO_NET, TABLE_NET)
    features[TILE, "SLICEL_X0"] = {"AOUTMUX.O5", "ALUT.INIT[03]"}
    assert reached(tmp_path, features, places)["sink.A1"] == (None, TABLE_NET)
