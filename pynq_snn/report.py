"""One self-contained page about a model: accuracy, speed, energy, layers, and what happens inside."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pynq_snn import __version__
from pynq_snn.bench import ESTIMATE, Bench, Figure
from pynq_snn.bench_output import TITLES, bench_plots, headline, layer_rows, number, peer_rows
from pynq_snn.errors import PynqSnnError
from pynq_snn.network import Network
from pynq_snn.peers import counting_rule
from pynq_snn.records import measured_accuracy

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Plot

    from pynq_snn.trace import Trace

PACKAGE = Path(__file__).parent
MOST_RASTERS = 6  # layers in the raster
NEURONS = 4
TOP = 5
MOST_LABELS = 20


def build_report(network: Network, bench: Bench, trace: Trace) -> str:
    """Return the page.

    Parameters
    ----------
    network : Network
        That was benchmarked.
    bench : Bench
    trace : Trace
        Of one input, for the pictures of spikes and potentials; its firing order may be another.

    Raises
    ------
    PlotError
        matplotlib is missing.
    """
    accuracy = measured_accuracy(network)
    plots = bench_plots(bench)
    sections = [
        _head(network, bench, accuracy),
        _accuracy(network, accuracy),
        _speed(bench, plots, _spiking_accuracy(network, accuracy)),
        _layers(bench, plots),
        _inside(trace),
        _model(network),
        _method(bench),
    ]
    style = (PACKAGE / "report.css").read_text("utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(network.name)} on pynq-snn</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(sections)
        + "\n</main>\n</body>\n</html>\n"
    )


def write_report(page: str, path: str | Path) -> None:
    """Write the page to a file; raises PynqSnnError where that is not possible."""
    try:
        Path(path).write_text(page, "utf-8")
    except OSError as error:
        raise PynqSnnError(f"{path}: cannot be written ({error.strerror}); give another -o FILE") from error


# --- sections ---------------------------------------------------------------------------------------------------------


def _head(network: Network, bench: Bench, accuracy: dict[str, Any] | None) -> str:
    latency, energy, share = (bench.figure(name) for name in ("latency_median", "energy", "share_of_dense"))
    tiles = [
        _tile(number(latency), "latency of a run, median", latency.tag),
        _tile(number(energy), "energy per picture", energy.tag),
        _tile(number(share), "of the additions of a dense network", share.tag),
    ]
    spiking = _spiking_entry(network, accuracy)
    if accuracy is not None and spiking is not None:
        count = accuracy["pictures"]
        tiles.insert(
            0,
            _tile(f"{spiking['accuracy']:.2f}%", f"accuracy on {count:,} pictures", "measured, exact on every device"),
        )
    lines = "<br>".join(_text(line) for line in headline(bench))
    return f'<h1>{_text(network.name)}, a spiking network</h1>\n<p class="soft">{lines}</p>\n' + (
        f'<div class="tiles">{"".join(tiles)}</div>'
    )


def _tile(value: str, what: str, kind: str) -> str:
    return f'<div class="tile"><b>{_text(value)}</b><span>{_text(what)}</span>{_tag(kind)}</div>'


def _spiking_entry(network: Network, accuracy: dict[str, Any] | None) -> dict[str, Any] | None:
    entry: dict[str, Any] | None = None
    if accuracy is not None:
        entry = accuracy["spiking"].get(f"{network.firing} T={network.timesteps}")
    return entry


def _spiking_accuracy(network: Network, accuracy: dict[str, Any] | None) -> str:
    entry = _spiking_entry(network, accuracy)
    return "-" if entry is None else f"{entry['accuracy']:.2f}%"


def _accuracy(network: Network, accuracy: dict[str, Any] | None) -> str:
    title = "<h2>Accuracy</h2>\n"
    if accuracy is None:
        command = "<code>pynq-snn eval MODEL --data PICTURES</code>"
        return f"{title}<p>Not measured for this file; {command} measures it on your own pictures.</p>"
    rows: list[tuple[str, ...]] = [("network", "accuracy", "operations", "of dense")]
    for key, name in (("full_precision", "full precision"), ("quantised", "quantised")):
        if key in accuracy:
            rows.append((name, f"{accuracy[key]['accuracy']:.2f}%", "", ""))
    for setting, entry in accuracy["spiking"].items():
        operations = entry["synaptic_operations_per_image"]
        rows.append(
            (f"spiking, {setting}", f"{entry['accuracy']:.2f}%", f"{operations:,}", f"{entry['share_of_dense']:.1%}")
        )
    source = accuracy["data"]["name"]
    exact = "exact on every device; operations are per picture"
    text = f"<p>On {accuracy['pictures']:,} pictures ({_text(source)}), {exact}.</p>\n"
    return title + text + _table(rows) + _accuracy_plot(accuracy)


def _accuracy_plot(accuracy: dict[str, Any]) -> str:
    from pynq_snn import plots

    curve = accuracy.get("curve")
    if curve is None:
        return ""
    orders = {order: curve[order]["accuracy"] for order in ("deferred", "stepwise") if order in curve}
    baselines = {
        name.replace("_", " "): accuracy[name]["accuracy"]
        for name in ("full_precision", "quantised")
        if name in accuracy
    }
    figure = plots.accuracy_by_timesteps(curve["timesteps"], orders, baselines=baselines)
    return _plots([(figure, f"Accuracy by timesteps on the first {curve['count']:,} of them.")])


def _speed(bench: Bench, plots: dict[str, tuple[Plot, str]], accuracy: str) -> str:
    accelerator = f"<h3>The accelerator</h3>{_figures(bench.accelerator)}"
    if bench.energy_parts:
        terms = ", ".join(f"{_text(name)} {1e3 * joules:.3g} mJ" for name, joules in bench.energy_parts.items())
        accelerator += f"<p>Energy by the model: {terms}. {_tag(ESTIMATE)}</p>"
    beside = f"<h3>Where the time of a picture goes</h3>{_figures(bench.split)}"
    if bench.computer:
        beside += f"<h3>This computer, simulating it</h3>{_figures(bench.computer)}"
    beside += _plots([plots[name] for name in ("gantt", "power") if name in plots])
    return (
        f'<h2>Speed and energy</h2>\n<div class="columns"><div>{accelerator}</div><div>{beside}</div></div>\n'
        f"<h3>Beside published designs</h3>{_table(peer_rows(bench, accuracy), right=range(2, 7), own=1)}"
        f'<p class="soft">{_text(counting_rule())}</p>{_plots([plots["comparison"]])}'
    )


def _layers(bench: Bench, plots: dict[str, tuple[Plot, str]]) -> str:
    shown = [plots[name] for name in ("operations", "rates") if name in plots]
    return "<h2>Layers</h2>\n<p>Per picture.</p>\n" + _table(layer_rows(bench), right=range(2, 8)) + _plots(shown)


def _inside(trace: Trace) -> str:
    from pynq_snn import plots

    network = trace.network
    firing = [layer.name for layer in network.layers if layer.kind != "readout" and layer.max_pooling is None]
    step = max(1, -(-len(firing) // MOST_RASTERS))
    figures = []
    if firing:
        trains = {name: trace.spikes[name] for name in firing[::step]}
        figures.append((plots.raster(trains), "Spikes of some neurons of each layer."))
        name = firing[min(1, len(firing) - 1)]
        membrane = trace.membrane(name, trace.lively(name, NEURONS))
        names = [f"channel {channel}, row {row}, column {column}" for channel, row, column in membrane.neurons]
        figure = plots.membrane(membrane.before, membrane.after, membrane.threshold, names=names)
        figures.append((figure, f"Membrane potentials of {name}; dots are spikes, the dashed line is the threshold."))
    scores = network.scores(trace.running_logits())
    figures.append((plots.running_scores(scores, network.labels, unit="timestep"), "Class scores as timesteps pass."))
    text = f"<p>One input, {_text(network.firing)} firing, T = {network.timesteps}.</p>\n"
    return "<h2>Inside the spikes</h2>\n" + text + _seen(trace) + _plots(figures)


def _seen(trace: Trace) -> str:
    """Return the input and the classes it was taken for."""
    probabilities = trace.network.probabilities(trace.logits)
    best = sorted(range(len(probabilities)), key=lambda index: -float(probabilities[index]))[:TOP]
    rows = [("class", "probability"), *((trace.network.labels[i], f"{probabilities[i]:.1%}") for i in best)]
    picture = ""
    if trace.pixels is not None:
        from PIL import Image

        buffer = io.BytesIO()
        pixels = trace.pixels[..., 0] if trace.pixels.shape[-1] == 1 else trace.pixels
        Image.fromarray(pixels).save(buffer, "PNG")
        data = base64.b64encode(buffer.getvalue()).decode("ascii")
        picture = f'<img class="input" alt="what the network sees" src="data:image/png;base64,{data}">'
    return f'<div class="seen">{picture}<div>{_table(rows, right=(1,))}</div></div>\n'


def _model(network: Network) -> str:
    weights = sum(layer.weight_count for layer in network.layers)
    hidden = network.classes - MOST_LABELS
    more = f" and {hidden} more" if hidden > 0 else ""
    rows = [
        ("", ""),
        ("file", Path(network.path).name),
        ("input", f"{network.input_kind}, {' x '.join(str(side) for side in network.input_shape)}"),
        ("classes", ", ".join(network.labels[:MOST_LABELS]) + more),
        ("weights", f"{weights:,}, 8 bits"),
        ("multiply-accumulates", f"{network.macs:,} in a timestep of the dense network"),
        ("timesteps", f"{network.timesteps} (trained at {network.trained_timesteps})"),
        ("firing", network.firing),
    ]
    return "<h2>The model</h2>\n" + _table(rows, right=(), headings=False)


def _method(bench: Bench) -> str:
    return (
        f'<p class="soft">Made on {date.today().isoformat()} by pynq-snn {__version__}, device '
        f"{_text(bench.setting['device'])}. Each figure says whether it was measured, simulated or estimated.</p>"
    )


# --- pieces of a page -------------------------------------------------------------------------------------------------


def _text(text: str) -> str:
    return html.escape(str(text))


def _tag(kind: str) -> str:
    estimate = " estimate" if ESTIMATE in kind else ""
    return f'<span class="tag{estimate}">{_text(kind.replace(ESTIMATE, ESTIMATE.upper()))}</span>'


def _figures(figures: Sequence[Figure]) -> str:
    rows = "".join(
        f'<tr><td>{_text(TITLES[figure.name])}</td><td class="number">{_text(number(figure))}</td>'
        f"<td>{_tag(figure.tag)}</td></tr>"
        for figure in figures
    )
    return f'<div class="wide"><table class="figures">{rows}</table></div>'


def _table(
    rows: Sequence[tuple[str, ...]], right: Iterable[int] = (1, 2, 3), *, own: int | None = None, headings: bool = True
) -> str:
    """Return rows as a table, headings first; columns in `right` are numbers, row `own` stands out."""
    numbers = set(right)

    def cells(kind: str, row: tuple[str, ...]) -> str:
        return "".join(
            f"<{kind}{_class(column in numbers, cell)}>{_text(cell)}</{kind}>" for column, cell in enumerate(row)
        )

    head = f"<tr>{cells('th', rows[0])}</tr>" if headings else ""
    body = "".join(
        f"<tr{' class=own' if place == own else ''}>{cells('td', row)}</tr>"
        for place, row in enumerate(rows[1:], start=1)
    )
    return f'<div class="wide"><table>{head}{body}</table></div>\n'


def _class(is_number: bool, cell: str) -> str:
    return ' class="number"' if is_number else ' class="long"' if len(cell) > 40 else ""


def _plots(figures: Sequence[tuple[Plot, str]]) -> str:
    from pynq_snn import plots

    shown = "".join(
        f"<figure>{plots.svg(figure, description=caption)}<figcaption>{_text(caption)}</figcaption></figure>"
        for figure, caption in figures
    )
    return f'<div class="plots">{shown}</div>' if shown else ""
