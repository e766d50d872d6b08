"""Writes what accuracy.json, rtl.json and their companions say into the pages that people read.

    python -m benchmarks.accuracy_page

Fills the marked parts of README.md, models/*.md and docs/accuracy.md, and draws docs/images/accuracy-*.svg. A test
fails when a page says something else than the files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.results import FOLDER
from pynq_snn.bench import SIMULATED
from pynq_snn.peers import peers
from pynq_snn.records import speed_of

ROOT = FOLDER.parent
TITLES = {"resnet18": "ResNet-18", "vgg11": "VGG-11"}
ORDERS = ("deferred", "stepwise")
SPEED_HEADER = ["cycles", "latency", "pictures per second", "in batches"]
LOSS_TIMESTEPS = (8, 4)
POINT = ("synaptic_operations_per_image", "accuracy")
PUBLISHED_QCFS = (96.04, 94.82, 90.43)  # Bu et al., ICLR 2022 (arXiv 2303.04347): full precision, T = 8, T = 4
PAPER, PAPER_LINK = "Nimbekar", "https://arxiv.org/abs/2410.16298"
Figures = dict[str, Any]


def main() -> None:
    """Run the command line."""
    for page, text in pages():
        page.write_text(text, "utf-8")
        print(f"wrote {page.relative_to(ROOT)}")
    draw_curves(load("accuracy.json"))
    draw_sparsity(load("sparsity.json"))


def load(name: str) -> Figures:
    """Return a benchmark's figures; empty where it has not been run."""
    path = FOLDER / name
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def pages() -> Iterator[tuple[Path, str]]:
    """Yield every page with figures, and its text as it should be."""
    figures, speeds = load("accuracy.json"), load("rtl.json")
    overview, anchor = overview_table(figures), anchor_tables(load("anchor.json"), figures)
    yield filled(ROOT / "README.md", results=results_table(figures, speeds))
    curves = "\n\n".join(curve_section(name, model) for name, model in models_of(figures) if "curve" in model)
    ties = "\n".join(disagreement_line(name, model) for name, model in models_of(figures))
    losses, sparsity = losses_table(figures), load("sparsity.json")
    yield filled(
        ROOT / "docs" / "accuracy.md",
        overview=overview,
        curves=curves,
        losses=losses,
        originals=originals_table(figures),
        anchor=anchor,
        sparsity=sparsity_table(sparsity),
        disagreements=ties,
    )
    for name, model in models_of(figures):
        yield filled(
            ROOT / "models" / f"{name}.md",
            accuracy=model_table(model),
            speed=speed_table(name, speeds),
            rates=rates_table(model),
        )


def models_of(figures: Figures) -> Iterator[tuple[str, Figures]]:
    """Yield name and figures of each model, ResNet-18 first."""
    yield from sorted(figures["models"].items())


def filled(page: Path, **parts: str) -> tuple[Path, str]:
    """Return a page with each marked part replaced.

    Raises
    ------
    SystemExit
        The page lacks a mark.
    """
    text = page.read_text("utf-8")
    for name, part in parts.items():
        match = re.search(rf"(?<=<!-- {name}: )[^\n]* -->\n(.*?)<!-- end of {name} -->", text, re.DOTALL)
        if match is None:
            raise SystemExit(f"{page}: no part is marked {name}")
        text = f"{text[: match.start(1)]}{part}\n{text[match.end(1) :]}"
    return page, text


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def millions(count: float) -> str:
    """Return a number of operations for people."""
    return f"{count / 1e6:.0f} M"


def rows_of(model: Figures) -> list[list[str]]:
    """Return kind of network, accuracy, additions and their share of dense, a row each."""
    rows = []
    if "full_precision" in model:
        rows.append(["full precision (onnxruntime)", f"{model['full_precision']['accuracy']:.2f}%", "", ""])
    rows.append(["quantised (onnxruntime)", f"{model['quantised']['accuracy']:.2f}%", "", ""])
    for title, spiking in model["spiking"].items():
        order, _, steps = title.partition(" T=")
        rows.append(
            [
                f"spiking, T = {steps}, {order}",
                f"{spiking['accuracy']:.2f}%",
                millions(spiking["synaptic_operations_per_image"]),
                f"{100 * spiking['share_of_dense']:.1f}%",
            ]
        )
    return rows


