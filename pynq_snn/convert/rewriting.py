"""What changes of a quantised file have in common: read it, run calibration pictures, write what came out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from pynq_snn.accelerator import Accelerator
from pynq_snn.errors import ModelError
from pynq_snn.metadata import POTENTIALS
from pynq_snn.network import Network, TrainedNetwork

if TYPE_CHECKING:
    import onnx

Report = TypeVar("Report", covariant=True)


class Change(Protocol[Report]):
    """Makes another file of a quantised one, with pictures of the network's input size."""

    def __call__(
        self, data: bytes, pixels: npt.NDArray[Any], accelerator: Accelerator, *, path: str
    ) -> tuple[bytes, Report]: ...


def rewrite_file(
    source: str | Path,
    output: str | Path,
    calibrate: str | Path,
    change: Change[Report],
    what: str,
    *,
    pictures: int,
    seed: int,
    fit: str,
    device: str,
    timeout_s: float,
) -> Report:
    """Write what a change makes of a quantised ONNX file, and return its report.

    Parameters
    ----------
    source, output : str or Path
    calibrate : str or Path
        What `pynq_snn.datasets.load_pictures` reads (its training part where it has two).
    change : Change
    what : str
        What it does with pictures, as for `check_input`.
    pictures : int
        Most pictures to give to it, chosen at random by `seed`.

    Raises
    ------
    ModelError
        The file is damaged or cannot be written.
    DatasetError, PictureError
        The pictures cannot be read.
    DeviceError
        The device is missing or failed.
    """
    from pynq_snn.datasets import load_pictures
    from pynq_snn.evaluation import fitted_pixels
    from pynq_snn.onnx_reader import parse_onnx, read_bytes

    source, output = Path(source), Path(output)
    data = read_bytes(source)
    network = Network.from_onnx(parse_onnx(data, str(source)))  # what cannot be read is told before pictures are
    check_input(network, source, what)
    dataset = load_pictures(calibrate, "train")
    chosen = np.random.default_rng(seed).permutation(len(dataset))[:pictures]
    pixels = fitted_pixels(dataset.select(chosen), network, fit=fit) if len(chosen) else np.zeros(0)
    with Accelerator(device, timeout_s=timeout_s) as accelerator:
        data, report = change(data, pixels, accelerator, path=str(source))
    try:
        output.write_bytes(data)
    except OSError as error:
        raise ModelError(f"{output}: cannot be written: {error.strerror or error}; give another path") from error
    return report


def check_input(network: Network | TrainedNetwork, path: str | Path, what: str) -> None:
    """Refuse a network that reads no pictures; `what` says in a message what is done with them."""
    if network.input_kind != "pixels":
        raise ModelError(f"{path}: reads {network.input_kind}, but {what} on pictures; keep the file as it is")


def read_potentials(model: onnx.ModelProto) -> list[list[int]]:
    """Return a file's initial potentials, a list for each layer that fires; empty where it gives none."""
    return next((json.loads(entry.value) for entry in model.metadata_props if entry.key == POTENTIALS), [])


def write_potentials(model: onnx.ModelProto, potentials: list[list[int]]) -> None:
    """Write a file's initial potentials into its metadata, in place of others."""
    for entry in [entry for entry in model.metadata_props if entry.key == POTENTIALS]:
        model.metadata_props.remove(entry)
    model.metadata_props.add(key=POTENTIALS, value=json.dumps(potentials, separators=(",", ":")))
