"""``pynq-snn selftest``: it passes on a good device, and finds each kind of bad one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pynq_snn import selftest
from pynq_snn.cli import main
from pynq_snn.devices import available
from pynq_snn.devices.interface import Buffer
from pynq_snn.devices.kernel import KernelDevice
from pynq_snn.layout import REGISTER_OFFSETS, ErrorCode

pytestmark = pytest.mark.skipif(available()["kernel"] is not None, reason="the kernel device is not built here")


class StuckRegisterBit(KernelDevice):
    def write(self, offset: int, value: int) -> None:
        super().write(offset, value & ~8 if offset == REGISTER_OFFSETS["images"] else value)


class BadMemory(KernelDevice):
    """One byte of large buffers cannot be written."""

    def allocate(self, nbytes: int) -> Buffer:
        whole = super().allocate(nbytes)

        class Bad(Buffer):
            def invalidate(self) -> None:
                if len(self.array) == selftest.MEMORY_SIZES[-1]:
                    self.array[12345] = 0x77

        return Bad(whole.array, whole.address, whole.free)


class WrongSpike(KernelDevice):
    """One bit of every output is wrong."""

    def execute(self) -> None:
        super().execute()
        self.memory.array[self.read_named("output_address") - self.memory.base] ^= 1


class BelievesEverything(KernelDevice):
    def execute(self) -> None:
        super().execute()
        self._set("error_code", ErrorCode.NONE)


def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "shipped_models", dict)


def states(device: Any) -> dict[str, tuple[str, str]]:
    *_, report = selftest.run_selftest(device)
    assert report["ok"] == all(section["state"] != "failed" for section in report["sections"])
    return {section["name"]: (section["state"], section["detail"]) for section in report["sections"]}


def test_a_good_device(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fast(monkeypatch)
    path = tmp_path / "report.json"
    assert main(["selftest", "--device", "kernel", "--json", str(path)]) == 0
    text = capsys.readouterr().out
    report = json.loads(path.read_text())
    assert report["ok"] and report["device"]["name"] == "kernel"
    found = {section["name"]: section["state"] for section in report["sections"]}
    assert found == dict.fromkeys(("identity", "registers", "memory", "every layer kind", "refusals"), "passed") | {
        "shipped network": "skipped",
        "timing margin": "skipped",
    }
    assert all(name in text for name in found) and "all is well" in text


@pytest.mark.parametrize(
    ("device", "section", "message"),
    [
        (StuckRegisterBit, "registers", "register 0x060: .* was written"),
        (BadMemory, "memory", "1 of 8388608 bytes read back differently"),
        (WrongSpike, "every layer kind", "plain .deferred.: logits"),
        (BelievesEverything, "refusals", "must end in BAD_MAGIC ended with error code 0"),
    ],
)
def test_bad_devices(device: type[KernelDevice], section: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast(monkeypatch)
    monkeypatch.setattr(selftest, "EXAMPLES", {"plain": selftest.EXAMPLES["plain"]})
    found = states(device())
    assert found[section][0] == "failed"
    assert re.search(message, found[section][1]), found[section][1]
    assert found["identity"][0] == "passed"


def test_the_shipped_network_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.zeros((1, 7, 9, 3), np.uint8)
    network = selftest.integrate(selftest.EXAMPLES["plain"]())
    with selftest.Accelerator("reference") as accelerator:
        accelerator.load(network)
        expected = accelerator.infer(images)
    monkeypatch.setattr(selftest, "_shipped_case", lambda device: (network, images, expected, "reference"))
    *_, report = selftest.run_selftest("kernel", margin=False)
    (section,) = [section for section in report["sections"] if section["name"] == "shipped network"]
    assert section["state"] == "passed" and section["figures"]["repeats"] == selftest.REPEATS_OF_SOFTWARE
    assert section["figures"]["cycles_are"] == "estimate"
    assert [each["name"] for each in report["sections"]][-1] == "shipped network"
    assert json.loads(json.dumps(report)) == report


def test_a_report_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["selftest", "--device", "reference", "--json", str(tmp_path / "no" / "report.json")]) == 1
    assert "report.json cannot be written: No such file" in capsys.readouterr().err
