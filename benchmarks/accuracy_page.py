"""Writes what accuracy.json and its companions say into the pages that people read.

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

ROOT = FOLDER.parent
TITLES = {"resnet18": "ResNet-18", "vgg11": "VGG-11"}
ORDERS = ("deferred", "stepwise")
Figures = dict[str, Any]


def main() -> None:
    """Run the command line."""
    for page, text in pages():
        page.write_text(text, "utf-8")
        print(f"wrote {page.relative_to(ROOT)}")
    draw_curves(load("accuracy.json"))


def load(name: str) -> Figures:
    """Return a benchmark's figures; empty where it has not been run."""
    path = FOLDER / name
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def pages() -> Iterator[tuple[Path, str]]:
    """Yield every page with figures, and its text as it should be."""
    figures = load("accuracy.json")
    overview, anchor = overview_table(figures), anchor_tables(load("anchor.json"), figures)
    yield filled(ROOT / "README.md", overview=overview)
    curves = "\n\n".join(curve_section(name, model) for name, model in models_of(figures) if "curve" in model)
    ties = "\n".join(disagreement_line(name, model) for name, model in models_of(figures))
    yield filled(ROOT / "docs" / "accuracy.md", overview=overview, curves=curves, anchor=anchor, disagreements=ties)
    for name, model in models_of(figures):
        yield filled(ROOT / "models" / f"{name}.md", accuracy=model_table(model), rates=rates_table(model))


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
    by_order = {title.partition(" ")[0]: spiking["firing_rates"] for title, spiking in model["spiking"].items()}
    rows = [[layer, *[f"{100 * by_order[order][layer]:.1f}%" for order in ORDERS]] for layer in by_order[ORDERS[0]]]
    return table(["layer", *ORDERS], rows)


def disagreement_line(name: str, model: Figures) -> str:
    """Return what became of the pictures on which spiking and quantised network disagree."""
    found = model["disagreements"]
    explained = sum(entry["rounding_tie"] for entry in found)
    pictures = f"{len(found)} of {model['pictures']:,} pictures"
    return f"* {TITLES[name]}: {pictures}; {explained} of them begin at a rounding tie."


def anchor_tables(anchor: Figures, figures: Figures) -> str:
    """Return SpikingJelly's accuracies beside those of the shipped models."""
    if not anchor:
        return "Not measured for the networks that are shipped now."
    parts = []
    for name, recipes in anchor["models"].items():
        header = ["", *[f"T = {steps}" for steps in anchor["timesteps"]]]
        rows = [[f"SpikingJelly, {title}", *[f"{value:.1f}%" for value in values]] for title, values in recipes.items()]
        curve = figures["models"][name]["curve"]
        rows += [[f"pynq-snn, {order}", *[f"{value:.1f}%" for value in curve[order]["accuracy"]]] for order in ORDERS]
        counts = f"SpikingJelly: first {anchor['data']['count']:,} test pictures; pynq-snn: first {curve['count']:,}."
        parts.append(f"{TITLES[name]}. {counts}\n\n{table(header, rows)}")
    return "\n\n".join(parts)


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
        path.write_text(plots.svg(figure, description=f"{TITLES[name]}: accuracy by timesteps"), "utf-8")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
