"""Building the simulation: what is missing is named, what is built is kept, two builders do not meet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pynq_snn.devices import rtl_model
from pynq_snn.devices.rtl_model import Variant, build_model, cache_folder, missing_tools
from pynq_snn.errors import DeviceError
from tests.conftest import ROOT
from tests.rtl.stand_in import SOURCES


def test_each_missing_tool_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl_model, "verilator_folder", lambda: None)
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("PATH", "")
    problem = str(missing_tools())
    for part in ("pip install 'pynq-snn[rtl]'", "apt install g++", "apt install make"):
        assert part in problem
    with pytest.raises(DeviceError, match="Verilator .* or use --device kernel"):
        build_model(SOURCES)


@pytest.mark.rtl_tools
def test_traces_need_two_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl_model, "_has_headers", lambda *names: False)
    assert missing_tools() is None
    assert "apt install liblz4-dev zlib1g-dev" in str(missing_tools(Variant(trace=True)))


def test_headers_are_looked_for_with_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "false")
    assert not rtl_model._has_headers("cstdint")


def test_where_models_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PYNQ_SNN_CACHE", raising=False)
    assert cache_folder() == tmp_path / "pynq-snn"
    monkeypatch.setenv("PYNQ_SNN_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


@pytest.mark.rtl_tools
def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PYNQ_SNN_CACHE", str(tmp_path / "file"))
    with pytest.raises(DeviceError, match="cannot be kept in .*file.*PYNQ_SNN_CACHE"):
        build_model(SOURCES)


@pytest.mark.rtl_tools
def test_an_error_in_the_sources_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYNQ_SNN_CACHE", str(tmp_path))
    broken = tmp_path / "broken.sv"
    broken.write_text("module snn_core (input logic clk);\n  nonsense here\nendmodule\n")
    with pytest.raises(DeviceError, match=r"cannot be built: %Error: .*broken.sv:3.*; all of it is in .*\.log"):
        build_model([broken])
    assert [path.suffix for path in sorted(tmp_path.glob("rtl-*"))] == [".lock", ".log"]


# Builds for half a second instead of a minute.
BUILDER = """
import time
from pynq_snn.devices import rtl_model
from tests.rtl.stand_in import SOURCES

def build(folder, files, variant, target, compile_flags):
    print("built")
    time.sleep(0.5)
    target.mkdir()
    (target / rtl_model.LIBRARY).touch()

rtl_model._build = build
print(rtl_model.build_model(SOURCES))
"""


@pytest.mark.rtl_tools
def test_of_two_builders_one_builds(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYNQ_SNN_CACHE": str(tmp_path)}
    builders = [
        subprocess.Popen([sys.executable, "-c", BUILDER], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = sorted((builder.communicate(timeout=60)[0].splitlines() for builder in builders), key=len)
    assert said[1] == ["built", *said[0]]
    assert len(list(tmp_path.glob("rtl-*/model.so"))) == 1


@pytest.mark.rtl_tools
def test_the_processor_is_named_by_what_the_compiler_knows_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines that share a home folder share a model only where it runs on both."""
    assert "__VERSION__" in rtl_model._native_target()
    monkeypatch.setattr(rtl_model, "_NATIVE_FLAG", "-march=no-such-processor")
    assert rtl_model._native_target() == ""


@pytest.mark.rtl_tools
def test_what_the_key_depends_on(tmp_path: Path) -> None:
    other = tmp_path / "stand_in.sv"
    other.write_text(SOURCES[1].read_text() + "// changed\n")
    keys = {
        rtl_model._key(SOURCES, "5.0", Variant()),
        rtl_model._key(SOURCES, "5.1", Variant()),
        rtl_model._key(SOURCES, "5.0", Variant(trace=True)),
        rtl_model._key([SOURCES[0], other], "5.0", Variant()),
    }
    assert len(keys) == 4
