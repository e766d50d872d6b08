"""Runs the notebooks and keeps what they print, so that the committed ones show what the package does now.

    python -m tests.keep_notebooks [NAME ...]

PYNQ_SNN_CIFAR10=FOLDER lets the second one measure accuracy on a sample.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

SECONDS = 120
FOLDER = ROOT / "notebooks"


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="how a file name begins, such as 01; all by default")
    names = tuple(parser.parse_args().names) or ("",)
    for path in sorted(FOLDER.glob("*.ipynb")):
        if path.name.startswith(names):
            keep(path)
            print(f"wrote {path.relative_to(ROOT)}")


def keep(path: Path) -> None:
    """Execute a notebook and write it back; only what its cells put out changes."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    metadata = dict(notebook.metadata)
    NotebookClient(notebook, timeout=SECONDS, record_timing=False, coalesce_streams=True).execute(cwd=str(FOLDER))
    notebook.metadata = metadata  # the kernel wrote its version
    content = json.loads(nbformat.writes(notebook))  # text in lists of lines
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def printed(notebook: dict[str, Any]) -> list[str]:
    """Return what each cell of code printed."""
    return [
        "".join("".join(output.get("text", [])) for output in cell["outputs"])
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


if __name__ == "__main__":
    main()
