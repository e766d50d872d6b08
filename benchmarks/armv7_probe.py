"""Runs in a Python of some processor with an installed pynq-snn: prints everything that must not depend on it."""

from __future__ import annotations

import hashlib
import json
import platform
import resource
import sys

import numpy as np
import PIL

from pynq_snn import Accelerator, Network, fit_picture
from pynq_snn.encode import to_events
from pynq_snn.models import find_model, shipped_models
from pynq_snn.network import FIRING_ORDERS, integrate
from pynq_snn.onnx_reader import read_onnx
from pynq_snn.program import compile_network
from pynq_snn.synthetic import EXAMPLES, random_input


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def shipped(name: str, picture: str) -> dict[str, object]:
    graph = read_onnx(find_model(name))
    return {
        "onnx_nodes": len(graph.nodes),
        "onnx_tensors_sha256": digest(b"".join(tensor.tobytes() for tensor in graph.initializers.values())),
        **{firing: inference(name, picture, firing) for firing in FIRING_ORDERS},
    }


def inference(name: str, picture: str, firing: str) -> dict[str, object]:
    network = Network.from_onnx(find_model(name), firing=firing)
    with Accelerator("kernel") as accelerator:
        accelerator.load(network)
        logits = accelerator.infer(fit_picture(picture, network))
        report = accelerator.last_run
    return {
        "program_sha256": digest(compile_network(network).data.tobytes()),
        "logits": logits.tolist(),
        "label": network.labels[int(network.scores(logits).argmax())],
        "spikes": report.spikes,
        "synaptic_operations": report.synaptic_operations,
        "cycles": report.cycles,
    }


def small(name: str, firing: str) -> str:
    network = integrate(EXAMPLES[name](firing=firing))
    inputs = random_input(network, 1, 2)
    with Accelerator("kernel") as accelerator:
        accelerator.load(network)
        if network.input_kind == "pixels":
            logits = accelerator.infer(inputs)
        else:
            logits = accelerator.infer_events([to_events(item) for item in inputs])
        return digest(compile_network(network).data.tobytes() + logits.tobytes())


def main() -> None:
    picture = sys.argv[1]
    results = {
        **{name: shipped(name, picture) for name in shipped_models()},
        "small_networks": {f"{name} {firing}": small(name, firing) for name in EXAMPLES for firing in FIRING_ORDERS},
    }
    machine = {
        "processor": platform.machine(), "python": platform.python_version(), "numpy": np.__version__,
        "pillow": PIL.__version__, "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }  # fmt: skip
    print(json.dumps({"machine": machine, "results": results}))


if __name__ == "__main__":
    main()
