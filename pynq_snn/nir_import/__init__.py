"""Networks in the Neuromorphic Intermediate Representation (NIR) as spiking networks of this package.

snnTorch, SpikingJelly and other frameworks write NIR files (https://neuroir.org). `convert_nir` turns one into the ONNX
file that everything else here reads; docs/nir.md says what is honoured and what is refused.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pynq_snn import layout
from pynq_snn.errors import ConversionWarning, ModelError
from pynq_snn.nir_import.graph import Refused, Shape, order, read_graph
from pynq_snn.nir_import.layers import NirLayer, common_leak, read_layers
from pynq_snn.nir_import.neurons import Dynamics

if TYPE_CHECKING:
    from pynq_snn.network import TrainedNetwork

DEFAULT_TIMESTEPS = 16
DEFAULT_DT = 1e-4  # seconds; what snnTorch and SpikingJelly write with
RESETS, COMPARISONS = ("hard", "soft"), ("above", "at")

__all__ = ["DEFAULT_DT", "DEFAULT_TIMESTEPS", "NirReport", "convert_nir", "read_nir"]


@dataclass(frozen=True)
class NirReport:
    """What a conversion did.

    Attributes
    ----------
    weight_errors : dict of str to float
        By layer, the root mean square of what rounding to int8 changed, as a share of that of the weights; 0 is exact.
    leak_shift : int
        k of the leak 2^-k of each timestep; 0 for no leak.
    score : str
        What the class scores are: "spikes" of the last neurons, or the "mean current" of a last layer without neurons.
    """

    name: str
    output: str
    timesteps: int
    input_shape: tuple[int, int, int]
    labels: tuple[str, ...]
    layers: int
    reset: str
    fires: str
    leak_shift: int
    score: str
    weight_errors: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)


def convert_nir(
    source: str | Path,
    output: str | Path,
    *,
    timesteps: int = DEFAULT_TIMESTEPS,
    input_shape: Sequence[int] | None = None,
    labels: Sequence[str] | None = None,
    reset: str = "hard",
    fires: str = "above",
    dt: float = DEFAULT_DT,
    round_leak: bool = False,
) -> NirReport:
    """Convert a NIR file to a quantised ONNX file (docs/onnx.md) that reads events and fires stepwise.

    Parameters
    ----------
    source : str or Path
        A feed-forward NIR graph: Conv2d, Linear, Affine, AvgPool2d, SumPool2d, Flatten, IF, LIF in one chain.
    output : str or Path
        The ONNX file to write.
    timesteps : int
        T of one window of events, 1 to `layout.MAX_TIMESTEPS`; a NIR file does not say it.
    input_shape : (channels, height, width), optional
        Shape of the events' map, for files that leave it out or declare a vector; [N, 1, 1] for a vector by default.
    labels : sequence of str, optional
        Class names; the class numbers by default.
    reset : {"hard", "soft"}
        NIR's own reset to v_reset, or subtraction of the threshold, which NIR cannot say.
    fires : {"above", "at"}
        NIR's (and snnTorch's) spike at v > v_threshold, or SpikingJelly's at v >= v_threshold.
    dt : float
        Seconds per timestep that the exporter reckoned with; a NIR file does not say it.
    round_leak : bool
        Take a leak that is no power of two as the nearest that is.

    Returns
    -------
    NirReport

    Raises
    ------
    ModelError
        The file is damaged, holds something that the accelerator cannot do, or cannot be written; `nir` is missing.
    ProgramError
        A layer exceeds the accelerator's integers or memory.

    Warns
    -----
    ConversionWarning
        Something was read differently from how the file says it, or a layer can never fire.
    """
    from pynq_snn.network import Network
    from pynq_snn.program import compile_network

    source, output = Path(source), Path(output)
    _check_options(source, timesteps, reset, fires, dt)
    try:
        chain = order(read_graph(source))
        shape = _input_shape(chain.input_shape, input_shape)
        layers = read_layers(chain, shape, Dynamics(dt, reset == "soft", round_leak))
        leak_shift = common_leak(layers)
        classes = len(layers[-1].bias)
        if labels is not None and len(labels) != classes:
            raise Refused(f"has {classes} outputs but there are {len(labels)} labels; give one for each")
    except Refused as refused:
        raise ModelError(f"{source}: {' '.join(str(refused).split())}") from refused
    _warn(layers, timesteps, reset, leak_shift, dt)
    if reset == "soft" and fires == "above" and leak_shift > layout.MAX_FRACTION_BITS:
        # Lowering the potential by 2^leak_shift of its units would cost more than a weight step
        fires = "at"
        _note(f"{source}: with a soft reset and so small a leak, neurons fire at the threshold, not only above it")
    names = tuple(labels) if labels is not None else tuple(str(index) for index in range(classes))

    from pynq_snn.nir_import.writer import ModelWriter, Settings

    settings = Settings(source.stem, timesteps, shape, names, reset == "hard", fires, leak_shift)
    writer = ModelWriter(settings)
    data = writer.write(layers).SerializeToString()
    compile_network(_parse(data, str(source), Network))
    try:
        output.write_bytes(data)
    except OSError as error:
        raise ModelError(f"{output}: cannot be written: {error.strerror or error}") from error
    return NirReport(
        name=settings.name,
        output=str(output),
        timesteps=timesteps,
        input_shape=shape,
        labels=names,
        layers=len(layers),
        reset=reset,
        fires=fires,
        leak_shift=leak_shift,
        score="mean current" if layers[-1].neuron is None else "spikes",
        weight_errors=writer.weight_errors,
    )


def read_nir(source: str | Path, **options: Any) -> TrainedNetwork:
    """Return the network of a NIR file.

    Parameters
    ----------
    source : str or Path
    **options
        Those of `convert_nir`.

    Raises
    ------
    ModelError, ProgramError
        As for `convert_nir`.
    """
    from pynq_snn.importer import import_network

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        convert_nir(source, file, **options)
        return import_network(file)


def _parse(data: bytes, path: str, network: Any) -> Any:
    """Return the integer network of a model's bytes, so that what the accelerator cannot do is found at once."""
    from pynq_snn.onnx_reader import parse_onnx

    return network.from_onnx(parse_onnx(data, path))


