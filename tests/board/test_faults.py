"""What goes wrong on a board: every fault is one clear error, frees everything, and the next run works."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pynq_snn import devices, layout
from pynq_snn.accelerator import Accelerator
from pynq_snn.devices import available, board, open_device
from pynq_snn.devices.board.lock import BoardLock
from pynq_snn.errors import DeviceError, DeviceTimeout
from pynq_snn.network import Network, integrate
from pynq_snn.overlay.files import OverlayFiles, find_overlay, read_bit_header
from tests.board.bitfile import bit_file
from tests.board.conftest import BUILD_HASH, Opener, write_overlay
from tests.conftest import ROOT
from tests.networks import plain, random_input

pynq = pytest.importorskip("pynq", reason="pynq is not installed here; `make test-board` does it")
from tests.board.fpga import Fpga  # noqa: E402  only where there is pynq

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(available()["kernel"] is not None, reason="the kernel device is not built here"),
]


@pytest.fixture(scope="module")
def network() -> Network:
    return integrate(plain(timesteps=2))


@pytest.fixture(scope="module")
def images(network: Network) -> np.ndarray:
    return random_input(network, 3, 2)


@pytest.fixture(scope="module")
def expected(network: Network, images: np.ndarray) -> np.ndarray:
    with Accelerator("kernel") as accelerator:
        accelerator.load(network)
        return accelerator.infer(images)


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_core_that_is_never_done(
    fpga: Fpga, open_board: Opener, network: Network, images: np.ndarray, expected: np.ndarray
) -> None:
    device = open_board()
    with Accelerator(device, timeout_s=0.1) as accelerator:
        accelerator.load(network)
        fpga.core.hangs = True
        begin = time.monotonic()
        with pytest.raises(DeviceTimeout, match="the board did not finish within 0.1 s"):
            accelerator.infer(images)
        assert time.monotonic() - begin < 2
        fpga.core.hangs = False
        accelerator.timeout_s = 30
        assert np.array_equal(accelerator.infer(images), expected)
        assert (device.recoveries, fpga.downloads) == (0, 1)


def test_a_core_that_ignores_its_reset(
    fpga: Fpga, open_board: Opener, network: Network, images: np.ndarray, expected: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Then the bitstream is written again, and the loaded network is still in memory."""
    monkeypatch.setattr("pynq_snn.devices.board.device.RESET_TIMEOUT_S", 0.05)
    device = open_board()
    with Accelerator(device, timeout_s=0.05) as accelerator:
        accelerator.load(network)
        fpga.core.hangs = fpga.core.ignores_reset = True
        with pytest.raises(DeviceTimeout):
            accelerator.infer(images)
        assert (device.recoveries, fpga.downloads) == (1, 2)
        accelerator.timeout_s = 30
        assert np.array_equal(accelerator.infer(images), expected)


def test_an_axi_error(
    fpga: Fpga, open_board: Opener, network: Network, images: np.ndarray, expected: np.ndarray
) -> None:
    with Accelerator(open_board()) as accelerator:
        accelerator.load(network)
        fpga.core.bus_error = True
        with pytest.raises(DeviceError, match="the board device reports BUS: the memory refused an access"):
            accelerator.infer(images)
        fpga.core.bus_error = False
        assert np.array_equal(accelerator.infer(images), expected)


def test_a_lost_interrupt(
    fpga: Fpga, open_board: Opener, network: Network, images: np.ndarray, expected: np.ndarray
) -> None:
    device = open_board()
    with Accelerator(device) as accelerator:
        accelerator.load(network)
        assert np.array_equal(accelerator.infer(images), expected)
        fpga.interrupt.lost = True
        assert np.array_equal(accelerator.infer(images), expected)
        assert device.waits_for == "polling"
        assert "polling" in device.description
        assert np.array_equal(accelerator.infer(images), expected)


