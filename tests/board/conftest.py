"""The stand-in board, and an overlay for it. Modules that need pynq are skipped, with a reason, where there is none."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pynq_snn.devices.board import BoardDevice
from pynq_snn.overlay import block_design, hwh
from pynq_snn.overlay.files import OverlayFiles, find_overlay
from tests.board.bitfile import bit_file

if TYPE_CHECKING:
    from tests.board.fpga import Fpga

with warnings.catch_warnings(), contextlib.suppress(ImportError):
    warnings.simplefilter("ignore")  # pynq says at once that it finds no device
    import pynq

BUILD_HASH = 0x1234ABCD
CLOCK_MHZ = 1000 / 21  # one that the processing system can make exactly

Opener = Callable[..., BoardDevice]


def write_overlay(folder: Path, build_hash: int = BUILD_HASH, **bit_options: Any) -> OverlayFiles:
    """Write an overlay with a bitstream for the stand-in."""
    folder.mkdir(exist_ok=True)
    (folder / f"{block_design.DESIGN}.bit").write_bytes(bit_file(build_hash, **bit_options))
    (folder / "manifest.json").write_text(json.dumps({"build_hash": f"0x{BUILD_HASH:08x}", "clock_mhz": CLOCK_MHZ}))
    (folder / hwh.HWH_NAME).write_text(hwh.hwh_text(CLOCK_MHZ))
    return find_overlay(folder)


@pytest.fixture
def overlay(tmp_path: Path) -> OverlayFiles:
    return write_overlay(tmp_path / "overlays")


@pytest.fixture
def fpga(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Fpga]:
    """Return a board that was just switched on, as pynq's only device."""
    from pynq.pl_server import global_state

    from tests.board.fpga import Fpga

    (tmp_path / "state").mkdir()
    monkeypatch.setattr(global_state, "STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(global_state, "initial_global_state_file_boot_check", lambda *_: None)
    monkeypatch.setattr(pynq.ps, "CPU_ARCH", "armv7l")
    board = Fpga()
    monkeypatch.setattr(
        "pynq.interrupt.get_uio_irq",
        lambda number: board.interrupt.path if number == block_design.INTERRUPT_NUMBER else None,
    )
    pynq.Device.active_device = board
    yield board
    board.switch_off()
    board.interrupt.close()
    del pynq.Device._active_device
    if hasattr(pynq.Clocks, "_real_instance"):
        del pynq.Clocks._real_instance


@pytest.fixture
def open_board(fpga: Fpga, overlay: OverlayFiles, tmp_path: Path) -> Iterator[Opener]:
    """Return a function that opens the board; all that it opened is closed in the end."""
    opened = []

    def opener(files: OverlayFiles = overlay, **options: Any) -> BoardDevice:
        opened.append(BoardDevice(files, lock_file=tmp_path / "lock", **options))
        return opened[-1]

    yield opener
    for device in opened:
        device.close()
    assert fpga.buffers == 0
