"""The command line: output, exit codes, and one clear line for everything that goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pynq_snn
from pynq_snn import devices, evaluation
from pynq_snn.accelerator import Accelerator
from pynq_snn.cli import main
from pynq_snn.datasets import Dataset
from pynq_snn.devices.reference import ReferenceDevice
from pynq_snn.errors import DatasetError
from pynq_snn.layout import ErrorCode
from pynq_snn.network import Network
from pynq_snn.pictures import fit_picture
from pynq_snn.program import compile_network
from tests.conftest import LABELS, ROOT
from tests.networks import plain
from tests.onnx_models import save, to_onnx

DEVICES = [name for name in ("reference", "kernel") if devices.available()[name] is None]
RUN_KEYS = {
    "model", "device", "firing", "timesteps", "label", "top", "logits", "spikes", "synaptic_operations", "cycles",
    "latency_s",
}  # fmt: skip

Capture = pytest.CaptureFixture[str]


def command(capsys: Capture, *arguments: object, code: int = 0) -> str:
    """Run a command in this process; return its standard output."""
    returned = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert returned == code, captured.err
    return captured.out


def failure(capsys: Capture, *arguments: object) -> str:
    """Run a command that must fail; return its one line on standard error, without the program's name."""
    returned = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert returned == 1
    assert captured.out == ""
    assert captured.err.startswith("pynq-snn: error: ")
    assert captured.err.count("\n") == 1 and captured.err.endswith("\n")
    return captured.err


# --- run --------------------------------------------------------------------------------------------------------------


def test_run_answers_like_the_library(capsys: Capture, model_file: Path, picture_file: Path) -> None:
    result = json.loads(command(capsys, "run", picture_file, "--model", model_file, "--device", "reference", "--json"))
    network = Network.from_onnx(model_file)
    with Accelerator("reference") as accelerator:
        accelerator.load(network)
        logits = accelerator.infer(fit_picture(picture_file, network))
        report = accelerator.last_run
    assert set(result) == RUN_KEYS
    assert result["logits"] == logits.tolist()
    assert result["spikes"] == report.spikes > 0
    assert result["synaptic_operations"] == report.synaptic_operations > 0
    assert result["cycles"] == report.cycles
    assert result["latency_s"] > 0
    assert (result["model"], result["device"], result["firing"], result["timesteps"]) == (
        "tiny", "reference", network.firing, network.timesteps,
    )  # fmt: skip
    scores = network.scores(logits)
    expected = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    best = np.argsort(-expected, kind="stable")
    assert [entry["label"] for entry in result["top"]] == [LABELS[index] for index in best]
    assert [entry["probability"] for entry in result["top"]] == pytest.approx(expected[best])
    assert result["label"] == LABELS[best[0]]


@pytest.mark.skipif(len(DEVICES) < 2, reason="the kernel device is not built here")
@pytest.mark.parametrize("options", [[], ["--firing", "stepwise"], ["--timesteps", "3", "--firing", "deferred"]])
def test_devices_agree(capsys: Capture, model_file: Path, picture_file: Path, options: list[str]) -> None:
    results = []
    for device in DEVICES:
        arguments = ("run", picture_file, "--model", model_file, "--device", device, "--json", *options)
        results.append(json.loads(command(capsys, *arguments)))
    first, second = results
    for key in RUN_KEYS - {"device", "cycles", "latency_s"}:
        assert first[key] == second[key], key


def test_run_prints_labels_and_says_which_device(capsys: Capture, model_file: Path, picture_file: Path) -> None:
    text = command(capsys, "run", picture_file, "--model", model_file, "--device", "reference", "--top", "2")
    lines = text.splitlines()
    assert lines[0].split()[0] in LABELS and lines[1].split()[0] in LABELS and lines[2] == ""
    for part in ("tiny (T=8, deferred firing)", "device reference: ", " ms", "spikes", "synaptic operations", "cycles"):
        assert part in text


def test_auto_names_the_device_that_it_took(capsys: Capture, model_file: Path, picture_file: Path) -> None:
    if "kernel" not in DEVICES:
        pytest.skip("the kernel device is not built here")
    result = json.loads(command(capsys, "run", picture_file, "--model", model_file, "--json"))
    assert result["device"] == "kernel"


