"""Labelled pictures from the formats that people have on disk.

One reader for evaluation and for training: a folder with a subfolder per class, an ``.npz`` of arrays or
of JPEG streams, the official CIFAR-10 "python version" archive, and the IDX files of (Fashion-)MNIST. All of it is
data from elsewhere: nothing in a file is executed, and damage ends in a `DatasetError`.
"""

from __future__ import annotations

import contextlib
import gzip
import importlib
import io
import itertools
import math
import pickle
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pynq_snn.errors import DatasetError

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".tif", ".tiff"}
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
FASHION_CLASSES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class Dataset:
    """Pictures and their classes.

    Attributes
    ----------
    images : sequence of uint8 [H, W, 3]
        One array [N, H, W, 3] where all sizes agree, else a list of paths that are opened when used.
    labels : int64 [N]
        Class indices into `classes`; none where the pictures are not labelled (`load_pictures`).
    classes : tuple of str
        Class names; empty where the source has none.
    """

    images: npt.NDArray[np.uint8] | list[Path]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def first(self, count: int | None) -> Dataset:
        """Return the first `count` pictures (all of them for None)."""
        if count is None or count >= len(self):
            return self
        return Dataset(self.images[:count], self.labels[:count], self.classes)

    def select(self, indices: npt.NDArray[np.integer[Any]]) -> Dataset:
        """Return the pictures with these indices, in their order."""
        images = self.images
        chosen = images[indices] if isinstance(images, np.ndarray) else [images[index] for index in indices]
        return Dataset(chosen, self.labels[indices] if len(self.labels) else self.labels, self.classes)


def load_dataset(path: str | Path, split: str = "test") -> Dataset:
    """Read the pictures at `path`, whatever supported form they have.

    Parameters
    ----------
    path : str or Path
        An ``.npz`` file, a CIFAR-10 ``.tar.gz``, or a folder: of class subfolders (or with these in
        ``train``/``test``), holding ``train.npz``/``test.npz``, the unpacked CIFAR-10 batches, or the IDX files
        of (Fashion-)MNIST.
    split : {"train", "test"}
        Which part, for sources that have both.

    Raises
    ------
    DatasetError
        The path is missing, holds none of these forms, or is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise DatasetError(f"{path}: no such file or folder; give a folder of class subfolders or an .npz file")
    if path.is_file():
        return _load_file(path, split)
    if (path / f"{split}.npz").is_file():
        return _load_npz(path / f"{split}.npz")
    if (path / "data_batch_1").is_file():
        return _load_cifar_batches(path, lambda name: (path / name).open("rb"), split)
    idx_prefix = {"train": "train", "test": "t10k"}[split]
    for suffix in (".gz", ""):
        if (path / f"{idx_prefix}-images-idx3-ubyte{suffix}").is_file():
            return _load_idx(path, idx_prefix, suffix)
    return _load_class_folders(path / split if (path / split).is_dir() else path)


def load_pictures(path: str | Path, split: str = "test") -> Dataset:
    """Read pictures with or without labels: what `load_dataset` reads, or a folder that holds pictures itself.

    Returns
    -------
    Dataset
        Without labels (an empty array) and classes where the folder says nothing about them.

    Raises
    ------
    DatasetError
        As for `load_dataset`.
    """
    path = Path(path)
    if path.is_dir():
        pictures = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)
        if pictures:
            return Dataset(pictures, np.zeros(0, np.int64), ())
    return load_dataset(path, split)


@contextlib.contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn whatever the parsing of a damaged file runs into to a `DatasetError`."""
    try:
        yield
    except DatasetError:
        raise
    except Exception as error:
        raise DatasetError(
            f"{path}: cannot be read ({type(error).__name__}: {error}); fetch or make it again"
        ) from error


def _load_file(path: Path, split: str) -> Dataset:
    if path.suffix == ".npz":
        return _load_npz(path)
    if path.name.endswith((".tar.gz", ".tgz")):
        with _damage_named(path), tarfile.open(path) as archive:
            return _load_cifar_batches(path, lambda name: _member(archive, f"cifar-10-batches-py/{name}"), split)
    raise DatasetError(f"{path}: not a data set; expected .npz, .tar.gz (CIFAR-10 python version) or a folder")