def _check_options(source: Path, timesteps: int, reset: str, fires: str, dt: float) -> None:
    if not 1 <= timesteps <= layout.MAX_TIMESTEPS:
        raise ModelError(f"{source}: timesteps={timesteps} is out of range; use 1 to {layout.MAX_TIMESTEPS}")
    for name, value, choices in (("reset", reset, RESETS), ("fires", fires, COMPARISONS)):
        if value not in choices:
            raise ModelError(f"{source}: {name}={value!r} is not known; use one of {', '.join(choices)}")
    if not (math.isfinite(dt) and dt > 0):
        raise ModelError(f"{source}: dt={dt:g} is not a time; give the seconds of one timestep, above 0")


def _input_shape(declared: Shape, given: Sequence[int] | None) -> tuple[int, int, int]:
    """Return the shape of the events' map, [C, H, W]."""
    if given is not None:
        if len(given) != 3 or min(given) < 1:
            raise Refused(f"cannot read an input of {list(given)}; give channels, height and width, each above 0")
        shape = (int(given[0]), int(given[1]), int(given[2]))
        vector = len(declared) == 1 and math.prod(shape) == declared[0]
        if declared and not vector and shape != declared:
            raise Refused(f"declares an input of {list(declared)}, not {list(shape)}; leave out the input shape")
        return shape
    if len(declared) == 1 and declared[0] <= layout.MAX_CHANNELS:
        return declared[0], 1, 1
    if len(declared) != 3:
        raise Refused(f"declares an input of {list(declared)}; give its channels, height and width (--input-shape)")
    return declared[0], declared[1], declared[2]


def _warn(layers: Sequence[NirLayer], timesteps: int, reset: str, leak_shift: int, dt: float) -> None:
    notes = [note for layer in layers if layer.neuron is not None for note in layer.neuron.notes]
    if reset == "soft" and leak_shift:
        notes.append(
            "soft reset with a leak: the threshold is subtracted before the next leak, as in SpikingJelly; the delayed "
            "reset of snnTorch subtracts it behind the leak and differs"
        )
    for layer in layers:
        neuron = layer.neuron
        if neuron is None:
            continue
        rows = layer.weights.reshape(len(layer.weights), -1)
        drive = neuron.gain * (rows.clip(min=0).sum(axis=1) + layer.bias)
        if (timesteps * drive < neuron.threshold).all():
            notes.append(
                f"{neuron.name} can never fire within T = {timesteps} steps of dt = {dt:g} s, even if all its inputs "
                "do; give the dt that the network was exported with, or more timesteps"
            )
    for note in notes:
        _note(note)


def _note(text: str) -> None:
    warnings.warn(text, ConversionWarning, stacklevel=4)
