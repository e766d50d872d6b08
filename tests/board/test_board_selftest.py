"""The self test and the doctor on a board."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pynq_snn import selftest
from pynq_snn.accelerator import Accelerator
from pynq_snn.devices import available
from pynq_snn.devices.board import presence
from pynq_snn.doctor import Finding, examine
from pynq_snn.overlay.files import OverlayFiles
from tests.board.conftest import CLOCK_MHZ, Opener
from tests.networks import random_input

pytest.importorskip("pynq", reason="pynq is not installed here; `make test-board` does it")
from tests.board.fpga import Fpga  # noqa: E402  only where there is pynq

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(available()["kernel"] is not None, reason="the kernel device is not built here"),
]


@pytest.fixture(autouse=True)
def small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "EXAMPLES", {name: selftest.EXAMPLES[name] for name in ("plain", "max_pooled")})
    monkeypatch.setattr(selftest, "MEMORY_SIZES", (64, 70_000))
    monkeypatch.setattr(selftest, "MARGIN_REPEATS", 2)
    network = selftest.integrate(selftest.EXAMPLES["plain"]())
    images = random_input(network, 1, 2)
    with Accelerator("kernel") as accelerator:
        accelerator.load(network)
        expected = accelerator.infer(images)
    monkeypatch.setattr(selftest, "_shipped_case", lambda device: (network, images, expected, "kernel"))


@pytest.mark.parametrize("limit_mhz", [70.0, float("inf")])
def test_all_sections_and_the_margin(fpga: Fpga, open_board: Opener, limit_mhz: float) -> None:
    fpga.flips_above_mhz = limit_mhz
    *_, report = selftest.run_selftest(open_board())
    assert report["ok"], report["sections"]
    assert {section["state"] for section in report["sections"]} == {"passed"}
    figures = report["sections"][-1]["figures"]
    assert figures["rated_mhz"] == pytest.approx(CLOCK_MHZ)
    good = figures["good_mhz"]
    assert good == sorted(good) and good[0] == pytest.approx(CLOCK_MHZ / 4, rel=0.05)
    assert all(later / earlier >= selftest.MARGIN_STEP for earlier, later in zip(good, good[1:], strict=False))
    if limit_mhz == 70:
        assert good[-1] == pytest.approx(1000 / 15)
        assert figures["first_failure"] == {"clock_mhz": pytest.approx(1000 / 14), "what": "1 of 20 logits are wrong"}
    else:
        assert figures["first_failure"] is None
        assert good[-1] == pytest.approx(1000 / 7)  # three times the rated clock
    assert report["device"]["clock_mhz"] == pytest.approx(CLOCK_MHZ) == fpga.clock_mhz
    assert report["device"]["waits_for"] == "interrupt" and fpga.downloads == 2


def test_the_margin_can_be_left_out(fpga: Fpga, open_board: Opener) -> None:
    device = open_board()
    fpga.clocks_seen.clear()
    *_, report = selftest.run_selftest(device, margin=False)
    assert "timing margin" not in [section["name"] for section in report["sections"]]
    assert not fpga.clocks_seen


@pytest.mark.parametrize(
    ("limit_mhz", "message"),
    [(30.0, r"wrong at 31.25 MHz, not above the rated 47.62; good up to 29.41 MHz"), (1.0, "it is not the clock")],
)
def test_a_board_that_fails_below_its_rated_clock(
    fpga: Fpga, open_board: Opener, limit_mhz: float, message: str
) -> None:
    fpga.flips_above_mhz = limit_mhz
    *_, report = selftest.run_selftest(open_board())
    failed = {section["name"]: section for section in report["sections"] if section["state"] == "failed"}
    assert not report["ok"] and {"every layer kind", "shipped network"} <= set(failed)
    assert re.search(message, failed["timing margin"]["detail"]), failed["timing margin"]["detail"]
    assert failed["timing margin"]["figures"]["rated_mhz"] == pytest.approx(CLOCK_MHZ) == fpga.clock_mhz


def test_doctor_on_a_board(overlay: OverlayFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "board_present", lambda: True)
    monkeypatch.setattr(presence, "FPGA_MANAGER", tmp_path)
    monkeypatch.setattr(presence, "MEMORY_FACTS", tmp_path / "meminfo")
    monkeypatch.setattr("pynq_snn.overlay.files.overlay_folder", lambda: overlay.bitstream.parent)
    (tmp_path / "meminfo").write_text("CmaTotal:  131072 kB\nCmaFree:  100000 kB\nHugePages_Total:  0\n")
    (tmp_path / "state").write_text("operating\n")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("XILINX_XRT", raising=False)

    def find(name: str) -> Finding:
        return next(finding for finding in examine() if finding.name == name)

    assert find("bitstream") == Finding("bitstream", "ok", "build 1234abcd, for up to 47.62 MHz")
    assert find("contiguous memory") == Finding("contiguous memory", "ok", "97 of 128 MiB free")
    assert find("FPGA").detail == "its manager says: operating"
    assert find("user").state == "ok"
    assert find("pynq").state == "ok"
    monkeypatch.setattr("pynq_snn.doctor._version", {"pynq": "4.0.0"}.get)
    assert find("pynq").state == "missing" and "needs pynq 3" in find("pynq").detail
    monkeypatch.setattr("pynq_snn.doctor._version", lambda package: None)
    assert "source /etc/profile.d/pynq_venv.sh" in find("pynq").detail
    assert "XILINX_XRT is not set" in find("device board").detail
    (tmp_path / "meminfo").write_text("CmaTotal:  131072 kB\nCmaFree:  1000 kB\n")
    (tmp_path / "state").unlink()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name in ("contiguous memory", "FPGA", "user"):
        assert find(name).state == "missing", name
    (tmp_path / "meminfo").write_text("MemTotal: 1 kB\n")
    assert "cma=128M" in find("contiguous memory").detail
    overlay.bitstream.unlink()
    assert find("bitstream").state == "missing"
