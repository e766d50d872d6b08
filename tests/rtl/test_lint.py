"""The RTL passes Verilator's lint with all warnings; what is waived says why beside the waiver."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from overlays.flow.sources import CORE, rtl_files
from tests.overlay.verilated import find_verilator, missing_tools


@pytest.mark.skipif(bool(missing_tools()), reason=missing_tools())
def test_there_are_no_warnings() -> None:
    verilator = find_verilator()
    assert verilator is not None
    # The top around the core names cells of the device, PS7 and BUFG, of which there are no models here.
    files = [path for path in rtl_files() if path.name != "snn_overlay.sv"]
    done = subprocess.run(
        [verilator, "--lint-only", "-Wall", "-Wno-MULTITOP", "--top-module", CORE, *files],
        env={**os.environ, "PATH": f"{verilator.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", rtl_files(), ids=lambda path: path.stem)
def test_every_waiver_has_a_reason(path) -> None:  # type: ignore[no-untyped-def]
    text = path.read_text()
    for waiver in re.findall(r"lint_off .*", text):
        assert re.search(r"//\s*\w+", waiver.partition("*/")[2]), f"{path.name}: {waiver} needs a reason beside it"
