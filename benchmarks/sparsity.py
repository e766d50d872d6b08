"""Accuracy against synaptic operations: one network trained with several strengths of the operations regulariser.

    python -m benchmarks.sparsity vgg11 runs/sparsity/* --data CIFAR10 [--count 2000]

Writes benchmarks/sparsity.json. Each folder holds what `training.train` left: ``quantised.json`` and ``vgg11.onnx``.
The shipped model of that name is measured on the same pictures.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.accuracy import Classes, by_firing_order
from pynq_snn.datasets import Dataset, load_dataset
from pynq_snn.evaluation import match_labels
from pynq_snn.models import find_model
from pynq_snn.network import Network


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name of the network, and of the shipped model beside it")
    parser.add_argument("runs", nargs="+", type=Path, help="folders of training runs, one for each strength")
    parser.add_argument("--data", type=Path, required=True, help="test pictures, as for pynq-snn eval")
    parser.add_argument("--count", type=int, default=2000, help="first test pictures")
    parser.add_argument("--out", type=Path, default=results.FOLDER / "sparsity.json")
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.data).first(arguments.count)
    logs = {run: json.loads((run / "quantised.json").read_text("utf-8")) for run in arguments.runs}
    labels = match_labels(dataset, Network.from_onnx(find_model(arguments.model)))
    figures: dict[str, Any] = {
        "measured": "accuracy and counts: exact, on the kernel device (C++ simulation of the core)",
        "data": {"name": "CIFAR-10 test pictures, JPEG copies", "count": len(dataset)},
        "model": arguments.model,
        "shipped": point(find_model(arguments.model), dataset, labels),
        "points": [],
    }
    for run, log in sorted(logs.items(), key=lambda entry: float(entry[1]["recipe"]["synops_weight"])):
        found = point(run / f"{arguments.model}.onnx", dataset, labels)
        figures["points"].append({"recipe": log["recipe"], **found})
        command = f"python -m benchmarks.sparsity {arguments.model} RUN... --data CIFAR10 --count {arguments.count}"
        results.write(arguments.out, command, figures)


def point(path: Path, dataset: Dataset, labels: Classes) -> dict[str, Any]:
    """Return accuracy and operations of one model at its own T, under both firing orders."""
    keys = ("accuracy", "synaptic_operations_per_image", "share_of_dense")
    return {"sha256": results.sha256(path), **by_firing_order(path, dataset, labels, keys)}


if __name__ == "__main__":
    main()
