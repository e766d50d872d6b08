"""NIR files: spikes equal those of NIR's definition and of the frameworks that wrote the file, or a clear refusal."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynq_snn.errors import ConversionWarning, ModelError, ProgramError
from pynq_snn.nir_import import convert_nir, read_nir
from pynq_snn.nir_import.quantise import quantise
from tests.nir_reference import (
    DT,
    chain,
    conv,
    evaluate,
    flatten,
    integers,
    neuron,
    pool,
    random_spikes,
    run,
    write,
)

nir = pytest.importorskip("nir", reason="NIR files need the nir package: pip install 'pynq-snn[nir]'")

T = 8
SHAPE = (2, 6, 6)


def convolutional(bias: bool = False, sums: bool = False, **settings: Any) -> Any:
    """Return conv, neurons, pooling, conv, pooling, neurons, linear, neurons; all weights are whole numbers."""
    kind = "SumPool2d" if sums else "AvgPool2d"
    biases = [integers(seed, size, low=-1, high=2) if bias else None for seed, size in ((7, 5), (8, 40))]
    factor = 4 if sums else 1
    return chain(
        SHAPE,
        ("conv1", conv(integers(1, 5, 2, 3, 3), biases[0])),
        ("spikes1", neuron((5, 6, 6), threshold=7.0, **settings)),
        ("pool1", pool(2, kind)),
        ("conv2", conv(integers(2, 40, 5, 3, 3), biases[1], padding="same")),
        ("spikes2", neuron((40, 3, 3), threshold=5.0 * factor, **settings)),
        ("flat", flatten()),
        ("linear", nir.Linear(integers(3, 12, 360))),
        ("spikes3", neuron((12,), threshold=60.0, **settings)),
    )


PAIRS = {"conv1": "spikes1", "conv2": "spikes2", "linear": "spikes3"}


def assert_equal(graph: Any, file: Path, spikes: np.ndarray, pairs: dict[str, str], **options: Any) -> None:
    """Compare all spikes of the converted network with NIR's definition; the scores are the spike counts."""
    expected = evaluate(graph, spikes, **options)
    maps, scores = run(file, spikes)
    assert set(maps) == set(pairs)
    for layer, neurons in pairs.items():
        found = maps[layer].reshape(expected[neurons].shape)
        assert 0 < found.mean() < 1
        assert (found == expected[neurons]).all(), layer
    assert scores.tolist() == expected[list(pairs.values())[-1]].sum(axis=0).tolist()


# --- spikes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("at", [False, True])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("leak", [0.0, 0.5, 0.125])
def test_spikes_equal_the_definition(tmp_path: Path, leak: float, soft: bool, at: bool, seed: int) -> None:
    graph = convolutional(leak=leak)
    options: dict[str, Any] = {"reset": "soft" if soft else "hard", "fires": "at" if at else "above"}
    report = convert_nir(write(graph, tmp_path / "net.nir"), tmp_path / "net.onnx", timesteps=T, **options)
    assert set(report.weight_errors.values()) == {0.0}
    assert_equal(graph, tmp_path / "net.onnx", random_spikes(T, SHAPE, seed), PAIRS, soft=soft, at=at)


@pytest.mark.parametrize("settings", [{"bias": True}, {"sums": True}, {"bias": True, "sums": True, "leak": 0.25}])
def test_biases_and_sum_pooling(tmp_path: Path, settings: dict[str, Any]) -> None:
    graph = convolutional(**settings)
    convert_nir(write(graph, tmp_path / "net.nir"), tmp_path / "net.onnx", timesteps=T)
    assert_equal(graph, tmp_path / "net.onnx", random_spikes(T, SHAPE, 5), PAIRS)


def test_thresholds_and_gains_of_each_channel(tmp_path: Path) -> None:
    thresholds, gains = (integers(seed, 6, 1, 1, low=2, high=9) for seed in (1, 2))
    neurons = neuron((6, 4, 4), threshold=thresholds * 3, r=np.broadcast_to(gains / DT, (6, 4, 4)))
    graph = chain((2, 4, 4), ("conv", conv(integers(4, 6, 2, 3, 3))), ("if", neurons), ("flat", flatten()),
                  ("linear", nir.Linear(integers(5, 4, 96))), ("out", neuron((4,), threshold=9.0)))  # fmt: skip
    convert_nir(write(graph, tmp_path / "net.nir"), tmp_path / "net.onnx", timesteps=T)
    assert_equal(graph, tmp_path / "net.onnx", random_spikes(T, (2, 4, 4), 3), {"conv": "if", "linear": "out"})


