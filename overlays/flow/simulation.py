"""A netlist of xc7 cells as Verilog that a simulator runs: the cells replaced by yosys's own simulation models of them.

Block RAMs and the processing system stay cells: yosys has no models of their behaviour.
"""

from __future__ import annotations

from pathlib import Path

from overlays.flow import tools
from overlays.flow.netlist import Netlist
from overlays.flow.sources import TOP

PROCESSOR, PROCESSOR_NAME = "PS7", "ps7"  # type, and name in snn_overlay.sv
MODELLED = (
    "INV", "LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6", "MUXF7", "MUXF8", "CARRY4", "BUFG", "FDRE", "FDSE", "FDCE",
    "FDPE",
)  # fmt: skip


def simulation_netlist(netlist: Path) -> Path:
    """Write the netlist of yosys, a JSON file, as Verilog without device cells beside it, and return that file.

    Cells may have got other names for the placer; the processing system gets the one back that it has in the RTL.
    """
    (yosys,) = tools.require(tools.YOSYS)
    name = f"{netlist.stem}_simulation"
    cells = " ".join(f"t:{cell}" for cell in MODELLED)
    found = Netlist.read(netlist).cells.items()
    processors = [cell for cell, entry in found if entry["type"] == PROCESSOR and cell != PROCESSOR_NAME]
    renamed = "".join(f"cd {TOP}\nrename {cell} {PROCESSOR_NAME}\ncd ..\n" for cell in processors)
    script = f"""\
read_json {netlist.name}
techmap -autoproc -max_iter 1 -map +/xilinx/cells_sim.v {cells}
opt_expr
opt_clean -purge
{renamed}write_verilog -noattr {name}.v
"""
    (netlist.parent / f"{name}.ys").write_text(script)
    tools.run([yosys, "-Q", "-s", f"{name}.ys"], netlist.parent / f"{name}.log", folder=netlist.parent)
    return netlist.parent / f"{name}.v"
