"""Makes the ONNX files beside it: small networks with random weights, as other tools export them.

    pip install torch onnx onnxscript brevitas && python tests/exports/make.py

resnet_legacy.onnx, resnet_dynamo.onnx: a residual network in torchvision's style from both exporters of PyTorch.
brevitas.onnx: a quantised network from Brevitas' QCDQ exporter.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

FOLDER = Path(__file__).parent
SIZE = 16


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = Block(6, 6, 1)
        self.layer2 = Block(6, 8, 2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.avgpool(self.layer2(self.layer1(x)))
        return self.fc(x.view(x.size(0), -1))


def randomised(network: nn.Module) -> nn.Module:
    """Give batch normalisations statistics of random pictures, and gains that are not 1."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
            module.momentum = None
    network.train()
    for _ in range(4):
        network(torch.randn(16, 3, SIZE, SIZE))
    return network.eval()


def resnets() -> None:
    torch.manual_seed(1)
    network = randomised(ResNet())
    options: dict[str, Any]
    for name, dynamo in (("resnet_legacy", False), ("resnet_dynamo", True)):
        options = {"input_names": ["input"], "output_names": ["scores"], "dynamo": dynamo}
        if dynamo:
            options |= {"dynamic_shapes": {"x": {0: torch.export.Dim("batch")}}, "external_data": False}
        else:
            options["dynamic_axes"] = {"input": {0: "batch"}, "scores": {0: "batch"}}
        torch.onnx.export(network, (torch.zeros(2, 3, SIZE, SIZE),), FOLDER / f"{name}.onnx", **options)


def brevitas() -> None:
    from brevitas import nn as qnn
    from brevitas.export import export_onnx_qcdq
    from brevitas.quant import Int8WeightPerChannelFloat, Uint8ActPerTensorFloat

    torch.manual_seed(2)
    weights = {"weight_quant": Int8WeightPerChannelFloat}
    activation = {"act_quant": Uint8ActPerTensorFloat, "bit_width": 3}
    network = nn.Sequential(
        qnn.QuantConv2d(3, 6, 3, padding=1, bias=True, **weights),
        qnn.QuantReLU(**activation),
        nn.MaxPool2d(2),
        qnn.QuantConv2d(6, 8, 3, padding=1, bias=False, **weights),
        nn.BatchNorm2d(8),
        qnn.QuantReLU(**activation),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(),
        qnn.QuantLinear(8, 4, bias=True, **weights),
    )
    export_onnx_qcdq(
        randomised(network),
        args=torch.zeros(2, 3, SIZE, SIZE),
        export_path=str(FOLDER / "brevitas.onnx"),
        dynamo=False,
    )


def strip(path: Path) -> None:
    """Remove the exporters' notes on each node, which are larger than the network."""
    model = onnx.load(path)
    graph = model.graph
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph, model):
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.value_info[:]
    onnx.save(model, path)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    resnets()
    brevitas()
    for file in FOLDER.glob("*.onnx"):
        strip(file)
