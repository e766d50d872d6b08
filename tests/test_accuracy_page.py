"""Pages say what the benchmarks measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import accuracy_page


def test_pages_are_up_to_date() -> None:
    found = list(accuracy_page.pages())
    assert len(found) >= 3
    for page, text in found:
        assert page.read_text("utf-8") == text, f"{page} is stale: python -m benchmarks.accuracy_page"


def test_a_page_without_its_mark_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- rates: here -->\nold\n<!-- end of rates -->\n")
    assert accuracy_page.filled(page, rates="new")[1] == "<!-- rates: here -->\nnew\n<!-- end of rates -->\n"
    with pytest.raises(SystemExit, match="no part is marked curves"):
        accuracy_page.filled(page, curves="new")
