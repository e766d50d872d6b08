"""Where the overlay's files are, and what its manifest and its bitstream say."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path

from pynq_snn.errors import DeviceError
from pynq_snn.overlay import block_design

_PACKAGE = Path(__file__).parent.parent
MANIFEST_NAME = "manifest.json"
BUILD_COMMAND = "make -C overlays"
_FIELDS = {b"a": "design", b"b": "part", b"c": "date", b"d": "time"}


def overlay_folder() -> Path:
    """Return the folder of the overlay's files: in the package, or at the top of a source tree it runs from."""
    installed = _PACKAGE / "data" / "overlays"
    return installed if installed.is_dir() else _PACKAGE.parent / "overlays"


@dataclass(frozen=True)
class OverlayFiles:
    """One build of the overlay.

    Attributes
    ----------
    bitstream : Path
    build_hash : int
        What register build_hash of this build answers.
    clock_mhz : float
        Fastest clock for which the build was timed.
    """

    bitstream: Path
    build_hash: int
    clock_mhz: float

    @property
    def digest(self) -> str:
        """SHA-1 of the bitstream, in hexadecimal: by it pynq records what it has downloaded."""
        return hashlib.sha1(self.bitstream.read_bytes()).hexdigest()


def find_overlay(folder: Path | None = None) -> OverlayFiles:
    """Return the overlay in `folder`, by default the one that came with the package.

    Raises
    ------
    DeviceError
        A file is missing or damaged; the message says what to do.
    """
    folder = overlay_folder() if folder is None else folder
    bitstream = folder / f"{block_design.DESIGN}.bit"
    if not bitstream.exists():
        raise DeviceError(
            f"this package holds no bitstream for the board ({bitstream} is missing); build one with "
            f"`{BUILD_COMMAND}` in the sources and install again, or use --device kernel"
        )
    if not bitstream.with_suffix(".hwh").exists():
        raise DeviceError(f"{bitstream.with_suffix('.hwh')} is missing; install pynq-snn again")
    manifest = read_manifest(folder / MANIFEST_NAME)
    return OverlayFiles(bitstream, manifest.build_hash, manifest.clock_mhz)


@dataclass(frozen=True)
class Manifest:
    """What a build says of itself, as far as software needs it (see `OverlayFiles`)."""

    build_hash: int
    clock_mhz: float


def read_manifest(path: Path) -> Manifest:
    """Read ``manifest.json``; raises DeviceError where it is missing or damaged."""
    try:
        manifest = json.loads(path.read_text("utf-8"))
        build_hash, clock_mhz = int(manifest["build_hash"], 16), float(manifest["clock_mhz"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DeviceError(
            f"{path} is missing or damaged ({type(error).__name__}: {error}); install pynq-snn again"
        ) from error
    if not 0 < clock_mhz <= block_design.CLOCK_SOURCE_MHZ:
        raise DeviceError(f"{path}: clock_mhz is {clock_mhz}, which no PYNQ-Z2 can make; install pynq-snn again")
    return Manifest(build_hash, clock_mhz)


def read_bit_header(data: bytes) -> dict[str, str | int]:
    """Return the header of a .bit file.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    dict
        ``design``, ``part``, ``date``, ``time`` (str), and ``length`` (int), the bytes of configuration data.

    Raises
    ------
    DeviceError
        It is not a .bit file, or it was cut off.
    """
    header: dict[str, str | int] = {}
    try:
        offset = 2 + struct.unpack_from(">H", data)[0] + 2
        while (key := data[offset : offset + 1]) != b"e":
            size = struct.unpack_from(">H", data, offset + 1)[0]
            header[_FIELDS[key]] = data[offset + 3 : offset + 3 + size].rstrip(b"\0").decode("ascii")
            offset += 3 + size
        header["length"] = struct.unpack_from(">I", data, offset + 1)[0]
    except (struct.error, KeyError, UnicodeDecodeError) as error:
        raise DeviceError("the bitstream does not start like a .bit file; build or install it again") from error
    if offset + 5 + int(header["length"]) != len(data):
        raise DeviceError(
            f"the bitstream says that it holds {header['length']} bytes, but {len(data) - offset - 5} follow; "
            "it was cut off: build or install it again"
        )
    return header


def check_bitstream(overlay: OverlayFiles) -> None:
    """Raise DeviceError where the bitstream is damaged, or made for another chip."""
    part = str(read_bit_header(overlay.bitstream.read_bytes()).get("part", ""))
    expected = block_design.DEVICE + block_design.PACKAGE
    if not part.removeprefix("xc").startswith(expected):
        raise DeviceError(
            f"{overlay.bitstream} is made for {part or 'an unnamed part'}, not for the xc{expected} of a PYNQ-Z2; "
            f"build it with `{BUILD_COMMAND}`"
        )
