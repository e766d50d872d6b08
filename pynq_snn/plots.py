"""Plots of what the accelerator did; each function takes plain data and returns a matplotlib Figure.

matplotlib comes with the extra ``plots``. Nothing here touches pyplot, so no window opens and no figure stays in
memory; in a notebook, ``%matplotlib inline`` shows what a function returns. Colours differ in lightness, and where two
kinds share an axis one of them is hatched, so that every plot reads in grey.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pynq_snn.errors import PlotError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The only colours used. `svg` replaces them by names, so that a page can redefine them for its dark mode.
INK, FAINT = "#22313f", "#b9c4cd"
DARK, MIDDLE, LIGHT = "#1f5f8b", "#d9822b", "#a8cbe0"
COLOURS = {"ink": INK, "faint": FAINT, "dark": DARK, "middle": MIDDLE, "light": LIGHT}

WIDTH_IN = 4.4  # narrow enough for text of 9 points to stay readable when a phone shows the whole figure
HATCH = "////"
MOST_NEURONS = 48  # of one layer in a raster
MOST_LAYERS_MARKED = 40  # names along an axis beyond this many would overlap

_STYLE: dict[Any, Any] = {
    "font.size": 9.0,
    "font.family": "sans-serif",
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "white",
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "hatch.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "pynq-snn",  # otherwise names inside are random, and no file stays as it was
    "savefig.dpi": 120,
}
_SVG: dict[str, Any] = {"format": "svg", "metadata": {"Date": None}}


def _styled(plot: Callable[..., Any]) -> Callable[..., Any]:
    """Draw within the project's style, and say what to install where matplotlib is missing."""

    @wraps(plot)
    def drawn(*arguments: Any, **options: Any) -> Any:
        try:
            import matplotlib
        except ImportError as error:
            raise PlotError("plots need matplotlib, which is not installed; pip install 'pynq-snn[plots]'") from error
        with matplotlib.rc_context(_STYLE):
            return plot(*arguments, **options)

    return drawn


def _figure(height_in: float, rows: int = 1, columns: int = 1, width_in: float = WIDTH_IN, **options: Any) -> Any:
    """Return a figure and its axes [rows, columns]."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), constrained_layout=True)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise PlotError(problem)


# --- inside the spikes ------------------------------------------------------------------------------------------------


@_styled
def raster(spikes: Mapping[str, npt.NDArray[np.bool_]], *, neurons: int = MOST_NEURONS) -> Figure:
    """Plot the spikes of some neurons of each layer, one panel a layer.

    Parameters
    ----------
    spikes : mapping of layer name to bool [T, ...]
        Spike trains, such as `pynq_snn.trace.Trace.spikes`; all axes after the first are neurons.
    neurons : int
        Most neurons of a layer that are shown, evenly spread over it.

    Raises
    ------
    PlotError
        There is no layer, or matplotlib is missing.
    """
    _require(bool(spikes), "a raster needs the spikes of at least one layer")
    figure, axes = _figure(0.8 + 0.75 * len(spikes), rows=len(spikes), sharex=True)
    for panel, (name, trains) in zip(axes[:, 0], spikes.items(), strict=True):
        flat = np.asarray(trains, np.bool_).reshape(len(trains), -1)
        shown = np.unique(np.linspace(0, flat.shape[1] - 1, min(neurons, flat.shape[1])).astype(int))
        timestep, neuron = np.nonzero(flat[:, shown])
        panel.hlines(neuron, timestep - 0.4, timestep + 0.4, color=DARK, linewidth=1)
        panel.set(ylim=(-1, len(shown)), yticks=[], ylabel=f"{len(shown)} of\n{flat.shape[1]:,}")
        panel.set_title(f"{name}: {flat.mean():.1%} of neurons and timesteps", fontsize=8.5)
        panel.set_xlim(-0.5, len(flat) - 0.5)
    axes[-1, 0].set_xlabel("timestep")
    axes[-1, 0].set_xticks(_whole_ticks(len(flat)))
    figure.supylabel("neuron (index)", fontsize=9)
    return figure


def _whole_ticks(count: int) -> list[int]:
    return list(range(0, count, max(1, count // 8)))


@_styled
def membrane(
    before: npt.NDArray[Any],
    after: npt.NDArray[Any],
    threshold: npt.NDArray[Any],
    *,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Plot membrane potentials over timesteps, one panel a neuron, in shares of its threshold.

    Parameters
    ----------
    before, after : int [T, neurons]
        Potential as it meets the threshold, and after the reset (`pynq_snn.trace.Membrane`).
    threshold : int [neurons]
    names : sequence of str, optional
        Of the neurons.
    """
    steps, count = np.shape(before)
    _require(count > 0, "a membrane trace needs at least one neuron")
    figure, axes = _figure(0.9 + 0.95 * count, rows=count, sharex=True)
    for number, panel in enumerate(axes[:, 0]):
        high, low = before[:, number] / threshold[number], after[:, number] / threshold[number]
        fired = high >= 1
        # Two points a timestep: what was integrated, and what the reset left.
        panel.plot(np.repeat(np.arange(steps), 2), np.column_stack([high, low]).reshape(-1), color=DARK)
        panel.plot(np.flatnonzero(fired), high[fired], "o", color=MIDDLE, label="spike")
        panel.axhline(1, color=INK, linestyle="--", linewidth=0.8)
        panel.set_title(names[number] if names else f"neuron {number}", fontsize=8.5)
        panel.set_xlim(-0.3, steps - 0.7)
    axes[-1, 0].set_xlabel("timestep")
    axes[-1, 0].set_xticks(_whole_ticks(steps))
    figure.supylabel("membrane potential (thresholds)", fontsize=9)
    if title:
        figure.suptitle(title, fontsize=9.5)
    return figure


