"""What the pages tell a reader to type, and where they point: commands, Python, options, links.

In these pages an indented block holds commands; anything else is fenced and names its language. Drawings, and the
formulas of docs/numerics.md, may be indented too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

FOLDERS = ("docs", "models", "training", "notebooks", "benchmarks", "hls", "overlays", "examples")
FORMULAS = ("docs/numerics.md",)
DRAWING = re.compile("[─-╿◄►▲▼]")
# What an inline piece of code begins with if it is a command.
PROGRAMS = {
    "apt", "apt-get", "cat", "cd", "dask", "docker", "git", "grep", "make", "pip", "pynq", "pynq-snn", "python",
    "python3", "scp", "source", "ssh", "sudo", "vivado",
}  # fmt: skip
# Messages that begin like a command.
MESSAGES = ("pynq is not installed for this Python",)


@dataclass(frozen=True)
class Block:
    """Lines of code; the language is empty where they are indented."""

    page: str
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """One command, its words without comments, `.venv/bin/` and quotes."""

    page: str
    words: tuple[str, ...]
    inline: bool

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def pages() -> list[str]:
    """Return all pages as paths from the top, README.md first."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md") if "build" not in path.parts]
    return ["README.md", *sorted(str(path.relative_to(ROOT)) for path in found)]


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def blocks(page: str, text: str | None = None) -> Iterator[Block]:
    """Yield the blocks of code of a page in their order."""
    language: str | None = None
    lines: list[str] = []
    before = ""
    for line in [*(text_of(page) if text is None else text).splitlines(), ""]:
        fence = re.match(r"\s*```(\w*)\s*$", line)
        if language is None and not lines and fence:
            language = fence[1] or "none"
        elif language is not None:
            if fence:
                yield Block(page, language, "\n".join(lines))
                language, lines = None, []
            else:
                lines.append(line)
        elif line.startswith("    ") and line.strip() and (lines or not before.strip()):
            lines.append(line.strip())
        elif lines:
            yield Block(page, "", "\n".join(lines))
            lines = []
        before = line


def prose(page: str) -> str:
    """Return a page without its blocks of code."""
    text = re.sub(r"^\s*```\w*\n.*?^\s*```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def holds_commands(block: Block) -> bool:
    return not block.language and block.page not in FORMULAS and not DRAWING.search(block.text)


def commands(page: str) -> Iterator[Command]:
    """Yield the commands of a page: those in blocks in their order, then those in running text."""
    for block in blocks(page):
        if holds_commands(block):
            for line in block.text.replace("\\\n", " ").splitlines():
                yield Command(page, _words(line), inline=False)
    for code in inline_code(page):
        first, _, rest = code.partition(" ")
        if rest and first.removeprefix(".venv/bin/") in PROGRAMS and code not in MESSAGES:
            yield Command(page, _words(code), inline=True)


def _words(line: str) -> tuple[str, ...]:
    first, *others = shlex.split(line, comments=True)
    return first.removeprefix(".venv/bin/"), *others


def scripts(page: str) -> list[str]:
    """Return the Python of a page."""
    return [block.text for block in blocks(page) if block.language == "python"]


def inline_code(page: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


def links(page: str) -> list[str]:
    """Return where a page points to within the project, with `#part` where there is one."""
    return re.findall(r"\]\(((?!https?:)[^)]+)\)", prose(page))


def anchors(page: Path) -> set[str]:
    """Return the names by which a page's headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
