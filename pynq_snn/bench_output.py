"""A benchmark as text, as files, and as plots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pynq_snn.bench import BUS_BYTES_PER_CYCLE, ESTIMATE, SIMULATED, Bench, Figure
from pynq_snn.errors import PynqSnnError
from pynq_snn.peers import counting_rule, peers

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot

TITLES = {
    "latency_min": "latency of a run, shortest",
    "latency_median": "latency of a run, median",
    "latency_p99": "latency of a run, 99th percentile",
    "fps_min": "pictures per second, fewest",
    "fps_median": "pictures per second, median",
    "fps_p99": "pictures per second, in the slowest 1%",
    "cycles": "cycles per picture",
    "dense_gops": "dense-equivalent rate",
    "effective_gsops": "effective rate",
    "peak_gops": "peak rate",
    "dense_gops_per_adder": "dense-equivalent rate per adder",
    "peak_gops_per_adder": "peak rate per adder",
    "gops_per_dsp": "rate per DSP slice",
    "operations": "synaptic operations per picture",
    "dense_operations": "of a dense network",
    "share_of_dense": "share of dense",
    "firing_rate": "firing rate",
    "ddr_bytes": "DDR traffic per picture",
    "ddr_bandwidth": "DDR bandwidth",
    "power": "power",
    "energy": "energy per picture",
    "energy_above_rest": "energy per picture above rest",
    "dense_gops_per_watt": "dense-equivalent rate per watt",
    "effective_gsops_per_watt": "effective rate per watt",
    "simulation_min": "a run, shortest",
    "simulation_median": "a run, median",
    "simulation_p99": "a run, 99th percentile",
    "simulation_fps": "pictures per second",
    "metered_power": "power",
    "metered_power_at_rest": "power at rest",
    "metered_energy": "energy per picture",
    "load": "load the network (once)",
    "preprocess": "preprocess a picture file",
    "encode": "encode",
    "compute": "compute",
    "stall": "stall",
    "read": "read results",
}
_SCALES = {"s": (1e3, "ms"), "J": (1e3, "mJ"), "B": (1e-6, "MB"), "B/s": (1e-9, "GB/s")}
_COUNTS = ("operations", "cycles")
_SHARES = ("share_of_dense", "firing_rate")


def number(figure: Figure) -> str:
    """Return a figure's value with its unit, for people."""
    if figure.value is None:
        return "-"
    if figure.name in _SHARES:
        return f"{figure.value:.1%}"
    if figure.unit in _COUNTS:
        return f"{figure.value:,.0f}"
    factor, unit = _SCALES.get(figure.unit, (1.0, figure.unit))
    return f"{_digits(figure.value * factor)} {unit}".replace(" 1/s", "")


def _digits(value: float) -> str:
    """Return a number with three digits that count, never in scientific notation."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.6f}"


def tag(figure: Figure) -> str:
    """Return a figure's tag; an estimate cries out."""
    return figure.tag.replace(ESTIMATE, ESTIMATE.upper())


def headline(bench: Bench) -> list[str]:
    """Return what was run, in a few lines."""
    setting = bench.setting
    pictures = "1 picture" if setting["batch"] == 1 else f"{setting['batch']} pictures"
    return [
        f"{setting['model']} (T={setting['timesteps']}, {setting['firing']} firing), device {setting['device']}: "
        f"{setting['device_is']}",
        f"{setting['runs']} runs of {pictures}; inputs: {setting['inputs']}",
        f"clock {setting['clock_mhz']:g} MHz ({setting['clock_from']}); cycles are: {setting['cycles_are']}; "
        f"power from: {setting['power_from']}",
    ]


def as_text(bench: Bench) -> str:
    """Return a benchmark as text for a terminal."""
    blocks = ["\n".join(headline(bench)), "accelerator\n" + _figure_table(bench.accelerator)]
    if bench.computer:
        blocks.append("this computer, simulating it\n" + _figure_table(bench.computer))
    blocks += [
        "where the time of a picture goes\n" + _figure_table(bench.split),
        "by layer, per picture\n" + _table(layer_rows(bench), right_from=2),
        "published figures\n" + _table(peer_rows(bench), right_from=2, right_to=7),
        "how operations are counted: " + counting_rule(),
    ]
    if bench.energy_parts:
        parts = [(name, f"{1e3 * joules:.3g} mJ", ESTIMATE.upper()) for name, joules in bench.energy_parts.items()]
        blocks.insert(-2, "energy by the model\n" + _table(parts, right_from=1, right_to=2))
    return "\n\n".join(blocks) + "\n"


def _figure_table(figures: Sequence[Figure]) -> str:
    rows = [(TITLES[figure.name], number(figure), tag(figure)) for figure in figures]
    return _table(rows, right_from=1, right_to=2)


def layer_rows(bench: Bench) -> list[tuple[str, ...]]:
    """Return a table of the layers, headings first."""
    rows: list[tuple[str, ...]] = [
        ("layer", "kind", "firing rate", "operations", "of dense", "cycles", "of them stall", "DDR bytes")
    ]
    for layer in bench.layers:
        share = f"{layer.operations / layer.dense_operations:.1%}" if layer.dense_operations else ""
        rate = "" if layer.kind == "readout" else f"{layer.firing_rate:.1%}"
        cells = (layer.operations, layer.cycles, layer.stall_cycles, layer.ddr_bytes)
        operations, cycles, stalls, moved = (f"{value:,.0f}" if value else "-" for value in cells)
        rows.append((layer.name, layer.kind, rate, operations, share, cycles, stalls, moved))
    return rows


