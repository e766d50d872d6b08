"""Speed on this machine: the kernel beside PyTorch on one core, the command line, the import, and memory.

    python -m benchmarks.speed [MODEL] [--image FILE]

Needs PyTorch (the train extra). Writes benchmarks/speed.json. Timings depend on the machine; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch reads it: one core for both

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import results
from benchmarks.torch_stepping import TorchNetwork
from pynq_snn import Accelerator
from pynq_snn.models import DEFAULT_MODEL, find_model
from pynq_snn.pictures import fit_picture

REPEATS = 15
PICTURE = results.FOLDER.parent / "examples" / "cat.png"

# Not ru_maxrss: a new process inherits that one from its parent.
RESIDENT = """
import sys
from pynq_snn import Accelerator
from pynq_snn.pictures import fit_picture
with Accelerator("kernel") as accelerator:
    network = accelerator.load(sys.argv[1])
    accelerator.infer(fit_picture(sys.argv[2], network)[None])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL)
    parser.add_argument("--image", type=Path, default=PICTURE)
    parser.add_argument("--out", type=Path, default=results.FOLDER / "speed.json")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    path = find_model(arguments.model)
    figures = {
        "measured": "on the machine named here, one core; not on the board",
        "model": path.name,
        "one_picture": {firing: compare(path, arguments.image, firing) for firing in ("deferred", "stepwise")},
        "command_line_s": seconds(["-m", "pynq_snn", "run", str(arguments.image), "--model", str(path)]),
        "import_s": round(seconds(["-c", "import pynq_snn"]) - seconds(["-c", "pass"]), 4),
        "resident_mb": round(int(run_python(["-c", RESIDENT, str(path), str(arguments.image)])) / 1024, 1),
    }
    for key in ("one_picture", "command_line_s", "import_s", "resident_mb"):
        print(key, figures[key])
    results.write(arguments.out, f"python -m benchmarks.speed {path.stem}", figures)


def compare(path: Path, picture: Path, firing: str) -> dict[str, Any]:
    """Return times of one picture through the kernel and through PyTorch, taken in turns; logits have to be equal."""
    with Accelerator("kernel") as accelerator:
        network = accelerator.load(path, firing=firing)
        image = fit_picture(picture, network)
        stepped = TorchNetwork(network)
        logits = accelerator.infer(image[None])[0]
        if not np.array_equal(logits, stepped.infer(image)):
            raise SystemExit(
                f"{path.name}: PyTorch and the kernel give different logits; the comparison would be unfair"
            )
        kernel_s, torch_s = in_turns(lambda: accelerator.infer(image[None]), lambda: stepped.infer(image))
        operations = accelerator.last_run.synaptic_operations
    return {
        "kernel_ms": round(1000 * kernel_s, 2),
        "pytorch_ms": round(1000 * torch_s, 2),
        "ratio": round(torch_s / kernel_s, 2),
        "synaptic_operations": operations,
        "logits_equal": True,
    }


def in_turns(first: Callable[[], npt.NDArray[Any]], second: Callable[[], npt.NDArray[Any]]) -> tuple[float, float]:
    """Return the median seconds of two calls that take turns, so that noise of the machine meets both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for call, taken in zip((first, second), times, strict=True):
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def run_python(arguments: list[str]) -> str:
    """Run this interpreter and return what it printed."""
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True, timeout=60).stdout


def seconds(arguments: list[str]) -> float:
    """Return the median seconds that a new interpreter takes for something; the first run warms the disk."""
    times = []
    for _ in range(6):
        start = time.perf_counter()
        run_python(arguments)
        times.append(time.perf_counter() - start)
    return round(statistics.median(times[1:]), 4)


if __name__ == "__main__":
    main()
