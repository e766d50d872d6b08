"""Cycles of the RTL, layer by layer, beside the estimate of the HLS kernel; every bit of both compared.

    python -m benchmarks.rtl --data CIFAR10 [--count 20] [--models vgg11 ...] [--firing deferred ...]

Cycle-accurate simulation at 100 MHz against the default memory model (`pynq_snn.devices.rtl.MemoryModel`). Needs the
rtl extra, a C++ compiler and make. Writes benchmarks/rtl.json, where networks and firing orders that are not asked for
stay as they are, as long as they are of the same RTL, memory and network; each order names its own command.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import results
from benchmarks.core_model import CHOSEN
from overlays.flow.sources import build_hash, rtl_hashes
from pynq_snn import Accelerator, Network
from pynq_snn.accelerator import LayerCounters, RunReport
from pynq_snn.datasets import load_dataset
from pynq_snn.devices.rtl import DEFAULT_CLOCK_MHZ, MemoryModel, RtlDevice
from pynq_snn.models import find_model, shipped_models
from pynq_snn.network import FIRING_ORDERS
from pynq_snn.pictures import fit_picture

COMMAND = "python -m benchmarks.rtl --data CIFAR10"
BATCH = 8
TIMEOUT_S = 3600.0


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="labelled pictures, as for pynq-snn eval")
    parser.add_argument("--count", type=int, default=20, help="pictures one by one (default: 20)")
    parser.add_argument("--models", nargs="+", default=list(shipped_models()))
    parser.add_argument("--firing", nargs="+", default=list(FIRING_ORDERS), choices=FIRING_ORDERS)
    parser.add_argument("--out", type=Path, default=results.FOLDER / "rtl.json")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {
        "measured": "cycle-accurate simulation; kernel_cycles is an estimate",
        "build_hash": f"0x{build_hash(rtl_hashes()):08x}",
        "clock_mhz": DEFAULT_CLOCK_MHZ,
        "memory": asdict(MemoryModel()),
    }
    models = models_of_the_same(arguments.out, figures)
    # One core for all figures, even where somebody edits the RTL meanwhile.
    with RtlDevice() as device, Accelerator("kernel") as kernel:
        core = Accelerator(device, timeout_s=TIMEOUT_S)
        for name in arguments.models:
            digest = results.sha256(find_model(name))
            if models.get(name, {}).get("sha256") != digest:
                models[name] = {"sha256": digest, "timesteps": Network.from_onnx(find_model(name)).timesteps}
            for firing in arguments.firing:
                measured = measure(core, kernel, name, firing, arguments.data, arguments.count)
                own = f"{COMMAND} --count {arguments.count} --models {name} --firing {firing}"
                models[name][firing] = {"command": own, **measured}
                results.write(arguments.out, COMMAND, {**figures, "models": models})


def models_of_the_same(report: Path, figures: dict[str, Any]) -> dict[str, Any]:
    """Return what an earlier report says of networks, if it was of the same RTL before the same memory."""
    earlier = json.loads(report.read_text()) if report.exists() else {}
    same = all(earlier.get(name) == value for name, value in figures.items())
    return dict(earlier["models"]) if same else {}


def measure(core: Accelerator, kernel: Accelerator, model: str, firing: str, data: Path, count: int) -> dict[str, Any]:
    """Return cycles of pictures one by one, and of a batch; raises AssertionError where a bit differs."""
    network = core.load(model, firing=firing)
    kernel.load(network)
    dataset = load_dataset(data).first(max(count, BATCH))
    pictures = np.stack([fit_picture(image, network) for image in dataset.images])
    single = [compare(core, kernel, pictures[index : index + 1]) for index in range(count)]
    batch = compare(core, kernel, pictures[:BATCH])
    cycles = [report.cycles for report, _, _ in single]
    estimates = [estimate.cycles for _, estimate, _ in single]
    ratios = [estimate / own for own, estimate in zip(cycles, estimates, strict=True)]
    seconds = sum(spent for _, _, spent in single)
    layers = [
        mean_layer([report.layers[index] for report, _, _ in single]) for index in range(len(single[0][0].layers))
    ]
    summary: dict[str, Any] = {
        "pictures": count,
        "cycles": spread(cycles),
        "frames_per_second": DEFAULT_CLOCK_MHZ * 1e6 / float(np.mean(cycles)),
        "kernel_cycles": spread(estimates),
        "kernel_over_rtl": {"least": min(ratios), "mean": float(np.mean(ratios)), "most": max(ratios)},
        "batch": BATCH,
        "batch_cycles_per_picture": batch[0].cycles / BATCH,
        "batch_kernel_cycles_per_picture": batch[1].cycles / BATCH,
        "simulated_cycles_per_processor_second": sum(cycles) / seconds,
        **bounds(layers, float(np.mean(cycles))),
        "layers": layers,
    }
    print(f"{model} {firing}: {summary['cycles']['mean']:,.0f} cycles, estimate / RTL {summary['kernel_over_rtl']}")
    return summary


def bounds(layers: list[dict[str, Any]], cycles: float) -> dict[str, float]:
    """Return what cycles are bounded by: bytes over the memory's rate between refreshes, additions over adders.

    ``bound_of_layers`` is the sum of each layer's larger bound, ``bound_of_network`` the larger one of all layers'
    bytes and all layers' additions, which no core reaches that cannot keep the weights of many layers ahead.
    """
    memory = MemoryModel().settings(DEFAULT_CLOCK_MHZ)
    bytes_per_cycle = memory.bytes_per_cycle * (1 - memory.refresh_cycles / memory.refresh_interval_cycles)
    bus = [(layer["bytes_read"] + layer["bytes_written"]) / bytes_per_cycle for layer in layers]
    adders = [layer["additions"] / CHOSEN.adders for layer in layers]
    of_layers, of_network = sum(map(max, bus, adders)), max(sum(bus), sum(adders))
    return {
        "bound_of_layers": of_layers,
        "cycles_over_bound_of_layers": cycles / of_layers,
        "bound_of_network": of_network,
        "cycles_over_bound_of_network": cycles / of_network,
    }


def compare(core: Accelerator, kernel: Accelerator, pictures: np.ndarray) -> tuple[RunReport, RunReport, float]:
    """Return both reports and the processor time that the simulation took, in seconds."""
    begin = time.process_time()
    logits = core.infer(pictures, batch=len(pictures))
    spent = time.process_time() - begin
    assert np.array_equal(logits, kernel.infer(pictures, batch=len(pictures)))
    report, estimate = core.last_run, kernel.last_run
    for own, other in zip(report.layers, estimate.layers, strict=True):
        assert (own.spikes, own.additions) == (other.spikes, other.additions), own.name
    return report, estimate, spent


def spread(values: list[int]) -> dict[str, float]:
    """Return the least, the mean and the most."""
    return {"least": min(values), "mean": float(np.mean(values)), "most": max(values)}


def mean_layer(counters: list[LayerCounters]) -> dict[str, Any]:
    """Return the mean of each counter of a layer."""
    names = [name for name in asdict(counters[0]) if name != "name"]
    means = {name: float(np.mean([getattr(counter, name) for counter in counters])) for name in names}
    return {"name": counters[0].name, **means}


if __name__ == "__main__":
    main()
