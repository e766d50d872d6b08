"""The report: one page without anything from outside, that says where each figure comes from."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from pynq_snn import bench, report
from pynq_snn.accelerator import Accelerator
from pynq_snn.bench import SIMULATED, run_bench
from pynq_snn.cli import main
from pynq_snn.network import Network, integrate
from pynq_snn.peers import peers
from pynq_snn.trace import record
from tests.networks import from_events
from tests.test_bench import KERNEL, CountingDevice

VOID = {"meta", "img", "br", "link", "input"}


class Checker(HTMLParser):
    """Collects text, and what a browser would fetch; complains of tags that do not pair."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.fetched: list[str] = []
        self.names: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href") and value and not value.startswith(("data:", "#")):
                self.fetched.append(value)
            if name == "id" and value:
                self.names.append(value)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return checker


def page_of(network: Network, device: Any = None) -> str:
    with Accelerator(device or CountingDevice(SIMULATED)) as accelerator:
        inputs = bench.default_inputs(network)
        result = run_bench(accelerator, network, inputs, seconds=0.01)
        accelerator.load(network, keep_maps=True)
        return report.build_report(network, result, record(accelerator, inputs.items[0]))


@pytest.fixture(scope="module")
def page(model_file: Path) -> str:
    return page_of(Network.from_onnx(model_file, firing="stepwise"))


def test_page_is_whole_and_alone(page: str) -> None:
    checker = checked(page)
    assert checker.fetched == []
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    assert len(checker.names) == len(set(checker.names))
    assert page.count("<svg") >= 6
    assert 'name="viewport"' in page and "prefers-color-scheme: dark" in page


def test_page_says_what_figures_are(page: str) -> None:
    text = checked(page).text
    for part in (
        "tiny",
        "layer0",
        "Accuracy",
        "Not measured for this file",
        "two operations",
        SIMULATED,
        "ESTIMATE",
        "exact count",
    ):
        assert part in text
    assert all(peer.name in text for peer in peers())


def test_names_are_escaped(model_file: Path) -> None:
    network = replace(Network.from_onnx(model_file), name="<b>&x", labels=("<i>", "a", "b"))
    text = checked(page_of(network)).text
    assert "<b>&x" in text and "<i>" in text


def test_networks_of_events_have_a_page() -> None:
    assert "data:image/png" not in page_of(integrate(from_events()))


def test_command_writes_a_page(model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "page.html"
    arguments = ["report", str(model_file), "--device", "reference", "--seconds", "0.01", "-o", str(output)]
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["report"] == str(output) and result["setting"]["model"] == "tiny"
    assert "stepwise firing, T = 8" in checked(output.read_text("utf-8")).text
    assert main([*arguments[:-1], str(tmp_path / "no" / "page.html")]) == 1
    assert "cannot be written" in capsys.readouterr().err


@KERNEL
def test_shipped_page_shows_its_accuracy(shipped_model: Path) -> None:
    network = Network.from_onnx(shipped_model)
    accuracy = json.loads((bench.PACKAGE.parent / "benchmarks" / "accuracy.json").read_text("utf-8"))
    text = checked(page_of(network, "kernel")).text
    assert f"{accuracy['models']['vgg11']['spiking']['deferred T=8']['accuracy']:.2f}%" in text
