"""The command line: ``pynq-snn run | info | eval | bench | report`` and more; `pynq-snn --help` lists them.

Exit codes: 0 good, 1 a failure (one line on standard error), 2 wrong usage, 130 interrupted, 141 the reader of the
output went away. What a command needs is imported when it runs, so that the answer is there within a second.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from pynq_snn import __version__
from pynq_snn.errors import ConversionWarning, ModelError, PynqSnnError
from pynq_snn.models import DEFAULT_MODEL, find_model

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from pynq_snn.accelerator import Accelerator, RunReport
    from pynq_snn.bench import Bench, Inputs
    from pynq_snn.cluster import Cluster
    from pynq_snn.devices import Device
    from pynq_snn.evaluation import Tally
    from pynq_snn.network import Layer, Network
    from pynq_snn.program import Program

PROGRAM = "pynq-snn"
EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 1, 130, 141
DEFAULT_TOP = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of this process by default.
    """
    arguments = argparse.Namespace(debug="--debug" in (sys.argv[1:] if argv is None else argv))
    try:
        with _warnings_as_lines():
            arguments = _parser().parse_args(argv, arguments)
            code: int = arguments.command(arguments)
            sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse: help, version, or wrong usage, all printed already
        return stop.code if isinstance(stop.code, int) else EXIT_FAILURE
    except BrokenPipeError:
        # The interpreter flushes standard output once more when it ends; that must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt as interrupt:
        _print_line("interrupted" + (f" {interrupt}" if str(interrupt) else ""))
        return EXIT_INTERRUPTED
    except Exception as error:
        if arguments.debug:
            traceback.print_exc()
        _print_line("error: " + _describe(error))
        return EXIT_FAILURE


def _describe(error: Exception) -> str:
    if isinstance(error, PynqSnnError):
        return str(error)
    return f"unexpected {type(error).__name__}: {error}; --debug shows where, please report it"


def _print_line(message: str) -> None:
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    def show(
        message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
        line: str | None = None,
    ) -> None:  # fmt: skip
        _print_line(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", ConversionWarning)
        warnings.showwarning = show
        yield


# --- arguments --------------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Deep spiking neural networks on a PYNQ-Z2, or on a simulator of its accelerator."
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    _add_debug(parser)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add_info(commands)
    _add_eval(commands)
    _add_bench(commands)
    _add_report(commands)
    _add_convert(commands)
    _add_potentials(commands)
    _add_reorder(commands)
    _add_doctor(commands)
    _add_selftest(commands)
    return parser


def _add_command(commands: Any, name: str, command: Callable[[argparse.Namespace], int], text: str) -> Any:
    parser = _add_plain_command(commands, name, command, text)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def _add_plain_command(commands: Any, name: str, command: Callable[[argparse.Namespace], int], text: str) -> Any:
    parser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(command=command)
    _add_debug(parser)
    return parser


def _add_debug(parser: Any) -> None:
    # Suppressed default: the option may stand before or after the command, and the later parser must not undo it.
    parser.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
    )


