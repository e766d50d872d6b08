"""Every plot says what its axes are and in what unit, holds what it was given, and becomes a sound piece of a page."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from pynq_snn.errors import PlotError

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb

from pynq_snn import plots
from tests.conftest import ROOT
from training import plots as training_plots

RANDOM = np.random.default_rng(2)
NAMES = ["first", "second", "scores"]
TIMES = [plots.LayerTime(name, 0.001, 0.002, 0.0005) for name in NAMES]
CONTENDERS = [
    plots.Contender("ours", 0.008, 0.015, is_measured=False, is_own=True),
    plots.Contender("theirs", 0.002, None, is_measured=True),
]
PLOTS: dict[str, Callable[[], Any]] = {
    "raster": lambda: plots.raster({"first": RANDOM.random((8, 5, 4, 4)) < 0.2, "second": RANDOM.random((8, 3)) < 0.2}),
    "membrane": lambda: plots.membrane(
        RANDOM.integers(0, 9, (8, 2)), RANDOM.integers(0, 5, (8, 2)), np.array([5, 6]), names=["a", "b"], title="first"
    ),
    "rate_maps": lambda: plots.rate_maps({name: RANDOM.random((4, 5)) for name in NAMES}),
    "running_scores": lambda: plots.running_scores(RANDOM.random((8, 3)), NAMES, unit="timestep"),
    "layer_rates": lambda: plots.layer_rates(NAMES, {"stepwise": [0.1, 0.2, 0.3], "deferred": [0.1, 0.1, 0.1]}),
    "layer_operations": lambda: plots.layer_operations(NAMES, [1e6, 2e6, 3e6], [1e5, 2e5, 3e5]),
    "accuracy_by_timesteps": lambda: plots.accuracy_by_timesteps(
        [1, 2, 4], {"deferred": [50, 80, 88]}, baselines={"full precision": 88.7}
    ),
    "accuracy_by_operations": lambda: plots.accuracy_by_operations(
        {"deferred": ([4e6, 2e6], [88, 80]), "shipped": ([3e6], [87])}, names=["0", "1e-3"]
    ),
    "comparison": lambda: plots.comparison(CONTENDERS),
    "core_gantt": lambda: plots.core_gantt(TIMES, source="estimate"),
    "power": lambda: plots.power(np.arange(5.0), np.full(5, 1.5), run=(1, 3), baseline_w=1.4, source="made up"),
}
UNITS = ("timestep", "index", "thresholds", "%", "logit", "per picture", "timesteps T", "(ms", "(mJ", "(s)", "(W)")


@pytest.fixture(params=PLOTS)
def figure(request: pytest.FixtureRequest) -> Any:
    return PLOTS[request.param]()


def labels_of(figure: Any) -> list[str]:
    """Return the labels of all axes, those of the whole figure included."""
    shared = [
        text.get_text() for text in (getattr(figure, "_supxlabel", None), getattr(figure, "_supylabel", None)) if text
    ]
    return shared + [label for axes in figure.axes for label in (axes.get_xlabel(), axes.get_ylabel()) if label]


def test_axes_have_units(figure: Any) -> None:
    labels = labels_of(figure)
    assert labels
    assert any(unit in label for label in labels for unit in UNITS)


def test_a_figure_becomes_part_of_a_page(figure: Any) -> None:
    text = plots.svg(figure, description="what it shows")
    ElementTree.fromstring(text.replace("xlink:href", "href"))
    assert text.startswith("<svg") and 'aria-label="what it shows"' in text
    assert "viewBox" in text and "width=" not in text[: text.index(">")]  # it takes the width that the page gives it
    assert "var(--plot-ink)" in text
    assert not [colour for colour in plots.COLOURS.values() if colour in text]


@pytest.mark.parametrize("name", ["layer_rates", "comparison"])
def test_a_figure_that_is_drawn_again_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    one, other = (plots.svg(PLOTS[name](), description="rates") for _ in range(2))
    assert one == other
    for path in (tmp_path / "one.svg", tmp_path / "other.svg"):
        plots.write_svg(PLOTS[name](), path)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()


def test_a_figure_becomes_a_picture_that_stands_alone(figure: Any, tmp_path: Path) -> None:
    plots.write_svg(figure, tmp_path / "figure.svg")
    assert_stands_alone(tmp_path / "figure.svg")


def test_pictures_of_the_documentation_stand_alone() -> None:
    pictures = sorted((ROOT / "docs" / "images").glob("*.svg"))
    assert pictures
    for picture in pictures:
        assert_stands_alone(picture)


def assert_stands_alone(picture: Path) -> None:
    """A browser shows an SVG file by itself only if it names its namespace, and has no page to take colours from."""
    text = picture.read_text("utf-8")
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg", picture.name
    assert "var(--" not in text, picture.name


def test_names_inside_two_figures_of_a_page_differ() -> None:
    one, other = (plots.svg(PLOTS[name](), description=name) for name in ("layer_rates", "layer_operations"))
    names = [{node.get("id") for node in ElementTree.fromstring(text.replace("xlink:", "")).iter()} - {None}
             for text in (one, other)]  # fmt: skip
    assert names[0] and not names[0] & names[1]


def test_colours_differ_in_grey() -> None:
    # Relative luminance of WCAG 2, which is what a grey print keeps.
    lightness = sorted(
        float(np.dot([0.2126, 0.7152, 0.0722], np.power(to_rgb(colour), 2.2)))
        for name, colour in plots.COLOURS.items()
        if name in ("dark", "middle", "light")
    )
    assert min(np.diff(lightness)) > 0.15


def test_bars_are_as_long_as_the_values() -> None:
    figure = plots.layer_operations(NAMES, [1e6, 2e6, 3e6], [1e5, 2e5, 3e5])
    assert sorted(bar.get_width() for bar in figure.axes[0].patches) == [1e5, 2e5, 3e5, 1e6, 2e6, 3e6]


def test_operations_are_drawn_in_millions() -> None:
    series, mark = PLOTS["accuracy_by_operations"]().axes[0].lines
    assert list(series.get_xdata()) == [4, 2] and list(mark.get_xdata()) == [3]


def test_raster_holds_every_spike_of_a_small_layer() -> None:
    trains = RANDOM.random((8, 20)) < 0.3
    (panel,) = plots.raster({"first": trains}).axes
    assert len(panel.collections[0].get_segments()) == trains.sum()


def test_gantt_is_as_long_as_the_layers_together() -> None:
    (panel,) = plots.core_gantt(TIMES, source="estimate").axes
    ends = [box.get_extents().x1 for bars in panel.collections for box in bars.get_paths()]
    assert max(ends) == pytest.approx(1000 * sum(time.compute_s + time.stall_s for time in TIMES))


def test_unmeasured_figures_are_hatched_and_unknown_ones_named() -> None:
    latency, energy = plots.comparison(CONTENDERS).axes
    assert [bool(bar.get_hatch()) for bar in latency.patches] == [True, False]
    assert len(energy.patches) == 1
    assert "not known" in [text.get_text() for text in energy.texts]


@pytest.mark.parametrize(
    "call",
    [
        lambda: plots.raster({}),
        lambda: plots.layer_rates(["a", "b"], {"x": [0.1]}),
        lambda: plots.accuracy_by_timesteps([1, 2], {"x": [3]}),
        lambda: plots.accuracy_by_operations({"x": ([1e6, 2e6], [3])}),
        lambda: plots.running_scores(np.zeros((3, 2)), ["only"]),
        lambda: plots.power(np.zeros(0), np.zeros(0)),
        lambda: plots.core_gantt([], source="estimate"),
    ],
)
def test_data_that_cannot_be_drawn(call: Callable[[], Any]) -> None:
    with pytest.raises(PlotError):
        call()


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PlotError, match=r"pip install 'pynq-snn\[plots\]'"):
        PLOTS["raster"]()


def test_a_training_that_went_on_is_drawn_behind_the_first(tmp_path: Path) -> None:
    stages = {"float": 3, "quantised": 2, "quantised-2": 1}
    for name, epochs in stages.items():
        entries = [{"accuracy": 80.0 + epoch, "firing_rates": [0.1 * epochs, 0.2]} for epoch in range(epochs)]
        (tmp_path / f"{name}.json").write_text(json.dumps({"epochs": entries}))
    left, right = training_plots.plot(training_plots.read_logs(tmp_path)).axes
    assert [line.get_label() for line in left.lines] == list(stages)
    assert [list(line.get_xdata()) for line in left.lines] == [[1, 2, 3], [4, 5], [6]]
    assert [bar.get_height() for bar in right.patches] == [10, 20]
