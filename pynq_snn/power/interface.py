"""What a power meter is: something that watches from `start` to `stop`, and the trace that comes out of it."""

from __future__ import annotations

import abc
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn.errors import PowerError

FEWEST_SAMPLES = 3  # inside a window: fewer say nothing about what happened in it
STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class PowerTrace:
    """Power over time.

    Attributes
    ----------
    times_s : float64 [samples]
        Seconds since 1970, rising.
    watts : float64 [samples]
    """

    times_s: npt.NDArray[np.float64]
    watts: npt.NDArray[np.float64]

    def energy_j(self, start_s: float, end_s: float) -> float:
        """Return the energy between two times, by the trapezoidal rule.

        Raises
        ------
        PowerError
            The samples do not cover the time, or fewer than FEWEST_SAMPLES lie within it.
        """
        times = self.times_s
        if not len(times) or times[0] > start_s or times[-1] < end_s:
            covered = f"from {times[0]:.3f} to {times[-1]:.3f}" if len(times) else "no time at all"
            raise PowerError(
                f"the power samples cover {covered}, but the run took from {start_s:.3f} to {end_s:.3f} (seconds since "
                "1970); start the meter earlier, stop it later, and compare the clocks of the two machines"
            )
        inside = (times > start_s) & (times < end_s)
        if inside.sum() < FEWEST_SAMPLES:
            raise PowerError(
                f"only {inside.sum()} power samples fall into {end_s - start_s:.3f} s; measure longer (--seconds)"
            )
        at_ends = np.interp([start_s, end_s], times, self.watts)
        seconds = np.concatenate([[start_s], times[inside], [end_s]])
        watts = np.concatenate([at_ends[:1], self.watts[inside], at_ends[1:]])
        return float(((watts[1:] + watts[:-1]) / 2 * np.diff(seconds)).sum())

    def mean_w(self, start_s: float, end_s: float) -> float:
        """Return the mean power between two times; raises PowerError as `energy_j` does."""
        return self.energy_j(start_s, end_s) / (end_s - start_s)


class Meter(abc.ABC):
    """A power meter.

    Attributes
    ----------
    name : str
        As in ``--meter NAME``.
    description : str
        What a report says about where its watts come from.
    """

    name: str
    description: str

    @abc.abstractmethod
    def start(self) -> None:
        """Begin to watch; the first sample is taken before this returns, or lies in the log already."""

    @abc.abstractmethod
    def stop(self) -> PowerTrace:
        """End watching and return all samples since `start`, one at or after this call included.

        Raises
        ------
        PowerError
            The meter failed on the way.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the meter; safe to call twice."""

    def __enter__(self) -> Meter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PolledMeter(Meter):
    """A meter that answers with the watts of now: a thread asks it again and again.

    Attributes
    ----------
    interval_s : float
        Seconds between two questions.
    """

    interval_s = 0.01

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []
        self._failure: Exception | None = None
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    @abc.abstractmethod
    def read_watts(self) -> float:
        """Return the power of now in watts; raises PowerError or OSError where the meter does not answer."""

    def start(self) -> None:
        if self._thread is not None:
            raise PowerError(f"{self.name} is watching already; stop it first")
        self._samples, self._failure = [], None
        self._ending.clear()
        self._sample()
        self._thread = threading.Thread(target=self._watch, name=f"{self.name} meter", daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        watts = self.read_watts()
        self._samples.append((time.time(), watts))

    def _watch(self) -> None:
        try:
            while not self._ending.wait(self.interval_s):
                self._sample()
        except Exception as failure:  # handed to the thread that stops
            self._failure = failure

    def stop(self) -> PowerTrace:
        if self._thread is None:
            raise PowerError(f"{self.name} is not watching; start it first")
        self._join()
        if self._failure is None:
            try:
                self._sample()
            except Exception as failure:
                self._failure = failure
        if self._failure is not None:
            raise PowerError(f"{self.name} stopped answering: {self._failure}") from self._failure
        columns: Any = np.array(self._samples, np.float64).T
        return PowerTrace(columns[0], columns[1])

    def _join(self) -> None:
        thread, self._thread = self._thread, None
        self._ending.set()
        if thread is not None:
            thread.join(STOP_TIMEOUT_S)
            if thread.is_alive():
                raise PowerError(f"{self.name} did not answer within {STOP_TIMEOUT_S:g} s; check its connection")

    def close(self) -> None:
        self._join()
