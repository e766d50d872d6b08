"""Tells pynq where ``pynq_snn.bit`` is: it looks in the folder that an entry point calls its path."""

from __future__ import annotations

from pynq_snn.overlay.files import overlay_folder

__path__ = [str(overlay_folder())]
