"""What pynq finds by itself in an installed package: overlay by name, driver by VLNV, notebooks."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pynq_snn.overlay import block_design
from pynq_snn.overlay.files import OverlayFiles
from tests.conftest import ROOT
from tests.documents import commands

pynq = pytest.importorskip("pynq", reason="pynq is not installed here; `make test-board` does it")
from tests.board.fpga import Fpga  # noqa: E402  only where there is pynq


def is_installed() -> bool:
    try:
        points = importlib.metadata.distribution("pynq-snn").entry_points
    except importlib.metadata.PackageNotFoundError:
        return False
    return any(point.group == "pynq.lib" for point in points)


pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(not is_installed(), reason="pynq-snn is not installed, so it has no entry points"),
]


def test_an_overlay_by_its_name(
    fpga: Fpga, overlay: OverlayFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pynq_snn.pynq_plugin.overlays.__path__", [str(overlay.bitstream.parent)])
    monkeypatch.chdir(tmp_path)
    opened = pynq.Overlay("pynq_snn.bit")
    assert Path(opened.bitfile_name) == overlay.bitstream
    assert type(opened.snn).__name__ == "SnnCore"


def test_the_folders_are_those_of_the_package() -> None:
    from pynq_snn.pynq_plugin import notebooks, overlays

    assert overlays.__path__ == [str(ROOT / "overlays")]
    assert notebooks.__path__ == [str(ROOT / "notebooks")]


def test_the_driver_is_registered_without_an_import_of_ours(tmp_path: Path) -> None:
    script = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import importlib, pynq, pynqutils\n"
        "for point in pynqutils.setup_utils.ExtensionsManager('pynq.lib').list:\n"
        "    importlib.import_module(point.module_name)\n"
        "from pynq.overlay import _ip_drivers\n"
        f"print(_ip_drivers[{block_design.CORE_VLNV!r}].__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "SnnCore", done.stderr


def test_pynq_delivers_the_notebooks(tmp_path: Path) -> None:
    if not list((ROOT / "notebooks").glob("*.ipynb")):
        pytest.skip("there are no notebooks yet")
    (documented,) = (each.words for each in commands("docs/board.md") if each.words[0] == "pynq")
    words = [str(tmp_path) if word == "/home/xilinx/jupyter_notebooks" else word for word in documented[1:]]
    assert str(tmp_path) in words
    subprocess.run(
        [Path(sys.executable).parent / "pynq", *words],
        cwd=tmp_path, capture_output=True, timeout=120, check=True, env={**os.environ, "BOARD": "Pynq-Z2"},
    )  # fmt: skip
    delivered = list(tmp_path.rglob("pynq_snn/*.ipynb"))
    assert {path.name for path in delivered} == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    json.loads(delivered[0].read_text())
