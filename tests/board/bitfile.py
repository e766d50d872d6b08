"""Synthetic .bit files: the real header, and a "configuration" that the stand-in board understands."""

from __future__ import annotations

import struct

from pynq_snn import layout

_MAGIC = bytes.fromhex("0009 0ff00ff00ff00ff000 0001")


def bit_file(build_hash: int, part: str = "7z020clg400", core_id: int = layout.CORE_ID,
             version: int = layout.LAYOUT_VERSION) -> bytes:  # fmt: skip
    """Return a .bit file; its configuration data is what the core's identity registers will answer."""
    payload = struct.pack(">4I", 0xAA995566, core_id, version, build_hash)
    header = _MAGIC
    for key, text in ((b"a", "pynq_snn;UserID=0XFFFFFFFF"), (b"b", part), (b"c", "2026/11/23"), (b"d", "12:00:00")):
        field = text.encode() + b"\0"
        header += key + struct.pack(">H", len(field)) + field
    return header + b"e" + struct.pack(">I", len(payload)) + payload


def identity(data: bytes) -> tuple[int, int, int]:
    """Return core ID, core version and build hash of such a file."""
    core_id, version, build_hash = struct.unpack(">3I", data[-12:])
    return core_id, version, build_hash
