"""Organisations of the core, compared on the spikes of the shipped networks before any hardware is drawn.

    python -m benchmarks.core_model [MODEL ...] [--image examples/cat.png]

Records the spike maps of a picture (deferred and stepwise firing), replays them through candidate organisations, prints
cycles, block RAM, adders and DDR bytes of each, and writes benchmarks/core_model.json. All of it is an estimate: a
model of the weight banks' queues and of a bus that moves 14 bytes a cycle, and nothing else. docs/hardware.md says
which organisation was chosen, and what the RTL then took.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import results
from pynq_snn import Accelerator
from pynq_snn.encode import encode_pixels, unpack_planes
from pynq_snn.layout import BLOCK_CHANNELS
from pynq_snn.models import shipped_models
from pynq_snn.network import INPUT, Layer
from pynq_snn.pictures import fit_picture
from pynq_snn.program import branch_taps

BUS_BYTES_PER_CYCLE = 14  # 1.4 GB/s at 100 MHz
KERNEL_POSITIONS = 9
BRAM_BITS, BRAM_ROWS = 36, 1024  # a 36 Kbit block RAM with two ports
BRAM_BYTES = 4096
ONE_QUEUE = 10**6  # words: deeper than any place has

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Organisation:
    """One way to build the core.

    Attributes
    ----------
    banks : int
        Weight memories that are read independently.
    by_position : bool
        A bank holds one kernel position's weights, instead of the input channels with one remainder.
    ports : int
        Rows that a bank delivers in a cycle.
    lanes : int
        Output channels that are computed together.
    planes : int
        Planes (timesteps, or bits of counts) that share a row: it is read once and added for each that has a spike.
    queue : int
        Words that the fastest bank may be ahead of the slowest; 1 is lock step.
    prefetch : bool
        Weights of the next output group arrive while this one computes.
    map_buffer : int
        Bytes of a source's spike map that stay on chip; what exceeds them is read again by each output group.
    """

    banks: int = 8
    by_position: bool = False
    ports: int = 2
    lanes: int = 32
    planes: int = 2
    queue: int = 1
    prefetch: bool = True
    map_buffer: int = 0

    @property
    def adders(self) -> int:
        """8-bit inputs of all adder trees, one tree for each plane that shares a row."""
        return self.banks * self.ports * self.lanes * self.planes

    @property
    def block_rams(self) -> int:
        """Block RAMs of 36 Kbit for weights, each with the ports that the organisation needs, and for maps."""
        wide = -(-self.lanes * 8 // BRAM_BITS)
        return self.banks * wide + -(-self.map_buffer // BRAM_BYTES)

    @property
    def title(self) -> str:
        cut = "kernel position" if self.by_position else "channel"
        queue = {1: "lock step", ONE_QUEUE: "no limit"}.get(self.queue, f"queue of {self.queue}")
        return f"{self.banks} banks by {cut}, {self.ports} ports, {self.lanes} lanes, {self.planes} planes, {queue}"


CHOSEN = Organisation()
CANDIDATES = (
    *(replace(CHOSEN, queue=queue) for queue in (1, 2, 4, ONE_QUEUE)),
    replace(CHOSEN, planes=1),
    replace(CHOSEN, planes=4),
    replace(CHOSEN, ports=1),
    replace(CHOSEN, lanes=16),
    replace(CHOSEN, lanes=64, ports=1),
    replace(CHOSEN, banks=16),
    replace(CHOSEN, banks=16, lanes=16),
    replace(CHOSEN, banks=9, by_position=True),
    replace(CHOSEN, banks=9, by_position=True, queue=4),
    replace(CHOSEN, prefetch=False),
    replace(CHOSEN, map_buffer=32 * 1024),
)


@dataclass(frozen=True)
class Source:
    """What one branch of a layer reads: its spikes, and where its taps look.

    Attributes
    ----------
    planes : bool [planes, channels, height, width]
    taps : list of (dy, dx)
    strides : (rows, columns)
    position_of : list of int
        Kernel position of each tap.
    """

    planes: BoolArray
    taps: list[tuple[int, int]]
    strides: tuple[int, int]
    position_of: list[int]


@dataclass(frozen=True)
class Work:
    """A layer as the model sees it.

    Attributes
    ----------
    additions : int
        Additions of 8-bit weights, over all outputs.
    """

    name: str
    sources: list[Source]
    outputs: int
    places: tuple[int, int]
    weight_bytes: int
    input_bytes: int
    output_bytes: int
    additions: int


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="shipped models; all by default")
    parser.add_argument("--image", type=Path, default=results.FOLDER.parent / "examples" / "cat.png")
    parser.add_argument("--out", type=Path, default=results.FOLDER / "core_model.json")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"estimate": "a model of banks and bus, replaying recorded spikes", "models": {}}
    for model in arguments.models or shipped_models():
        figures["models"][model] = {}
        for firing in ("deferred", "stepwise"):
            works = record(model, arguments.image, firing)
            rows = [compare(organisation, works) for organisation in CANDIDATES]
            figures["models"][model][firing] = {"bounds": bounds(works), "organisations": rows}
            show(f"{model}, {firing} firing", rows, bounds(works))
    results.write(arguments.out, "python -m benchmarks.core_model", figures)


# --- recording --------------------------------------------------------------------------------------------------------


def record(model: str, image: Path, firing: str) -> list[Work]:
    """Run a picture and return the work of each layer that adds weights."""
    with Accelerator("kernel") as accelerator:
        network = accelerator.load(model, firing=firing, keep_maps=True)
        pixels = fit_picture(image, network)
        accelerator.infer(pixels)
        additions = {layer.name: layer.additions for layer in accelerator.last_run.layers}
        program = accelerator.program
        if program.patches is None:
            raise SystemExit(f"{model} reads events; the study replays pictures")
        encoded = encode_pixels(pixels, program.input_map, program.patches, network.mean_pixel)
        maps = {INPUT: unpack_planes(encoded, program.input_map)}
        for number, layer in enumerate(network.layers):
            if layer.kind != "readout":
                maps[number] = accelerator.spike_map(layer.name)
    return [_work(layer, maps, additions[layer.name]) for layer in network.layers if layer.branches]


def _work(layer: Layer, maps: dict[int, BoolArray], additions: int) -> Work:
    sources = []
    for branch in layer.branches:
        if branch.source == INPUT:  # cut into patches by the host: one tap
            taps, strides = [(0, 0, 0, 0)], (1, 1)
        else:
            taps, strides = branch_taps(branch, 0, 1, 0)
        offsets = [(tap[0], tap[1]) for tap in taps]
        sources.append(Source(maps[branch.source], offsets, strides, [tap[2] for tap in taps]))
    channels, height, width = layer.output_shape
    inputs = sum(source.planes.size // 8 for source in sources)
    planes = sources[0].planes.shape[0]
    return Work(
        name=layer.name,
        sources=sources,
        outputs=channels,
        places=(height, width),
        weight_bytes=layer.weight_count,
        input_bytes=inputs,
        output_bytes=channels * height * width * planes // 8,
        additions=additions,
    )


# --- the model --------------------------------------------------------------------------------------------------------


def compare(organisation: Organisation, works: list[Work]) -> dict[str, Any]:
    """Return the figures of one organisation."""
    compute = [compute_cycles(organisation, work) for work in works]
    return {
        "organisation": organisation.title + ("" if organisation.prefetch else ", no prefetch")
        + (f", {organisation.map_buffer // 1024} KB of maps" if organisation.map_buffer else ""),
        "adders": organisation.adders,
        "block_rams": organisation.block_rams,
        "compute_cycles": sum(compute),
        "ddr_bytes": sum(ddr_bytes(organisation, work, 1) for work in works),
        **{
            f"cycles_batch_{batch}": round(
                sum(cycles(organisation, work, own, batch) for work, own in zip(works, compute, strict=True))
            )
            for batch in (1, 8)
        },
    }  # fmt: skip


def bounds(works: list[Work]) -> dict[str, int]:
    """Return the cycles that no organisation of the chosen size can go below."""
    return {
        "additions": sum(work.additions for work in works),
        "cycles_of_the_adders": round(sum(work.additions for work in works) / CHOSEN.adders),
        "cycles_of_the_bus": round(sum(ddr_bytes(CHOSEN, work, 1) for work in works) / BUS_BYTES_PER_CYCLE),
    }


def cycles(organisation: Organisation, work: Work, compute: int, batch: int) -> float:
    """Return the cycles of one image of a batch, whose images share the fetch of weights."""
    bus = ddr_bytes(organisation, work, batch) / BUS_BYTES_PER_CYCLE
    return max(compute, bus) if organisation.prefetch else compute + bus


def ddr_bytes(organisation: Organisation, work: Work, batch: int) -> float:
    """Return the bytes that one image of a batch moves."""
    groups = -(-work.outputs // organisation.lanes)
    again = max(0, work.input_bytes - organisation.map_buffer)
    return work.weight_bytes / batch + work.input_bytes + (groups - 1) * again + work.output_bytes


def compute_cycles(organisation: Organisation, work: Work) -> int:
    """Return the cycles of the weight banks over all places and groups of one image."""
    groups = -(-work.outputs // organisation.lanes)
    words = [word for source in work.sources for word in _words(organisation, source, work.places)]
    return groups * int(_drain(np.stack(words), organisation.queue).sum())


def _words(organisation: Organisation, source: Source, places: tuple[int, int]) -> Iterator[IntArray]:
    """Yield for each word, in the order of the core, the cycles that each bank needs: [banks, places]."""
    rows = _rows_to_read(source.planes, organisation.planes)  # [passes, blocks, 32, H, W]
    for one_pass in rows:
        if organisation.by_position:
            for block in one_pass:
                loads = np.zeros((organisation.banks, places[0] * places[1]), np.int64)
                counts = block.sum(axis=0)
                for tap, position in zip(source.taps, source.position_of, strict=True):
                    loads[position % KERNEL_POSITIONS] += _look(counts, tap, source.strides, places)
                yield -(-loads // organisation.ports)
            continue
        for tap in source.taps:
            for block in one_pass:
                counts = block.reshape(-1, organisation.banks, *block.shape[1:]).sum(axis=0)
                loads = np.stack([_look(bank, tap, source.strides, places) for bank in counts])
                yield -(-loads // organisation.ports)


def _rows_to_read(planes: BoolArray, together: int) -> IntArray:
    """Return where a weight row is read: int64 [passes, blocks, 32, H, W], 1 where any of a pass's planes spikes."""
    count, channels, height, width = planes.shape
    padded = np.zeros(
        (-(-count // together) * together, -(-channels // BLOCK_CHANNELS) * BLOCK_CHANNELS, height, width), bool
    )
    padded[:count, :channels] = planes
    passes = padded.reshape(-1, together, *padded.shape[1:]).max(axis=1)
    return passes.reshape(len(passes), -1, BLOCK_CHANNELS, height, width).astype(np.int64)


def _look(counts: IntArray, tap: tuple[int, int], strides: tuple[int, int], places: tuple[int, int]) -> IntArray:
    """Return what each output place sees through a tap, zero outside the map: [places]."""
    rows = np.arange(places[0]) * strides[0] + tap[0]
    columns = np.arange(places[1]) * strides[1] + tap[1]
    inside = ((rows >= 0) & (rows < counts.shape[0]))[:, None] & ((columns >= 0) & (columns < counts.shape[1]))
    seen = counts[np.clip(rows, 0, counts.shape[0] - 1)][:, np.clip(columns, 0, counts.shape[1] - 1)]
    return (seen * inside).reshape(-1)


def _drain(loads: IntArray, queue: int) -> IntArray:
    """Return the cycles until all banks have popped all words, for each place.

    A word enters when the slowest bank is at most `queue` words behind, at most one a cycle; empty words are skipped.

    Parameters
    ----------
    loads : int64 [words, banks, places]
        Cycles that each bank needs for each word.
    """
    _, banks, places = loads.shape
    done = np.zeros((banks, places), np.int64)
    entered = np.zeros(places, np.int64)
    ends: list[IntArray] = []  # when the slowest bank was through with each word
    for word in loads:
        busy = word.any(axis=0)
        earliest = ends[-queue] if len(ends) >= queue else np.zeros(places, np.int64)
        entered = np.where(busy, np.maximum(entered + 1, earliest + 1), entered)
        done = np.where(word > 0, np.maximum(done, entered - 1) + word, done)
        ends.append(done.max(axis=0))
        if queue < ONE_QUEUE:
            del ends[:-queue]
    return ends[-1]


def show(title: str, rows: list[dict[str, Any]], bound: dict[str, int]) -> None:
    """Print a table."""
    print(f"\n{title}: {bound['additions']:,} additions, at least {bound['cycles_of_the_adders']:,} cycles of")
    print(f"{CHOSEN.adders} adders and {bound['cycles_of_the_bus']:,} of the bus; all cycles are estimates")
    print(f"{'compute':>10} {'batch 1':>10} {'batch 8':>10} {'DDR MB':>7} {'adders':>6} {'BRAM':>5}  organisation")
    for row in rows:
        print(
            f"{row['compute_cycles']:10,} {row['cycles_batch_1']:10,} {row['cycles_batch_8']:10,} "
            f"{row['ddr_bytes'] / 1e6:7.2f} {row['adders']:6} {row['block_rams']:5}  {row['organisation']}"
        )


if __name__ == "__main__":
    main()
