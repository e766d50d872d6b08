"""Tells ``pynq get-notebooks`` where the notebooks are: it copies the folder that an entry point calls its path."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent
_INSTALLED = _PACKAGE / "data" / "notebooks"

__path__ = [str(_INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "notebooks")]
