"""The end of a run before a memory that answers late or never, which no other bench may have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pynq_snn.devices.rtl_model import core_sources, verilator_folder

BENCH = Path(__file__).parent / "stand_in" / "run_control_bench.sv"


@pytest.mark.rtl_tools
def test_a_run_always_ends(tmp_path: Path) -> None:
    wanted = ("snn_layout_pkg", "snn_types_pkg", "snn_memory_pkg", "snn_run_control")
    sources = [path for path in core_sources() if path.stem in wanted]
    folder = verilator_folder()
    assert folder is not None
    command: list[str | Path] = [
        "perl", folder / "bin" / "verilator", "--binary", "--assert", "-Wno-lint", "-Wno-style", "--Mdir", tmp_path,
        "-CFLAGS", "-std=c++20",
        "-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include", "--top-module", BENCH.stem, "-o", "bench", *sources, BENCH,
    ]  # fmt: skip
    built = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, built.stderr[-2000:]
    ran = subprocess.run([tmp_path / "bench"], capture_output=True, text=True, timeout=60)
    assert ran.stdout.splitlines()[0] == "PASSED", ran.stdout
