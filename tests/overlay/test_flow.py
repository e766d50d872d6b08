"""The open build: its tools, its papers, and the comparison of a bitstream with its netlist."""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from overlays.flow import implementation, readback, tools
from overlays.flow.netlist import Area, Netlist
from overlays.flow.placement_order import write_ordered
from overlays.flow.sources import OVERLAYS, RTL, build_hash, rtl_files, rtl_hashes
from tests.conftest import ROOT

BITSTREAM = OVERLAYS / "pynq_snn.bit"


def test_packages_come_before_what_uses_them() -> None:
    names = [path.name for path in rtl_files()]
    assert names.index("snn_types_pkg.sv") > names.index("snn_layout_pkg.sv")
    assert all(names.index(name) < names.index("snn_overlay.sv") for name in names if name.endswith("_pkg.sv"))


def test_the_build_hash_tells_every_change_of_the_sources(tmp_path: Path) -> None:
    (tmp_path / "a.sv").write_text("module a; endmodule\n")
    before = build_hash(rtl_hashes(tmp_path))
    assert 0 <= before < 1 << 32
    (tmp_path / "a.sv").write_text("module a; endmodule  \n")
    changed = build_hash(rtl_hashes(tmp_path))
    (tmp_path / "a.sv").rename(tmp_path / "b.sv")
    assert len({before, changed, build_hash(rtl_hashes(tmp_path))}) == 3


