"""Plots of a training run: accuracy by epoch, firing rates by layer.

python -m training.plots runs/vgg11 docs/images/training-vgg11.png
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

STAGES = ("float", "quantised")
MARKERS = ("o", "s", "^", "v", "D", "P")


def read_logs(run: Path) -> dict[str, dict[str, Any]]:
    """Return the logs of each stage by file name: ``quantised-2.json`` is of a training that went on from there."""
    paths = [path for stage in STAGES for path in sorted(run.glob(f"{stage}*.json"), key=lambda path: path.stem)]
    return {path.stem: json.loads(path.read_text()) for path in paths}


def plot(logs: dict[str, dict[str, Any]]) -> Any:
    """Return a matplotlib Figure of the logs of one run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    first = 1
    for (stage, log), marker in zip(logs.items(), itertools.cycle(MARKERS)):
        accuracies = [epoch["accuracy"] for epoch in log["epochs"]]
        left.plot(range(first, first + len(accuracies)), accuracies, marker=marker, color="0.25", label=stage)
        first += len(accuracies)
    left.set(xlabel="epoch", ylabel="accuracy on the test pictures (%)")
    left.legend()
    quantised = [log for name, log in logs.items() if name.startswith("quantised")]
    rates = quantised[-1]["epochs"][-1]["firing_rates"] if quantised else []
    right.bar(range(1, len(rates) + 1), [100 * rate for rate in rates], color="0.5")
    right.set(xlabel="layer of neurons", ylabel="firing rate (% of timesteps)")
    right.xaxis.get_major_locator().set_params(integer=True)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a training run")
    parser.add_argument("picture", type=Path, help="file to write")
    arguments = parser.parse_args()
    logs = read_logs(arguments.run)
    if not logs:
        parser.error(f"{arguments.run}: holds no float.json or quantised.json; train first")
    plot(logs).savefig(arguments.picture, dpi=120)
    print(f"wrote {arguments.picture}")


if __name__ == "__main__":
    main()