def peer_rows(bench: Bench, accuracy: str = "-") -> list[tuple[str, ...]]:
    """Return a table of this benchmark and all published designs, headings first."""
    rows: list[tuple[str, ...]] = [
        ("design", "device", "accuracy", "latency", "power", "energy", "peak", "what its figures are")
    ]
    latency, energy = (bench.figure(name) for name in ("latency_median", "energy"))
    own = (number(latency), number(bench.figure("power")), number(energy), number(bench.figure("peak_gops")))
    setting = bench.setting
    rows.append((f"this: {setting['model']}, T = {setting['timesteps']}", setting["device"], accuracy, *own,
                 f"time: {tag(latency)}; energy: {tag(energy)}"))  # fmt: skip
    if bench.recorded_rtl is not None:
        speed = bench.recorded_rtl
        latency = Figure("", speed.latency_s, "s", SIMULATED)
        kind = f"time: {SIMULATED}, {speed.clock_mhz:g} MHz, recorded (mean of {speed.pictures} pictures, one by one)"
        name = f"this, RTL: {setting['model']}, T = {setting['timesteps']}"
        rows.append((name, "rtl", accuracy, number(latency), "-", "-", "-", kind))
    for peer in peers():
        accuracy = "-" if peer.accuracy_percent is None else f"{peer.accuracy_percent:g}%"
        values = (("s", peer.latency_s), ("W", peer.power_w), ("J", peer.energy_j), ("GOPS", peer.peak_gops))
        cells = (number(Figure("", value, unit, "")) for unit, value in values)
        rows.append((peer.name, peer.device, accuracy, *cells, f"{peer.status} ({peer.source})"))
    return rows


def _table(rows: Sequence[tuple[str, ...]], right_from: int, right_to: int | None = None) -> str:
    """Return rows in aligned columns; columns from `right_from` up to `right_to` are flush right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    stop = len(widths) if right_to is None else right_to
    return "\n".join(
        "  "
        + "  ".join(
            cell.rjust(width) if right_from <= column < stop else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def bench_plots(bench: Bench) -> dict[str, tuple[Plot, str]]:
    """Return the plots of a benchmark: name to figure and a sentence on what it shows.

    Raises
    ------
    PlotError
        matplotlib is missing.
    """
    from pynq_snn import plots

    gathering = [layer for layer in bench.layers if layer.dense_operations]
    firing = [layer for layer in bench.layers if layer.kind != "readout"]
    figures = {
        "operations": (
            plots.layer_operations(
                [layer.name for layer in gathering],
                [layer.dense_operations for layer in gathering],
                [layer.operations for layer in gathering],
            ),
            "Synaptic operations per picture by layer: of a dense network, and those that spikes caused.",
        ),
        "comparison": (_comparison(bench), "Latency and energy per picture beside published designs."),
    }
    if firing:
        rates = {bench.setting["firing"]: [layer.firing_rate for layer in firing]}
        figures["rates"] = (plots.layer_rates([layer.name for layer in firing], rates), "Firing rate by layer.")
    if bench.figure("cycles").value is not None:
        figures["gantt"] = (_gantt(bench), "When the core fetches, computes and stalls, layer after layer.")
    if bench.power_trace is not None:
        trace, window = bench.power_trace, bench.power_window
        figure = plots.power(trace.times_s, trace.watts, run=window, baseline_w=bench.baseline_w,
                             source=bench.setting["power_from"])  # fmt: skip
        figures["power"] = (figure, "Power over time; shaded while the network ran, dashed at rest.")
    return figures


def _comparison(bench: Bench) -> Plot:
    from pynq_snn import plots

    latency, energy = bench.figure("latency_median"), bench.figure("energy")
    own = plots.Contender(
        f"this: {bench.setting['model']} ({bench.setting['device']})",
        None if latency.value is None else latency.value / bench.setting["batch"],
        energy.value,
        is_measured=latency.tag.startswith("measured") and energy.tag.startswith("measured"),
        is_own=True,
    )
    own_lines = [own]
    if bench.recorded_rtl is not None:
        name = f"this: {bench.setting['model']} (RTL, recorded)"
        own_lines.append(plots.Contender(name, bench.recorded_rtl.latency_s, None, is_measured=False, is_own=True))
    on_this_board = [peer for peer in peers() if peer.device.startswith("PYNQ")]
    others = [plots.Contender(peer.name, peer.latency_s, peer.energy_j, peer.is_measured) for peer in on_this_board]
    return plots.comparison([*own_lines, *others])


def _gantt(bench: Bench) -> Plot:
    from pynq_snn import plots

    clock = bench.setting["clock_mhz"] * 1e6
    times = [
        plots.LayerTime(
            layer.name,
            layer.ddr_bytes / BUS_BYTES_PER_CYCLE / clock,
            (layer.cycles - layer.stall_cycles) / clock,
            layer.stall_cycles / clock,
        )
        for layer in bench.layers
    ]
    return plots.core_gantt(times, source=f"{bench.setting['cycles_are']}, {bench.setting['clock_mhz']:g} MHz")


def write_files(bench: Bench, folder: str | Path) -> list[Path]:
    """Write bench.json, bench.txt and the plots as SVG into a folder, which is made; return their paths.

    Raises
    ------
    PynqSnnError
        The folder cannot be written to.
    PlotError
        matplotlib is missing.
    """
    from pynq_snn import plots

    folder = Path(folder)
    figures = bench_plots(bench)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "bench.json").write_text(json.dumps(bench.as_json(), indent=1, allow_nan=False) + "\n", "utf-8")
        (folder / "bench.txt").write_text(as_text(bench), "utf-8")
        for name, (figure, _) in figures.items():
            plots.write_svg(figure, folder / f"{name}.svg")
    except OSError as error:
        raise PynqSnnError(f"{folder} cannot be written to ({error.strerror}); give another --report folder") from error
    return sorted(folder / name for name in ("bench.json", "bench.txt", *(f"{name}.svg" for name in figures)))
