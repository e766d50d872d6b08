"""Accuracy of a network over labelled pictures, in steps that can stop and go on later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pynq_snn.accelerator import DEFAULT_BATCH, Accelerator
from pynq_snn.datasets import Dataset
from pynq_snn.errors import DatasetError, PynqSnnError
from pynq_snn.network import Network
from pynq_snn.pictures import fit_picture

if TYPE_CHECKING:
    from pynq_snn.cluster import Cluster

STATE_VERSION = 1


@dataclass(frozen=True)
class Tally:
    """What is known after the first `count` pictures.

    Attributes
    ----------
    count, correct : int
        Pictures seen, and those whose largest score is their class.
    spikes, synaptic_operations : int
        Sums over the pictures.
    latency_s : float
        Seconds that the device computed.
    """

    count: int = 0
    correct: int = 0
    spikes: int = 0
    synaptic_operations: int = 0
    latency_s: float = 0.0

    @property
    def accuracy(self) -> float:
        """Share of correct pictures, 0 to 1; 0 before the first."""
        return self.correct / self.count if self.count else 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Share:
    """Pictures that are evaluated in one go.

    Attributes
    ----------
    pixels : uint8 [n, H, W, C]
    labels : int64 [n]
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def evaluate(
    accelerator: Accelerator | Cluster,
    dataset: Dataset,
    *,
    batch: int = DEFAULT_BATCH,
    fit: str = "crop",
    state_file: str | Path | None = None,
    count: int | None = None,
) -> Iterator[Tally]:
    """Yield the tally before the first and after each batch of pictures.

    Parameters
    ----------
    accelerator : Accelerator or Cluster
        With a network loaded.
    dataset : Dataset
        Pictures of another size than the network's are fitted to it.
    batch : int
        Pictures in one run of the core.
    fit : {"crop", "pad"}
        See `pynq_snn.pictures.fit_picture`.
    state_file : str or Path, optional
        JSON file that keeps the tally after each batch. If it exists the evaluation goes on from it.
    count : int, optional
        Stop after so many pictures; all by default.

    Raises
    ------
    DatasetError
        There are no pictures, or their classes are not the network's.
    PictureError
        A picture cannot be read.
    PynqSnnError
        The state file cannot be used, or belongs to an evaluation of something else.
    """
    network = accelerator.network
    labels = match_labels(dataset, network)
    end = len(dataset) if count is None else min(count, len(dataset))
    if end == 0:
        raise DatasetError("the data set holds no pictures; give one that does")
    state = None if state_file is None else _State(Path(state_file), _identity(accelerator, dataset, fit))
    tally = Tally() if state is None else state.load()
    if tally.count > end:
        raise PynqSnnError(f"{state_file}: already covers {tally.count} pictures, more than {end}; use another file")
    yield tally
    starts = range(tally.count, end, batch)
    stops = (min(start + batch, end) for start in starts)
    shares = (
        Share(fitted_pixels(_part(dataset, start, stop), network, fit=fit), labels[start:stop])
        for start, stop in zip(starts, stops, strict=True)
    )
    for counted in _counted(accelerator, shares, batch):
        tally += counted
        if state is not None:
            state.save(tally)
        yield tally


def _counted(accelerator: Accelerator | Cluster, shares: Iterator[Share], batch: int) -> Iterator[Tally]:
    if isinstance(accelerator, Accelerator):
        return (count_share(accelerator, share, batch) for share in shares)
    return accelerator.count_shares(shares, batch)


def count_share(accelerator: Accelerator, share: Share, batch: int) -> Tally:
    """Run the pictures of a share and return their tally."""
    scores = accelerator.network.scores(
        accelerator.infer(share.pixels, batch=batch)
    )  # logits of classes differ in unit
    right = scores.argmax(axis=1) == share.labels
    report = accelerator.last_run
    return Tally(len(right), int(right.sum()), report.spikes, report.synaptic_operations, report.latency_s)


