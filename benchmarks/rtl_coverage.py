"""Line and toggle coverage of the RTL: of the whole core, and of the unit benches.

    python -m benchmarks.rtl_coverage [core] [units]

The core runs small networks of every layer kind, with stalls, errors and resets; the unit benches are those of
tests/rtl/test_units*.py. Needs the rtl extra, a C++ compiler, make and pytest. Writes benchmarks/rtl_coverage.json,
where a part that is not asked for stays as it is; docs/hardware.md has the summary.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import results
from overlays.flow.sources import build_hash, rtl_hashes
from pynq_snn import layout
from pynq_snn.accelerator import Accelerator
from pynq_snn.devices.rtl import ALL_CHANNELS, RtlDevice
from pynq_snn.devices.rtl_model import Faults, Variant, core_sources
from pynq_snn.encode import encode_pixels
from pynq_snn.errors import DeviceError
from pynq_snn.network import integrate
from pynq_snn.program import Program, compile_network, seal_command
from tests.networks import EXAMPLES, random_input, to_events
from tests.test_core_errors import FIELDS, Bench, read_header, with_field

COMMAND = "python -m benchmarks.rtl_coverage"
TIMEOUT_S = 3600.0
REPOSITORY = results.FOLDER.parent
UNIT_BENCHES = REPOSITORY / "tests" / "rtl"

# A point of a coverage file: key-value pairs between control characters, then how often it was reached.
POINT = re.compile(r"^C '(?P<keys>.*)' (?P<count>\d+)$")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{' or '.join(PARTS)} (default: all)")
    parser.add_argument("--out", type=Path, default=results.FOLDER / "rtl_coverage.json")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {' and '.join(PARTS)}")
    earlier = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    parts = earlier.get("parts", {})
    for part in arguments.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "coverage.dat"
            PARTS[part](file)
            modules = summarise(file.read_text(errors="replace"))
        total = {kind: share(modules.values(), kind) for kind in ("line", "toggle")}
        print(f"{part}: " + ", ".join(f"{kind} {value:.1%}" for kind, value in total.items()))
        parts[part] = {
            "command": f"{COMMAND} {part}", "build_hash": f"0x{build_hash(rtl_hashes()):08x}",
            "date": datetime.date.today().isoformat(), "total": total, "modules": modules,
        }  # fmt: skip
        results.write(arguments.out, COMMAND, {"parts": parts})


def cover_core(file: Path) -> None:
    """Run the whole core, and leave in a file what it has reached."""
    device = RtlDevice(variant=Variant(coverage=True))
    with device:
        exercise(device)
        disturb(device)
        device.write_coverage(file)


def cover_units(file: Path) -> None:
    """Run the unit benches, and leave in a file what they have reached."""
    benches = sorted(map(str, UNIT_BENCHES.glob("test_units*.py")))
    environment = {**os.environ, "PYNQ_SNN_BENCH_COVERAGE": str(file)}
    subprocess.run([sys.executable, "-m", "pytest", "-q", *benches], env=environment, cwd=REPOSITORY, check=True)


def exercise(device: RtlDevice) -> None:
    """Run every example network in both firing orders, then with stalls, memory errors, and resets."""
    for number, build in enumerate(EXAMPLES.values()):
        for firing in ("stepwise", "deferred"):
            for faults in (Faults(), Faults(seed=number, stall_per_mille=500, stalled_channels=ALL_CHANNELS)):
                device.set_faults(faults)
                infer(device, build(firing=firing))
    example = EXAMPLES["residual"]
    for leak_shift, hard_reset in ((3, False), (0, True)):
        infer(device, example(firing="stepwise", timesteps=32, leak_shift=leak_shift, hard_reset=hard_reset))
    for beat in (1, 5, 50, 500, 5000):
        for kind in ("read_error_beat", "write_error_beat"):
            device.set_faults(Faults(response=2, **{kind: beat}))
            infer(device, example(firing="deferred"))
    for cycle in range(100, 20_000, 1_333):
        device.set_faults(Faults())
        accelerator = Accelerator(device, watchdog_cycles=cycle, timeout_s=TIMEOUT_S)
        with_errors(accelerator, example(firing="stepwise"))


def disturb(device: RtlDevice) -> None:
    """Soft resets in the middle of runs, maps outside of buffers, taps that break rules, and every register."""
    device.set_faults(Faults())
    program, inputs = small_program()
    bench = Bench(device, program)
    for cycle in (1, 300, 3_000, 8_000):
        run_for(bench, program.data, inputs, cycle)
        device.reset()
    damaged = [with_taps(program, layer, source) for layer in (0, 4) for source in (1, 2)]
    damaged.append(with_field(program.data, 0, "source0_image_bytes", 1 << 26))
    for data in damaged:
        run_for(bench, data, inputs, 100_000)
    for name in ("control", "soft_reset", "interrupt_status"):
        device._write(layout.REGISTER_OFFSETS[name], 0)
    for offset in range(0, layout.REGISTER_SPACE_BYTES, 4):
        device.read(offset)


def small_program() -> tuple[Program, np.ndarray]:
    """Return a program and a random picture as it lies in the input buffer."""
    program = compile_network(integrate(EXAMPLES["residual"](firing="stepwise", timesteps=2)))
    assert program.patches is not None
    image = random_input(program.network, 3, 1)[0]
    return program, encode_pixels(image, program.input_map, program.patches, program.network.mean_pixel)


def run_for(bench: Bench, data: np.ndarray, inputs: np.ndarray, cycles: int) -> None:
    """Start a run and simulate so many cycles, or until it ends."""
    assert isinstance(bench.device, RtlDevice)
    bench.prepare(data, inputs)
    bench.device.begin()
    bench.device.run_cycles(cycles)


def with_taps(program: Program, layer: int, source: int) -> np.ndarray:
    """Return the program with all taps of a layer looking at another source, and the checksum made right again."""
    changed = program.data.copy()
    header = read_header(changed)
    start = layout.HEADER_BYTES + layer * layout.DESCRIPTOR_BYTES
    fields = dict(zip(FIELDS, changed[start : start + layout.DESCRIPTOR_BYTES].view("<u4").tolist(), strict=False))
    start = layout.HEADER_BYTES + header["layer_count"] * layout.DESCRIPTOR_BYTES
    start += layout.TAP_BYTES * fields["first_tap"]
    taps = changed[start : start + layout.TAP_BYTES * fields["tap_count"]].view("<i2")
    taps[3::4] = source
    seal_command(changed[: header["command_bytes"]], header)
    return changed


def infer(device: RtlDevice, trained: Any) -> None:
    """Run a few inputs of a network; a core error is part of the exercise."""
    with_errors(Accelerator(device, timeout_s=TIMEOUT_S), trained)


def with_errors(accelerator: Accelerator, trained: Any) -> None:
    """Run a network and give its memory back, whatever the core says."""
    network = integrate(trained)
    values = random_input(network, 11, 2)
    accelerator.load(network)
    try:
        if network.input_kind == "pixels":
            accelerator.infer(values)
        else:
            accelerator.infer_events([to_events(item) for item in values])
    except DeviceError as error:
        if "reports" not in str(error):  # the core's own error codes are what was asked for
            raise
    finally:
        accelerator._free_buffers()


def summarise(text: str) -> dict[str, dict[str, list[int]]]:
    """Return for each module and kind of point how many were reached, and how many there are."""
    rtl = {path.stem for path in core_sources()}
    reached: dict[tuple[str, str, str], int] = defaultdict(int)
    for line in text.splitlines():
        match = POINT.match(line)
        if match is None:
            continue
        pairs = dict(pair.split("\x02", 1) for pair in match["keys"].split("\x01") if "\x02" in pair)
        if Path(pairs.get("f", "")).stem not in rtl:  # the top around the unit benches
            continue
        kind = pairs.get("page", "").split("/", 1)[0].removeprefix("v_")
        place = ":".join(pairs.get(key, "") for key in ("l", "n", "o"))
        # Copies of a module count as one: a line is reached where any copy reaches it.
        reached[Path(pairs.get("f", "")).stem, "toggle" if kind == "toggle" else "line", place] += int(match["count"])
    modules: dict[str, dict[str, list[int]]] = {}
    for (module, kind, _), count in sorted(reached.items()):
        counts = modules.setdefault(module, {}).setdefault(kind, [0, 0])
        counts[0] += count > 0
        counts[1] += 1
    return modules


def share(modules: Any, kind: str) -> float:
    """Return the share of points of a kind that were reached."""
    counts = np.sum([module[kind] for module in modules if kind in module], axis=0)
    return float(counts[0] / counts[1])


PARTS = {"core": cover_core, "units": cover_units}


if __name__ == "__main__":
    main()
