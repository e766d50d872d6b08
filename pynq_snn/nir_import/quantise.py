"""int8 weights: exact where the weights lie on a grid of 255 levels, rounded to nearest where they do not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pynq_snn import layout

FloatArray = npt.NDArray[np.float64]

GRID_TOLERANCE = 2e-5  # of a step: weights in float32, divided by their step, are this close to whole numbers
FRACTIONS = 2.0**layout.MAX_FRACTION_BITS


def quantise(weights: FloatArray, companions: FloatArray) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """Return int8 weights and the step of each output channel.

    Parameters
    ----------
    weights : float64 [channels, ...]
    companions : float64 [channels, n]
        Other numbers in the unit of the weights (threshold, bias); of several exact steps, one is chosen that
        divides these too, as the core keeps them with `layout.MAX_FRACTION_BITS` fraction bits.

    Returns
    -------
    int8 array of the shape of `weights`, float64 [channels]
    """
    rows = weights.reshape(len(weights), -1)
    steps = np.array([_step(row, others) for row, others in zip(rows, companions, strict=True)])
    spread = steps.reshape(-1, *[1] * (weights.ndim - 1))
    limit = layout.WEIGHT_LIMIT
    return np.clip(np.rint(weights / spread), -limit, limit).astype(np.int8), steps


def relative_error(weights: FloatArray, values: npt.NDArray[np.int8], steps: FloatArray) -> float:
    """Return the root mean square of what rounding changed, as a share of the root mean square of the weights."""
    spread = steps.reshape(-1, *[1] * (weights.ndim - 1))
    norm = float(np.sqrt(np.mean(weights**2)))
    return float(np.sqrt(np.mean((values * spread - weights) ** 2))) / norm if norm else 0.0


def _step(row: FloatArray, companions: FloatArray) -> float:
    """Return the weight of one int8 step for one channel."""
    limit = layout.WEIGHT_LIMIT
    magnitudes = np.unique(np.abs(row))
    peak = float(magnitudes[-1])
    if peak == 0:
        return 1.0
    if magnitudes.size > limit + 1:
        return peak / limit
    steps = peak / np.arange(limit, 0, -1)  # the finest first: rounding of leaks is a share of a step
    exact = steps[[_divides(step, magnitudes) for step in steps]]
    if not exact.size:
        return peak / limit
    for multiple in (1.0, FRACTIONS):
        for step in exact:
            if _divides(step / multiple, companions):
                return float(step)
    return float(exact[0])


def _divides(step: float, values: FloatArray) -> bool:
    ratio = values / step
    return bool((np.abs(ratio - np.rint(ratio)) <= GRID_TOLERANCE * np.maximum(1, np.abs(ratio) / FRACTIONS)).all())