@pytest.mark.parametrize("order", ["convolution first", "pooling first"])
def test_pooling_of_currents_and_of_events(tmp_path: Path, order: str) -> None:
    first = [("conv", conv(integers(4, 6, 2, 3, 3))), ("pool", pool((2, 3)))]
    nodes = first if order == "convolution first" else first[::-1]
    linear = nir.Affine(integers(5, 4, 36), integers(6, 4))
    graph = chain(SHAPE, *nodes, ("if", neuron(threshold=2.0)), ("flat", flatten()), ("linear", linear),
                  ("out", neuron(threshold=9.0)))  # fmt: skip
    convert_nir(write(graph, tmp_path / "net.nir"), tmp_path / "net.onnx", timesteps=T)
    assert_equal(graph, tmp_path / "net.onnx", random_spikes(T, SHAPE, 3), {"conv": "if", "linear": "out"})


@pytest.mark.parametrize("shape", [None, (3, 4, 5)])
def test_vectors(tmp_path: Path, shape: tuple[int, int, int] | None) -> None:
    graph = chain(
        (60,), ("linear1", nir.Linear(integers(1, 40, 60))), ("lif", neuron(leak=0.25, threshold=11.0)),
        ("linear2", nir.Affine(integers(2, 5, 40), integers(3, 5))), ("out", neuron(leak=0.25, threshold=7.0)),
    )  # fmt: skip
    report = convert_nir(write(graph, tmp_path / "net.nir"), tmp_path / "net.onnx", timesteps=T, input_shape=shape)
    assert report.input_shape == (shape or (60, 1, 1))
    assert report.leak_shift == 2
    spikes = random_spikes(T, report.input_shape, 3)
    assert_equal(graph, tmp_path / "net.onnx", spikes, {"linear1": "lif", "linear2": "out"})


@pytest.mark.parametrize("last", ["linear", "convolution"])
def test_without_neurons_at_the_end_the_scores_are_mean_currents(tmp_path: Path, last: str) -> None:
    head = [("conv1", conv(integers(1, 5, 2, 3, 3))), ("if", neuron(threshold=4.0))]
    tail = (
        [("flat", flatten()), ("out", nir.Affine(integers(2, 3, 180), integers(3, 3)))]
        if last == "linear"
        else [("pool", pool(6)), ("out", conv(integers(2, 3, 5, 1, 1), integers(3, 3), padding=0))]
    )
    graph = chain(SHAPE, *head, *tail)
    report = convert_nir(write(graph, tmp_path / "net.nir"), tmp_path / "net.onnx", timesteps=T)
    assert report.score == "mean current"
    spikes = random_spikes(T, SHAPE, 3)
    expected = evaluate(graph, spikes)
    maps, scores = run(tmp_path / "net.onnx", spikes)
    assert (maps["conv1"] == expected["if"]).all()
    assert scores == pytest.approx(expected["out"].mean(axis=0).reshape(-1), abs=1e-4)


