"""docs/board.md on the stand-in: its commands and its Python, from the doctor to the first picture."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from pynq_snn import cli, selftest
from pynq_snn.accelerator import Accelerator
from pynq_snn.devices import available
from pynq_snn.devices.board import presence
from pynq_snn.overlay.files import OverlayFiles
from tests.conftest import ROOT
from tests.documents import commands, scripts

pytest.importorskip("pynq", reason="pynq is not installed here; `make test-board` does it")
from tests.board.fpga import Fpga  # noqa: E402  only where there is pynq

PAGE = "docs/board.md"
COMMANDS = [each.words[1:] for each in commands(PAGE) if each.words[0] == "pynq-snn" and not each.inline]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(available()["kernel"] is not None, reason="the kernel device is not built here"),
]


@pytest.fixture
def board(fpga: Fpga, overlay: OverlayFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fpga:
    """Return the stand-in with all that the image of a board has; the current folder holds a picture."""
    monkeypatch.setattr(presence, "board_present", lambda: True)
    (tmp_path / "manager").mkdir()
    (tmp_path / "manager" / "state").write_text("operating\n")
    (tmp_path / "meminfo").write_text("CmaTotal: 131072 kB\nCmaFree: 120000 kB\n")
    monkeypatch.setattr(presence, "FPGA_MANAGER", tmp_path / "manager")
    monkeypatch.setattr(presence, "MEMORY_FACTS", tmp_path / "meminfo")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("XILINX_XRT", "/usr")
    # The plug-in asks for the folder when it is imported, which has to be before that is another one.
    monkeypatch.setattr("pynq_snn.pynq_plugin.overlays.__path__", [str(overlay.bitstream.parent)])
    monkeypatch.setattr("pynq_snn.overlay.files.overlay_folder", lambda: overlay.bitstream.parent)
    monkeypatch.setattr("pynq_snn.devices.board.device.default_lock_file", lambda: tmp_path / "lock")
    shutil.copy(ROOT / "examples" / "cat.png", tmp_path)
    monkeypatch.chdir(tmp_path)
    return fpga


def test_the_page_has_the_steps() -> None:
    assert [words[0] for words in COMMANDS] == ["doctor", "selftest", "run"]
    assert len(scripts(PAGE)) == 2


def test_commands(board: Fpga, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(selftest, "EXAMPLES", {"plain": selftest.EXAMPLES["plain"]})
    monkeypatch.setattr(selftest, "MEMORY_SIZES", (64, 70_000))
    monkeypatch.setattr(selftest, "MARGIN_REPEATS", 1)
    for words in COMMANDS:
        assert cli.main(list(words)) == 0, str(capsys.readouterr())
    assert "device board: " in capsys.readouterr().out
    assert board.downloads > 0 and Path("selftest.json").exists()


@pytest.mark.parametrize("script", scripts(PAGE))
def test_python(board: Fpga, script: str) -> None:
    if "Overlay" in script:
        try:
            importlib.metadata.distribution("pynq-snn")
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("pynq-snn is not installed, so it has no entry points")
    images = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3), np.uint8)
    names = {"images": images}
    exec(compile(script, PAGE, "exec"), names)
    assert board.downloads == 1
    if "logits" in names:
        with Accelerator("kernel") as accelerator:
            accelerator.load("vgg11")
            assert np.array_equal(names["logits"], accelerator.infer(images))
        names["snn"].close()  # type: ignore[attr-defined]
