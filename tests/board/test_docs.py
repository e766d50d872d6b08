"""docs/board.md keeps to what the program says."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "board.md").read_text("utf-8")
SOURCES = "\n".join(path.read_text("utf-8") for path in (ROOT / "pynq_snn").rglob("*.py"))
SYMPTOMS = re.findall(r"^\| (.+?) \|", PAGE.partition("## When something is wrong")[2].partition("##")[0], re.MULTILINE)
QUOTED = [text for symptom in SYMPTOMS for text in re.findall(r"`([^`]+)`", symptom) if text != "No Devices Found"]


def test_there_is_something_to_check() -> None:
    assert len(QUOTED) >= 10


@pytest.mark.parametrize("text", QUOTED)
def test_quoted_messages_exist(text: str) -> None:
    for part in re.split(r"\.\.\.,?|: | N$", text):
        assert part.strip() in SOURCES, part
