"""The Vivado script, as far as it can be tried without Vivado: in tclsh, with its commands replaced by recorders."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from overlays.flow.sources import OVERLAYS, RTL, build_hash, rtl_files, rtl_hashes

SCRIPT = OVERLAYS / "vivado" / "build.tcl"
WRAPPER = OVERLAYS / "vivado" / "snn_core_ip.v"
CORE = RTL / "snn_core.sv"
HLS_SCRIPT = OVERLAYS.parent / "hls" / "vitis" / "run_hls.tcl"

# Commands of Vivado that the script may use, and what they answer. Anything else is an error in tclsh.
VIVADO = {
    "version": "2023.1", "create_project": "", "add_files": "", "set_property": "", "current_fileset": "sources_1",
    "update_compile_order": "", "ipx::package_project": "", "ipx::current_core": "core",
    "ipx::infer_bus_interfaces": "", "ipx::associate_bus_interfaces": "", "ipx::create_xgui_files": "",
    "ipx::update_checksums": "",
    "ipx::check_integrity": "", "ipx::save_core": "", "close_project": "", "current_project": "project",
    "update_ip_catalog": "", "create_bd_design": "", "create_bd_cell": "cell", "make_bd_intf_pins_external": "",
    "connect_bd_intf_net": "", "connect_bd_net": "", "get_bd_intf_pins": "pins", "get_bd_pins": "pins",
    "assign_bd_address": "", "get_bd_addr_spaces": "space", "get_bd_addr_segs": "segment", "validate_bd_design": "",
    "save_bd_design": "", "get_files": "design.bd", "generate_target": "", "make_wrapper": "wrapper.v",
    "get_runs": "impl_1", "launch_runs": "", "wait_on_run": "", "get_property": "100%", "open_run": "",
    "report_timing_summary": "", "report_utilization": "", "get_timing_paths": "path",
}  # fmt: skip
VITIS_HLS = {
    "open_project": "", "set_top": "", "add_files": "", "open_solution": "", "set_part": "", "create_clock": "",
    "config_interface": "", "csim_design": "", "csynth_design": "", "export_design": "",
}  # fmt: skip

pytestmark = pytest.mark.skipif(shutil.which("tclsh") is None, reason="no tclsh here (apt install tcl)")


def run_recorded(script: Path, commands: dict[str, str], folder: Path, *arguments: str) -> list[str]:
    """Run a script with `commands` replaced; return every call of them, in order."""
    record = folder / "record"
    stubs = "\n".join(
        f"namespace eval ::{name.rpartition('::')[0]} {{}}\n"
        f'proc ::{name} {{args}} {{ puts $::record "{name} $args"; return {{{answer}}} }}'
        for name, answer in commands.items()
    )
    # SLACK is a number, every other property a percentage; files that Vivado would have made are not copied or removed.
    runner = f"""
set record [open {record} w]
{stubs}
if {{[info procs ::get_property] ne ""}} {{
    proc ::get_property {{name args}} {{ return [expr {{$name eq "SLACK" ? 0.5 : "100%"}}] }}
}}
rename file tcl_file
proc file {{args}} {{
    if {{[lindex $args 0] in {{copy delete mkdir}}}} {{ puts $::record "file $args"; return }}
    return [uplevel 1 [list tcl_file {{*}}$args]]
}}
set argv [list {" ".join(arguments)}]
source {script}
close $record
"""
    (folder / "runner.tcl").write_text(runner)
    done = subprocess.run(
        ["tclsh", str(folder / "runner.tcl")],
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return record.read_text().splitlines()


def test_the_script_runs_to_its_end_and_names_files_that_exist(tmp_path: Path) -> None:
    calls = run_recorded(SCRIPT, VIVADO, tmp_path, "125")
    assert calls[-1].startswith("file copy") and "pynq_snn.hwh" in calls[-1]
    added = next(call for call in calls if call.startswith("add_files"))
    named = [Path(word) for word in re.findall(r"/[^ {}]+\.s?v\b", added)]
    assert all(path.is_file() for path in named)
    assert [path.name for path in named] == [
        *(path.name for path in rtl_files() if path.stem not in ("snn_overlay", "axi_lite_bridge", "axi_slice")),
        "snn_core_ip.v",
    ]
    assert any("PCW_FPGA0_PERIPHERAL_FREQMHZ 125" in call for call in calls)


def test_the_core_gets_the_build_hash_of_its_sources(tmp_path: Path) -> None:
    calls = run_recorded(SCRIPT, VIVADO, tmp_path)
    assert f"set_property CONFIG.BUILD_HASH 0x{build_hash(rtl_hashes()):08x} cell" in calls


def test_the_block_design_is_the_one_that_the_overlay_has(tmp_path: Path) -> None:
    text = "\n".join(run_recorded(SCRIPT, VIVADO, tmp_path))
    for pin in (
        "snn/s_axi",
        "snn/m0_axi",
        "snn/m1_axi",
        "processing_system7_0/S_AXI_HP0",
        "processing_system7_0/S_AXI_HP1",
    ):
        assert f"get_bd_intf_pins {pin}" in text
    assert "assign_bd_address -offset 0x43C00000" in text
    assert "get_bd_pins processing_system7_0/IRQ_F2P" in text


def ports(text: str, module: str) -> dict[str, tuple[str, int]]:
    """Return direction and width of every port of a module."""
    body = text[text.index(f"module {module}") :]
    body = body[: body.index(");\n")]
    pattern = r"\b(input|output)\s+(?:wire|logic|reg)?\s*(?:\[\s*(\d+)\s*:\s*0\s*\])?\s*(\w+)"
    return {name: (way, int(high or 0) + 1) for way, high, name in re.findall(pattern, body)}


@pytest.mark.skipif(not CORE.exists(), reason="the core is not written yet")
def test_the_packaged_block_has_the_ports_of_the_core() -> None:
    core = ports(CORE.read_text(), "snn_core")
    assert core == ports(WRAPPER.read_text(), "snn_core_ip")
    assert len(core) > 60
    connected = dict(re.findall(r"\.(\w+)\((\w+)\)", WRAPPER.read_text()))
    assert connected == {name: name for name in (*core, "BUILD_HASH")}


def test_the_hls_script_runs_to_its_end_and_names_files_that_exist(tmp_path: Path) -> None:
    calls = run_recorded(HLS_SCRIPT, VITIS_HLS | {"exit": ""}, tmp_path)
    named = [word for call in calls if call.startswith("add_files") for word in re.findall(r"\S+\.cpp", call)]
    assert len(named) >= 5
    assert all((HLS_SCRIPT.parent / name).is_file() for name in named)
    assert calls[-1].startswith("exit") and any(call.startswith("export_design") for call in calls)
