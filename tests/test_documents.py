"""What the pages tell people to type works: every command is run, or listed here with the reason why it cannot be."""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pynq_snn import cli
from pynq_snn.devices.rtl_model import missing_tools
from pynq_snn.models import shipped_models
from tests.conftest import ROOT
from tests.documents import (
    Block,
    Command,
    anchors,
    blocks,
    commands,
    inline_code,
    links,
    pages,
    scripts,
    text_of,
)

COMMANDS = [command for page in pages() for command in commands(page)]
LABELS = ("cat", "dog", "ship", "truck")
PICTURES = np.random.default_rng(8).integers(0, 256, (24, 32, 32, 3), np.uint8)

# Pages whose commands are for another folder than the top.
FOLDERS = {"hls/README.md": "hls"}

# What continuous integration runs itself, and the line of .ci/run that does it.
IN_CI = {
    "make run": "make run",
    "make test": "make test",
    "make test-board": "make test-board",
    "make csim": "make -C hls csim",
    "make lint": "make lint",
}

# What cannot be run here. Arguments are checked all the same, and rules of make looked up.
NOT_RUN = {
    "scp *": "needs a board",
    "ssh *": "needs a board",
    "sudo -i": "needs a board",
    "source .venv/bin/activate": "changes the reader's shell; make run makes it",
    "source /etc/profile.d/*": "a file of the board's image",
    "grep Cma /proc/meminfo": "shows memory of the board",
    "grep fabric /proc/interrupts": "shows interrupts of the board",
    "cat /proc/cmdline": "shows how the board was started",
    "cd /home/xilinx": "a folder of the board",
    "pynq get-notebooks *": "needs pynq; tests/board/test_plugin.py runs it",
    "pip install *": "needs a network; tests/test_packaging.py builds the package and its wheel for the board",
    "make board-wheel": "needs a cross compiler; tests/test_packaging.py builds the same wheel without one",
    "export PYNQ_SNN_FPGA_TOOLS=*": "the folders are the reader's",
    "make -C overlays": "needs nextpnr-xilinx and hours; tests/overlay runs the steps on small designs",
    "make -C overlays synth": "needs yosys and half an hour",
    "make -C overlays proof": "needs a build",
    "make -C overlays formal": "needs yosys-smtbmc and half an hour; tests/overlay/test_formal.py runs a short one",
    "make sanitize": "a minute of compiling; the cases are those of make csim",
    "cd overlays/vivado": "needs Vivado; tests/overlay/test_vivado.py runs the script in tclsh",
    "vivado *": "needs Vivado; tests/overlay/test_vivado.py runs the script in tclsh",
    "pynq-snn run * --trace *": "compiles for a minute; tests/rtl/test_harness.py traces a small core",
    "python -m benchmarks.speed": "keeps to one core for a minute, and needs PyTorch",
    "python -m benchmarks.anchor *": "needs SpikingJelly",
    "python -m benchmarks.sparsity *": "needs several trainings; tests/test_accuracy_page.py runs it on copies of one",
    "python -m benchmarks.rtl_coverage*": "compiles the core with counters and runs it for minutes",
    "python -m benchmarks.armv7 *": "needs an emulated board",
}

# What is added to a command so that it takes seconds; of an option that is given twice the last one counts.
SMALLER = {
    "pynq-snn bench": ["--seconds", "0.05"],
    "pynq-snn report": ["--seconds", "0.05"],
    "python -m training.train": ["--epochs", "1", "--batch", "8"],
    "python -m benchmarks.accuracy": ["--count", "4", "--curve", "2", "--out", "accuracy.json", "vgg11"],
    "python -m benchmarks.convert": ["--count", "2", "--pictures", "8", "--timesteps", "2", "--methods", "percentile",
                                     "--float", "tiny=float.onnx", "--out", "convert.json"],
    "python -m benchmarks.core_model": ["--out", "core_model.json", "vgg11"],
    "python -m benchmarks.rtl": ["--count", "1", "--models", "tiny.onnx", "--out", "rtl.json"],
    "make lib": ["BUILD=build/documents"],
    "make bench": ["BUILD=build/documents"],
    "make -C overlays tools": [f"PYTHON={sys.executable}"],
}  # fmt: skip

# Python of the pages that another test runs.
SCRIPTS_ELSEWHERE = {"from pynq import Overlay": "tests/board/test_first_picture.py, over the real pynq"}


def reason_not_to_run(command: Command) -> str | None:
    return next((why for pattern, why in NOT_RUN.items() if fnmatch.fnmatchcase(command.text, pattern)), None)


def is_mention(command: Command) -> bool:
    """Whether running text only names a command, perhaps without its arguments."""
    return command.inline and command.words[0] == "pynq-snn"


def is_run(command: Command) -> bool:
    return not is_mention(command) and command.text not in IN_CI and reason_not_to_run(command) is None


def added(command: Command) -> list[str]:
    """Return what makes a command small."""
    text = f"{command.text} "
    return next((more for start, more in SMALLER.items() if text.startswith(f"{start} ")), [])


# --- every command has its place --------------------------------------------------------------------------------------