def test_missing_tools_are_all_named_with_where_they_come_from(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "overlays.flow.build", "--target", str(tmp_path), "--work", str(tmp_path)],
        cwd=ROOT, env={"PATH": "/nonexistent", tools.VARIABLE: str(tmp_path)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    for need in tools.ALL_NEEDS:
        assert need.names[0] in done.stderr and need.remedy in done.stderr
    assert not list(tmp_path.iterdir())


def test_cells_whose_control_nets_few_share_are_placed_first(tmp_path: Path) -> None:
    def flip_flop(data: int, enable: int) -> dict[str, Any]:
        return {"type": "FDRE", "connections": {"C": [1], "CE": [enable], "R": ["0"], "D": [data], "Q": [data + 50]}}

    def table(output: int) -> dict[str, Any]:
        return {"type": "LUT1", "connections": {"A0": [9], "O": [output]}}

    cells = {
        "common a": flip_flop(10, 2), "common b": flip_flop(11, 2), "rare": flip_flop(12, 3),
        "before rare": table(12), "before common": table(10), "other": table(13),
    }  # fmt: skip
    netlist, ordered = tmp_path / "netlist.json", tmp_path / "ordered.json"
    netlist.write_text(json.dumps({"modules": {"top": {"attributes": {"top": "1"}, "cells": cells}}}))
    write_ordered(netlist, ordered)
    renamed = json.loads(ordered.read_text())["modules"]["top"]["cells"]
    last_first = [name.partition(".")[2] for name in sorted(renamed, reverse=True)]
    assert last_first == ["rare", "before rare", "common b", "common a", "before common", "other"]
    assert {name.partition(".")[2]: cell for name, cell in renamed.items()} == cells


def test_a_packed_database_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "tools" / "xc7z020-chipdb.bin.xz"
    packed.parent.mkdir()
    packed.write_bytes(lzma.compress(b"first"))
    monkeypatch.setenv(tools.VARIABLE, str(packed.parent))
    (found,) = tools.require(tools.CHIP_DATABASE)
    plain = tools.unpacked(found, tmp_path / "work")
    assert plain.read_bytes() == b"first"
    plain.write_bytes(b"kept")
    assert tools.unpacked(found, tmp_path / "work").read_bytes() == b"kept"
    packed.write_bytes(lzma.compress(b"second"))
    assert tools.unpacked(found, tmp_path / "work").read_bytes() == b"second"


def test_a_failing_tool_is_reported_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "fails.py"
    program.write_text("print('first'); raise SystemExit('what went wrong')")
    with pytest.raises(tools.ToolError, match=r"fails.py failed \(exit status 1\)[\s\S]*what went wrong"):
        tools.run([program], tmp_path / "log")


@pytest.mark.parametrize(
    ("fmax", "clock"), [(200.0, 100.0), (199.9, 1000 / 11), (82.0, 40.0), (80.0, 40.0), (79.9, 1000 / 26)]
)
def test_the_clock_is_the_fastest_within_half_of_the_estimate(fmax: float, clock: float) -> None:
    assert implementation.choose_clock(fmax) == pytest.approx(clock)
    assert implementation.choose_clock(fmax) <= fmax / 2


def test_figures_are_read_from_what_nextpnr_says_last() -> None:
    log = """\
Info: \tSLICE_LUTX:  1594/106400     1%
Info: \tRAMB36E1:     4/  140     2%
Info: \tDSP48E1:     0/  220     0%
Info: Max frequency for clock 'clk': 100.00 MHz (PASS at 12.00 MHz)
Info: Max frequency for clock 'clk': 78.10 MHz (PASS at 12.00 MHz)
"""
    assert implementation.read_fmax(log) == 78.1
    assert implementation.read_utilisation(log) == {"SLICE_LUTX": (1594, 106400), "RAMB36E1": (4, 140)}
    with pytest.raises(tools.ToolError, match="no clock frequency"):
        implementation.read_fmax("")


def cell(kind: str, parameters: dict[str, str] | None = None, **ports: Any) -> dict[str, Any]:
    """Make a cell of a netlist: ports named o_... are outputs."""
    return {
        "type": kind,
        "parameters": parameters or {},
        "attributes": {},
        "port_directions": {name.removeprefix("o_"): "output" if name[:2] == "o_" else "input" for name in ports},
        "connections": {name.removeprefix("o_"): [bit] for name, bit in ports.items()},
    }


def netlist(cells: dict[str, dict[str, Any]], **modules: dict[str, Any]) -> Netlist:
    nets = {bit for one in cells.values() for bits in one["connections"].values() for bit in bits if bit not in "01"}
    names = {f"net{bit}": {"bits": [bit]} for bit in nets}
    return Netlist({"top": {"attributes": {"top": "1"}, "cells": cells, "netnames": names}, **modules}, "top")


def test_longest_path_counts_cells_between_registers() -> None:
    cells = {
        "start": cell("FDRE", D="1", o_Q="10"),
        "one": cell("LUT1", I0="10", o_O="11"),
        "two": cell("CARRY4", CI="11", o_CO="12"),
        "three": cell("LUT2", I0="12", I1="10", o_O="13"),
        "end": cell("FDRE", D="13", o_Q="14"),
        "aside": cell("LUT1", I0="14", o_O="15"),
    }
    for one in cells.values():
        one["connections"] = {port: [int(bit) if len(bit) > 1 else bit for bit in bits]
                              for port, bits in one["connections"].items()}  # fmt: skip
    names = {f"net{bit}": {"bits": [bit]} for bit in range(10, 16)}
    found = Netlist({"top": {"cells": cells, "netnames": names}}, "top").longest_path()
    assert (found.cells, found.start, found.end) == (3, "net10", "net14")


def test_area_adds_up_over_instances() -> None:
    inner = {"cells": {"a": cell("LUT6"), "b": cell("FDRE"), "c": cell("RAMB18E1")}}
    design = netlist({"x": cell("inner"), "y": cell("inner"), "z": cell("LUT1")}, inner=inner)
    assert design.area() == Area(lut=3, ff=2, bram36=1.0)
    assert design.area_by_instance()["x"] == Area(lut=1, ff=1, bram36=0.5)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("SRL16E", {}),
        ("RAM64M", {}),
        ("DSP48E1", {}),
        ("LDCE", {}),
        ("RAMB36E1", {"READ_WIDTH_A": "1001000"}),
        ("RAMB18E1", {"READ_WIDTH_A": "100100"}),
        ("RAMB18E1", {"WRITE_WIDTH_B": "1001"}),
    ],
)
def test_cells_that_the_flow_gets_wrong_are_refused(kind: str, parameters: dict[str, str]) -> None:
    with pytest.raises(tools.ToolError, match="bad"):
        implementation.check_design_rules(netlist({"bad": cell(kind, parameters)}))
    implementation.check_design_rules(netlist({"good": cell("RAMB36E1", {"READ_WIDTH_A": "100100"})}))


def placed_design() -> readback.Placed:
    """Two tables in one place, a flip-flop and a block RAM."""
    vcc, gnd = 1, 2
    cells = {
        "large": cell("SLICE_LUTX", {"INIT": "1000"}, A1=10, A2=11, A6=vcc, o_O6=12),
        "small": cell("SLICE_LUTX", {"INIT": "01"}, A1=10, A6=vcc, o_O5=13),
        "register": cell("SLICE_FFX", {"INIT": "1"}, CK=14, CE=15, SR=gnd, D=12, o_Q=16),
        "memory": cell("RAMB36E1_RAMB36E1", {"READ_WIDTH_A": "100100", "WRITE_WIDTH_B": "100100", "INIT_00": "110"}),
    }
    places = {
        "large": "SLICE_X3Y5/B6LUT",
        "small": "SLICE_X3Y5/B5LUT",
        "register": "SLICE_X3Y5/BFF",
        "memory": "RAMB36_X0Y2/RAM",
    }
    for name, place in places.items():
        cells[name]["attributes"] |= {"NEXTPNR_BEL": place}
    cells["large"]["attributes"] |= {"X_ORIG_PORT_A1": "I1", "X_ORIG_PORT_A2": "I0"}
    cells["small"]["attributes"] |= {"X_ORIG_PORT_A1": "I0"}
    cells["register"]["attributes"] |= {"X_ORIG_TYPE": "FDSE"}
    names = {bit: {f"net{bit}"} for bit in range(10, 17)} | {vcc: {"$PACKER_VCC_NET"}, gnd: {"$PACKER_GND_NET"}}
    by_place = {tuple(place.split("/")): name for name, place in places.items()}
    return readback.Placed(cells, names, by_place)  # type: ignore[arg-type]