def test_real_weights_are_rounded_and_the_error_is_told(tmp_path: Path) -> None:
    graph = convolutional(leak=0.25)
    noise = np.random.default_rng(1)
    for name in PAIRS:
        node = graph.nodes[name]
        node.weight = (node.weight + noise.normal(0, 0.5, node.weight.shape)).astype(np.float32)
    report = convert_nir(write(graph, tmp_path / "net.nir"), tmp_path / "net.onnx", timesteps=T)
    assert all(0 < error < 0.01 for error in report.weight_errors.values())
    spikes = random_spikes(T, SHAPE, 9)
    expected = evaluate(graph, spikes)
    maps, _ = run(tmp_path / "net.onnx", spikes)
    for layer, neurons in PAIRS.items():
        assert abs(maps[layer].mean() - expected[neurons].mean()) < 0.05
    assert (maps["conv1"] == expected["spikes1"]).mean() > 0.99


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_random_chains(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.integers(low, 6)) for low in (1, 3, 3))
    leak, soft, at = data.draw(st.sampled_from([0.0, 0.5, 0.25])), data.draw(st.booleans()), data.draw(st.booleans())
    nodes, pairs, size = [], {}, shape
    for index in range(data.draw(st.integers(1, 3))):
        channels, kernel, stride = (data.draw(st.integers(low, high)) for low, high in ((1, 40), (1, 3), (1, 2)))
        margin = data.draw(st.integers(0, kernel // 2))
        sides = [(side + 2 * margin - kernel) // stride + 1 for side in size[1:]]
        if min(sides) < 1:
            break
        weights = integers(data.draw(st.integers(0, 99)), channels, size[0], kernel, kernel)
        nodes += [
            (f"conv{index}", conv(weights, padding=margin, stride=stride)),
            (f"spikes{index}", neuron(leak=leak, threshold=float(data.draw(st.integers(1, 9))))),
        ]
        pairs[f"conv{index}"] = f"spikes{index}"
        size = (channels, *sides)
    inputs = int(np.prod(size))
    nodes += [("flat", flatten()), ("linear", nir.Linear(integers(1, 3, inputs))), ("out", neuron(leak=leak))]
    graph = chain(shape, *nodes)
    file = write(graph, tmp_path_factory.mktemp("nir") / "net.nir")
    options: dict[str, Any] = {"reset": "soft" if soft else "hard", "fires": "at" if at else "above"}
    convert_nir(file, file.with_suffix(".onnx"), timesteps=T, **options)
    spikes = random_spikes(T, shape, data.draw(st.integers(0, 99)))
    expected = evaluate(graph, spikes, soft=soft, at=at)
    maps, _ = run(file.with_suffix(".onnx"), spikes)
    for layer, neurons in pairs.items():
        assert (maps[layer] == expected[neurons]).all(), layer


# --- what the file carries --------------------------------------------------------------------------------------------


def small(neurons: Any = None, *, weights: Any = None, edges: Any = ()) -> Any:
    """Return a linear layer of 3 x 6 weights and its neurons."""
    weights = nir.Linear(integers(1, 3, 6)) if weights is None else weights
    return chain(
        (6,), ("linear", weights), ("out", neuron((3,)) if neurons is None else neurons), edges=edges, outputs=3
    )


def test_metadata(tmp_path: Path) -> None:
    trained = read_nir(write(small(neuron((3,), leak=0.25)), tmp_path / "net.nir"), timesteps=5, labels=["a", "b", "c"])
    assert (trained.name, trained.timesteps, trained.firing) == ("net", 5, "stepwise")
    assert (trained.hard_reset, trained.leak_shift, trained.fires) == (True, 2, "above")
    assert (trained.initial_potential, trained.input_kind) == ("zero", "events")
    assert (trained.input_shape, trained.labels) == ((6, 1, 1), ("a", "b", "c"))


def test_report_is_json(tmp_path: Path) -> None:
    report = convert_nir(write(small(), tmp_path / "net.nir"), tmp_path / "net.onnx")
    facts = json.loads(json.dumps(report.to_dict()))
    assert facts["weight_errors"] == {"linear": 0.0}
    assert (facts["timesteps"], facts["reset"], facts["fires"], facts["score"]) == (16, "hard", "above", "spikes")


def test_names_that_the_writer_uses_too(tmp_path: Path) -> None:
    graph = chain((6,), ("scores", nir.Linear(integers(1, 6, 6))), ("step", neuron(threshold=2.0)),
                  ("zero", nir.Linear(integers(2, 4, 6))), ("scores.weight", neuron(threshold=2.0)))  # fmt: skip
    convert_nir(write(graph, tmp_path / "net.nir"), tmp_path / "net.onnx", timesteps=T)
    maps, scores = run(tmp_path / "net.onnx", random_spikes(T, (6, 1, 1), 2))
    expected = evaluate(graph, random_spikes(T, (6, 1, 1), 2))
    assert [found.reshape(T, -1).tolist() for found in maps.values()] == [
        expected[name].astype(bool).tolist() for name in ("step", "scores.weight")
    ]
    assert scores.tolist() == expected["scores.weight"].sum(axis=0).tolist()


def test_onnxruntime_runs_the_file(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    convert_nir(write(convolutional(), tmp_path / "net.nir"), tmp_path / "net.onnx", timesteps=T)
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    rates = random_spikes(T, SHAPE, 1).mean(axis=0, keepdims=True, dtype=np.float32)
    scores = session.run(None, {"input": rates})[0]
    assert scores.shape == (1, 12)
    assert ((scores >= 0) & (scores <= T)).all()


@pytest.mark.parametrize(
    "weights, step",
    [([1, 2, -3], 1 / 42), ([0.5, 0.25, 0.75], 0.25 / 42), ([0.3, 0.6], 0.3 / 63), ([1, np.pi], np.pi / 127)],
)
def test_the_finest_exact_step_is_found(weights: list[float], step: float) -> None:
    values, steps = quantise(np.array([weights]), np.array([[0.0]]))
    assert steps == pytest.approx([step])
    assert np.allclose(values * steps, weights, atol=step / 2)


def test_steps_divide_thresholds_where_they_can() -> None:
    _, steps = quantise(np.array([[2.0, 4.0]]), np.array([[7.0, 1.0]]))
    assert (np.array([7.0, 1.0, 2.0]) / steps).tolist() == pytest.approx([7 * 31, 31, 62])


# --- warnings ---------------------------------------------------------------------------------------------------------


WARNINGS = [
    pytest.param({"leak": 0.3}, {"round_leak": True}, "beta = 0.7 was rounded to 0.75", id="leak"),
    pytest.param({"r": 1.0}, {}, "can never fire within T = 16 steps of dt = 0.0001 s", id="dt"),
    pytest.param({"leak": 0.5, "tau": np.inf, "r": np.inf}, {}, "snnTorch writes beta = 1", id="infinite"),
    pytest.param({"leak": 0.5, "v_leak": -1.0, "v_reset": -1.0}, {}, "start at v_reset = -1", id="rest"),
    pytest.param({"leak": 0.5}, {"reset": "soft"}, "delayed reset of snnTorch", id="soft"),
    pytest.param({"leak": 2.0**-10}, {"reset": "soft"}, "fire at the threshold, not only above it", id="small leak"),
]


@pytest.mark.parametrize("changes, options, message", WARNINGS)
def test_warnings(tmp_path: Path, changes: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.warns(ConversionWarning) as caught:
        read_nir(write(small(neuron((3,), **changes)), tmp_path / "net.nir"), **options)
    assert any(message in str(warning.message) for warning in caught)


# --- refusals ---------------------------------------------------------------------------------------------------------


def with_kernel(**changes: Any) -> Any:
    return chain(SHAPE, ("conv", conv(integers(1, 3, 2, 3, 3), **changes)), ("out", neuron()))


def with_node(node: Any) -> Any:
    return chain((6,), ("linear", nir.Linear(integers(1, 3, 6))), ("extra", node), ("out", neuron()))


def values(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float64)


def two_inputs() -> Any:
    graph = small()
    graph.nodes["input2"] = nir.Input(np.array([6]))
    return graph


REFUSALS = {
    "recurrent": (lambda: small(edges=[("out", "linear")]), "is recurrent (linear -> out -> linear)"),
    "itself": (lambda: small(edges=[("out", "out")]), "is recurrent (out -> out)"),
    "branch": (lambda: small(edges=[("input", "out")]), "node input feeds 2 nodes"),
    "two inputs": (two_inputs, "has 2 Input nodes (input, input2)"),
    "nested": (lambda: with_node(small()), "node extra is a graph in the graph"),
    "nested and recurrent": (lambda: with_node(small(edges=[("out", "out")])), "and it is recurrent"),
    "missing node": (lambda: small(edges=[("out", "ghost")]), "names node ghost, which is not there"),
    "delay": (lambda: with_node(nir.Delay(values(1, 1, 1))), "extra: Delay delays spikes"),
    "CubaLIF": (
        lambda: with_node(nir.CubaLIF(*[values(1, 1, 1) for _ in range(5)])), "has a synaptic current",
    ),
    "LI": (lambda: with_node(nir.LI(*[values(1, 1, 1) for _ in range(3)])), "extra: LI is a neuron that leaks"),
    "leak": (lambda: small(neuron((3,), leak=0.3)), "the nearest is 0.25 (beta = 0.75)"),
    "whole leak": (lambda: small(neuron((3,), leak=1.0)), "the nearest is 0.5 (beta = 0.5)"),
    "too long a step": (lambda: small(neuron((3,), leak=1.5)), "dt = 0.0001 is longer than tau"),
    "leaks": (lambda: small(neuron((3,), leak=0.5, tau=values(1, 2, 3))), "tau differs between channels"),
    "rest": (lambda: small(neuron((3,), leak=0.5, v_leak=0.5)), "v_leak = 0.5 differs from v_reset = 0"),
    "negative threshold": (lambda: small(neuron((3,), threshold=-1.0)), "is -1; it must be above 0"),
    "negative gain": (lambda: small(neuron((3,), r=-1.0)), "gain dt * r is -0.0001"),
    "NaN": (lambda: small(neuron((3,), threshold=np.nan)), "v_threshold holds NaN"),
    "infinite threshold": (lambda: small(neuron((3,), threshold=np.inf)), "is inf; it must be above 0"),
    "neuron shape": (lambda: small(neuron((4,))), "has shape [4] but the neurons form [3]"),
    "per neuron": (
        lambda: chain(SHAPE, ("conv", conv(integers(1, 3, 2, 3, 3))), ("a", neuron((6, 6), threshold=np.eye(6) + 1))),
        "differs between neurons of one channel (1 to 2)",
    ),
    "weights": (lambda: small(weights=nir.Linear(integers(1, 3, 6) * np.nan)), "hold NaN"),
    "no neuron": (
        lambda: with_node(nir.Linear(integers(1, 3, 3))), "extra: follows linear without neurons between",
    ),
    "no weights": (lambda: with_node(neuron()), "out: its currents come from no Conv2d"),
    "inputs": (lambda: small(weights=nir.Linear(integers(1, 3, 5))), "expects 5 inputs but gets 6"),
    "batched": (lambda: small(weights=nir.Linear(integers(1, 2, 3, 6))), "are not a matrix"),
    "unflattened": (
        lambda: chain(SHAPE, ("linear", nir.Linear(integers(1, 3, 6))), ("out", neuron())), "put Flatten before it",
    ),
    "groups": (lambda: with_kernel(groups=2), "groups = 2 is not supported"),
    "dilation": (lambda: with_kernel(dilation=2), "dilation = 2, 2 is not supported"),
    "uneven padding": (lambda: with_kernel(padding=(1, 0)), "padding = 1, 0 differs between rows and columns"),
    "padding by name": (lambda: with_kernel(padding="same", stride=2), "padding = 'same' with kernel 3 and stride 2"),
    "map at the end": (with_kernel, "puts out [3, 6, 6]"),
    "stride": (
        lambda: chain(SHAPE, ("conv", conv(integers(1, 3, 2, 3, 3), stride=3)), ("if", neuron()), ("pool", pool(2)),
                      ("flat", flatten()), ("linear", nir.Linear(integers(2, 2, 3)))),
        "strides=[3, 3] are not supported",
    ),
    "channels": (
        lambda: chain((3, 6, 6), ("conv", conv(integers(1, 3, 2, 3, 3)))), "expects 2 input channels but gets 3",
    ),
    "large kernel": (
        lambda: chain(SHAPE, ("conv", conv(integers(1, 3, 2, 7, 7), padding=0))), "larger than its map of 6x6",
    ),
    "padded pooling": (lambda: chain(SHAPE, ("pool", pool(2, padding=1))), "pool without padding"),
    "large pooling": (lambda: chain(SHAPE, ("pool", pool(7))), "exceeds its map of 6x6"),
    "double pooling": (lambda: chain(SHAPE, ("a", pool(2)), ("b", pool(2, "SumPool2d"))), "b: follows another pooling"),
    "partial flattening": (lambda: chain(SHAPE, ("flat", flatten(1))), "flattens dimensions 1 to -1"),
    "nothing": (lambda: chain((6,)), "has no weights"),
    "no shape": (lambda: chain((2, 3, 4, 5)), "give its channels, height and width (--input-shape)"),
    "long vector": (lambda: chain((4096,)), "declares an input of [4096]; give its channels"),
    "shape of nothing": (lambda: chain((0, 1)), "has shape [0, 1]; expected whole numbers above 0"),
}  # fmt: skip


@pytest.mark.parametrize("build, message", REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals_name_file_node_and_reason(tmp_path: Path, build: Any, message: str) -> None:
    file = write(build(), tmp_path / "net.nir")
    with pytest.raises(ModelError) as caught:
        convert_nir(file, tmp_path / "net.onnx")
    text = str(caught.value)
    assert text.startswith(str(file)) and message in text and "\n" not in text
    assert not (tmp_path / "net.onnx").exists()


def test_layers_with_different_leaks(tmp_path: Path) -> None:
    graph = chain((6,), ("linear1", nir.Linear(integers(1, 3, 6))), ("if", neuron()),
                  ("linear2", nir.Linear(integers(2, 3, 3))), ("lif", neuron(leak=0.5)))  # fmt: skip
    with pytest.raises(ModelError, match="lif: leaks 1/2 but if nothing in a timestep"):
        read_nir(write(graph, tmp_path / "net.nir"))


OPTIONS = [
    ({"timesteps": 33}, "timesteps=33 is out of range"),
    ({"reset": "none"}, "reset='none' is not known; use one of hard, soft"),
    ({"fires": "below"}, "fires='below' is not known"),
    ({"dt": 0.0}, "dt=0 is not a time"),
    ({"labels": ["a"]}, "has 3 outputs but there are 1 labels"),
    ({"input_shape": (2, 3)}, "cannot read an input of [2, 3]"),
    ({"input_shape": (2, 3, 4)}, "declares an input of [6], not [2, 3, 4]"),
]


@pytest.mark.parametrize("options, message", OPTIONS)
def test_options_that_do_not_fit(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_nir(write(small(), tmp_path / "net.nir"), **options)
    assert message in str(caught.value)


@pytest.mark.parametrize("reset_at, message", [({"v_reset": 0.5, "v_leak": 0.5}, "v_leak = 0.5 is not 0"),
({"leak": 0.0, "v_reset": 0.5}, "v_reset = 0.5 has no meaning under soft reset"),
                                               ])  # fmt: skip
def test_soft_reset_needs_zeros(tmp_path: Path, reset_at: dict[str, float], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_nir(write(small(neuron((3,), **({"leak": 0.5} | reset_at))), tmp_path / "net.nir"), reset="soft")


# --- files ------------------------------------------------------------------------------------------------------------


def test_files_that_are_no_nir_graph(tmp_path: Path) -> None:
    import h5py

    text, empty, single = (tmp_path / name for name in ("text.nir", "empty.nir", "single.nir"))
    text.write_text("not HDF5")
    h5py.File(empty, "w").close()
    nir.write(single, nir.Linear(integers(1, 2, 3)))
    for file, message in (
        (tmp_path / "missing.nir", "is not there"),
        (tmp_path, "it is a folder"),
        (text, "file signature not found"),
        (empty, "is not a NIR graph"),
        (single, "is not a NIR graph"),
    ):
        with pytest.raises(ModelError) as caught:
            read_nir(file)
        assert message in str(caught.value) and "\n" not in str(caught.value)


@settings(max_examples=60, deadline=None, derandomize=True)  # HDF5 is not ours to fuzz
@given(position=st.integers(0, 10**6), value=st.integers(0, 255))
def test_damaged_files_end_in_a_network_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, position: int, value: int
) -> None:
    file = write(small(), tmp_path_factory.mktemp("nir") / "net.nir")
    data = bytearray(file.read_bytes())
    data[position % len(data)] = value
    file.write_bytes(data)
    with contextlib.suppress(ModelError, ProgramError), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        read_nir(file)


def test_arrays_that_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynq_snn.nir_import.graph.MAX_BYTES", 100)
    with pytest.raises(ModelError, match="bytes of arrays; at most 100"):
        read_nir(write(small(), tmp_path / "net.nir"))


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be written"):
        convert_nir(write(small(), tmp_path / "net.nir"), tmp_path / "missing" / "net.onnx")


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(small(), tmp_path / "net.nir")
    monkeypatch.setitem(sys.modules, "nir", None)
    with pytest.raises(ModelError, match=r"pip install 'pynq-snn\[nir\]'"):
        read_nir(file)