def overview_table(figures: Figures) -> str:
    """Return the accuracies of all models."""
    header = ["8 bits, CIFAR-10", "test pictures", "accuracy", "additions per picture", "of dense"]
    rows = [
        [f"{TITLES[name]}, {cells[0]}", f"{model['pictures']:,}", *cells[1:]]
        for name, model in models_of(figures)
        for cells in rows_of(model)
    ]
    return table(header, rows)


def originals_table(figures: Figures) -> str:
    """Return the accuracies on JPEG copies beside those on the same pictures before compression."""
    header = ["8 bits, CIFAR-10", "pictures", "JPEG copies", "originals"]
    rows = [
        [f"{TITLES[name]}, {title}", f"{original['pictures']:,}", *[f"{value:.2f}%" for value in pair]]
        for name, model in models_of(figures)
        if (original := model.get("originals"))
        for title, *pair in original_pairs(model, original)
    ]
    return table(header, rows) if rows else "Not measured for the networks that are shipped now."


def original_pairs(model: Figures, original: Figures) -> Iterator[tuple[str, float, float]]:
    """Yield kind of network and its accuracy on JPEG copies and on originals."""
    if "full_precision" in original:
        yield "full precision", model["full_precision"]["accuracy"], original["full_precision"]["accuracy"]
    for order in ORDERS:
        steps = model["timesteps"]
        copies = model["spiking"][f"{order} T={steps}"]
        yield f"spiking, T = {steps}, {order}", copies["accuracy"], original[order]["accuracy"]


def results_table(figures: Figures, speeds: Figures) -> str:
    """Return accuracy and speed of all models beside the paper's, and what kind of figures they are."""
    header = ["8 bits, CIFAR-10", "accuracy", "additions per picture", *SPEED_HEADER, "the speed is"]
    rows = []
    for name, model in models_of(figures):
        for title, accuracy, additions, share in rows_of(model):
            own = f"T = {figures['models'][name]['timesteps']}, "  # the RTL was run at the model's own T
            order = next((order for order in ORDERS if title.endswith(own + order)), None)
            speed = speed_cells(name, order, speeds)
            rows.append([f"{TITLES[name]}, {title}", accuracy, f"{additions} ({share})" if share else "", *speed])
    for peer in peers():
        if peer.name.startswith(PAPER) and peer.latency_s is not None:
            time = [f"{1e3 * peer.latency_s:.1f} ms", f"{1 / peer.latency_s:.1f}"]
            kind = f"the least that follows from its published {peer.peak_gops:g} GOPS"
            rows.append([f"{peer.name} ([paper]({PAPER_LINK})), T = 8", "", "", "", *time, "", kind])
    counts = " and ".join(f"{model['pictures']:,} ({TITLES[name]})" for name, model in models_of(figures))
    accuracies = f"Accuracy and additions: measured, on {counts} test pictures; equal on every device, bit for bit."
    return f"{table(header, rows)}\n\n{accuracies} {speed_note(speeds)}"


def speed_cells(name: str, order: str | None, speeds: Figures) -> list[str]:
    """Return cycles, latency, pictures per second, the same in batches, and what kind of figures these are."""
    if order is None or order not in speeds.get("models", {}).get(name, {}):
        return [""] * 5
    speed = speed_of(speeds, speeds["models"][name][order])
    rates = (speed.pictures_per_second, speed.batch_pictures_per_second)
    return [
        f"{speed.cycles:,.0f}",
        f"{1e3 * speed.latency_s:.2f} ms",
        *(f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}" for rate in rates),
        SIMULATED,
    ]


def batch_of(speeds: Figures) -> int:
    """Return how many pictures the batches had."""
    (batch,) = {model[order]["batch"] for model in speeds["models"].values() for order in ORDERS if order in model}
    return int(batch)


