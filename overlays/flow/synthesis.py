"""Synthesis with yosys: SystemVerilog to a netlist of xc7 cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from overlays.flow import tools
from overlays.flow.sources import CORE, TOP

# No DSP slices, shift registers or LUT memory: nextpnr-xilinx does not write all of their settings. No block RAMs
# either: those that it does write are chosen from BLOCK_RAMS before.
SYNTH = "synth_xilinx -family xc7 -noiopad -noclkbuf -nosrl -nolutram -nobram -nodsp"
# Eight flip-flops of a slice share a clock enable and a reset: one that few would share becomes logic.
FLIP_FLOPS = "-cell $_DFFE_?P?P_ 01 -cell $_SDFFE_?P?P_ 01 -cell $_DLATCH_?P?_ 01"
FEWEST_SHARING = 8
# What a wire costs in the eyes of the mapper, in ps. With the 300 of yosys it takes chains of small, quick LUTs for as
# good as one large LUT: the longest path has 10 levels then, and 6.25 with this, for 0.4% more LUTs.
WIRE_DELAY = 1500
BLOCK_RAMS = Path(__file__).resolve().parent / "block_rams.txt"


def yosys_script(files: Sequence[Path], top: str, hash_word: int, netlist: str, flatten: bool = True) -> str:
    """Return the yosys script that writes the netlist of `top` as JSON."""
    identity = f"-G BUILD_HASH=32'h{hash_word:08x}" if top in (TOP, CORE) else ""
    reading = "read_slang -j 1 --allow-use-before-declare" + ("" if flatten else " --keep-hierarchy")
    synth = f"{SYNTH} {'-flatten ' if flatten else ''}-top {top} -run "
    return "\n".join([
        f"scratchpad -set synth_xilinx.abc9.W {WIRE_DELAY}",
        "read_verilog -lib +/xilinx/cells_sim.v +/xilinx/cells_xtra.v",
        f"{reading} --top {top} {identity} {' '.join(path.name for path in files)}",
        f"{synth}begin:map_memory",
        f"memory_libmap -lib {BLOCK_RAMS.name}",
        "techmap -map +/xilinx/brams_xc6v_map.v",
        f"{synth}map_memory:map_ffs",
        f"dfflegalize {FLIP_FLOPS} -mince {FEWEST_SHARING} -minsrst {FEWEST_SHARING}",
        f"{synth}map_ffs:",
        "delete t:$scopeinfo t:$check t:$print",  # where things came from, and what simulations check
        "check -assert -noinit",
        f"write_json {netlist}.json",
        "",
    ])  # fmt: skip


def synthesise(
    files: Sequence[Path], hash_word: int, work: Path, top: str = TOP, name: str = "synthesis", flatten: bool = True
) -> Path:
    """Write the netlist of `top` into the folder `work` and return its JSON file.

    The sources are copied there first: a yosys in a WebAssembly sandbox sees no other folder, and no path of this
    machine enters the netlist.
    """
    (yosys,) = tools.require(tools.YOSYS)
    work.mkdir(parents=True, exist_ok=True)
    for path in (*files, BLOCK_RAMS):
        (work / path.name).write_bytes(path.read_bytes())
    (work / f"{name}.ys").write_text(yosys_script(files, top, hash_word, name, flatten))
    tools.run([yosys, "-Q", "-l", f"{name}.log", "-s", f"{name}.ys"], work / f"{name}.out", folder=work)
    return work / f"{name}.json"


def yosys_version(work: Path) -> str:
    """Return what yosys says of its version."""
    (yosys,) = tools.require(tools.YOSYS)
    lines = tools.run([yosys, "-V"], work / "version.log").strip().splitlines()
    return next(line for line in lines if line.startswith("Yosys"))
