"""What README.md and the guides tell people to type works."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pynq_snn.cli import main
from pynq_snn.models import shipped_models
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text("utf-8")
GUIDES = ("README.md", "docs/benchmark.md")
TEXTS = {name: (ROOT / name).read_text("utf-8") for name in GUIDES}
COMMANDS = [
    line for text in TEXTS.values() for line in re.findall(r"^    \.venv/bin/pynq-snn (.+)$", text, re.MULTILINE)
]
SCRIPTS = [
    script for text in TEXTS.values() for script in re.findall(r"^```python\n(.+?)^```", text, re.MULTILINE | re.DOTALL)
]
LINKS = [(name, target) for name, text in TEXTS.items() for target in re.findall(r"\]\(((?!https?:)[^)#]+)", text)]
PICTURES = np.random.default_rng(8).integers(0, 256, (4, 32, 32, 3), np.uint8)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """Return what stands for the words in capitals that a reader replaces."""
    for index, label in enumerate(("cat", "ship")):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        Image.fromarray(PICTURES[index]).save(tmp_path / "pictures" / label / "one.png")
    log = tmp_path / "power.csv"
    now = time.time()
    log.write_text("time,watts\n" + "".join(f"{now + second / 10},1.6\n" for second in range(-50, 1200)))
    return {
        "PICTURES": str(tmp_path / "pictures"),
        "FOLDER": str(tmp_path / "folder"),
        "PAGE": str(tmp_path / "page.html"),
        "csv:LOG": f"csv:{log}",
    }


def test_there_is_something_to_try() -> None:
    assert len(COMMANDS) >= 5
    assert SCRIPTS


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("line", COMMANDS)
def test_commands(line: str, folders: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    arguments = [folders.get(word, word) for word in shlex.split(line, comments=True)]
    assert main(arguments) == 0


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(script, "README.md", "exec"), {"images": PICTURES})


@pytest.mark.parametrize(("name", "target"), LINKS)
def test_links(name: str, target: str) -> None:
    assert ((ROOT / name).parent / target).exists()


def test_figures_are_those_of_the_shipped_models() -> None:
    import json

    measured = json.loads((ROOT / "benchmarks" / "accuracy.json").read_text("utf-8"))["models"]
    assert set(measured) == set(shipped_models())
    for name in measured:
        for order in ("deferred T=8", "stepwise T=8"):
            assert f"{measured[name]['spiking'][order]['accuracy']:.2f}%" in README
