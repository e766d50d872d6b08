"""Thresholds: how large a current T spikes stand for.

A low threshold cuts off strong currents, a high one makes every step coarse. `percentile` lets a fixed share of the
activations be cut off; `error` tries thresholds and keeps the one whose spike counts are closest to the activations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pynq_snn.convert.execution import Maps
from pynq_snn.convert.float_graph import FloatArray

METHODS = ("percentile", "error")
_POWERS = {2: "squares", 4: "4th powers", 8: "8th powers"}
EQUALISATIONS = ("channel", "layer")
MOST_SAMPLES = 16384  # of a channel
TRIALS = np.linspace(1.0, 0.05, 39)  # thresholds tried, as shares of the largest activation
# A channel that hardly speaks on the calibration pictures may speak up on others
LOWEST_SHARE = 1 / 64  # of the layer's largest threshold


@dataclass(frozen=True)
class Recipe:
    """How thresholds are chosen.

    Attributes
    ----------
    method : {"percentile", "error"}
    percentile : float
        Share of the activations that the threshold covers, in percent; only of "percentile".
    power : int
        Of the differences that are summed; only of "error". A high one spares strong activations, which decide classes.
    equalisation : {"channel", "layer"}
        Whether each channel has its own threshold, which is then made equal by scaling its weights and those that
        read it, or all channels of a layer share one.
    """

    method: str
    percentile: float
    power: int
    equalisation: str

    @property
    def title(self) -> str:
        """Name for tables."""
        method = (
            f"percentile {self.percentile:g}" if self.method == "percentile" else f"least error ({_POWERS[self.power]})"
        )
        return f"{method}, by {self.equalisation}"


def choose_thresholds(activations: Maps, currents: Maps, timesteps: int, recipe: Recipe, ceiling: float) -> FloatArray:
    """Return a layer's thresholds, float64 [channels], in the unit of its activations.

    Parameters
    ----------
    activations : float32 [N, channels, height, width]
        Of the float network.
    currents : float32 [N, channels, height, width]
        Of the spiking network before the neurons.
    timesteps : int
    recipe : Recipe
    ceiling : float
        Largest activation that the float network knows.
    """
    wanted, given = _samples(activations), _samples(currents)
    if recipe.equalisation == "layer":
        wanted, given = wanted.reshape(1, -1), given.reshape(1, -1)
    found: FloatArray
    if recipe.method == "percentile":
        found = np.percentile(wanted, recipe.percentile, axis=1).astype(np.float64)
    else:
        found = _least_error(wanted, given, timesteps, recipe.power)
    found = np.minimum(found, ceiling)
    lowest = LOWEST_SHARE * found.max()
    if lowest <= 0:  # nothing is ever active here, so any threshold does
        lowest = 1.0
    return np.broadcast_to(np.maximum(found, lowest), (activations.shape[1],)).copy()


def _samples(maps: Maps) -> Maps:
    """Return evenly spread values of each channel, [channels, n]."""
    rows = maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1)
    stride = -(-rows.shape[1] // MOST_SAMPLES)
    # An odd stride visits all columns of a map whose width is even
    return rows[:, :: stride + (stride % 2 == 0 and stride > 1)]


def _least_error(wanted: Maps, given: Maps, timesteps: int, power: int) -> FloatArray:
    peaks = wanted.max(axis=1)
    best, least = peaks.astype(np.float64), np.full(len(wanted), np.inf)
    for share in TRIALS:
        steps = np.where(peaks > 0, peaks * np.float32(share / timesteps), np.float32(1))[:, None]
        counted = steps * np.clip(np.rint(given / steps), 0, timesteps)
        scale = np.where(peaks > 0, peaks, 1)[:, None]  # high powers of small numbers would vanish
        errors = np.power((counted - wanted) / scale, power).mean(axis=1, dtype=np.float64)
        better = errors < least
        best, least = np.where(better, peaks * share, best), np.where(better, errors, least)
    return best