def test_commands_are_found() -> None:
    listed = "A list:\n\n1. First:\n\n       make this   # so\n       python -m a \\\n           --b\n\n   and\n\n"
    text = f"{listed}```text\n x\n```\n"
    assert list(blocks("README.md", text)) == [
        Block("README.md", "", "make this   # so\npython -m a \\\n--b"),
        Block("README.md", "text", " x"),
    ]
    assert {command.words[0] for command in COMMANDS} >= {"pynq-snn", "make", "python", "pip"}
    assert sum(is_run(command) for command in COMMANDS) > 30


@pytest.mark.parametrize("page", pages())
def test_what_is_indented_is_a_command(page: str) -> None:
    known = {"pynq-snn", "python", "make"}
    for command in commands(page):
        listed = reason_not_to_run(command) is not None
        assert command.words[0] in known or listed, f"{command}: fence what is no command; list what cannot be run"
    for block in blocks(page):
        assert block.language != "none", f"{page}: a fence has to say what it holds: {block.text[:60]}"
        assert block.language not in ("sh", "bash", "shell", "console"), f"{page}: indent commands: {block.text[:60]}"


@pytest.mark.parametrize("text", sorted(NOT_RUN))
def test_what_is_listed_is_in_a_page(text: str) -> None:
    assert any(fnmatch.fnmatchcase(command.text, text) for command in COMMANDS), "no page has it any more"


@pytest.mark.parametrize(("command", "line"), IN_CI.items())
def test_what_continuous_integration_runs(command: str, line: str) -> None:
    assert any(found.text == command for found in COMMANDS)
    assert line in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()


# --- arguments, of those that are not run too -------------------------------------------------------------------------


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    (action,) = (each for each in parser._actions if isinstance(each, argparse._SubParsersAction))
    return dict(action.choices)


def options_of_module(name: str) -> set[str]:
    """Return the options of a program, from its source: it may import what is not here."""
    source = (ROOT / f"{name.replace('.', '/')}.py").read_text("utf-8")
    return set(re.findall(r"add_argument\(\s*\"(--[\w-]+)\"", source))


def check_pynq_snn(words: tuple[str, ...]) -> None:
    name, *arguments = words
    known = subparsers(cli._parser())
    assert name in known
    assert {word for word in arguments if word.startswith("-")} <= set(known[name]._option_string_actions)


def check_python(words: tuple[str, ...]) -> None:
    assert words[0] == "-m"
    assert {word for word in words[2:] if word.startswith("--")} <= options_of_module(words[1])