@_styled
def rate_maps(maps: Mapping[str, npt.NDArray[Any]]) -> Figure:
    """Plot where in the picture each layer fires: a heat map for each layer, mean over channels and timesteps.

    Parameters
    ----------
    maps : mapping of layer name to float [height, width]
        Firing rates from 0 to 1.
    """
    _require(bool(maps), "a heat map needs the rates of at least one layer")
    columns = min(3, len(maps))
    rows = -(-len(maps) // columns)
    figure, axes = _figure(0.5 + 1.5 * rows, rows, columns)
    highest = max(float(np.max(rates)) for rates in maps.values()) or 1.0
    for panel in axes.flat:
        panel.set_axis_off()
    for panel, (name, rates) in zip(axes.flat, maps.items(), strict=False):
        # Dark is busy, as ink on paper: the same in colour, in grey and in print.
        image = panel.imshow(100 * np.asarray(rates), cmap="Greys", vmin=0, vmax=100 * highest)
        panel.set_title(f"{name}\n{rates.shape[0]} x {rates.shape[1]}", fontsize=8)
    figure.colorbar(image, ax=axes, shrink=0.8, label="firing rate (% of timesteps)")
    return figure


_LINES = ((DARK, "-"), (MIDDLE, "--"), (INK, ":"), (FAINT, "-."))
_NAMED = 3  # classes that are named at the end of their lines


def _plot_leader(panel: Any, scores: npt.NDArray[Any], labels: Sequence[str]) -> None:
    """Draw many classes: the one that leads in the end stands out, and the best are named where there is room."""
    last = scores[-1]
    best = np.argsort(-last, kind="stable")
    for number in best[::-1]:
        leads = number == best[0]
        panel.plot(scores[:, number], color=DARK if leads else FAINT, linewidth=2.2 if leads else 1.2)
    room, lowest = 0.06 * float(np.ptp(scores)), np.inf
    for number in best[:_NAMED]:
        if lowest - last[number] >= room:
            lowest = last[number]
            panel.annotate(labels[number], (len(scores) - 1, lowest), xytext=(4, 0), textcoords="offset points",
                           va="center", fontsize=8)  # fmt: skip


@_styled
def running_scores(scores: npt.NDArray[Any], labels: Sequence[str], *, unit: str = "window") -> Figure:
    """Plot class scores as they grow: up to four classes by their looks, of more the leading ones by name.

    Parameters
    ----------
    scores : float [steps, classes]
        After each step.
    unit : str
        What a step is: timestep, window.
    """
    steps, classes = np.shape(scores)
    _require(classes == len(labels), f"{classes} classes have {len(labels)} labels")
    figure, axes = _figure(2.9)
    panel = axes[0, 0]
    if classes <= len(_LINES):
        for number, (colour, line) in zip(range(classes), _LINES, strict=False):
            panel.plot(scores[:, number], color=colour, linestyle=line, label=labels[number])
        panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=4, fontsize=8)
    else:
        _plot_leader(panel, np.asarray(scores), labels)
    panel.set(xlabel=unit, ylabel="class score (logit)", xticks=_whole_ticks(steps))
    return figure


# --- by layer ---------------------------------------------------------------------------------------------------------


