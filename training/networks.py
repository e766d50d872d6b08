"""VGG-11 and ResNet-18 in their CIFAR forms, in an order that a spiking accelerator can run exactly.

Max pooling stands before the activation, where it computes the same as behind it and is cheaper to train. On the
accelerator it is the largest of the spike counts (docs/design.md says why max and not average). The activation is a
parameter: ReLU gives the full-precision twin, `training.quantisers.SpikeCount` the quantised network; nothing else
differs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from training.convolution import Convolution

Activation = Callable[[], nn.Module]

VGG11_PLAN = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")
RESNET18_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


class ConvUnit(nn.Module):
    """Convolution, batch normalisation, optional 2x2 max pooling: everything before one activation."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, pool: bool = False):
        super().__init__()
        self.conv = Convolution(channels_in, channels_out, kernel, stride)
        self.norm = nn.BatchNorm2d(channels_out)
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(self.norm(self.conv(x)))


class VGG11(nn.Module):
    """VGG-11 with one linear layer after the last pooling (9.2 M weights at 10 classes)."""

    smallest_picture = 32  # pixels: five poolings leave one place

    def __init__(self, activation: Activation = nn.ReLU, classes: int = 10, channels_in: int = 3):
        super().__init__()
        self.units, self.activations = nn.ModuleList(), nn.ModuleList()
        for position, width in enumerate(VGG11_PLAN):
            if isinstance(width, int):
                pool = VGG11_PLAN[position + 1] == "M"
                self.units.append(ConvUnit(channels_in, width, pool=pool))
                self.activations.append(activation())
                channels_in = width
        self.classifier = nn.Linear(channels_in, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for unit, activation in zip(self.units, self.activations, strict=True):
            x = activation(unit(x))
        return self.classifier(x.flatten(1))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, activation: Activation):
        super().__init__()
        self.unit1 = ConvUnit(channels_in, channels_out, stride=stride)
        self.activation1 = activation()
        self.unit2 = ConvUnit(channels_out, channels_out)
        same_shape = stride == 1 and channels_in == channels_out
        self.shortcut = nn.Identity() if same_shape else ConvUnit(channels_in, channels_out, kernel=1, stride=stride)
        self.activation2 = activation()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        residual = self.unit2(self.activation1(self.unit1(x)))
        return self.activation2(residual + self.shortcut(x))


class ResNet18(nn.Module):
    """ResNet-18 in the CIFAR form: a 3x3 stem without pooling (11.2 M weights at 10 classes)."""

    smallest_picture = 1

    def __init__(self, activation: Activation = nn.ReLU, classes: int = 10, channels_in: int = 3):
        super().__init__()
        width = RESNET18_STAGES[0][0]
        self.stem = ConvUnit(channels_in, width)
        self.stem_activation = activation()
        blocks = []
        for channels, stride in RESNET18_STAGES:
            blocks += [BasicBlock(width, channels, stride, activation), BasicBlock(channels, channels, 1, activation)]
            width = channels
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.stem_activation(self.stem(x)))
        return self.classifier(x.mean((2, 3)))


NETWORKS: dict[str, type[VGG11] | type[ResNet18]] = {"vgg11": VGG11, "resnet18": ResNet18}
