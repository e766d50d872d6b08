"""What this machine has for pynq-snn, and what to do about what it lacks."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pynq_snn import __version__
from pynq_snn.devices.board import presence
from pynq_snn.errors import DeviceError
from pynq_snn.models import model_folder, shipped_models

COMPILERS = ("g++", "c++", "clang++")
COMPILER_TIMEOUT_S = 10.0
PYNQ_MAJOR_VERSION = "3"  # 2 has another allocator, 4 no PYNQ-Z2
NEEDED_MIB = 16  # contiguous memory for the shipped network with a batch of 16, and some air


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes
    ----------
    name : str
    state : {"ok", "missing", "optional"}
        Present; absent but needed; absent and not needed for a first run.
    detail : str
        Version or place of what is there; what to do about what is not.
    """

    name: str
    state: str
    detail: str


def examine() -> list[Finding]:
    """Return the findings on this machine."""
    return [
        Finding("pynq-snn", "ok", __version__),
        Finding("python", "ok", f"{platform.python_version()} on {platform.machine()}"),
        _package("numpy", needed=True),
        _package("pillow", needed=True),
        *_devices(),
        _compiler(),
        *_onnx_packages(),
        _pynq(),
        _models(),
        *_overlay(),
        *_board(),
    ]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package(name: str, *, needed: bool, purpose: str = "") -> Finding:
    version = _version(name)
    if version is not None:
        return Finding(name, "ok", version)
    remedy = f"not installed{purpose}; pip install {name}"
    return Finding(name, "missing" if needed else "optional", remedy)


def _devices() -> list[Finding]:
    from pynq_snn.devices import available

    reasons = available()
    # One fast device is enough: the board where there is one, else the kernel.
    enough = any(reasons.get(name, "") is None for name in ("board", "kernel"))
    findings = []
    for name, reason in reasons.items():
        state = "ok" if reason is None else "optional" if enough else "missing"
        findings.append(Finding(f"device {name}", state, reason or f"use it with --device {name}"))
    return findings


def _compiler() -> Finding:
    for candidate in (os.environ.get("CXX", ""), *COMPILERS):
        command = shlex.split(candidate)
        if not command or shutil.which(command[0]) is None:
            continue
        try:
            answer = subprocess.run(
                [*command, "--version"], capture_output=True, text=True, timeout=COMPILER_TIMEOUT_S, check=True
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return Finding("C++ compiler", "ok", next(iter(answer.stdout.splitlines()), command[0]))
    return Finding("C++ compiler", "optional", "none; the kernel device is built with one: sudo apt install g++")


def _onnx_packages() -> list[Finding]:
    if platform.machine() == presence.BOARD_MACHINE:
        detail = f"not needed here, and not available for {presence.BOARD_MACHINE}; models are read without it"
        return [Finding(name, "optional", detail) for name in ("onnx", "onnxruntime")]
    return [_package(name, needed=False, purpose=" (only for making and checking models)") for name in
            ("onnx", "onnxruntime")]  # fmt: skip


def _pynq() -> Finding:
    version = _version("pynq")
    on_board = presence.board_present()
    if version is None:
        absent = "not installed; it comes with the image of a PYNQ board and is used there only"
        return Finding("pynq", "missing", presence.NO_PYNQ) if on_board else Finding("pynq", "optional", absent)
    if on_board and version.split(".")[0] != PYNQ_MAJOR_VERSION:
        remedy = (
            f"{version}; this package needs pynq {PYNQ_MAJOR_VERSION}, as on the images 3.0.1 to 3.1 for the PYNQ-Z2"
        )
        return Finding("pynq", "missing", remedy)
    return Finding("pynq", "ok", version)


def _models() -> Finding:
    names = ", ".join(shipped_models())
    if names:
        return Finding("models", "ok", names)
    return Finding("models", "missing", f"none in {model_folder()}; install pynq-snn again, or give --model PATH")


def _overlay() -> list[Finding]:
    """Say which bitstream the package holds; without a board nobody needs one."""
    from pynq_snn.overlay.files import check_bitstream, find_overlay

    try:
        overlay = find_overlay()
        check_bitstream(overlay)
    except DeviceError as error:
        return [Finding("bitstream", "missing", str(error))] if presence.board_present() else []
    return [Finding("bitstream", "ok", f"build {overlay.build_hash:08x}, for up to {overlay.clock_mhz:.2f} MHz")]


def _board() -> list[Finding]:
    """Look at a board from outside, without touching its FPGA: another process may be using it."""
    if not presence.board_present():
        return []
    return [_fpga(presence.FPGA_MANAGER / "state"), _contiguous_memory(), _user()]


def _fpga(state_file: Path) -> Finding:
    try:
        return Finding("FPGA", "ok", f"its manager says: {state_file.read_text().strip()}")
    except OSError as error:
        return Finding("FPGA", "missing", f"its manager cannot be asked ({error.strerror}); restart the board")


def _contiguous_memory() -> Finding:
    facts = presence.contiguous_memory()
    if facts is None:
        return Finding(
            "contiguous memory", "missing", "the kernel has none (no CmaTotal); add cma=128M to its arguments"
        )
    free, total = (size >> 20 for size in facts)
    text = f"{free} of {total} MiB free"
    if free < NEEDED_MIB:
        return Finding(
            "contiguous memory", "missing", f"{text}, {NEEDED_MIB} are needed; close other notebooks, or see "
            "docs/board.md, section Memory",
        )  # fmt: skip
    return Finding("contiguous memory", "ok", text)


def _user() -> Finding:
    if os.geteuid() == 0:
        return Finding("user", "ok", "root")
    return Finding("user", "missing", "the FPGA can be used by root only; run `sudo -i` first")