def _layer_bars(panel: Any, names: Sequence[str], series: Mapping[str, Sequence[float]]) -> None:
    """Draw horizontal bars, the first layer on top; the second series is hatched."""
    places = np.arange(len(names))
    thickness = 0.8 / len(series)
    looks = ((DARK, ""), (LIGHT, HATCH), (MIDDLE, ""), (FAINT, HATCH))
    for number, ((label, values), (colour, hatch)) in enumerate(zip(series.items(), looks, strict=False)):
        offset = (number - (len(series) - 1) / 2) * thickness
        panel.barh(places + offset, values, thickness, color=colour, hatch=hatch, edgecolor=INK, linewidth=0.4,
                   label=label)  # fmt: skip
    panel.set_yticks(places if len(names) <= MOST_LAYERS_MARKED else places[::4])
    panel.set_yticklabels(names if len(names) <= MOST_LAYERS_MARKED else list(names)[::4], fontsize=8)
    panel.invert_yaxis()
    panel.grid(axis="x")
    panel.set_axisbelow(True)
    if len(series) > 1:
        panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=2, fontsize=8)


def _check_layers(names: Sequence[str], series: Mapping[str, Sequence[float]]) -> None:
    _require(bool(names) and bool(series), "a plot by layer needs at least one layer and one series")
    _require(len(series) <= 4, f"{len(series)} series are more than a plot by layer can tell apart; give at most 4")
    for label, values in series.items():
        _require(len(values) == len(names), f"{label}: {len(values)} values for {len(names)} layers")


@_styled
def layer_rates(names: Sequence[str], rates: Mapping[str, Sequence[float]]) -> Figure:
    """Plot firing rates by layer.

    Parameters
    ----------
    names : sequence of str
        Of the layers, in the order of computation.
    rates : mapping of label to sequence of float
        Spikes per neuron and timestep, 0 to 1, one value a layer; up to 4 series.
    """
    _check_layers(names, rates)
    figure, axes = _figure(1.0 + 0.2 * len(names) * max(1.0, 0.7 * len(rates)))
    _layer_bars(axes[0, 0], names, {label: [100 * rate for rate in values] for label, values in rates.items()})
    axes[0, 0].set_xlabel("firing rate (spikes per neuron and timestep, %)")
    return figure


@_styled
def conversion_errors(names: Sequence[str], errors: Mapping[str, Sequence[float]]) -> Figure:
    """Plot how far a converted network is from the float one: by layer, or by method.

    Parameters
    ----------
    names : sequence of str
        Layers in the order of computation, or methods.
    errors : mapping of label to sequence of float
        Root mean square of the difference as a share of the float network's own, one value a name; up to 4 series.
    """
    _check_layers(names, errors)
    figure, axes = _figure(1.0 + 0.2 * len(names) * max(1.0, 0.7 * len(errors)))
    _layer_bars(axes[0, 0], names, {label: [100 * error for error in values] for label, values in errors.items()})
    axes[0, 0].set_xlabel("difference from the float network (root mean square, %)")
    return figure


@_styled
def layer_operations(names: Sequence[str], dense: Sequence[float], made: Sequence[float]) -> Figure:
    """Plot the additions of each layer: what a dense network would make, and what spikes caused.

    Parameters
    ----------
    dense, made : sequence of float
        Per picture: multiply-accumulates times timesteps, and additions really made.
    """
    series = {"dense": dense, "made": made}
    _check_layers(names, series)
    figure, axes = _figure(1.0 + 0.26 * len(names))
    _layer_bars(axes[0, 0], names, series)
    axes[0, 0].set(xscale="log", xlabel="synaptic operations per picture (log scale)")
    return figure


@_styled
def accuracy_by_timesteps(
    timesteps: Sequence[int],
    accuracies: Mapping[str, Sequence[float]],
    *,
    baselines: Mapping[str, float] | None = None,
) -> Figure:
    """Plot accuracy against the number of timesteps.

    Parameters
    ----------
    accuracies : mapping of label to sequence of float
        In percent, one value for each entry of `timesteps`.
    baselines : mapping of label to float, optional
        In percent: networks without timesteps, as horizontal lines.
    """
    for label, values in accuracies.items():
        _require(len(values) == len(timesteps), f"{label}: {len(values)} values for {len(timesteps)} timesteps")
    figure, axes = _figure(3.0)
    panel = axes[0, 0]
    looks = ((DARK, "o", "-"), (MIDDLE, "s", "--"), (INK, "^", ":"))
    for (label, values), (colour, marker, line) in zip(accuracies.items(), looks, strict=False):
        panel.plot(timesteps, values, color=colour, marker=marker, linestyle=line, label=label)
    for (label, value), line in zip((baselines or {}).items(), ("-", "-.")):  # noqa: B905 (as many as there are)
        panel.axhline(value, color=FAINT, linestyle=line, label=f"{label}: {value:.2f}%", zorder=0)
    panel.set_xscale("log", base=2)
    panel.set_xticks(timesteps)
    panel.set_xticklabels([str(count) for count in timesteps])
    panel.set(xlabel="timesteps T", ylabel="accuracy (% of test pictures)")
    panel.legend(loc="lower right", fontsize=8)
    return figure


