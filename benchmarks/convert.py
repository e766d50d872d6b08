"""Accuracy of converted networks at several T, beside the float network that they were made from.

    python -m benchmarks.convert --data CIFAR10 [--model vgg11 | --float NAME=FILE.onnx] [--count 1000]

Writes benchmarks/convert.json, where other networks stay as they are; each names its own command. Without ``--float``,
a shipped model's int8 weights are taken as real numbers and its neurons as Relu: a float network that nobody trained to
be quantised further, though one whose training knew T levels. Calibration pictures are training pictures, accuracies
are of test pictures; the spiking network runs on a device.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from benchmarks import results
from pynq_snn.convert import METHODS, FloatOptions, convert_float
from pynq_snn.models import find_model

TIMESTEPS = (8, 4, 16, 32)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10, as for training")
    parser.add_argument("--model", default="vgg11", help="shipped model to take the float network from")
    parser.add_argument("--float", metavar="NAME=FILE", help="a float network instead")
    parser.add_argument("--count", type=int, default=1000, help="test pictures")
    parser.add_argument("--pictures", type=int, default=96, help="calibration pictures")
    parser.add_argument("--timesteps", type=int, nargs="+", default=TIMESTEPS)
    parser.add_argument("--methods", nargs="+", default=["auto"], choices=("auto", *METHODS))
    parser.add_argument("--out", type=Path, default=results.FOLDER / "convert.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        name, _, given = arguments.float.partition("=") if arguments.float else (arguments.model, "", "")
        source = Path(given) if given else Path(folder) / "float.onnx"
        if not given:
            source.write_bytes(as_float(onnx.load(find_model(name))).SerializeToString())
        network = f"--float {name}=FILE" if given else f"--model {name}"
        command = f"python -m benchmarks.convert --data CIFAR10 {network}"
        command += f" --count {arguments.count} --pictures {arguments.pictures}"
        command += " --timesteps " + " ".join(map(str, arguments.timesteps))
        figures: dict[str, Any] = {
            "measured": "accuracy, exact, on the device named (simulation of the core); float network in numpy",
            "data": {"name": "CIFAR-10 test pictures, JPEG copies", "calibration": "training pictures"},
            "models": kept_models(arguments.out),
        }
        runs: list[dict[str, Any]] = []
        figures["models"][name] = {
            "command": command,
            "float_network": "given" if given else "the shipped model, weights as real numbers, neurons as Relu",
            "runs": runs,
        }
        for timesteps in arguments.timesteps:
            for method in arguments.methods:
                options = FloatOptions(
                    timesteps, method, pictures=arguments.pictures, evaluation_pictures=arguments.count
                )
                report = convert_float(
                    source, Path(folder) / "out.onnx", arguments.data, evaluate=arguments.data, options=options
                )
                print(report.table())
                kept = report.to_dict()
                runs.append({key: value for key, value in kept.items() if key not in ("source", "output")})
                results.write(arguments.out, "python -m benchmarks.convert --data CIFAR10", figures)


def kept_models(path: Path) -> dict[str, Any]:
    """Return the networks of an earlier run, by name."""
    models: dict[str, Any] = json.loads(path.read_text("utf-8"))["models"] if path.exists() else {}
    return models


def as_float(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a QCDQ model as a float network: weights as real numbers, neurons as Relu."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    renamed: dict[str, str] = {}
    nodes = []
    for node in model.graph.node:
        inputs = [renamed.get(name, name) for name in node.input]
        if node.op_type == "DequantizeLinear" and node.input[0] in values:
            weights, scale = values[node.input[0]].astype(np.float32), values[node.input[1]]
            spread = scale.reshape(-1, *[1] * (weights.ndim - 1)) if scale.ndim else scale
            values[node.output[0]] = weights * spread
        elif node.op_type == "QuantizeLinear":
            nodes.append(helper.make_node("Relu", inputs[:1], node.output, name=node.name))
        elif node.op_type in ("Clip", "DequantizeLinear"):
            renamed[node.output[0]] = inputs[0]
        else:
            nodes.append(node)
            node.input[:] = inputs
    used = {name for node in nodes for name in node.input}
    tensors = [numpy_helper.from_array(value, name) for name, value in values.items() if name in used]
    graph = helper.make_graph(nodes, model.graph.name, model.graph.input, model.graph.output, tensors)
    converted = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    helper.set_model_props(converted, {entry.key: entry.value for entry in model.metadata_props})
    onnx.checker.check_model(converted)
    return converted


if __name__ == "__main__":
    main()
