"""What synthesis makes of memories: block RAMs of allowed widths only, which answer as the RTL does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from overlays.flow import implementation, tools
from overlays.flow.netlist import Netlist
from overlays.flow.simulation import simulation_netlist
from overlays.flow.synthesis import synthesise
from tests.overlay.verilated import build_program, missing_tools

pytestmark = [
    pytest.mark.skipif(bool(missing_tools()), reason=missing_tools()),
    pytest.mark.skipif(tools.find(tools.YOSYS) is None, reason="no yosys here (pip install 'pynq-snn[fpga]')"),
]

HERE = Path(__file__).parent
ZEROS = ("--x-assign", "0", "--x-initial", "0", "-Wno-lint", "-Wno-style")  # as the device powers up


def answers(sources: list[Path], folder: Path) -> list[str]:
    """Return what the memories answer to the reads of the bench, cycle by cycle."""
    bench = build_program("memories", sources, HERE / "memories_bench.cpp", folder, ZEROS)
    return subprocess.run([str(bench)], capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()


def test_memories_become_allowed_block_rams_that_answer_alike(tmp_path: Path) -> None:
    source = HERE / "memories.sv"
    json_file = synthesise([source], 0, tmp_path, "memories")
    netlist = Netlist.read(json_file)
    implementation.check_design_rules(netlist)
    assert netlist.area().bram36 == 5.0  # 2 wide, 1 middle, 1 strobed, half a narrow, half a constant
    assert netlist.area().ff < 200  # no memory in flip-flops
    wanted = answers([source], tmp_path / "rtl")
    assert len(set(wanted)) > 10000
    cells = [simulation_netlist(json_file), HERE / "xc7_models.sv"]
    assert answers(cells, tmp_path / "netlist") == wanted