def test_no_interrupt_line_at_all(
    fpga: Fpga, open_board: Opener, network: Network, images: np.ndarray, expected: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("pynq.interrupt.get_uio_irq", lambda number: None)
    device = open_board()
    with Accelerator(device) as accelerator:
        accelerator.load(network)
        assert device.waits_for == "polling"
        assert np.array_equal(accelerator.infer(images), expected)
        assert fpga.interrupt.fired == 0


def test_weights_that_arrive_damaged(
    fpga: Fpga, open_board: Opener, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Fpga.flush

    def lossy(board: Fpga, bo: int, offset: int, address: int, size: int) -> None:
        written(board, bo, offset, address, size)
        if size > 1000:
            board._memory[bo][0].array[900] ^= 4

    with Accelerator(open_board()) as accelerator:
        monkeypatch.setattr(Fpga, "flush", lossy)
        with pytest.raises(DeviceError, match="1 of .* program bytes read back differently, the first at 0x384"):
            accelerator.load(network)
        assert fpga.buffers == 0


# --- memory -----------------------------------------------------------------------------------------------------------


def test_no_memory(fpga: Fpga, open_board: Opener, network: Network, images: np.ndarray, expected: np.ndarray) -> None:
    with Accelerator(open_board()) as accelerator:
        accelerator.load(network)
        fpga.full = True
        with pytest.raises(DeviceError, match=r"no [\d,]+ bytes of contiguous memory .*Cannot allocate.*docs/board.md"):
            accelerator.infer(images)
        fpga.full = False
        assert np.array_equal(accelerator.infer(images), expected)


def test_a_short_buffer(
    fpga: Fpga, open_board: Opener, network: Network, images: np.ndarray, expected: np.ndarray
) -> None:
    with Accelerator(open_board()) as accelerator:
        fpga.short_buffers = True
        with pytest.raises(DeviceError, match="pynq allocated .* bytes at .* instead of"):
            accelerator.load(network)
        assert fpga.buffers == 0
        fpga.short_buffers = False
        accelerator.load(network)
        assert np.array_equal(accelerator.infer(images), expected)


# --- identity and download --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bitstream", "message"),
    [
        ({"core_id": 0xDEADBEEF}, "register core_id is 0xdeadbeef instead of 0x534e4e31"),
        ({"version": layout.LAYOUT_VERSION + 1}, "register core_version is"),
        ({"build_hash": 0x77}, "register build_hash is 0x00000077 instead of 0x1234abcd"),
    ],
)
def test_a_bitstream_that_is_not_what_the_manifest_says(
    fpga: Fpga, open_board: Opener, tmp_path: Path, bitstream: dict[str, int], message: str
) -> None:
    files = write_overlay(tmp_path / "wrong", **{"build_hash": BUILD_HASH, **bitstream})
    for _ in range(2):  # and the failure leaves no lock behind
        with pytest.raises(DeviceError, match=message):
            open_board(files)
    open_board()


def test_an_older_build_under_the_same_name(fpga: Fpga, open_board: Opener, overlay: OverlayFiles) -> None:
    """Whatever the notes say, the registers decide."""
    open_board().close()
    fpga.core.identity["build_hash"] = 99
    fpga.core._answer_identity()
    device = open_board()
    assert (device.downloads, device.read_named("build_hash")) == (1, BUILD_HASH)


def test_a_download_that_fails(fpga: Fpga, open_board: Opener) -> None:
    fpga.fails_download = True
    with pytest.raises(DeviceError, match="the bitstream could not be downloaded .OSError: .*restart the board"):
        open_board()
    fpga.fails_download = False
    open_board()


def test_in_pynq_style_nothing_is_read_before_a_download(
    fpga: Fpga, overlay: OverlayFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pynq_snn.devices.board.device.default_lock_file", lambda: tmp_path / "lock")
    opened = pynq.Overlay(str(overlay.bitstream), download=False)
    with pytest.raises(DeviceError, match="is not in the FPGA; call download"):
        opened.snn.load("vgg11")


def test_a_clock_that_cannot_be_set(fpga: Fpga, open_board: Opener) -> None:
    fpga.forgets_clock = True
    with pytest.raises(DeviceError, match="FCLK0 was set to .* MHz, but 100.000 MHz are read back"):
        open_board()
    fpga.forgets_clock = False
    with pytest.raises(DeviceError, match="a clock of 0.1 MHz cannot be made"):
        open_board(clock_mhz=0.1)


def test_memory_ports_that_stay_narrow(fpga: Fpga, open_board: Opener) -> None:
    fpga.narrow_for_ever = True
    with pytest.raises(DeviceError, match="S_AXI_HP0 cannot be set to 64 bits"):
        open_board()


# --- files ------------------------------------------------------------------------------------------------------------


def test_missing_and_damaged_files(tmp_path: Path, overlay: OverlayFiles) -> None:
    folder = overlay.bitstream.parent
    with pytest.raises(DeviceError, match="holds no bitstream for the board .*make -C overlays.*--device kernel"):
        find_overlay(tmp_path)
    for name, content, message in (
        ("manifest.json", "{", "manifest.json is missing or damaged"),
        ("manifest.json", '{"build_hash": "0x1", "clock_mhz": -5}', "clock_mhz is -5.0"),
        ("manifest.json", '{"clock_mhz": 50}', "KeyError: 'build_hash'"),
    ):
        (folder / name).write_text(content)
        with pytest.raises(DeviceError, match=message):
            find_overlay(folder)
    overlay.bitstream.with_suffix(".hwh").unlink()
    with pytest.raises(DeviceError, match="pynq_snn.hwh is missing"):
        find_overlay(folder)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "does not start like a .bit file"),
        (b"\0" * 100, "does not start like a .bit file"),
        (bit_file(1)[:-1], "it was cut off"),
        (bit_file(1, part="7z010clg400"), "made for 7z010clg400, not for the xc7z020clg400"),
    ],
)
def test_bitstreams_that_must_not_be_downloaded(
    fpga: Fpga, open_board: Opener, overlay: OverlayFiles, data: bytes, message: str
) -> None:
    overlay.bitstream.write_bytes(data)
    with pytest.raises(DeviceError, match=message):
        open_board()
    assert fpga.downloads == 0


