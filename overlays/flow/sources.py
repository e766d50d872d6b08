"""The RTL of the overlay and the hash by which software recognises a build of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

OVERLAYS = Path(__file__).resolve().parent.parent
RTL = OVERLAYS / "rtl"
TOP = "snn_overlay"
CORE = "snn_core"
PART = "xc7z020clg400-1"


def rtl_files(folder: Path = RTL) -> list[Path]:
    """Return the SystemVerilog files of `folder`, packages before what uses them."""
    return sorted(folder.glob("*.sv"), key=lambda path: (not path.stem.endswith("_pkg"), path.name))


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rtl_hashes(folder: Path = RTL) -> dict[str, str]:
    """Return the SHA-256 of every RTL file by name."""
    return {path.name: file_hash(path) for path in sorted(folder.glob("*.sv"))}


def build_hash(hashes: dict[str, str]) -> int:
    """Return what register build_hash of a core from these sources answers: 32 bits of the hash of all their hashes."""
    text = "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)
