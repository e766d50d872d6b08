"""How far the class scores of one network are from those of another."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def score_error(wanted: npt.NDArray[Any], found: npt.NDArray[Any]) -> float:
    """Return the root mean square difference of class scores, as a share of the spread of `wanted`.

    What is added to all classes of a picture alike changes no answer and does not count.

    Parameters
    ----------
    wanted, found : float [N, classes]
    """
    centred = wanted - wanted.mean(axis=1, keepdims=True)
    difference = found - found.mean(axis=1, keepdims=True) - centred
    spread = float(np.sqrt(np.square(centred, dtype=np.float64).mean()))
    return float(np.sqrt(np.square(difference, dtype=np.float64).mean())) / max(spread, 1e-30)
