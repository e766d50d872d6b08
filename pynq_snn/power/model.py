"""An estimate of the board's energy, for when there is no meter: a floor of power and an energy for each event.

Where each number comes from stands beside it, and in docs/benchmark.md. What comes out is an estimate, good enough to
see which part dominates, and not for a claim.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """What a core did.

    Attributes
    ----------
    seconds : float
    clock_hz : float
    additions : float
        Of an 8-bit weight to a current.
    ddr_bytes : float
        Read and written.
    """

    seconds: float
    clock_hz: float
    additions: float
    ddr_bytes: float


@dataclass(frozen=True)
class Term:
    """One constant of the model.

    Attributes
    ----------
    value : float
        In `unit`.
    source : str
        Where it is from.
    """

    name: str
    value: float
    unit: str
    source: str


STATIC = Term(
    "board at rest", 1.5, "W",
    "assumption: a little below what whole PYNQ-Z2 boards took while two other accelerators ran, 1.622 W and 1.677 W "
    "(MLPerf Tiny v0.7)",
)  # fmt: skip
CLOCK = Term(
    "clock and registers of the core", 1e-9, "W per Hz",
    "assumption, for about 12,000 flip-flops and 64 block RAMs",
)  # fmt: skip
ADDITION = Term(
    "an addition in logic", 1.4e-12, "J",
    "0.1 pJ for a 32-bit addition in 45 nm (Horowitz, ISSCC 2014) x 14 for FPGA logic (Kuon and Rose, IEEE TCAD 2007)",
)  # fmt: skip
WEIGHT_READ = Term(
    "a weight byte from block RAM", 1.25e-12, "J", "10 pJ for 64 bits from 8 KB of SRAM in 45 nm (Horowitz, ISSCC 2014)"
)
DDR_BYTE = Term(
    "a byte to or from DDR", 244e-12, "J",
    "1.3 to 2.6 nJ for 64 bits (Horowitz, ISSCC 2014), the middle of it",
)  # fmt: skip
TERMS = (STATIC, CLOCK, ADDITION, WEIGHT_READ, DDR_BYTE)


def energy_parts(work: Work) -> dict[str, float]:
    """Return the estimated energy in joules of each term's events."""
    return {
        STATIC.name: STATIC.value * work.seconds,
        CLOCK.name: CLOCK.value * work.clock_hz * work.seconds,
        ADDITION.name: ADDITION.value * work.additions,
        WEIGHT_READ.name: WEIGHT_READ.value * work.additions,
        DDR_BYTE.name: DDR_BYTE.value * work.ddr_bytes,
    }