def test_top_may_exceed_the_classes(capsys: Capture, model_file: Path, picture_file: Path) -> None:
    arguments = ("run", picture_file, "--model", model_file, "--device", "reference", "--top", "99", "--json")
    assert len(json.loads(command(capsys, *arguments))["top"]) == len(LABELS)


def test_fit_pads_or_crops(capsys: Capture, tmp_path: Path, model_file: Path) -> None:
    picture = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (20, 90, 3), np.uint8)).save(picture)
    arguments = ("run", picture, "--model", model_file, "--device", "reference", "--json")
    cropped, padded = (json.loads(command(capsys, *arguments, "--fit", fit)) for fit in ("crop", "pad"))
    assert cropped == {**cropped, **json.loads(command(capsys, *arguments)), "latency_s": cropped["latency_s"]}
    assert cropped["logits"] != padded["logits"]


def test_inexact_conversion_is_one_warning_line(capsys: Capture, tmp_path: Path, picture_file: Path) -> None:
    model = save(to_onnx(replace(plain(), std=(0.25, 0.2, 0.3))), tmp_path / "uneven.onnx")
    code = main(["run", str(picture_file), "--model", str(model), "--device", "reference"])
    captured = capsys.readouterr()
    assert code == 0
    assert captured.err.count("pynq-snn: warning: ") == captured.err.count("\n") >= 1
    assert "std differs" in captured.err


# --- bad input --------------------------------------------------------------------------------------------------------


def test_bad_pictures(capsys: Capture, tmp_path: Path, model_file: Path, picture_file: Path) -> None:
    truncated, text = tmp_path / "truncated.png", tmp_path / "text.png"
    truncated.write_bytes(picture_file.read_bytes()[:900])
    text.write_text("This is not a picture.")
    for path, words in (
        (truncated, "damaged or cut off"),
        (text, "not a picture"),
        (tmp_path / "none.png", "no such file"),
        (tmp_path, "is a folder"),
    ):
        line = failure(capsys, "run", path, "--model", model_file, "--device", "reference")
        assert str(path) in line
        assert words in line


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10)])
def test_odd_sizes_are_answered(capsys: Capture, tmp_path: Path, model_file: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "odd.png")
    command(capsys, "run", tmp_path / "odd.png", "--model", model_file, "--device", "reference", "--json")


