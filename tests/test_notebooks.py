"""The notebooks run from top to bottom, and are committed with what they printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pynq_snn.devices import available
from tests.conftest import ROOT
from tests.keep_notebooks import FOLDER, SECONDS, printed

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
COUNTING = ("01", "05", "06")  # what these print are counts: the same on every computer
by_name = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == kind]


def test_there_are_six() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06"]


@by_name
def test_outputs_are_committed(path: Path) -> None:
    code = cells(path, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert "error" not in kinds and "stream" in kinds
    assert any("image/png" in output.get("data", {}) for cell in code for output in cell["outputs"])
    assert not re.search(r"/(home|root|work|tmp)/", path.read_text("utf-8"))


@by_name
def test_links_lead_somewhere(path: Path) -> None:
    text = "".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    assert text.startswith("# ")
    for target in re.findall(r"\]\(((?!https?:)[^)#]+)\)", text):
        assert (path.parent / target).exists(), target


def run(path: Path, folder: Path, **environment: str) -> None:
    """Execute a notebook with nbmake, in a process of its own; the file then has the new outputs."""
    for module in ("nbmake", "matplotlib", "ipykernel"):
        pytest.importorskip(module)
    if available()["kernel"] is not None:
        pytest.skip("the kernel device is not built here")
    command = [
        sys.executable, "-m", "pytest", "-q", "--nbmake", f"--nbmake-timeout={SECONDS}", "--override-ini=addopts=",
        "--override-ini=filterwarnings=default", "-p", "no:cacheprovider", "--overwrite", str(path),
    ]  # fmt: skip
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=3 * SECONDS)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@by_name
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(path, tmp_path))
    run(copy, tmp_path)
    if path.name.startswith(COUNTING):
        new, committed = (printed(json.loads(file.read_text("utf-8"))) for file in (copy, path))
        assert committed == new, f"{path.name} prints something else now: make notebooks"


def test_power_is_drawn_where_there_is_a_meter(tmp_path: Path) -> None:
    (path,) = (path for path in NOTEBOOKS if path.name.startswith("03"))
    now = time.time()
    log = tmp_path / "power.csv"
    samples = (f"{now + second / 20},{1.5 + second % 3 / 10}\n" for second in range(-20, 20 * 3 * SECONDS))
    log.write_text("time,watts\n" + "".join(samples))
    notebook = json.loads(path.read_text("utf-8"))
    notebook["cells"].append({
        "cell_type": "code", "id": "check", "metadata": {}, "execution_count": None, "outputs": [],
        "source": "assert 1.5 < watts.mean() < 1.7 and len(watts) > 20\nassert metered.power_trace is not None",
    })  # fmt: skip
    copy = tmp_path / path.name
    copy.write_text(json.dumps(notebook))
    run(copy, tmp_path, PYNQ_SNN_METER=f"csv:{log}")