def check_make(words: tuple[str, ...], folder: Path) -> None:
    done = subprocess.run(["make", "--dry-run", *words], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def check_pip(words: tuple[str, ...]) -> None:
    declared = (ROOT / "pyproject.toml").read_text("utf-8").partition("[project.optional-dependencies]\n")[2]
    extras = set(re.findall(r"^(\w+) = \[", declared.partition("\n[")[0], re.MULTILINE))
    wanted = {extra for word in words for extra in re.findall(r"^pynq-snn\[(.+)\]$", word)}
    assert words[0] == "install" and wanted <= extras


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_arguments_exist(command: Command) -> None:
    program, *words = command.words
    if program == "pynq-snn":
        check_pynq_snn(tuple(words))
    elif program == "python":
        check_python(tuple(words))
    elif program == "pip":
        check_pip(tuple(words))
    elif program == "make":
        if shutil.which("make") is None:
            pytest.skip("no make here")
        check_make(tuple(words), ROOT / FOLDERS.get(command.page, "."))
    elif program == "cd" and not words[0].startswith("/"):
        assert (ROOT / words[0]).is_dir()


@pytest.mark.parametrize("page", pages())
def test_options_exist(page: str) -> None:
    """Options that running text names belong to a program of ours."""
    programs = [path for folder in ("training", "benchmarks") for path in sorted((ROOT / folder).glob("*.py"))]
    known = {option for path in programs for option in options_of_module(f"{path.parent.name}.{path.stem}")}
    for parser in subparsers(cli._parser()).values():
        known |= set(parser._option_string_actions)
    for code in inline_code(page):
        if code.startswith("--"):
            assert code.split()[0] in known, f"{page}: {code}"


# --- running them -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, model_file: Path) -> Path:
    """Return a folder with what a reader has: the files of the project that are read, and those the pages name."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("docs", "models", "examples"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "README.md", folder)
    shutil.copy(ROOT / "examples" / "cat.png", folder)
    shutil.copy(model_file, folder / "tiny.onnx")
    write_pictures(folder)
    write_networks(folder)
    return folder


def write_power_log(path: Path) -> None:
    """Write a log as a meter would that has been on for seconds, and stays on for minutes."""
    now = time.time()
    samples = (f"{now + second / 100},1.6\n" for second in range(-500, 30_000))
    path.write_text("time,watts\n" + "".join(samples))


def write_pictures(folder: Path) -> None:
    for index, label in enumerate(LABELS):
        for number, picture in enumerate(PICTURES[6 * index : 6 * index + 6]):
            (folder / "PICTURES" / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / "PICTURES" / label / f"{number}.png")
    (folder / "CIFAR10").mkdir()
    from pynq_snn.datasets import CIFAR10_CLASSES

    for split, count in (("train", 16), ("test", 8)):
        labels = np.arange(count) % len(CIFAR10_CLASSES)
        np.savez(folder / "CIFAR10" / f"{split}.npz", images=PICTURES[:count], labels=labels, classes=CIFAR10_CLASSES)


def write_networks(folder: Path) -> None:
    import onnx

    from benchmarks.convert import as_float
    from tests.test_convert import float_model

    for name in ("float.onnx", "FLOAT.onnx"):
        (folder / name).write_bytes(float_model(4).SerializeToString())
    twin = as_float(onnx.load(str(shipped_models()["vgg11"])))
    (folder / "vgg11-float.onnx").write_bytes(twin.SerializeToString())
    if importlib.util.find_spec("nir") is not None:
        import nir

        from tests.nir_reference import chain, conv, flatten, integers, neuron, write

        layers = (("conv", conv(integers(1, 4, 2, 3, 3))), ("spikes1", neuron((4, 6, 6), threshold=7.0)),
                  ("flat", flatten()), ("linear", nir.Linear(integers(2, 3, 144))),
                  ("spikes2", neuron((3,), threshold=20.0)))  # fmt: skip
        write(chain((2, 6, 6), *layers), folder / "net.nir")


def what_is_missing(command: Command) -> str | None:
    """Return what this machine lacks to run a command."""
    # What stands on that page without being training itself goes on from what training wrote
    trains = command.page == "training/README.md" or " -m training." in f" {command.text}"
    if trains and importlib.util.find_spec("torch") is None:
        return "needs torch"
    if "rtl" in command.words or "benchmarks.rtl" in command.words:
        return missing_tools()
    if "net.nir" in command.words and importlib.util.find_spec("nir") is None:
        return "needs nir"
    if command.words[0] == "make" and shutil.which("make") is None:
        return "needs make"
    return None


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("command", [command for command in COMMANDS if is_run(command)], ids=str)
def test_commands_run(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the pages: later commands need what earlier ones wrote."""
    missing = what_is_missing(command)
    if missing is not None:
        pytest.skip(missing)
    program, *words = [*command.words, *added(command)]
    monkeypatch.chdir(folder)
    if "csv:LOG" in words:
        write_power_log(folder / "LOG")
    if program == "pynq-snn":
        assert cli.main(words) == 0
    elif program == "python":
        run_module(words[1], words[2:], folder, monkeypatch)
    else:
        run_make(words, ROOT / FOLDERS.get(command.page, "."))


def run_module(name: str, arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a program of the project in this process; what writes pages writes those in `folder`."""
    module = importlib.import_module(name)
    if hasattr(module, "ROOT"):
        monkeypatch.setattr(module, "ROOT", folder)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    module.main()


def run_make(words: list[str], folder: Path) -> None:
    done = subprocess.run(["make", *words], cwd=folder, capture_output=True, text=True, timeout=300)
    if words[:3] == ["-C", "overlays", "tools"]:  # fails where tools are missing, and then says what to do
        assert done.returncode == 0 or "PYNQ_SNN_FPGA_TOOLS" in done.stderr
        assert "nextpnr-xilinx" in done.stdout
    else:
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("page", "script"), [(page, script) for page in pages() for script in scripts(page)])
def test_scripts_run(page: str, script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any(script.startswith(first) for first in SCRIPTS_ELSEWHERE):
        pytest.skip(next(where for first, where in SCRIPTS_ELSEWHERE.items() if script.startswith(first)))
    if "net.onnx" in script and not (folder / "net.onnx").exists():
        if not (folder / "net.nir").exists():
            pytest.skip("needs nir")
        assert cli.main(["convert", str(folder / "net.nir"), "-o", str(folder / "net.onnx")]) == 0
    monkeypatch.chdir(folder)
    spikes = np.random.default_rng(2).random((16, 2, 6, 6)) < 0.4
    exec(compile(script, page, "exec"), {"images": PICTURES[:4], "spikes": spikes})


# --- what they show, and where they point -----------------------------------------------------------------------------


def shown(page: str, after: str) -> str:
    """Return the text block that follows a line."""
    text = text_of(page).partition(after)[2]
    return next(block.text for block in blocks(page, text) if block.language == "text")


def test_the_readme_shows_what_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.main(["run", "examples/cat.png", "--device", "kernel"]) == 0
    printed = capsys.readouterr().out.strip()
    expected = shown("README.md", "`make run` prints")
    times = re.compile(r"[\d.]+ ms")
    assert times.sub("TIME", printed).splitlines() == times.sub("TIME", expected).splitlines()


@pytest.mark.parametrize(("page", "target"), [(page, target) for page in pages() for target in links(page)])
def test_links(page: str, target: str) -> None:
    name, _, part = target.partition("#")
    path = (ROOT / page).parent / name if name else ROOT / page
    assert path.exists()
    assert not part or part in anchors(path)
