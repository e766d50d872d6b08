"""A log with timestamps that another program, or another machine, writes while a network runs.

The first line names the columns: ``time`` (or ``timestamp``; seconds since 1970, or ISO 8601 with a zone or in UTC) and
``watts`` (or ``power``, ``power_w``), or else ``volts`` and ``amperes`` (or ``voltage``, ``current``).
"""

from __future__ import annotations

import csv
import datetime
import io
import math
import time
from pathlib import Path

import numpy as np

from pynq_snn.errors import PowerError
from pynq_snn.power.interface import Meter, PowerTrace

CATCH_UP_S = 5.0  # how long to wait until the log has reached the end of a run
POLL_S = 0.05
TIME, WATTS, VOLTS, AMPERES = (
    ("time", "timestamp", "time_s"), ("watts", "power", "power_w"), ("volts", "voltage"), ("amperes", "current"),
)  # fmt: skip


class CsvLog(Meter):
    """A growing log file.

    Parameters
    ----------
    path : str or Path
    catch_up_s : float
        Longest wait in seconds, after a run, for the log to reach its end.
    """

    name = "csv"

    def __init__(self, path: str | Path, *, catch_up_s: float = CATCH_UP_S) -> None:
        self.path = Path(path)
        self.catch_up_s = catch_up_s
        self.description = f"log {self.path.name}"
        self._started: float | None = None
        self._read()  # tells at once what is wrong with it

    def start(self) -> None:
        self._started = time.time()

    def stop(self) -> PowerTrace:
        if self._started is None:
            raise PowerError("the log is not watched; start it first")
        started, self._started = self._started, None
        ended = time.time()
        while True:
            trace = self._read()
            if len(trace.times_s) and trace.times_s[-1] >= ended:
                break
            if time.time() > ended + self.catch_up_s:
                last = (
                    f"ends {ended - trace.times_s[-1]:.1f} s before the run did" if len(trace.times_s) else "is empty"
                )
                raise PowerError(
                    f"{self.path} {last}; let the meter go on logging, and compare the clocks of the two machines"
                )
            time.sleep(POLL_S)
        # One sample before the start belongs to the trace, so that it covers all of the run.
        first = max(0, int(np.searchsorted(trace.times_s, started, side="right")) - 1)
        return PowerTrace(trace.times_s[first:], trace.watts[first:])

    def close(self) -> None:
        self._started = None

    def _read(self) -> PowerTrace:
        try:
            text = self.path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PowerError(f"{self.path} cannot be read ({error}); give the CSV log of a power meter") from error
        text = text[: text.rfind("\n") + 1]  # the last line may be half written
        rows = csv.reader(io.StringIO(text))
        names = [name.strip().lower() for name in next(rows, [])]
        when = self._column(names, TIME)
        power = [self._column(names, WATTS, needed=False)]
        if power == [None]:
            power = [self._column(names, VOLTS), self._column(names, AMPERES)]
        samples = []
        for number, row in enumerate(rows, start=2):
            if row:
                samples.append(self._sample(row, number, when, power))
        columns = np.array(samples, np.float64).reshape(-1, 2).T
        if np.any(np.diff(columns[0]) < 0):
            raise PowerError(f"{self.path}: timestamps go back; give a log of one session, in order")
        return PowerTrace(columns[0], columns[1])

    def _column(self, names: list[str], known: tuple[str, ...], *, needed: bool = True) -> int | None:
        for name in known:
            if name in names:
                return names.index(name)
        if needed:
            raise PowerError(
                f"{self.path}: has no column {' or '.join(known)}; its first line must name the columns "
                "(time and watts, or time, volts and amperes)"
            )
        return None

    def _sample(self, row: list[str], number: int, when: int | None, power: list[int | None]) -> tuple[float, float]:
        assert when is not None
        try:
            watts = math.prod(float(row[column]) for column in power if column is not None)
            moment = _seconds(row[when].strip())
            if not (math.isfinite(watts) and math.isfinite(moment)):
                raise ValueError("not a finite number")
        except (IndexError, ValueError) as error:
            raise PowerError(f"{self.path}: line {number} cannot be read ({error})") from error
        return moment, watts


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)).timestamp()
