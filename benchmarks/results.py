"""What all benchmarks record beside their figures, and how they write them."""

from __future__ import annotations

import datetime
import hashlib
import json
import platform
from pathlib import Path
from typing import Any

from pynq_snn import __version__

FOLDER = Path(__file__).resolve().parent


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def processor() -> str:
    """Return the name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith(("model name", "Hardware"))]
    return names[0] if names else platform.machine()


def write(path: Path, command: str, figures: dict[str, Any]) -> None:
    """Write figures as JSON, with the command that made them, the date and the machine."""
    content = {
        "command": command,
        "version": __version__,
        "date": datetime.date.today().isoformat(),
        "machine": {"processor": processor(), "python": platform.python_version()},
        **figures,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    print(f"wrote {path}")
