"""The package on an emulated Cortex-A9: python -m benchmarks.armv7 --wheel dist/pynq_snn-*-linux_armv7l.whl.

Makes a Debian armhf root from packages (apt), installs the wheel there with its own pip and without a network, and
compares everything that must not depend on the processor with this machine: tensors of the ONNX reader, program bytes,
logits, spikes, and counts. Needs Debian or Ubuntu, root, and qemu-user-static. What an emulator takes for it says
nothing about a board, so no times are recorded.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.results import FOLDER, sha256, write

REPOSITORY = FOLDER.parent
DEBIAN = "deb http://deb.debian.org/debian bookworm main\n"
PACKAGES = ("python3", "python3-numpy", "python3-pil", "python3-tqdm", "python3-pip", "libstdc++6")
EMULATOR = ("qemu-arm-static", "-cpu", "cortex-a9")
LIBRARIES = "usr/lib/arm-linux-gnueabihf"
PICTURE = REPOSITORY / "examples" / "cat.png"
TIMEOUT_S = 900


def make_root(work: Path) -> Path:
    """Return a folder with Debian's Python for armhf, made from packages where it is not there yet."""
    root = work / "root"
    if root.exists():
        return root
    for name in ("lists/partial", "archives/partial"):
        (work / "apt" / name).mkdir(parents=True, exist_ok=True)
    (work / "apt" / "status").touch()
    (work / "sources.list").write_text(DEBIAN)
    settings = {
        "APT::Architecture": "armhf", "APT::Architectures": "armhf", "APT::Install-Recommends": "false",
        "Dir::Etc::sourcelist": work / "sources.list", "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": work / "apt" / "lists", "Dir::State::status": work / "apt" / "status",
        "Dir::Cache": work / "apt", "Dir::Cache::archives": work / "apt" / "archives",
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    for command in (["update"], ["-y", "--download-only", "install", *PACKAGES]):
        subprocess.run(["apt-get", "-qq", *options, *command], check=True)
    for package in sorted((work / "apt" / "archives").glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
    return root


def emulate(root: Path, site: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the root's Python with `site` on its path."""
    libraries = ":".join(str(root / LIBRARIES / name) for name in ("blas", "lapack"))  # links that no script made
    command = [*EMULATOR, "-E", f"LD_LIBRARY_PATH={libraries}", "-L", str(root), str(root / "usr/bin/python3.11")]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "HOME": str(site), "PYTHONNOUSERSITE": "1"}
    return subprocess.run(
        [*command, *map(str, arguments)], env=environment, cwd=site, capture_output=True, text=True, timeout=TIMEOUT_S
    )


def probe_here() -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", str(FOLDER / "armv7_probe.py"), str(PICTURE)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def try_commands(root: Path, site: Path, wheel: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Install and use the wheel as docs/board.md says; return what each command answered, and the probe's results."""
    commands: dict[str, tuple[str | Path, ...]] = {
        "pip install --no-index --no-deps WHEEL": (
            "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", site, wheel,
        ),
        "pynq-snn --version": ("-m", "pynq_snn", "--version"),
        "pynq-snn doctor": ("-m", "pynq_snn", "doctor"),
        "pynq-snn info vgg11": ("-m", "pynq_snn", "info", "vgg11"),
        "pynq-snn run cat.png": ("-m", "pynq_snn", "run", PICTURE, "--json"),
        "pynq-snn run cat.png --model resnet18": ("-m", "pynq_snn", "run", PICTURE, "--model", "resnet18", "--json"),
        "pynq-snn run cat.png --device board": ("-m", "pynq_snn", "run", PICTURE, "--device", "board"),
    }  # fmt: skip
    tried = []
    for name, arguments in commands.items():
        done = emulate(root, site, *arguments)
        print(f"{done.returncode} {name}", flush=True)
        last = (done.stdout.strip() or done.stderr.strip()).replace(str(site), "SITE").splitlines()[-1:]
        tried.append({"command": name, "exit_code": done.returncode, "last_line": last[0] if last else ""})
    probe = emulate(root, site, "-W", "ignore", FOLDER / "armv7_probe.py", PICTURE)
    if probe.returncode:
        raise SystemExit(probe.stderr)
    return tried, json.loads(probe.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="The package on an emulated Cortex-A9.")
    parser.add_argument("--wheel", type=Path, required=True, help="made by `make board-wheel`")
    parser.add_argument("--work", type=Path, required=True, help="folder for the emulated system (200 MB)")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    work = arguments.work.resolve()
    root = make_root(work)
    site = work / "site"
    shutil.rmtree(site, ignore_errors=True)  # pip keeps what an earlier wheel left in a target folder
    site.mkdir()
    here = probe_here()
    tried, there = try_commands(root, site, arguments.wheel.resolve())
    write(
        FOLDER / "armv7.json",
        "python -m benchmarks.armv7 --wheel dist/pynq_snn-*-linux_armv7l.whl --work FOLDER",
        {
            "kind": "emulated (qemu-user, Cortex-A9); not a board, and no image of one",
            "wheel": {"name": arguments.wheel.name, "bytes": arguments.wheel.stat().st_size,
                      "sha256": sha256(arguments.wheel)},
            "armv7": there["machine"],
            "this_machine": here["machine"],
            "equal": here["results"] == there["results"],
            "results": there["results"],
            "commands": tried,
        },
    )  # fmt: skip
    if here["results"] != there["results"]:
        raise SystemExit("results differ between the processors")


if __name__ == "__main__":
    main()
