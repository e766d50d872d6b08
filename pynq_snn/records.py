"""What was found out about the shipped models and comes with the package: accuracies, and cycles of the RTL."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pynq_snn.network import Network

_PACKAGE = Path(__file__).parent


def record_folder() -> Path:
    """Return the folder of the figures: in the package, or at the top of a source tree it runs from."""
    installed = _PACKAGE / "data" / "benchmarks"
    return installed if installed.is_dir() else _PACKAGE.parent / "benchmarks"


@dataclass(frozen=True)
class SimulatedSpeed:
    """Mean over test pictures of what a model took on the RTL, in cycle-accurate simulation.

    Attributes
    ----------
    cycles : float
        Of a picture alone.
    batch_cycles : float
        For each picture of a batch of `batch`.
    clock_mhz : float
        That the memory was simulated for.
    pictures : int
        Over how many the mean is.
    """

    cycles: float
    batch_cycles: float
    batch: int
    clock_mhz: float
    pictures: int

    @property
    def latency_s(self) -> float:
        """Seconds of a picture alone."""
        return self.cycles / (self.clock_mhz * 1e6)

    @property
    def pictures_per_second(self) -> float:
        """Rate of pictures one at a time."""
        return 1 / self.latency_s

    @property
    def batch_pictures_per_second(self) -> float:
        """Rate in batches."""
        return self.clock_mhz * 1e6 / self.batch_cycles


def measured_accuracy(network: Network) -> dict[str, Any] | None:
    """Return what the package's own measurement of accuracy says about this very model file; None if nothing."""
    content = _read("accuracy.json")
    entry = _entry_of(content, network)
    return None if entry is None else {**entry, "data": content["data"]}


def simulated_speed(network: Network) -> SimulatedSpeed | None:
    """Return what the RTL took for this very model file with its firing order and timesteps; None if not recorded."""
    content = _read("rtl.json")
    entry = _entry_of(content, network)
    if entry is None or network.timesteps != entry["timesteps"]:
        return None
    return speed_of(content, entry[network.firing])


def speed_of(content: dict[str, Any], order: dict[str, Any]) -> SimulatedSpeed:
    """Return the speed that rtl.json holds for a model and a firing order.

    Parameters
    ----------
    content : dict
        Of the whole file.
    order : dict
        Its part for that model and firing order.
    """
    return SimulatedSpeed(
        order["cycles"]["mean"],
        order["batch_cycles_per_picture"],
        order["batch"],
        content["clock_mhz"],
        order["pictures"],
    )


def _read(name: str) -> dict[str, Any]:
    """Return a file of figures; empty where it is not there, or is no JSON."""
    try:
        content: dict[str, Any] = json.loads((record_folder() / name).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content


def _entry_of(content: dict[str, Any], network: Network) -> dict[str, Any] | None:
    """Return the figures of the model that has the same file, byte for byte."""
    try:
        digest = hashlib.sha256(Path(network.path).read_bytes()).hexdigest()
    except OSError:
        return None
    entries = content.get("models", {}).values()
    return next((entry for entry in entries if entry.get("sha256") == digest), None)