@_styled
def accuracy_by_operations(
    points: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, names: Sequence[str] = ()
) -> Figure:
    """Plot accuracy against synaptic operations, a line for each series of networks.

    Parameters
    ----------
    points : mapping of label to (operations, accuracies)
        Synaptic operations per picture, and accuracy in percent; a series of one point is drawn as a mark.
    names : sequence of str, optional
        Of the networks in each series of more than one point, in their order.
    """
    figure, axes = _figure(3.0)
    panel = axes[0, 0]
    looks = ((DARK, "o", "-"), (MIDDLE, "s", "--"), (DARK, "*", ""), (MIDDLE, "*", ""))
    for (label, (operations, accuracies)), (colour, marker, line) in zip(points.items(), looks, strict=False):
        _require(len(operations) == len(accuracies), f"{label}: {len(accuracies)} accuracies, {len(operations)} counts")
        millions = np.asarray(operations) / 1e6
        size = 9 if len(millions) == 1 else None
        panel.plot(millions, accuracies, color=colour, marker=marker, linestyle=line, markersize=size, label=label)
        for name, x, y in zip(names if len(millions) > 1 else (), millions, accuracies, strict=False):
            panel.annotate(name, (x, y), xytext=(4, -10), textcoords="offset points", fontsize=8)
    panel.set(xlabel="additions per picture (millions)", ylabel="accuracy (% of test pictures)")
    panel.legend(loc="best", fontsize=8)
    return figure


# --- time and energy --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Contender:
    """One line of a comparison.

    Attributes
    ----------
    latency_s, energy_j : float or None
        Per picture; None where it is not known.
    is_measured : bool
        Whether the figures were measured on hardware; others are hatched.
    """

    name: str
    latency_s: float | None
    energy_j: float | None
    is_measured: bool
    is_own: bool = False


@_styled
def comparison(contenders: Sequence[Contender]) -> Figure:
    """Plot latency and energy per picture of several accelerators, on log scales."""
    _require(bool(contenders), "a comparison needs at least one line")
    from matplotlib.patches import Patch

    figure, axes = _figure(1.1 + 0.62 * len(contenders), rows=2, sharex=False)
    panels = (
        (axes[0, 0], [c.latency_s for c in contenders], "latency per picture (ms, log scale)"),
        (axes[1, 0], [c.energy_j for c in contenders], "energy per picture (mJ, log scale)"),
    )
    for panel, values, label in panels:
        for place, (contender, value) in enumerate(zip(contenders, values, strict=True)):
            if value is None:
                panel.text(0.01, place, "not known", transform=panel.get_yaxis_transform(), fontsize=7.5,
                           va="center", color=INK)  # fmt: skip
                continue
            panel.barh(place, 1000 * value, 0.7, color=MIDDLE if contender.is_own else LIGHT, edgecolor=INK,
                       linewidth=0.4, hatch="" if contender.is_measured else HATCH)  # fmt: skip
            panel.annotate(f"{1000 * value:.3g}", (1000 * value, place), xytext=(3, 0), textcoords="offset points",
                           va="center", fontsize=7.5)  # fmt: skip
        panel.set_yticks(range(len(contenders)))
        panel.set_yticklabels([contender.name for contender in contenders], fontsize=8)
        panel.set_ylim(len(contenders) - 0.5, -0.5)
        panel.set(xscale="log", xlabel=label)
        _leave_room(panel, [1000 * value for value in values if value is not None])
    kinds = [Patch(facecolor="none", edgecolor=INK, label="measured"),
             Patch(facecolor="none", edgecolor=INK, hatch=HATCH, label="not measured")]  # fmt: skip
    axes[0, 0].legend(handles=kinds, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncol=2, fontsize=8)
    return figure


def _leave_room(panel: Any, values: Sequence[float]) -> None:
    """Have a decade on the left of the shortest bar, and space for the figure on the right of the longest."""
    if values:
        panel.set_xlim(min(values) / 5, max(values) * 3)


@dataclass(frozen=True)
class LayerTime:
    """Where the time of one layer went, in seconds.

    Attributes
    ----------
    fetch_s : float
        Time that the layer's bytes take on the bus; it overlaps computing.
    compute_s, stall_s : float
        Time that the core computed, and waited for memory; their sum is the layer's time.
    """

    name: str
    fetch_s: float
    compute_s: float
    stall_s: float


