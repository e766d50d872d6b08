"""Runs of the stand-in core: a program, an input, and what it makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pynq_snn import layout
from pynq_snn.devices.rtl import RtlDevice
from pynq_snn.devices.rtl_model import overlay_folder
from pynq_snn.layout import Region

SOURCES = [overlay_folder("rtl") / "snn_layout_pkg.sv", Path(__file__).parent / "stand_in.sv"]
MEMORY_BYTES = 1 << 16
# Where the buffers lie and how large they are, so that every rule can be broken alone.
PLACES = {
    Region.PROGRAM: (0x0000, 6016),
    Region.INPUT: (0x2040, 64),
    Region.WORKSPACE: (0x3000, 64),
    Region.OUTPUT: (0x4000, 8192),
}
GOOD = 1


class StandIn:
    """The device with the stand-in core and one run's buffers."""

    def __init__(self, **options: Any) -> None:
        self.device = RtlDevice(MEMORY_BYTES, sources=SOURCES, **options)
        self.memory = self.device.memory.array
        self.memory[:] = np.random.default_rng(8).integers(0, 256, MEMORY_BYTES)
        for region, (start, size) in PLACES.items():
            self.device.write_named(f"{region.name.lower()}_address", self.device.memory.base + start)
            self.device.write_named(f"{region.name.lower()}_bytes", size)

    def part(self, region: Region, nbytes: int) -> np.ndarray:
        start, _ = PLACES[region]
        return self.memory[start : start + nbytes]

    def run(self, mischief: int = GOOD) -> None:
        self.part(Region.OUTPUT, 128)[:] = 0
        self.device.write_named("images", mischief)
        self.device.write_named("control", layout.CONTROL_START)
        self.device.wait(20)

    def expected(self) -> np.ndarray:
        words = np.concatenate([self.part(Region.PROGRAM, 128), self.part(Region.INPUT, 32)]).view("<u8")
        return np.tile(np.bitwise_xor.reduce(words) + np.arange(8, dtype=np.uint64), 2)

    def output(self) -> np.ndarray:
        return self.part(Region.OUTPUT, 128).view("<u8")
