"""What ends up in an installed package, with and without a compiler."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import pynq_snn
from pynq_snn.errors import ModelError
from pynq_snn.models import find_model, model_folder, shipped_models
from tests.conftest import ROOT

pytest.importorskip("setuptools", minversion="77")

SOURCES = (
    "pynq_snn",
    "hls",
    "models",
    "overlays",
    "examples",
    "benchmarks",
    "setup.py",
    "pyproject.toml",
    "MANIFEST.in",
    "LICENSE",
    "README.md",
)


def copy_sources(target: Path) -> Path:
    """Copy what an installation is built from, so that a test leaves the tree alone."""
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("*.so", "build", "__pycache__"))
        elif source.exists():
            shutil.copy(source, target / name)
    return target


def build(sources: Path, target: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build", "--build-lib", str(target)],
        cwd=sources, env={**os.environ, **environment}, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip


def run(package: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line of a built package, far away from this source tree."""
    return subprocess.run(
        [sys.executable, "-m", "pynq_snn", *map(str, arguments)],
        cwd=package, env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
def test_an_installed_package_works_away_from_its_sources(tmp_path: Path, model_file: Path, picture_file: Path) -> None:
    sources = copy_sources(tmp_path / "sources")
    (sources / "models").mkdir(exist_ok=True)
    shutil.copy(model_file, sources / "models" / "tiny.onnx")
    (sources / "notebooks").mkdir(exist_ok=True)
    (sources / "notebooks" / "first.ipynb").write_text("{}")
    package = tmp_path / "package"
    build(sources, package, CXX="g++")
    shutil.rmtree(sources)
    assert (package / "pynq_snn" / "_snn_core.so").is_file()
    assert (package / "pynq_snn" / "data" / "notebooks" / "first.ipynb").is_file()
    done = run(package, "run", picture_file, "--model", "tiny", "--device", "kernel", "--json")
    assert json.loads(done.stdout)["device"] == "kernel", done.stderr
    done = run(package, "bench", "tiny", "--device", "kernel", "--seconds", "0.01", "--json")
    assert "cut-outs of the photograph" in json.loads(done.stdout)["setting"]["inputs"], done.stderr
    assert (package / "pynq_snn" / "report.css").is_file()
    assert (package / "pynq_snn" / "data" / "benchmarks" / "accuracy.json").is_file()


def test_without_a_compiler_the_rest_works(tmp_path: Path, model_file: Path, picture_file: Path) -> None:
    sources, package = copy_sources(tmp_path / "sources"), tmp_path / "package"
    done = build(sources, package, CXX="", PATH="")
    assert "the C++ kernel was not built: no C++ compiler found" in done.stderr
    arguments = ("run", picture_file, "--model", model_file, "--json", "--device")
    assert json.loads(run(package, *arguments, "reference").stdout)["device"] == "reference"
    refused = run(package, *arguments, "kernel")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "install g++" in refused.stderr


def test_a_compiler_that_fails_is_named(tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / "sources")
    done = build(sources, tmp_path / "package", CXX="false")
    assert "the C++ kernel was not built: false failed" in done.stderr
    assert not list((tmp_path / "package").rglob("*.so"))


def test_the_wheel_for_the_board(tmp_path: Path) -> None:
    """Any Python can use it, and it brings what pynq looks for."""
    sources = copy_sources(tmp_path / "sources")
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "bdist_wheel", "--plat-name", "linux_armv7l", "--dist-dir", tmp_path],
        cwd=sources, env={**os.environ, "CXX": "false"}, capture_output=True, check=True, timeout=300,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-linux_armv7l.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "pynq_snn/data/overlays/pynq_snn.hwh" in names
    assert {f"[{group}]" for group in ("pynq.lib", "pynq.overlays", "pynq.notebooks")} <= set(points.splitlines())


def test_every_public_name_can_be_imported() -> None:
    for name in pynq_snn.__all__:
        assert getattr(pynq_snn, name) is not None
    assert set(pynq_snn.__all__) <= set(dir(pynq_snn))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = pynq_snn.no_such_name


def test_models_by_name_and_by_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert model_folder() == ROOT / "models"
    for name, path in shipped_models().items():
        assert find_model(name) == path
    (tmp_path / "vgg11.onnx").touch()
    (tmp_path / "other").touch()
    monkeypatch.setattr("pynq_snn.models.model_folder", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    assert find_model("vgg11") == tmp_path / "vgg11.onnx"
    assert find_model("other") == Path("other")
    with pytest.raises(ModelError, match="shipped are: vgg11;"):
        find_model("vgg12")
