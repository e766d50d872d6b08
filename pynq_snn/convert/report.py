"""How close a converted network is to the float one: measured on pictures, as a table, as JSON and as plots."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pynq_snn.accelerator import Accelerator
from pynq_snn.convert.float_graph import FloatNetwork
from pynq_snn.convert.potentials import PotentialReport
from pynq_snn.convert.quantisation import Conversion, LayerError, run_float
from pynq_snn.convert.reorder import ReorderReport
from pynq_snn.datasets import Dataset
from pynq_snn.errors import DatasetError, PynqSnnError
from pynq_snn.evaluation import match_labels
from pynq_snn.network import FIRING_ORDERS, Network

BATCH = 64


@dataclass(frozen=True)
class ConversionReport:
    """What a conversion did and how good it is.

    Attributes
    ----------
    candidates : tuple of (str, float)
        Methods that were tried, and the error of the class scores with each on pictures held back for it.
    method : str
        The one that was taken.
    layers : tuple of LayerError
        On the calibration pictures.
    count : int
        Pictures that both networks were compared on.
    seen : bool
        Whether these are the calibration pictures themselves, because there were no others.
    agreement : dict of str to float
        By firing order, the share of pictures to which the spiking network gives the float one's class.
    accuracy : dict of str to float or None
        By firing order, and of the network "float"; None where the pictures have no labels.
    synaptic_operations : dict of str to float
        By firing order, per picture.
    reordering : ReorderReport or None
        What the order of the channels gains; None where it was kept.
    potentials : PotentialReport or None
        What calibrated initial potentials gain; None where all neurons start at half of their threshold.
    """

    source: str
    output: str
    name: str
    timesteps: int
    device: str
    method: str
    candidates: tuple[tuple[str, float], ...]
    calibration_count: int
    layers: tuple[LayerError, ...]
    count: int
    seen: bool
    agreement: dict[str, float]
    accuracy: dict[str, float] | None
    synaptic_operations: dict[str, float]
    labels: tuple[str, ...]
    reordering: ReorderReport | None = None
    potentials: PotentialReport | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what `--json` prints; a readout has no rate (None)."""
        content = asdict(self)
        content["candidates"] = [{"method": title, "error": error} for title, error in self.candidates]
        content["reordering"] = None if self.reordering is None else self.reordering.to_dict()
        for layer in content["layers"]:
            layer.update({key: None for key, value in layer.items() if value != value})
        return content

    def table(self) -> str:
        """Return the report as text."""
        rows = [("layer", "error", "correlation", "int8 error", "rate", "cut off")]
        rows += [
            (
                layer.name, f"{layer.error:.1%}", f"{layer.correlation:.4f}", f"{layer.weight_error:.2%}",
                _share(layer.rate), _share(layer.cut_off),
            )
            for layer in self.layers
        ]  # fmt: skip
        methods = [("method", "score error"), *((title, f"{error:.1%}") for title, error in self.candidates)]
        on = "the calibration pictures themselves" if self.seen else "pictures that calibration did not use"
        lines = [*_aligned(rows), "", *_aligned(methods), "", f"taken: {self.method}"]
        if self.potentials is not None:
            lines.append(self.potentials.summary())
        if self.reordering is not None:
            lines.append(self.reordering.summary())
        lines.append(f"compared on {self.count:,} pictures ({on}), T={self.timesteps}, device {self.device}:")
        if self.accuracy is not None:
            lines.append(f"  accuracy of the float network {self.accuracy['float']:.2%}")
        for firing in FIRING_ORDERS:
            accuracy = "" if self.accuracy is None else f"accuracy {self.accuracy[firing]:.2%}, "
            operations = f"{self.synaptic_operations[firing]:,.0f} synaptic operations per picture"
            lines.append(f"  {firing}: {accuracy}class as in float {self.agreement[firing]:.2%}, {operations}")
        return "\n".join(lines) + "\n"


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2%}"


def _aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def compare(
    network: FloatNetwork,
    conversion: Conversion,
    spiking: Network,
    dataset: Dataset,
    pixels: np.ndarray,
    *,
    candidates: Sequence[tuple[str, float]],
    calibration_count: int,
    seen: bool,
    device: str,
    source: str,
    output: str,
    reordering: ReorderReport | None = None,
    potentials: PotentialReport | None = None,
) -> ConversionReport:
    """Run both networks on pixels, uint8 [N, H, W, C], the spiking one on a device and under both firing orders."""
    from pynq_snn.convert import normalised
    from pynq_snn.importer import import_network
    from pynq_snn.network import integrate

    if not len(pixels):
        raise DatasetError("there are no pictures to compare the networks on; give some with --evaluate")
    parts = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    expected = np.concatenate([run_float(network, normalised(network, part)).argmax(axis=1) for part in parts])
    labels = match_labels(dataset, spiking) if len(dataset.labels) else None
    accuracy = None if labels is None else {"float": float((expected == labels).mean())}
    agreement, operations = {}, {}
    trained = import_network(output)
    with Accelerator(device) as accelerator:
        for firing in FIRING_ORDERS:
            accelerator.load(integrate(trained, firing=firing))
            found = accelerator.network.scores(accelerator.infer(pixels)).argmax(axis=1)
            agreement[firing] = float((found == expected).mean())
            operations[firing] = accelerator.last_run.synaptic_operations / len(pixels)
            if accuracy is not None:
                accuracy[firing] = float((found == labels).mean())
        name = accelerator.device.name
    return ConversionReport(
        source=source,
        output=output,
        name=network.name,
        timesteps=conversion.timesteps,
        device=name,
        method=conversion.recipe.title,
        candidates=tuple(candidates),
        calibration_count=calibration_count,
        layers=conversion.errors,
        count=len(pixels),
        seen=seen,
        agreement=agreement,
        accuracy=accuracy,
        synaptic_operations=operations,
        labels=spiking.labels,
        reordering=reordering,
        potentials=potentials,
    )


def write_report(report: ConversionReport, folder: str | Path) -> list[Path]:
    """Write convert.json, convert.txt and the plots as SVG into a folder, which is made; return their paths.

    Raises
    ------
    PynqSnnError
        The folder cannot be written to.
    PlotError
        matplotlib is missing.
    """
    from pynq_snn import plots

    folder = Path(folder)
    names = [layer.name for layer in report.layers]
    hidden = [layer for layer in report.layers if not math.isnan(layer.rate)]
    figures = {
        "layers": plots.conversion_errors(
            names,
            {
                "activations": [layer.error for layer in report.layers],
                "int8 weights": [layer.weight_error for layer in report.layers],
            },
        ),
        "methods": plots.conversion_errors(
            [title for title, _ in report.candidates], {"class scores": [error for _, error in report.candidates]}
        ),
        "rates": plots.layer_rates([layer.name for layer in hidden], {"spiking": [layer.rate for layer in hidden]}),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "convert.json").write_text(json.dumps(report.to_dict(), indent=1, allow_nan=False) + "\n", "utf-8")
        (folder / "convert.txt").write_text(report.table(), "utf-8")
        for name, figure in figures.items():
            plots.write_svg(figure, folder / f"{name}.svg")
    except OSError as error:
        raise PynqSnnError(f"{folder} cannot be written to ({error.strerror}); give another --report folder") from error
    return sorted(folder / name for name in ("convert.json", "convert.txt", *(f"{name}.svg" for name in figures)))