def pictures_of(speeds: Figures) -> str:
    """Return how many pictures ran one at a time, for each firing order where these differ."""
    counts = {order: {model[order]["pictures"] for model in speeds["models"].values()} for order in ORDERS}
    if len(set.union(*counts.values())) == 1:
        return str(*set.union(*counts.values()))
    return ", ".join(f"{' or '.join(map(str, sorted(counts[order])))} ({order})" for order in ORDERS)


def speed_note(speeds: Figures) -> str:
    """Return in which circumstances the RTL took what it took."""
    if not speeds:
        return ""
    memory = speeds["memory"]
    return (
        f"Speed: cycles of the RTL, clock by clock, at {speeds['clock_mhz']:g} MHz and with a memory of "
        f"{memory['bandwidth'] / 1e9:g} GB/s; mean of {pictures_of(speeds)} test pictures one at a time, and of a "
        f"batch of {batch_of(speeds)} "
        "([benchmarks/rtl.json](benchmarks/rtl.json))."
    )


def speed_table(name: str, speeds: Figures) -> str:
    """Return the speed of one model in both firing orders."""
    rows = [[f"spiking, {order}", *speed_cells(name, order, speeds)] for order in ORDERS]
    note = speed_note(speeds).replace("(benchmarks/", "(../benchmarks/")
    return table(["", *SPEED_HEADER, "kind of figure"], rows) + f"\n\n{note}"


def model_table(model: Figures) -> str:
    """Return the accuracies of one model, at its own T and by timesteps."""
    first = table(["", "accuracy", "synaptic operations per picture", "of dense"], rows_of(model))
    ties = len(model["disagreements"])
    same = (
        f"The spiking network's class (deferred) equals onnxruntime's on all of {model['pictures']:,} test pictures "
        f"but {ties} (docs/accuracy.md explains why there can be any)."
    )
    return "\n\n".join([first, same, *([curve_table(model)] if "curve" in model else [])])


def curve_table(model: Figures) -> str:
    """Return accuracy and operations by timesteps."""
    curve = model["curve"]
    header = ["T", *[cell for order in ORDERS for cell in (order, "additions")]]
    rows = []
    for index, steps in enumerate(curve["timesteps"]):
        cells = [str(steps)]
        for order in ORDERS:
            cells += [
                f"{curve[order]['accuracy'][index]:.1f}%",
                millions(curve[order]["synaptic_operations_per_image"][index]),
            ]
        rows.append(cells)
    note = f"By timesteps, on the first {curve['count']:,} test pictures (trained at T = {model['timesteps']}):"
    return f"{note}\n\n{table(header, rows)}"


def curve_section(name: str, model: Figures) -> str:
    """Return heading, picture and table of a model's curve."""
    picture = f"![{TITLES[name]}: accuracy by timesteps](images/accuracy-{name}.svg)"
    return f"### {TITLES[name]}\n\n{picture}\n\n{curve_table(model)}"


def rates_table(model: Figures) -> str:
    """Return the firing rates of a model's layers."""
    rates = [model["spiking"][f"{order} T={model['timesteps']}"]["firing_rates"] for order in ORDERS]
    rows = [[layer, *[f"{100 * order[layer]:.1f}%" for order in rates]] for layer in rates[0]]
    return table(["layer", *ORDERS], rows)


def disagreement_line(name: str, model: Figures) -> str:
    """Return what became of the pictures on which spiking and quantised network disagree."""
    found = model["disagreements"]
    explained = sum(entry["rounding_tie"] for entry in found)
    pictures = f"{len(found)} of {model['pictures']:,} pictures"
    return f"* {TITLES[name]}: {pictures}; {explained} of them begin at a rounding tie."


def losses_table(figures: Figures) -> str:
    """Return what becomes of the full-precision accuracy in 8 and in 4 timesteps, beside what others published."""
    header = ["", "full precision", *[f"T = {steps}" for steps in LOSS_TIMESTEPS]]
    rows = [
        [f"{TITLES[name]}, pynq-snn, {order}", *loss_cells(model, order)]
        for name, model in models_of(figures)
        if "full_precision" in model
        for order in ORDERS
    ]
    full, *shorter = PUBLISHED_QCFS
    losses = [f"{value:.2f}% ({value - full:+.2f})" for value in shorter]
    rows.append(["ResNet-18, QCFS as published, stepwise, original pictures", f"{full:.2f}%", *losses])
    return table(header, rows)