def test_headers_as_pynq_reads_them() -> None:
    from pynq.pl_server.embedded_device import parse_bit_header

    data = bit_file(5)
    header = read_bit_header(data)
    theirs = parse_bit_header(data)
    assert (header["part"], str(header["length"])) == (theirs["part"], theirs["length"])


def test_the_shipped_bitstream_as_pynq_reads_it() -> None:
    from pynq.pl_server.embedded_device import parse_bit_header

    path = ROOT / "overlays" / "pynq_snn.bit"
    header = parse_bit_header(path.read_bytes())
    assert header["part"].removeprefix("xc").startswith("7z020clg400")


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_second_accelerator(open_board: Opener) -> None:
    first = open_board()
    with pytest.raises(DeviceError, match="in use by another accelerator of this process"):
        open_board()
    first.close()
    with pytest.raises(DeviceError, match="the board device is closed"):
        first.read(0)
    open_board()


HOLDER = """
import sys, time
from pathlib import Path
from pynq_snn.devices.board.lock import BoardLock
lock = BoardLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def hold_lock(path: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    return holder


def test_a_second_process(open_board: Opener, tmp_path: Path) -> None:
    with hold_lock(tmp_path / "lock") as holder:
        try:
            with pytest.raises(DeviceError, match=f"the board is in use by process {holder.pid}"):
                open_board()
        finally:
            holder.kill()
    open_board()


def test_a_lock_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be opened .*use the board as root"):
        BoardLock(tmp_path / "no" / "such" / "folder")


def test_a_damaged_lock_file_is_as_good_as_none(open_board: Opener, tmp_path: Path) -> None:
    (tmp_path / "lock").write_text('{"process": 12, "no')
    assert open_board().downloads == 1


@pytest.mark.parametrize("obeys", [True, False])
def test_a_process_killed_in_the_middle_of_a_run(
    fpga: Fpga, open_board: Opener, network: Network, images: np.ndarray, expected: np.ndarray, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, obeys: bool,
) -> None:  # fmt: skip
    """Its lock is gone with it, but the core is still running: it is stopped first."""
    monkeypatch.setattr("pynq_snn.devices.board.device.RESET_TIMEOUT_S", 0.05)
    open_board().close()
    with hold_lock(tmp_path / "lock") as holder:  # a process that has the board
        fpga.core.hangs, fpga.core.ignores_reset = True, not obeys
        fpga.core.write_named("control", layout.CONTROL_START)
        os.kill(holder.pid, signal.SIGKILL)
    assert not fpga.core.read_named("control") & layout.CONTROL_IDLE
    device = open_board()
    assert (device.downloads, device.recoveries) == ((0, 0) if obeys else (1, 1))
    fpga.core.hangs = False
    with Accelerator(device) as accelerator:
        accelerator.load(network)
        assert np.array_equal(accelerator.infer(images), expected)


def test_an_exception_frees_everything(fpga: Fpga, open_board: Opener, network: Network, images: np.ndarray) -> None:
    with pytest.raises(KeyboardInterrupt), Accelerator(open_board()) as accelerator:
        accelerator.load(network)
        accelerator.infer(images)
        assert fpga.buffers == 4
        raise KeyboardInterrupt
    assert fpga.buffers == 0
    open_board()


# --- choosing the device ----------------------------------------------------------------------------------------------


def test_auto_is_the_board_where_there_is_one_and_never_falls_back(
    fpga: Fpga, overlay: OverlayFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert open_device("auto").name == "kernel"
    monkeypatch.setattr("pynq_snn.devices.board.presence.board_present", lambda: True)
    monkeypatch.setattr("pynq_snn.devices.board.device.default_lock_file", lambda: tmp_path / "lock")
    monkeypatch.setattr("pynq_snn.overlay.files.overlay_folder", lambda: overlay.bitstream.parent)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("XILINX_XRT", "/usr")
    with open_device("auto") as device:
        assert device.name == "board"
    assert devices.available()["board"] is None
    fpga.fails_download = True
    fpga.switch_off()
    (tmp_path / "lock").unlink()
    with pytest.raises(DeviceError, match="could not be downloaded"):
        open_device("auto")
    monkeypatch.delenv("XILINX_XRT")
    with pytest.raises(DeviceError, match="XILINX_XRT is not set"):
        open_device("auto")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(DeviceError, match="root only"):
        open_device("auto")
    overlay.bitstream.unlink()
    with pytest.raises(DeviceError, match="holds no bitstream"):
        open_device("auto")


def test_elsewhere_the_board_is_refused(overlay: OverlayFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynq_snn.overlay.files.overlay_folder", lambda: overlay.bitstream.parent)
    assert not board.board_present()
    with pytest.raises(DeviceError, match="is no PYNQ-Z2"):
        open_device("board")