def _add_run(commands: Any) -> None:
    parser = _add_command(commands, "run", _run, "classify one picture, or one window of spike events")
    parser.add_argument(
        "image",
        metavar="IMAGE|EVENTS.npy",
        help="a picture of any size in any format that Pillow opens, or for a network that reads events: spikes "
        "[T, C, H, W], or address events [N, 4] (timestep, y, x, channel)",
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name of a shipped model, or path of an ONNX file")
    _add_execution(parser)
    parser.add_argument(
        "--clock",
        type=_above_zero,
        metavar="MHZ",
        help="clock of the board or rtl device (default: the overlay's, or 100)",
    )
    parser.add_argument(
        "--trace", metavar="FILE.fst", help="write all signals of the rtl device, for a waveform viewer such as GTKWave"
    )
    parser.add_argument("--top", type=_positive, default=DEFAULT_TOP, metavar="K", help="show the K best classes")


def _add_info(commands: Any) -> None:
    parser = _add_command(commands, "info", _info, "show a model's layers, size and memory")
    parser.add_argument(
        "model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL", help="name of a shipped model, or path"
    )
    _add_network(parser)


def _add_eval(commands: Any) -> None:
    from pynq_snn.models import MODEL_SUFFIX

    parser = _add_command(commands, "eval", _eval, "measure a model's accuracy on labelled pictures")
    parser.add_argument("model", metavar="MODEL", help=f"name of a shipped model, or path of an {MODEL_SUFFIX} file")
    parser.add_argument(
        "--data", required=True, metavar="FOLDER|NPZ",
        help="one subfolder of pictures per class, or arrays images uint8 [N, H, W, 3] and labels [N]",
    )  # fmt: skip
    parser.add_argument("--count", type=_positive, metavar="N", help="only the first N pictures")
    parser.add_argument("--batch", type=_positive, metavar="N", help="pictures in one run of the core (default: 16)")
    parser.add_argument(
        "--resume", metavar="FILE", help="keep the tally in this file after every batch, and go on from it if it exists"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="spread the pictures over the workers of a dask scheduler, such as tcp://192.168.2.1:8786",
    )  # fmt: skip
    _add_execution(parser)


def _add_bench(commands: Any) -> None:
    parser = _add_command(commands, "bench", _bench, "measure how fast a model runs and what it costs")
    _add_measuring(parser)
    parser.add_argument("--report", metavar="DIR", help="write the figures and plots into this folder")


def _add_report(commands: Any) -> None:
    parser = _add_command(commands, "report", _report, "write one page about a model: accuracy, speed, energy, layers")
    parser.add_argument("-o", "--output", default="report.html", metavar="FILE", help="page to write (report.html)")
    _add_measuring(parser)


def _add_measuring(parser: Any) -> None:
    from pynq_snn.power import METER_FORMS

    parser.add_argument(
        "model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL", help="name of a shipped model, or path"
    )
    _add_device(parser)
    parser.add_argument("--batch", type=_positive, default=1, metavar="N", help="pictures in one run (default: 1)")
    parser.add_argument(
        "--data", metavar="FOLDER|NPZ", help="pictures to run on (default: cut-outs of the bundled photograph)"
    )
    parser.add_argument(
        "--seconds", type=_above_zero, default=3.0, metavar="S", help="go on for at least so long (default: 3)"
    )
    parser.add_argument(
        "--clock", type=_above_zero, metavar="MHZ", help="the core's clock (default: the overlay's, or 100)"
    )
    power = parser.add_mutually_exclusive_group()
    power.add_argument("--power-w", type=_above_zero, metavar="W", help="power of the board, if you know it")
    power.add_argument("--meter", metavar="|".join(METER_FORMS), help="read a power meter during the run")
    _add_network(parser)


def _add_convert(commands: Any) -> None:
    from pynq_snn.convert import AUTO, EQUALISATIONS, METHODS

    text = "convert a float ONNX network, or a spiking one from a NIR file, to a model for the accelerator"
    parser = _add_command(commands, "convert", _convert, text)
    parser.add_argument("source", metavar="FLOAT.onnx|NET.nir", help="a float ONNX file, or a NIR file")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.onnx", help="the model to write")
    parser.add_argument("--timesteps", type=_positive, metavar="T", help="timesteps (default: 8, of a NIR file 16)")
    parser.add_argument("--labels", type=_labels, metavar="A,B,...|FILE", help="class names, or a file with one a line")
    floats = parser.add_argument_group("float ONNX files")
    floats.add_argument("--calibrate", metavar="FOLDER|NPZ", help="pictures, with labels (subfolders) or without")
    floats.add_argument("--evaluate", metavar="FOLDER|NPZ", help="pictures to compare on (default: the unused ones)")
    floats.add_argument("--pictures", type=_positive, metavar="N", help="calibration pictures (default: 256 or 64)")
    floats.add_argument("--count", type=_positive, metavar="N", help="most pictures to compare on (default: 1000)")
    floats.add_argument("--method", choices=(AUTO, *METHODS), help="how to choose thresholds (default: by least error)")
    floats.add_argument("--percentile", type=_above_zero, metavar="P", help="of the percentile method (default: tries)")
    floats.add_argument(
        "--equalise", choices=(AUTO, *EQUALISATIONS), help="one threshold a channel or one a layer (default: tries)"
    )
    floats.add_argument("--mean", type=_numbers, metavar="M,...", help="x = (pixel / 255 - mean) / std (default: 0)")
    floats.add_argument("--std", type=_numbers, metavar="S,...", help="one number, or one per channel (default: 1)")
    floats.add_argument("--input-size", type=_whole_numbers, metavar="H,W", help="where the file leaves it open")
    floats.add_argument("--name", help="the network's name (default: the file's)")
    floats.add_argument("--seed", type=int, metavar="N", help="of the choice of calibration pictures (default: 0)")
    floats.add_argument("--fit", choices=("crop", "pad"), help="as for run (default: crop)")
    floats.add_argument("--device", type=_device, help="where to run the comparison (default: auto)")
    floats.add_argument("--report", metavar="DIR", help="write figures, table and plots into this folder")
    floats.add_argument(
        "--keep-order", action="store_true", default=None, help="leave channels in their order (see `pynq-snn reorder`)"
    )
    floats.add_argument(
        "--half-potentials", action="store_true", default=None,
        help="stepwise firing starts at half of every threshold (see `pynq-snn potentials`)",
    )  # fmt: skip
    nir = parser.add_argument_group("NIR files (docs/nir.md)")
    nir.add_argument("--dt", type=_above_zero, metavar="SECONDS", help="of one timestep (default: 1e-4)")
    nir.add_argument("--reset", choices=("hard", "soft"), help="to v_reset, or by subtraction (default: hard)")
    nir.add_argument("--fires", choices=("above", "at"), help="above or at the threshold (default: above)")
    nir.add_argument("--round-leak", action="store_true", default=None, help="take the nearest leak that is possible")
    nir.add_argument("--input-shape", type=_whole_numbers, metavar="C,H,W", help="of the events, where it is left open")


def _add_potentials(commands: Any) -> None:
    text = "calibrate the membrane potentials that stepwise firing starts from; deferred firing stays the same"
    parser = _add_command(commands, "potentials", _potentials, text)
    _add_rewriting(parser, default_pictures=100)


def _add_reorder(commands: Any) -> None:
    text = "put a model's channels in an order that takes fewer cycles; what it computes stays the same"
    parser = _add_command(commands, "reorder", _reorder, text)
    _add_rewriting(parser, default_pictures=16)


def _add_rewriting(parser: Any, *, default_pictures: int) -> None:
    parser.add_argument("model", metavar="MODEL", help="name of a shipped model, or path of a quantised ONNX file")
    parser.add_argument(
        "--calibrate", required=True, metavar="FOLDER|NPZ", help="pictures, with labels (subfolders) or without"
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT.onnx", help="the model to write")
    parser.add_argument(
        "--pictures", type=_positive, metavar="N", help=f"pictures to run (default: {default_pictures})"
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of what is left to chance (default: 0)")
    parser.add_argument("--fit", choices=("crop", "pad"), help="as for run (default: crop)")
    _add_device(parser)


def _add_doctor(commands: Any) -> None:
    _add_command(commands, "doctor", _doctor, "show what this machine has, and what to do about what it lacks")


def _add_selftest(commands: Any) -> None:
    parser = _add_plain_command(commands, "selftest", _selftest, "find out whether a device computes what it should")
    _add_device(parser)
    parser.add_argument("--json", metavar="FILE", help="write the report here, anew after every section")
    parser.add_argument(
        "--no-margin", action="store_true", help="on a board: do not search for the clock at which it begins to fail"
    )


def _add_execution(parser: Any) -> None:
    _add_device(parser)
    parser.add_argument(
        "--fit", choices=("crop", "pad"), default="crop",
        help="pictures of another aspect ratio: cut what sticks out, or pad with the mean colour (default: crop)",
    )  # fmt: skip
    _add_network(parser)


def _add_device(parser: Any) -> None:
    parser.add_argument(
        "--device", type=_device, default="auto",
        help="where to compute (default: auto; `pynq-snn doctor` lists them)",
    )  # fmt: skip
    parser.add_argument("--timeout", type=_above_zero, metavar="SECONDS", help="longest time for one run of the core")


def _add_network(parser: Any) -> None:
    parser.add_argument("--firing", choices=("stepwise", "deferred"), help="firing order (default: the model's)")
    parser.add_argument("--timesteps", type=_positive, metavar="T", help="timesteps (default: the model's)")


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return value


def _above_zero(text: str) -> float:
    """Read a number above 0 of seconds, watts or megahertz."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 0.5,0.5,0.5") from error


def _whole_numbers(text: str) -> list[int]:
    return [_positive(part.strip()) for part in text.split(",")]


def _labels(text: str) -> list[str]:
    """Read class names: separated by commas, or the lines of a file."""
    if "," not in text:
        try:
            with open(text, encoding="utf-8") as file:  # noqa: PTH123 (no pathlib import for one file)
                return [line.strip() for line in file if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise argparse.ArgumentTypeError(
                f"{text!r} is neither a text file that can be read nor a list such as cat,dog"
            ) from error
    return [part.strip() for part in text.split(",")]


def _device(text: str) -> str:
    from pynq_snn.devices import DEVICE_NAMES

    if text not in DEVICE_NAMES:
        raise argparse.ArgumentTypeError(f"{text!r} is not known; use one of {', '.join(DEVICE_NAMES)}")
    return text


# --- commands ---------------------------------------------------------------------------------------------------------


def _open_accelerator(arguments: argparse.Namespace, **options: Any) -> Accelerator:
    """Open the device that the arguments name with those `options` that were given."""
    from pynq_snn.accelerator import DEFAULT_TIMEOUT_S, Accelerator
    from pynq_snn.devices import open_device

    given = {name: value for name, value in options.items() if value is not None}
    device = open_device(arguments.device, **given) if given else arguments.device
    return Accelerator(device, timeout_s=arguments.timeout or DEFAULT_TIMEOUT_S)


def _run(arguments: argparse.Namespace) -> int:
    import numpy as np

    options = {"clock_mhz": arguments.clock, "trace": arguments.trace}
    with _open_accelerator(arguments, **options) as accelerator:
        network = accelerator.load(arguments.model, timesteps=arguments.timesteps, firing=arguments.firing)
        logits = _infer_file(accelerator, arguments)
        report = accelerator.last_run
    probabilities = network.probabilities(logits)
    best = np.argsort(-probabilities, kind="stable")[: arguments.top]
    top = [{"label": network.labels[index], "probability": float(probabilities[index])} for index in best]
    result = {
        "model": network.name,
        "device": report.device,
        "firing": network.firing,
        "timesteps": network.timesteps,
        "label": top[0]["label"],
        "top": top,
        "logits": [int(logit) for logit in logits],
        "spikes": report.spikes,
        "synaptic_operations": report.synaptic_operations,
        "cycles": report.cycles,
        "latency_s": report.latency_s,
    }
    if arguments.json:
        return _print_json(result)
    width = max(len(label) for label in network.labels)
    for entry in top:
        print(f"{entry['label']:{width}}  {entry['probability']:6.1%}")
    print(f"\n{_setting(network)}, device {report.device}: {accelerator.device.description}")
    print(
        f"{_duration(accelerator.device, report)}, {report.spikes:,} spikes, "
        f"{report.synaptic_operations:,} synaptic operations, {report.cycles:,} cycles ({report.cycles_are})"
    )
    return 0


def _infer_file(accelerator: Accelerator, arguments: argparse.Namespace) -> npt.NDArray[np.int32]:
    network = accelerator.network
    if Path(arguments.image).suffix == ".npy":
        from pynq_snn.recordings import load_events

        return accelerator.infer_events(load_events(arguments.image, network))
    from pynq_snn.pictures import fit_picture

    return accelerator.infer(fit_picture(arguments.image, network, fit=arguments.fit))


def _duration(device: Device, report: RunReport) -> str:
    """Return how long a run took; of a simulated core, what its cycles mean at its clock comes first."""
    clock_mhz = getattr(device, "clock_mhz", None)
    if clock_mhz is None or report.cycles_are != "cycle-accurate simulation":
        return f"{1000 * report.latency_s:.1f} ms"
    return f"{report.cycles / clock_mhz / 1000:.2f} ms of the core ({report.latency_s:.1f} s to simulate)"


def _info(arguments: argparse.Namespace) -> int:
    from pynq_snn.network import Network
    from pynq_snn.program import compile_network

    network = Network.from_onnx(find_model(arguments.model), timesteps=arguments.timesteps, firing=arguments.firing)
    program = compile_network(network)
    if arguments.json:
        return _print_json(_network_facts(network, program))
    print(f"{_setting(network)}, {network.path}")
    print(f"input {_shape(network.input_shape)} {network.input_kind}, {network.classes} classes:", end=" ")
    print(", ".join(network.labels) + "\n")
    rows: list[tuple[str, ...]] = [("layer", "kind", "output", "weights", "threshold", "F", "MACs / timestep")]
    rows += [_layer_row(layer) for layer in network.layers]
    total = sum(layer.weight_count for layer in network.layers)
    rows.append(("total", "", "", f"{total:,}", "", "", f"{network.macs:,}"))
    _print_table(rows, right_from=3)
    memory = _memory(program)
    print(f"\nprogram {memory['program']:,} bytes; for one picture: ", end="")
    print(", ".join(f"{name} {memory[name]:,}" for name in ("input", "workspace", "output")) + " bytes")
    return 0


def _network_facts(network: Network, program: Program) -> dict[str, Any]:
    return {
        "model": network.name,
        "path": network.path,
        "timesteps": network.timesteps,
        "firing": network.firing,
        "labels": list(network.labels),
        "input": {"kind": network.input_kind, "shape": list(network.input_shape)},
        "layers": [
            {
                "name": layer.name,
                "kind": layer.kind,
                "output_shape": list(layer.output_shape),
                "weights": layer.weight_count,
                "threshold": _threshold_range(layer),
                "fraction_bits": layer.fraction_bits,
                "macs": layer.macs,
            }
            for layer in network.layers
        ],
        "weights": sum(layer.weight_count for layer in network.layers),
        "macs": network.macs,
        "program_bytes": len(program.data),
        "memory_bytes": _memory(program),
    }


def _memory(program: Program) -> dict[str, int]:
    """Return the bytes of each buffer for one picture."""
    return {region.name.lower(): size for region, size in program.buffer_bytes(1).items()}


def _threshold_range(layer: Layer) -> list[int] | None:
    """Return the smallest and the largest integer threshold of a layer; None for one that never fires."""
    if layer.kind in ("readout", "max_pool"):
        return None
    return [int(layer.threshold.min()), int(layer.threshold.max())]


def _layer_row(layer: Layer) -> tuple[str, ...]:
    thresholds = _threshold_range(layer)
    text = "" if thresholds is None else f"{thresholds[0]} to {thresholds[1]}"
    shape = _shape(layer.output_shape)
    return (
        layer.name, layer.kind, shape, f"{layer.weight_count:,}", text, str(layer.fraction_bits), f"{layer.macs:,}",
    )  # fmt: skip


def _eval(arguments: argparse.Namespace) -> int:
    from pynq_snn.accelerator import DEFAULT_BATCH
    from pynq_snn.datasets import load_dataset
    from pynq_snn.evaluation import evaluate

    dataset = load_dataset(arguments.data)
    with _open_loaded(arguments) as accelerator:
        network = accelerator.network
        tallies = evaluate(
            accelerator,
            dataset,
            batch=arguments.batch or DEFAULT_BATCH,
            fit=arguments.fit,
            state_file=arguments.resume,
            count=arguments.count,
        )
        tally = _watch(tallies, min(len(dataset), arguments.count or len(dataset)), arguments.resume)
    device = accelerator.device
    result = {
        "model": network.name,
        "device": device.name,
        "firing": network.firing,
        "timesteps": network.timesteps,
        "accuracy": tally.accuracy,
        "correct": tally.correct,
        "count": tally.count,
    }
    if arguments.json:
        return _print_json(result)
    print(f"accuracy {tally.accuracy:.2%} ({tally.correct:,} of {tally.count:,} pictures)")
    print(f"{_setting(network)}, device {device.name}: {device.description}")
    print(
        f"per picture: {1000 * tally.latency_s / tally.count:.1f} ms, {tally.spikes / tally.count:,.0f} spikes, "
        f"{tally.synaptic_operations / tally.count:,.0f} synaptic operations"
    )
    return 0


def _open_loaded(arguments: argparse.Namespace) -> Accelerator | Cluster:
    """Return an accelerator, or a cluster of them, with the network that the arguments name."""
    from pynq_snn.accelerator import DEFAULT_TIMEOUT_S

    setting = {"timesteps": arguments.timesteps, "firing": arguments.firing}
    if arguments.scheduler:
        from pynq_snn.cluster import Cluster

        timeout_s = arguments.timeout or DEFAULT_TIMEOUT_S
        return Cluster(arguments.scheduler, arguments.model, device=arguments.device, timeout_s=timeout_s, **setting)
    accelerator = _open_accelerator(arguments)
    try:
        accelerator.load(arguments.model, **setting)
    except BaseException:
        accelerator.close()
        raise
    return accelerator


def _watch(tallies: Iterator[Tally], total: int, state_file: str | None) -> Tally:
    """Show a progress bar on a terminal; return the last tally."""
    from tqdm import tqdm

    tally = next(tallies)
    try:
        with tqdm(total=total, initial=tally.count, unit="picture", file=sys.stderr, disable=None) as bar:
            for tally in tallies:
                bar.update(tally.count - bar.n)
                bar.set_postfix_str(f"accuracy {tally.accuracy:.2%}")
    except KeyboardInterrupt as interrupt:
        kept = f"go on with --resume {state_file}" if state_file else "--resume FILE would have kept them"
        raise KeyboardInterrupt(
            f"after {tally.count} of {total} pictures ({tally.correct} correct, {tally.accuracy:.2%}); {kept}"
        ) from interrupt
    return tally


def _open_for_measuring(arguments: argparse.Namespace) -> Accelerator:
    from pynq_snn.accelerator import DEFAULT_TIMEOUT_S, Accelerator
    from pynq_snn.bench import open_at_clock

    device = open_at_clock(arguments.device, arguments.clock)
    return Accelerator(device, timeout_s=arguments.timeout or DEFAULT_TIMEOUT_S)


def _measure(accelerator: Accelerator, arguments: argparse.Namespace) -> tuple[Network, Inputs, Bench]:
    """Benchmark the network that the arguments name."""
    from pynq_snn.bench import choose_clock, dataset_inputs, default_inputs, run_bench
    from pynq_snn.network import Network
    from pynq_snn.power import open_meter

    network = Network.from_onnx(find_model(arguments.model), timesteps=arguments.timesteps, firing=arguments.firing)
    inputs = dataset_inputs(arguments.data, network) if arguments.data else default_inputs(network)
    with contextlib.ExitStack() as stack:
        meter = stack.enter_context(open_meter(arguments.meter)) if arguments.meter else None
        result = run_bench(
            accelerator,
            network,
            inputs,
            batch=arguments.batch,
            seconds=arguments.seconds,
            clock=choose_clock(arguments.clock, accelerator.device),
            power_w=arguments.power_w,
            meter=meter,
        )
    return network, inputs, result


def _bench(arguments: argparse.Namespace) -> int:
    from pynq_snn import bench_output

    with _open_for_measuring(arguments) as accelerator:
        _, _, result = _measure(accelerator, arguments)
    written = bench_output.write_files(result, arguments.report) if arguments.report else []
    if arguments.json:
        return _print_json(result.as_json())
    print(bench_output.as_text(result), end="")
    if written:
        print(f"\nwrote {', '.join(str(path) for path in written)}")
    return 0


# Options of `convert` that mean something to one kind of file only: name on the command line and in the library
_FLOAT_OPTIONS = {
    "calibrate": "", "evaluate": "", "report": "", "pictures": "pictures", "count": "evaluation_pictures",
    "method": "method", "percentile": "percentile", "equalise": "equalisation", "mean": "mean", "std": "std",
    "input_size": "input_size", "name": "name", "seed": "seed", "fit": "fit", "device": "device",
    "keep_order": "keep_order",
    "half_potentials": "half_potentials",
}  # fmt: skip
_NIR_OPTIONS = {
    "dt": "dt", "reset": "reset", "fires": "fires", "round_leak": "round_leak", "input_shape": "input_shape",
}  # fmt: skip
_COMMON_OPTIONS = {"timesteps": "timesteps", "labels": "labels"}


def _convert(arguments: argparse.Namespace) -> int:
    suffix = os.path.splitext(arguments.source)[1].lower()  # noqa: PTH122 (no pathlib import for a suffix)
    if suffix == ".nir":
        _refuse_options(arguments, _FLOAT_OPTIONS, "a float ONNX file")
        return _convert_nir(arguments)
    if suffix == ".onnx":
        _refuse_options(arguments, _NIR_OPTIONS, "a NIR file")
        return _convert_float(arguments)
    raise ModelError(f"{arguments.source}: what it is cannot be told from its name; give a .onnx or a .nir file")


def _refuse_options(arguments: argparse.Namespace, options: Mapping[str, str], kind: str) -> None:
    for option in options:
        if getattr(arguments, option) is not None:
            raise ModelError(f"{arguments.source}: --{option.replace('_', '-')} is for {kind}; leave it out")


def _given(arguments: argparse.Namespace, *options: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that were given, by their names in the library."""
    named = {name: option for group in options for option, name in group.items() if name}
    values = {name: getattr(arguments, option) for name, option in named.items()}
    return {name: value for name, value in values.items() if value is not None}


def _convert_nir(arguments: argparse.Namespace) -> int:
    from pynq_snn.nir_import import convert_nir

    report = convert_nir(arguments.source, arguments.output, **_given(arguments, _COMMON_OPTIONS, _NIR_OPTIONS))
    if arguments.json:
        return _print_json(report.to_dict())
    leak = f"leak 2^-{report.leak_shift}" if report.leak_shift else "no leak"
    print(
        f"{report.name} (T={report.timesteps}, stepwise firing): {report.layers} layers, {len(report.labels)} classes"
    )
    print(
        f"input {_shape(report.input_shape)} events; {report.reset} reset, fires {report.fires} the threshold, {leak}"
    )
    print(f"class scores are the {report.score} of the last layer\n")
    rows: list[tuple[str, ...]] = [("layer", "changed by int8")]
    rows += [(name, f"{error:.3%}") for name, error in report.weight_errors.items()]
    _print_table(rows, right_from=1)
    print(f"\nwrote {report.output}")
    return 0


def _convert_float(arguments: argparse.Namespace) -> int:
    from pynq_snn.convert import FloatOptions, convert_float
    from pynq_snn.convert.report import write_report

    if arguments.calibrate is None:
        raise ModelError(f"{arguments.source}: thresholds need pictures; give a folder of them with --calibrate")
    options = _given(arguments, _COMMON_OPTIONS, _FLOAT_OPTIONS)
    report = convert_float(
        arguments.source, arguments.output, arguments.calibrate, evaluate=arguments.evaluate,
        options=FloatOptions(**options),
    )  # fmt: skip
    written = write_report(report, arguments.report) if arguments.report else []
    if arguments.json:
        return _print_json(report.to_dict())
    print(report.table())
    print(f"wrote {', '.join(str(path) for path in (report.output, *written))}")
    return 0


def _potentials(arguments: argparse.Namespace) -> int:
    from pynq_snn.convert.potentials import calibrate_file

    report = _rewrite(arguments, calibrate_file)
    if arguments.json:
        return _print_json({**report.to_dict(), "output": arguments.output})
    rows: list[tuple[str, ...]] = [("layer", "error of spike counts", "calibrated")]
    rows += [(name, *(f"{error:.4f}" for error in errors)) for name, errors in report.count_errors.items()]
    _print_table(rows, right_from=1)
    print(f"\n{report.summary()}\nwrote {arguments.output}")
    return 0


def _rewrite(arguments: argparse.Namespace, rewrite: Callable[..., Any]) -> Any:
    """Return the report of a function that writes another file of a model."""
    names = {"pictures": "pictures", "seed": "seed", "fit": "fit", "device": "device", "timeout": "timeout_s"}
    return rewrite(find_model(arguments.model), arguments.output, arguments.calibrate, **_given(arguments, names))


def _reorder(arguments: argparse.Namespace) -> int:
    from pynq_snn.convert.reorder import reorder_file

    report = _rewrite(arguments, reorder_file)
    if arguments.json:
        return _print_json({**report.to_dict(), "output": arguments.output})
    rows: list[tuple[str, ...]] = [("maps", "channels", "fullest bank", "reordered")]
    rows += [
        (", ".join(group.maps), str(group.channels), *(f"{cycles:,}" for cycles in group.bank_cycles))
        for group in report.groups
    ]
    _print_table(rows, right_from=1)
    print(f"\n{report.summary()}\nwrote {arguments.output}")
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from pynq_snn.network import Network
    from pynq_snn.report import build_report, write_report
    from pynq_snn.trace import record

    with _open_for_measuring(arguments) as accelerator:
        network, inputs, result = _measure(accelerator, arguments)
        # Stepwise firing, because under deferred firing a potential has no history to show.
        stepwise = Network.from_onnx(find_model(arguments.model), timesteps=arguments.timesteps, firing="stepwise")
        accelerator.load(stepwise, keep_maps=True)
        trace = record(accelerator, inputs.items[0])
    write_report(build_report(network, result, trace), arguments.output)
    if arguments.json:
        return _print_json({"report": arguments.output, **result.as_json()})
    print(f"wrote {arguments.output}")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from pynq_snn.doctor import examine

    findings = examine()
    healthy = all(finding.state != "missing" for finding in findings)
    if arguments.json:
        checks = [{"name": f.name, "state": f.state, "detail": f.detail} for f in findings]
        _print_json({"ok": healthy, "checks": checks})
    else:
        _print_table([(finding.name, finding.state, finding.detail) for finding in findings])
        print("\nready" if healthy else "\nnot ready: see the lines marked missing")
    return 0 if healthy else EXIT_FAILURE


def _selftest(arguments: argparse.Namespace) -> int:
    from pynq_snn.accelerator import DEFAULT_TIMEOUT_S
    from pynq_snn.selftest import run_selftest

    report: dict[str, Any] = {}
    timeout_s = arguments.timeout or DEFAULT_TIMEOUT_S
    for report in run_selftest(arguments.device, margin=not arguments.no_margin, timeout_s=timeout_s):
        if not report["sections"][1:]:
            print(f"device {report['device']['name']}: {report['device']['description']}\n")
        section = report["sections"][-1]
        print(f"{section['state']:8} {section['name']:18} {section['seconds']:7.1f} s  {section['detail']}", flush=True)
        if arguments.json:
            _write_safely(arguments.json, json.dumps(report, indent=1, allow_nan=False) + "\n")
    print("\nall is well" if report["ok"] else "\nnot all is well: see the lines that begin with failed")
    return 0 if report["ok"] else EXIT_FAILURE


# --- output -----------------------------------------------------------------------------------------------------------


def _write_safely(path: str, text: str) -> None:
    """Write a file so that the old or the new content survives if the machine stops at any moment."""
    partial = f"{path}.partial"
    try:
        with open(partial, "w", encoding="utf-8") as file:  # noqa: PTH123  a descriptor is needed below
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)  # noqa: PTH105
    except OSError as error:
        raise PynqSnnError(f"{path} cannot be written: {error.strerror}") from error


def _setting(network: Network) -> str:
    return f"{network.name} (T={network.timesteps}, {network.firing} firing)"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)


def _print_json(value: dict[str, Any]) -> int:
    print(json.dumps(value, allow_nan=False))
    return 0


def _print_table(rows: Sequence[tuple[str, ...]], right_from: int | None = None) -> None:
    """Print rows in aligned columns; those from `right_from` on are flush right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if right_from is not None and column >= right_from else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
