"""Published figures of other accelerators, and the one counting rule for all: read from peers.json beside this file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("peers.json")


@dataclass(frozen=True)
class Peer:
    """One published design; None where nothing is published.

    Attributes
    ----------
    status : str
        Measured, reported, or how a figure follows from others.
    """

    name: str
    group: str
    device: str
    network: str
    status: str
    source: str
    accuracy_percent: float | None = None
    latency_s: float | None = None
    power_w: float | None = None
    energy_j: float | None = None
    peak_gops: float | None = None

    @property
    def is_measured(self) -> bool:
        """Whether its figures were measured on hardware."""
        return self.status == "measured"


def counting_rule() -> str:
    """Return how operations are counted, in words."""
    rule: str = json.loads(FILE.read_text("utf-8"))["counting"]
    return rule


def peers() -> list[Peer]:
    """Return all published designs, the paper's rows first."""
    return [Peer(**row) for row in json.loads(FILE.read_text("utf-8"))["rows"]]