@_styled
def core_gantt(layers: Sequence[LayerTime], *, source: str) -> Figure:
    """Plot fetching, computing and stalling of the core, layer after layer.

    Counters say how long a layer computed and waited, not when: waiting is drawn before computing.

    Parameters
    ----------
    source : str
        What the times are (measured, cycle-accurate simulation, estimate); printed in the title.
    """
    _require(bool(layers), "a Gantt chart needs at least one layer")
    figure, axes = _figure(1.0 + 0.3 * len(layers))
    panel = axes[0, 0]
    lanes = (("fetch", LIGHT, ""), ("stall", MIDDLE, HATCH), ("compute", DARK, ""))
    start = 0.0
    for place, layer in enumerate(layers):
        spans = {"fetch": (start, layer.fetch_s), "stall": (start, layer.stall_s),
                 "compute": (start + layer.stall_s, layer.compute_s)}  # fmt: skip
        for label, colour, hatch in lanes:
            begin, length = spans[label]
            height = place - 0.38 if label == "fetch" else place
            panel.broken_barh([(1e3 * begin, 1e3 * length)], (height, 0.36), facecolor=colour, edgecolor=INK,
                              linewidth=0.3, hatch=hatch, label=label if place == 0 else None)  # fmt: skip
        start += layer.compute_s + layer.stall_s
    panel.set_yticks(range(len(layers)))
    panel.set_yticklabels([layer.name for layer in layers], fontsize=8)
    panel.set_ylim(len(layers) - 0.5, -0.5)
    panel.set_xlim(0, 1e3 * max(start, 1e-9) * 1.02)
    panel.set_xlabel("time per picture (ms)")
    panel.grid(axis="x")
    panel.set_axisbelow(True)
    panel.legend(loc="lower center", bbox_to_anchor=(0.4, 1.06), ncol=3, fontsize=8)
    panel.set_title(source, fontsize=8.5)
    return figure


@_styled
def power(times_s: npt.NDArray[Any], watts: npt.NDArray[Any], *, run: tuple[float, float] | None = None,
          baseline_w: float | None = None, source: str = "") -> Figure:  # fmt: skip
    """Plot power over time.

    Parameters
    ----------
    times_s, watts : float [samples]
    run : (start, end), optional
        Seconds in which the network ran; shaded.
    baseline_w : float, optional
        Power at rest.
    """
    _require(len(times_s) == len(watts) and len(times_s) > 0, "a power trace needs as many times as watts, and some")
    figure, axes = _figure(2.5)
    panel = axes[0, 0]
    zero = float(times_s[0])
    panel.plot(np.asarray(times_s) - zero, watts, color=DARK, drawstyle="steps-post")
    if run is not None:
        panel.axvspan(run[0] - zero, run[1] - zero, color=LIGHT, alpha=0.5, linewidth=0)
    if baseline_w is not None:
        panel.axhline(baseline_w, color=INK, linestyle="--", linewidth=0.8)
    panel.set(xlabel="time (s)", ylabel="power (W)")
    panel.set_ylim(0, 1.15 * float(np.max(watts)) or 1.0)
    panel.set_title(source)
    return figure


# --- for pages and files ----------------------------------------------------------------------------------------------


@_styled
def write_svg(figure: Figure, path: str | Path) -> None:
    """Write a figure as a picture that stands alone, on white; drawn again it is the same bytes.

    Raises
    ------
    OSError
        The file cannot be written.
    """
    figure.savefig(path, **_SVG)


@_styled
def svg(figure: Figure, *, description: str) -> str:
    """Return a figure as an ``<svg>`` element for a page: no background, and colours as CSS variables.

    The page defines ``--plot-ink``, ``--plot-faint``, ``--plot-dark``, ``--plot-middle`` and ``--plot-light``;
    text stays text.

    Parameters
    ----------
    description : str
        What a screen reader says.
    """
    import html

    figure.patch.set_alpha(0)
    buffer = io.StringIO()
    figure.savefig(buffer, transparent=True, **_SVG)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'<svg [^>]*viewBox="([^"]+)"[^>]*>',
                  f'<svg viewBox="\\1" role="img" aria-label="{html.escape(description)}">', text, count=1)  # fmt: skip
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = _unique_names(text)
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--plot-{name})")
    return text


def _unique_names(text: str) -> str:
    """Make the names of clip paths and markers differ from those of other figures on the page."""
    import hashlib

    prefix = "p" + hashlib.sha256(text.encode()).hexdigest()[:8]
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(xlink:href|href)="#', rf'\1="#{prefix}-', text)
    return re.sub(r"url\(#", f"url(#{prefix}-", text)