SITES = {"SLICE_X3Y5": ("CLBLL_L_X2Y5", "SLICEL_X1"), "RAMB36_X0Y2": ("BRAM_L_X6Y10", "")}
# Worked out by hand: A1 and A2 both 1 in the upper half, A1 = 0 in the lower.
SLICE_FEATURES = {
    *(f"BLUT.INIT[{bit:02}]" for bit in range(64) if (bit & 3 == 3 if bit >= 32 else bit & 1 == 0)),
    "FFSYNC", "CEUSEDMUX",
}  # fmt: skip
HALF = {
    "IN_USE", "READ_WIDTH_A_18", "WRITE_WIDTH_B_18", *(f"ZINV_{pin}" for pin in readback.BRAM_PINS),
    *(f"ZSRVAL_{port}[{bit}]" for port in "AB" for bit in range(18)),
}  # fmt: skip


def device_features() -> readback.Features:
    return {
        ("CLBLL_L_X2Y5", "SLICEL_X1"): set(SLICE_FEATURES),
        ("BRAM_L_X6Y10", "RAMB18_Y0"): {*HALF, "INIT_00[001]"},
        ("BRAM_L_X6Y10", "RAMB18_Y1"): {*HALF, "INIT_00[000]"},
    }


def differences(features: readback.Features) -> list[str]:
    return readback.compare_cells(placed_design(), features, SITES).differences


def test_a_bitstream_that_says_what_the_netlist_says_has_no_differences() -> None:
    comparison = readback.compare_cells(placed_design(), device_features(), SITES)
    assert comparison.differences == []
    assert comparison.counts["LUT cells"] == 2 and comparison.counts["block RAM rows of 256 bits"] == 144


@pytest.mark.parametrize("place", list(device_features()))
def test_every_single_bit_that_is_missing_is_a_difference(place: tuple[str, str]) -> None:
    for feature in sorted(device_features()[place]):
        features = device_features()
        features[place].remove(feature)
        assert differences(features), f"{feature} is not missed"


@pytest.mark.parametrize(
    ("place", "feature"),
    [
        (("CLBLL_L_X2Y5", "SLICEL_X1"), "BLUT.INIT[01]"),
        (("CLBLL_L_X2Y5", "SLICEL_X1"), "CLUT.INIT[00]"),
        (("CLBLL_L_X2Y5", "SLICEL_X1"), "BFF.ZINI"),
        (("CLBLL_L_X2Y5", "SLICEL_X1"), "CFF.ZRST"),
        (("CLBLL_L_X2Y5", "SLICEL_X1"), "CLKINV"),
        (("CLBLL_L_X2Y5", "SLICEL_X1"), "SRUSEDMUX"),
        (("CLBLL_L_X2Y5", "SLICEL_X0"), "ALUT.INIT[00]"),
        (("BRAM_L_X6Y10", "RAMB18_Y0"), "DOA_REG"),
        (("BRAM_L_X6Y10", "RAMB18_Y1"), "INITP_07[255]"),
        (("BRAM_L_X6Y20", "RAMB18_Y1"), "IN_USE"),
    ],
)
def test_a_bit_too_many_is_a_difference(place: tuple[str, str], feature: str) -> None:
    features = device_features()
    features.setdefault(place, set()).add(feature)
    assert differences(features)


def test_the_shipped_bitstream_was_built_from_these_sources() -> None:
    assert BITSTREAM.exists()
    papers = json.loads((OVERLAYS / "manifest.json").read_text())
    assert papers["sources"] == rtl_hashes(RTL), "RTL and bitstream differ: run make -C overlays"
    assert papers["build_hash"] == f"0x{build_hash(rtl_hashes(RTL)):08x}"
    timing = json.loads((OVERLAYS / "timing.json").read_text())
    assert timing["clock_mhz"] <= timing["fmax_mhz"] / 2
    assert timing["clock_mhz"] == papers["clock_mhz"]
