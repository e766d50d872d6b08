"""A Joulescope: an energy analyser over USB, read through its maker's package."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from pynq_snn.errors import PowerError
from pynq_snn.power.interface import PolledMeter

PIECE_S = 0.05  # each sample is the mean power of this many seconds


class JoulescopeMeter(PolledMeter):
    """The only Joulescope that is plugged in.

    Parameters
    ----------
    library : module, optional
        What stands for the package ``joulescope``.
    """

    name = "joulescope"
    interval_s = 0.0  # reading a piece takes its time already

    def __init__(self, library: Any = None) -> None:
        super().__init__()
        self._device: Any = None
        if library is None:
            try:
                library = importlib.import_module("joulescope")
            except ImportError as error:
                raise PowerError(
                    "this meter needs the package joulescope, which is not installed; "
                    "pip install 'pynq-snn[joulescope]'"
                ) from error
        try:
            device = library.scan_require_one(config="auto")
            device.open()
        except Exception as error:  # the package raises bare RuntimeErrors and its own kinds
            raise PowerError(
                f"no Joulescope can be opened ({error}); plug in one, and close its other programs"
            ) from error
        self._device = device
        self.description = f"Joulescope {device}, means of {1000 * PIECE_S:g} ms"

    def read_watts(self) -> float:
        samples = np.asarray(self._device.read(contiguous_duration=PIECE_S), np.float64)
        # Missing samples are NaN; the product is taken first, because current and voltage vary together.
        watts = float(np.nanmean(samples[:, 0] * samples[:, 1])) if len(samples) else float("nan")
        if not np.isfinite(watts):
            raise PowerError(f"{self.description} gave no samples; check its USB connection")
        return watts

    def close(self) -> None:
        super().close()
        device, self._device = self._device, None
        if device is not None:
            device.close()