def loss_cells(model: Figures, order: str) -> list[str]:
    """Return the accuracy in full precision, and at each T with its distance from that."""
    full = model["full_precision"]["accuracy"]
    found = [model["spiking"].get(f"{order} T={steps}") for steps in LOSS_TIMESTEPS]
    cells = [f"{entry['accuracy']:.2f}% ({entry['accuracy'] - full:+.2f})" if entry else "" for entry in found]
    return [f"{full:.2f}%", *cells]


def anchor_tables(anchor: Figures, figures: Figures) -> str:
    """Return SpikingJelly's accuracies beside those of the shipped models."""
    if not anchor:
        return "Not measured for the networks that are shipped now."
    parts = []
    for name, model in sorted(anchor["models"].items()):
        header = ["", *[f"T = {steps}" for steps in anchor["timesteps"]]]
        rows = [[f"SpikingJelly, {title}", *percentages(values)] for title, values in model["accuracy"].items()]
        curve = figures["models"][name]["curve"]
        rows += [[f"pynq-snn, {order}", *percentages(curve[order]["accuracy"])] for order in ORDERS]
        counts = f"SpikingJelly: first {model['count']:,} test pictures; pynq-snn: first {curve['count']:,}."
        parts.append(f"{TITLES[name]}. {counts}\n\n{table(header, rows)}")
    return "\n\n".join(parts)


def percentages(values: list[float]) -> list[str]:
    """Return accuracies as cells."""
    return [f"{value:.1f}%" for value in values]


def draw_curves(figures: Figures) -> None:
    """Write docs/images/accuracy-MODEL.svg."""
    from pynq_snn import plots

    for name, model in models_of(figures):
        if "curve" not in model:
            continue
        curve = model["curve"]
        baselines = {"quantised network": model["quantised"]["accuracy"]}
        if "full_precision" in model:
            baselines["full precision"] = model["full_precision"]["accuracy"]
        series = {order: curve[order]["accuracy"] for order in ORDERS}
        figure = plots.accuracy_by_timesteps(curve["timesteps"], series, baselines=baselines)
        path = ROOT / "docs" / "images" / f"accuracy-{name}.svg"
        plots.write_svg(figure, path)
        print(f"wrote {path.relative_to(ROOT)}")


def sparsity_table(sparsity: Figures) -> str:
    """Return accuracy and operations by the strength of their regulariser."""
    if not sparsity:
        return "Not measured for the networks that are shipped now."
    header = ["strength, per million additions", *[cell for order in ORDERS for cell in (order, "additions")]]
    trained = [(f"{entry['recipe']['synops_weight']:g}", entry) for entry in sparsity["points"]]
    rows = [[title, *point_cells(entry)] for title, entry in [("shipped", sparsity["shipped"]), *trained]]
    note = f"{TITLES[sparsity['model']]}, T = 8, first {sparsity['data']['count']:,} test pictures:"
    return f"{note}\n\n{table(header, rows)}"


def point_cells(entry: Figures) -> list[str]:
    """Return accuracy and operations of one network, under each firing order."""
    found = [entry[order] for order in ORDERS]
    return [cell for e in found for cell in (f"{e['accuracy']:.1f}%", millions(e["synaptic_operations_per_image"]))]


def draw_sparsity(sparsity: Figures) -> None:
    """Write docs/images/sparsity-MODEL.svg."""
    from pynq_snn import plots

    if not sparsity:
        return
    entries = {"": sparsity["points"], "shipped, ": [sparsity["shipped"]]}
    series = {
        f"{title}{order}": tuple([entry[order][key] for entry in found] for key in POINT)
        for title, found in entries.items()
        for order in ORDERS
    }
    names = [f"{entry['recipe']['synops_weight']:g}" for entry in sparsity["points"]]
    figure = plots.accuracy_by_operations(series, names=names)
    path = ROOT / "docs" / "images" / f"sparsity-{sparsity['model']}.svg"
    plots.write_svg(figure, path)
    print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