def match_labels(dataset: Dataset, network: Network) -> npt.NDArray[np.int64]:
    """Return the labels of a data set as class indices of a network, int64 [N].

    Class names are matched by name. Where the data set has none, or they or the network's are only
    numbers, indices are compared as they are.

    Raises
    ------
    DatasetError
        A class name or index is not one of the network's.
    """
    names = dataset.classes
    if names and not all(name.isdecimal() for name in network.labels):
        if set(names) <= set(network.labels):
            indices = np.array([network.labels.index(name) for name in names], np.int64)
            return indices[dataset.labels]
        if not all(name.isdecimal() for name in names):
            unknown = next(name for name in names if name not in network.labels)
            raise DatasetError(
                f"class {unknown!r} of the data set is unknown to {network.name}; its classes are "
                f"{', '.join(network.labels)}; rename the class or use another model"
            )
    labels = dataset.labels
    if names and all(name.isdecimal() for name in names):
        labels = np.array([int(name) for name in names], np.int64)[labels]
    outside = labels[(labels < 0) | (labels >= network.classes)]
    if outside.size:
        raise DatasetError(
            f"label {outside[0]} of the data set is out of range; {network.name} has classes 0 to {network.classes - 1}"
        )
    return labels


def _part(dataset: Dataset, start: int, stop: int) -> Dataset:
    return Dataset(dataset.images[start:stop], dataset.labels[start:stop], dataset.classes)


def fitted_pixels(dataset: Dataset, network: Network, *, fit: str = "crop") -> npt.NDArray[np.uint8]:
    """Return the pictures of a data set as a network reads them, uint8 [N, H, W, C]."""
    images = dataset.images
    expected = (network.input_height, network.input_width, network.input_channels)
    if isinstance(images, np.ndarray) and network.input_kind == "pixels" and images.shape[1:] == expected:
        return images
    return np.stack([fit_picture(image, network, fit=fit) for image in images])


def _identity(accelerator: Accelerator | Cluster, dataset: Dataset, fit: str) -> dict[str, Any]:
    """Return what must be the same when an evaluation goes on; the program covers weights and all settings."""
    network = accelerator.network
    return {
        "model": network.name,
        "device": accelerator.device.name,
        "timesteps": network.timesteps,
        "firing": network.firing,
        "fit": fit,
        "program": hashlib.sha256(accelerator.program.data.tobytes()).hexdigest(),
        "data": _fingerprint(dataset),
    }


def _fingerprint(dataset: Dataset) -> str:
    digest = hashlib.sha256(dataset.labels.tobytes())
    digest.update("\0".join(dataset.classes).encode())
    if isinstance(dataset.images, np.ndarray):
        digest.update(np.ascontiguousarray(dataset.images).data)
    else:
        for path in dataset.images:
            digest.update(f"{path.parent.name}/{path.name}\0{path.stat().st_size}\0".encode())
    return digest.hexdigest()


class _State:
    """The file that keeps a tally, and what it is a tally of."""

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self.identity = identity

    def load(self) -> Tally:
        """Return the tally of an earlier run, or an empty one where the file does not exist yet."""
        try:
            content = json.loads(self.path.read_text("utf-8"))
            version, identity = content["version"], content["identity"]
            tally = Tally(**content["tally"])
            sound = 0 <= tally.correct <= tally.count and set(identity) == set(self.identity)
        except FileNotFoundError:
            return Tally()
        except OSError as error:
            raise PynqSnnError(f"{self.path}: cannot be read ({error.strerror}); give another --resume file") from error
        except (ValueError, KeyError, TypeError) as error:
            raise self._foreign() from error
        if version != STATE_VERSION or not sound:
            raise self._foreign()
        for key, value in self.identity.items():
            if identity[key] != value:
                raise PynqSnnError(
                    f"{self.path}: was made with another {key} ({_short(identity[key])}, now {_short(value)}); "
                    "use the same settings, or another --resume file"
                )
        return tally

    def _foreign(self) -> PynqSnnError:
        return PynqSnnError(f"{self.path}: is not the state of an evaluation; give another --resume file")

    def save(self, tally: Tally) -> None:
        """Replace the file in one step, so that an interruption leaves the old tally or the new."""
        content = {"version": STATE_VERSION, "identity": self.identity, "tally": asdict(tally)}
        partial = self.path.with_name(self.path.name + ".partial")
        try:
            partial.write_text(json.dumps(content, indent=1), "utf-8")
            partial.replace(self.path)
        except OSError as error:
            raise PynqSnnError(
                f"{self.path}: cannot be written ({error.strerror}); give a --resume file in a folder that can"
            ) from error


def _short(value: Any) -> str:
    return str(value)[:12]