def test_bad_models(capsys: Capture, tmp_path: Path, model_file: Path, picture_file: Path) -> None:
    whole = model_file.read_bytes()
    for name, content in (("empty", b""), ("half", whole[: len(whole) // 2]), ("text", b"plain text")):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        for arguments in (("run", picture_file, "--model", path, "--device", "reference"), ("info", path)):
            assert f"{name}.onnx" in failure(capsys, *arguments)
    assert "no such file" in failure(capsys, "info", tmp_path / "none.onnx")
    assert "is a folder" in failure(capsys, "info", tmp_path)
    assert "no model is named 'vgg-eleven'; shipped are" in failure(capsys, "info", "vgg-eleven")


class StuckDevice(ReferenceDevice):
    """Runs until it is told to stop."""

    name = "stuck"

    def execute(self) -> None:
        stopped = threading.Event()
        while not self.abort[0]:
            stopped.wait(0.005)
        self._set("error_code", ErrorCode.ABORTED)


def test_a_device_that_never_finishes(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, model_file: Path, picture_file: Path
) -> None:
    monkeypatch.setattr("pynq_snn.accelerator.open_device", lambda name: StuckDevice())
    line = failure(capsys, "run", picture_file, "--model", model_file, "--timeout", "0.1")
    assert "did not finish within 0.1 s" in line


def test_a_missing_kernel_names_the_remedy(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model_file: Path, picture_file: Path
) -> None:
    monkeypatch.setattr("pynq_snn.devices.kernel.PACKAGE_FOLDER", tmp_path)
    line = failure(capsys, "run", picture_file, "--model", model_file, "--device", "kernel")
    assert "install g++" in line


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "a.png", "--device", "toaster"],
        ["run", "a.png", "--top", "0"],
        ["run", "a.png", "--timesteps", "x"],
        ["run", "a.png", "--timeout", "-1"],
        ["run", "a.png", "--timeout", "soon"],
        ["run", "a.png", "--firing", "later"],
        ["eval", "vgg11"],
        ["eval", "vgg11", "--data", "d", "--count", "-5"],
    ],
)
def test_wrong_usage(capsys: Capture, arguments: list[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "error: " in captured.err.splitlines()[-1]


def test_timesteps_out_of_range(capsys: Capture, model_file: Path) -> None:
    assert "timesteps=99" in failure(capsys, "info", model_file, "--timesteps", "99")


@pytest.mark.parametrize("before", [True, False])
def test_debug_shows_the_traceback(capsys: Capture, before: bool) -> None:
    arguments = ["info", "nowhere.onnx"]
    assert main(["--debug", *arguments] if before else [*arguments, "--debug"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("pynq-snn: error: nowhere.onnx")


def test_the_unexpected_is_one_line_too(capsys: Capture, monkeypatch: pytest.MonkeyPatch, model_file: Path) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr("pynq_snn.program.compile_network", fail)
    line = failure(capsys, "info", model_file)
    assert "unexpected RuntimeError: first second" in line
    assert "--debug" in line


def test_an_interrupt_is_quiet(capsys: Capture, monkeypatch: pytest.MonkeyPatch, model_file: Path) -> None:
    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pynq_snn.program.compile_network", interrupt)
    assert main(["info", str(model_file)]) == 130
    assert capsys.readouterr().err == "pynq-snn: interrupted\n"


# --- info and doctor --------------------------------------------------------------------------------------------------


def test_info_agrees_with_the_network(capsys: Capture, model_file: Path) -> None:
    facts = json.loads(command(capsys, "info", model_file, "--json"))
    network = Network.from_onnx(model_file)
    program = compile_network(network)
    assert facts["labels"] == list(LABELS)
    assert facts["input"] == {"kind": "pixels", "shape": [3, 12, 10]}
    assert [layer["name"] for layer in facts["layers"]] == [layer.name for layer in network.layers]
    assert facts["layers"][0]["weights"] == 3 * 33 * 9
    assert facts["layers"][0]["macs"] == 3 * 33 * 9 * 12 * 10
    assert facts["layers"][1]["output_shape"] == [8, 6, 5]
    first = network.layers[0].threshold
    assert facts["layers"][0]["threshold"] == [first.min(), first.max()]
    assert facts["layers"][-1]["threshold"] is None
    assert facts["weights"] == 3 * 33 * 9 + 33 * 8 * 9 + 8 * 6 * 5 * 3
    assert facts["macs"] == sum(layer["macs"] for layer in facts["layers"])
    assert facts["program_bytes"] == facts["memory_bytes"]["program"] == program.data.size
    assert facts["memory_bytes"]["workspace"] >= program.workspace_bytes


def test_info_prints_a_table(capsys: Capture, model_file: Path) -> None:
    text = command(capsys, "info", model_file)
    rows = [line.split() for line in text.splitlines()]
    assert ["layer", "kind", "output", "weights", "threshold", "F", "MACs", "/", "timestep"] in rows
    total = next(row for row in rows if row[:1] == ["total"])
    assert total[1] == f"{3 * 33 * 9 + 33 * 8 * 9 + 8 * 6 * 5 * 3:,}"


def test_doctor_finds_what_is_missing(capsys: Capture, monkeypatch: pytest.MonkeyPatch, model_file: Path) -> None:
    monkeypatch.setattr("pynq_snn.doctor.shipped_models", lambda: {"tiny": model_file})
    monkeypatch.setattr("pynq_snn.devices.available", lambda: {"kernel": None, "reference": None, "board": "no board"})
    healthy = json.loads(command(capsys, "doctor", "--json"))
    states = {check["name"]: check["state"] for check in healthy["checks"]}
    assert healthy["ok"] is True
    assert states["device kernel"] == states["numpy"] == states["models"] == "ok"
    assert states["device board"] == "optional"

    reason = "the kernel device is not built; install g++"
    monkeypatch.setattr("pynq_snn.devices.available", lambda: {"kernel": reason, "reference": None})
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    text = command(capsys, "doctor", code=1)
    rows = {line[:18].strip(): line.split() for line in text.splitlines()}
    assert "missing" in rows["device kernel"]
    assert reason in text
    assert "sudo apt install g++" in text


# --- eval -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def data_file(tmp_path: Path, model_file: Path) -> tuple[Path, int]:
    """Return an .npz of 20 pictures in the network's size, and how many of its labels are right."""
    images = np.random.default_rng(8).integers(0, 256, (20, 12, 10, 3), np.uint8)
    with Accelerator("reference") as accelerator:
        accelerator.load(model_file)
        answers = accelerator.infer(images).argmax(axis=1)
    labels = answers.copy()
    labels[::4] = (labels[::4] + 1) % 3
    np.savez(tmp_path / "set.npz", images=images, labels=labels)
    return tmp_path / "set.npz", 15


def test_eval_counts_right_answers(capsys: Capture, model_file: Path, data_file: tuple[Path, int]) -> None:
    path, right = data_file
    arguments = ("eval", model_file, "--data", path, "--device", "reference")
    result = json.loads(command(capsys, *arguments, "--json", "--batch", "7"))
    assert (result["correct"], result["count"], result["accuracy"]) == (right, 20, right / 20)
    assert (result["model"], result["device"], result["timesteps"]) == ("tiny", "reference", 8)
    assert f"accuracy 75.00% ({right} of 20 pictures)" in command(capsys, *arguments)
    assert json.loads(command(capsys, *arguments, "--json", "--count", "9"))["count"] == 9


def test_eval_of_a_folder_matches_classes_by_name(
    capsys: Capture, tmp_path: Path, model_file: Path, data_file: tuple[Path, int]
) -> None:
    content = np.load(data_file[0])
    for index, (image, label) in enumerate(zip(content["images"], content["labels"], strict=True)):
        folder = tmp_path / "pictures" / LABELS[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{index}.png")
    arguments = ("eval", model_file, "--data", tmp_path / "pictures", "--device", "reference", "--json")
    assert json.loads(command(capsys, *arguments))["correct"] == 15

    (tmp_path / "pictures" / "ship").rename(tmp_path / "pictures" / "boat")
    assert "class 'boat'" in failure(capsys, *arguments)


class Interrupting(ReferenceDevice):
    """Is interrupted in its third run."""

    runs = 0

    def wait(self, timeout_s: float) -> None:
        super().wait(timeout_s)
        Interrupting.runs += 1
        if Interrupting.runs == 3:
            raise KeyboardInterrupt


def test_an_interrupted_evaluation_goes_on_where_it_stopped(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model_file: Path, data_file: tuple[Path, int]
) -> None:
    state = tmp_path / "state.json"
    arguments = [
        "eval", str(model_file), "--data", str(data_file[0]), "--batch", "6", "--device", "reference", "--json",
    ]  # fmt: skip
    resumed = [*arguments, "--resume", str(state)]
    with monkeypatch.context() as patch:
        patch.setattr("pynq_snn.accelerator.open_device", lambda name: Interrupting())
        assert main(resumed) == 130
    error = capsys.readouterr().err
    assert "after 12 of 20 pictures" in error
    assert f"--resume {state}" in error
    assert json.loads(state.read_text())["tally"]["count"] == 12

    runs: list[int] = []
    infer = Accelerator.infer

    def recorded(self: Accelerator, images: np.ndarray, **options: Any) -> np.ndarray:
        runs.append(len(images))
        return infer(self, images, **options)

    monkeypatch.setattr(Accelerator, "infer", recorded)
    result = json.loads(command(capsys, *resumed))
    assert runs == [6, 2]
    assert result == json.loads(command(capsys, *arguments))
    assert json.loads(command(capsys, *resumed)) == result  # complete: nothing left to do
    assert "already covers 20" in failure(capsys, *resumed, "--count", "10")


@pytest.mark.parametrize(
    ("options", "what"), [(["--firing", "stepwise"], "firing"), (["--timesteps", "2"], "timesteps")]
)
def test_a_state_of_other_settings_is_refused(
    capsys: Capture, tmp_path: Path, model_file: Path, data_file: tuple[Path, int], options: list[str], what: str
) -> None:
    arguments = ("eval", model_file, "--data", data_file[0], "--device", "reference", "--count", "4", "--resume")
    command(capsys, *arguments, tmp_path / "state.json")
    assert f"another {what}" in failure(capsys, *arguments, tmp_path / "state.json", *options)


def test_a_state_of_other_data_is_refused(
    capsys: Capture, tmp_path: Path, model_file: Path, data_file: tuple[Path, int]
) -> None:
    state = tmp_path / "state.json"
    command(capsys, "eval", model_file, "--data", data_file[0], "--device", "reference", "--resume", state)
    content = dict(np.load(data_file[0]))
    content["images"][3, 0, 0, 0] ^= 1
    np.savez(tmp_path / "other.npz", **content)
    other = ("eval", model_file, "--data", tmp_path / "other.npz", "--device", "reference", "--resume", state)
    assert "another data" in failure(capsys, *other)


@pytest.mark.parametrize("content", ["", "[]", "{}", "null", '{"version": 1, "identity": {}, "tally": {}}'])
def test_other_files_are_not_states(
    capsys: Capture, tmp_path: Path, model_file: Path, data_file: tuple[Path, int], content: str
) -> None:
    (tmp_path / "state.json").write_text(content)
    arguments = ("eval", model_file, "--data", data_file[0], "--device", "reference", "--resume")
    assert "is not the state of an evaluation" in failure(capsys, *arguments, tmp_path / "state.json")
    assert (tmp_path / "state.json").read_text() == content
    assert "cannot be" in failure(capsys, *arguments, tmp_path / "no" / "state.json")


def test_unusable_data(capsys: Capture, tmp_path: Path, model_file: Path) -> None:
    arguments = ("eval", model_file, "--device", "reference", "--data")
    assert "no such file or folder" in failure(capsys, *arguments, tmp_path / "none")
    assert "no pictures found" in failure(capsys, *arguments, tmp_path)
    np.savez(tmp_path / "none.npz", images=np.zeros((0, 12, 10, 3), np.uint8), labels=np.zeros(0, int))
    assert "no pictures" in failure(capsys, *arguments, tmp_path / "none.npz")
    np.savez(tmp_path / "high.npz", images=np.zeros((1, 12, 10, 3), np.uint8), labels=np.array([7]))
    assert "label 7" in failure(capsys, *arguments, tmp_path / "high.npz")


@pytest.mark.parametrize(
    ("classes", "labels", "expected"),
    [
        ((), [2, 0], [2, 0]),
        (("ship", "cat"), [0, 1], [2, 0]),
        (("1", "2"), [0, 1], [1, 2]),
        (("cat", "boat"), [0, 0], None),
        (("cat", "dog", "7"), [0, 1], None),
        (("1", "7"), [0, 1], None),
    ],
)
def test_matching_of_classes(
    model_file: Path, classes: tuple[str, ...], labels: list[int], expected: list[int] | None
) -> None:
    dataset = Dataset(np.zeros((2, 12, 10, 3), np.uint8), np.array(labels, np.int64), classes)
    network = Network.from_onnx(model_file)
    if expected is None:
        with pytest.raises(DatasetError):
            evaluation.match_labels(dataset, network)
    else:
        assert evaluation.match_labels(dataset, network).tolist() == expected


# --- as a process -----------------------------------------------------------------------------------------------------


def python(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, env=environment, timeout=60, **options
    )


def test_version_and_help() -> None:
    version = python("-m", "pynq_snn", "--version")
    assert (version.returncode, version.stdout) == (0, f"pynq-snn {pynq_snn.__version__}\n")
    help_text = python("-m", "pynq_snn", "--help")
    assert help_text.returncode == 0
    assert all(name in help_text.stdout for name in ("run", "info", "eval", "doctor"))


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, pynq_snn; print([m for m in ('numpy', 'PIL', 'onnx', 'torch') if m in sys.modules])"
    assert python("-c", code).stdout == "[]\n"


def test_run_needs_neither_onnx_nor_torch(model_file: Path, picture_file: Path) -> None:
    code = (
        "import sys; from pynq_snn.cli import main; code = main(sys.argv[1:]); "
        "print([m for m in ('onnx', 'onnxruntime', 'torch', 'tqdm') if m in sys.modules], code)"
    )
    done = python("-c", code, "run", picture_file, "--model", model_file, "--device", "reference", "--json")
    assert done.stdout.splitlines()[-1] == "[] 0", done.stderr


def test_a_closed_pipe_is_quiet(model_file: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    script = f"{sys.executable} -m pynq_snn info {model_file} --json | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")  # 0 where the output fitted before the pipe was closed


def test_a_full_disk_is_one_line(model_file: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pynq_snn", "info", str(model_file)],
            stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT, timeout=60,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


# --- the shipped model ------------------------------------------------------------------------------------------------


def test_the_bundled_photograph_is_a_cat(capsys: Capture, shipped_model: Path) -> None:
    result = json.loads(command(capsys, "run", ROOT / "examples" / "cat.png", "--json"))
    assert result["model"] == shipped_model.stem
    assert result["label"] == "cat"
