"""Convolutions of spikes as the accelerator computes them, int8 weights times spikes, on a CPU.

oneDNN's int8 products took a quarter of the time of float32 ones (an AVX-512 processor with VNNI), and the sums are
exact integers.
"""

from __future__ import annotations

from typing import Any

import torch

from training.networks import ConvUnit
from training.quantisers import WEIGHT_LEVELS, Int8Weight, norm_gain, original_weight


def has_integer_product(unit: ConvUnit, spikes: torch.Tensor) -> bool:
    """Return whether `spike_current` can compute a unit: on a CPU, of a network whose weights are on int8 steps."""
    return spikes.device.type == "cpu" and _rounding(unit) is not None and "onednn" in _engines()


def _engines() -> list[str]:
    engines: list[str] = torch.backends.quantized.supported_engines
    return engines


def _rounding(unit: ConvUnit) -> Int8Weight | None:
    parametrizations: Any = getattr(unit.conv, "parametrizations", None)
    return parametrizations.weight[0] if parametrizations is not None else None


@torch.no_grad()
def spike_current(unit: ConvUnit, spikes: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """Return a unit's current before pooling, with batch normalisation as in evaluation.

    Parameters
    ----------
    spikes : uint8 [N, C, H, W]
        0 or 1, channels last.
    threshold : float32 []
        What a spike stands for.

    Returns
    -------
    float32 [N, C, H, W]
    """
    conv, norm = unit.conv, unit.norm
    rounding = _rounding(unit)
    assert rounding is not None
    weight = original_weight(conv)
    step = rounding.steps(weight)
    integers = (weight / step[:, None, None, None]).round().clamp(-WEIGHT_LEVELS, WEIGHT_LEVELS)
    gain = norm_gain(unit)
    offset = norm.bias - norm.running_mean * gain  # type: ignore[operator]
    geometry = (list(conv.stride), list(conv.padding), list(conv.dilation), conv.groups)
    # Scales are positive: a negative gain goes into the weights.
    signed = (integers * torch.where(gain < 0, -1, 1)[:, None, None, None]).to(torch.int8)
    scales = (gain.abs() * step * threshold).contiguous()
    zeros = torch.zeros(len(gain), dtype=torch.int32)
    packed = torch.ops.onednn.qconv_prepack(signed, scales, 1.0, 0, *geometry, list(spikes.shape))
    current: torch.Tensor = torch.ops.onednn.qconv2d_pointwise(
        spikes, 1.0, 0, packed, scales, zeros, offset.float(), *geometry, 1.0, 0, torch.float32, "none", [], ""
    )
    return current