def _load_npz(path: Path) -> Dataset:
    with _damage_named(path), path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
        names = set(archive.files)
        if {"images", "labels"} <= names:
            images, labels = archive["images"], archive["labels"]
        elif {"jpeg", "offset", "label"} <= names:
            images, labels = _decode_jpegs(archive["jpeg"], archive["offset"]), archive["label"]
        else:
            raise DatasetError(
                f"{path}: holds arrays {sorted(names)}; expected 'images' uint8 [N, H, W, 3] and 'labels' [N]"
            )
        classes = tuple(str(name) for name in archive["classes"]) if "classes" in names else ()
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise DatasetError(f"{path}: 'images' is {images.dtype} {list(images.shape)}; expected uint8 [N, H, W, 3]")
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise DatasetError(
            f"{path}: 'labels' is {labels.dtype} {list(labels.shape)}; expected one integer for each of the "
            f"{len(images)} images"
        )
    return Dataset(images, _checked_labels(path, labels, classes), classes)


def _checked_labels(path: Path, labels: npt.NDArray[Any], classes: tuple[str, ...]) -> npt.NDArray[np.int64]:
    if classes and labels.size and (labels.min() < 0 or labels.max() >= len(classes)):
        raise DatasetError(
            f"{path}: labels run from {labels.min()} to {labels.max()}, but there are {len(classes)} classes"
        )
    return labels.astype(np.int64)


def _decode_jpegs(stream: npt.NDArray[np.uint8], offset: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    from PIL import Image

    pictures = [
        np.asarray(Image.open(io.BytesIO(stream[start:end].tobytes())).convert("RGB"))
        for start, end in itertools.pairwise(offset)
    ]
    return np.stack(pictures) if pictures else np.zeros((0, 1, 1, 3), np.uint8)


def _load_class_folders(path: Path) -> Dataset:
    """Return the pictures of all classes in turn, so that any first part of them is balanced."""
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    numbered = [
        (position, label, picture)
        for label, folder in enumerate(folders)
        for position, picture in enumerate(sorted(folder.iterdir()))
        if picture.suffix.lower() in PICTURE_SUFFIXES
    ]
    if not numbered:
        raise DatasetError(f"{path}: no pictures found; expected one subfolder per class with pictures in it")
    numbered.sort()
    labels = np.array([label for _, label, _ in numbered], np.int64)
    return Dataset([picture for _, _, picture in numbered], labels, tuple(folder.name for folder in folders))


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        stream = archive.extractfile(name)
    except KeyError:
        stream = None
    if stream is None:
        raise DatasetError(f"{archive.name!r}: has no file {name}; is it the CIFAR-10 python version?")
    return stream


class _ArraysOnly(pickle.Unpickler):
    """The batches are pickles of arrays; anything else in them is refused rather than executed."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a pickle of an array needs, wherever this version of numpy keeps it."""
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if (module, name) in (("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")):
            core = "numpy._core" if hasattr(np, "_core") else "numpy.core"
            return getattr(importlib.import_module(core + ".multiarray"), name)
        raise DatasetError(f"CIFAR-10 batch asks for {module}.{name}; it is not the official file, fetch that one")


def _load_cifar_batches(path: Path, open_member: Callable[[str], IO[bytes]], split: str) -> Dataset:
    names = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
    images, labels = [], []
    for name in names:
        with _damage_named(path / name), open_member(name) as stream:
            batch = _ArraysOnly(stream, encoding="bytes").load()
            images.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
            labels.append(np.asarray(batch[b"labels"], np.int64))
    joined = np.concatenate(labels)
    if len(joined) != sum(len(part) for part in images):
        raise DatasetError(f"{path}: has {sum(len(part) for part in images)} pictures but {len(joined)} labels")
    classes = CIFAR10_CLASSES
    return Dataset(np.ascontiguousarray(np.concatenate(images)), _checked_labels(path, joined, classes), classes)


def _load_idx(path: Path, prefix: str, suffix: str) -> Dataset:
    images = _read_idx(path / f"{prefix}-images-idx3-ubyte{suffix}")
    labels = _read_idx(path / f"{prefix}-labels-idx1-ubyte{suffix}")
    if images.ndim != 3 or labels.shape != (len(images),):
        raise DatasetError(f"{path}: images {list(images.shape)} and labels {list(labels.shape)} do not match")
    colour = np.repeat(images[..., None], 3, axis=3)
    # The files of MNIST and Fashion-MNIST have the same names and no class names in them.
    classes = FASHION_CLASSES if "fashion" in str(path).lower() else DIGITS
    return Dataset(colour, _checked_labels(path, labels, classes), classes)


def _read_idx(path: Path) -> npt.NDArray[np.uint8]:
    with _damage_named(path), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        data = stream.read()
    if len(data) < 4 or data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise DatasetError(f"{path}: not an IDX file of bytes; fetch it again")
    rank = data[3]
    shape = tuple(int(side) for side in np.frombuffer(data, ">u4", rank, 4))
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * rank)
    if values.size != math.prod(shape):
        raise DatasetError(f"{path}: holds {values.size} bytes but declares {list(shape)}; fetch it again")
    return values.reshape(shape)
