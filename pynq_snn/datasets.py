"""Labelled pictures from the formats that people have on disk.

One reader for evaluation and for training: a folder with a subfolder per class, an ``.npz`` of arrays or
of JPEG streams, the official CIFAR-10 "python version" archive, and the IDX files of (Fashion-)MNIST.
"""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
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


@dataclass(frozen=True)
class Dataset:
    """Pictures and their classes.

    Attributes
    ----------
    images : sequence of uint8 [H, W, 3]
        One array [N, H, W, 3] where all sizes agree, else a list of paths that are opened when used.
    labels : int64 [N]
        Class indices into `classes`.
    classes : tuple of str
        Class names; empty where the source has none.
    """

    images: npt.NDArray[np.uint8] | list[Path]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int | None) -> Dataset:
        """Return the first `count` pictures (all of them for None)."""
        if count is None or count >= len(self):
            return self
        return Dataset(self.images[:count], self.labels[:count], self.classes)


def load_dataset(path: str | Path, split: str = "test") -> Dataset:
    """Read the pictures at `path`, whatever supported form they have.

    Parameters
    ----------
    path : str or Path
        An ``.npz`` file, a CIFAR-10 ``.tar.gz``, or a folder: of class subfolders, holding
        ``train.npz``/``test.npz``, the unpacked CIFAR-10 batches, or the IDX files of (Fashion-)MNIST.
    split : {"train", "test"}
        Which part, for sources that have both.

    Raises
    ------
    DatasetError
        The path is missing, or holds none of these forms.
    """
    path = Path(path)
    if not path.exists():
        raise DatasetError(f"{path}: no such file or folder; give a folder of class subfolders or an .npz file")
    if path.is_file():
        return _load_file(path, split)
    if (path / f"{split}.npz").is_file():
        return _load_npz(path / f"{split}.npz")
    if (path / "data_batch_1").is_file():
        return _load_cifar_batches(lambda name: open(path / name, "rb"), split)
    idx_prefix = {"train": "train", "test": "t10k"}[split]
    for suffix in (".gz", ""):
        if (path / f"{idx_prefix}-images-idx3-ubyte{suffix}").is_file():
            return _load_idx(path, idx_prefix, suffix)
    return _load_class_folders(path)


def _load_file(path: Path, split: str) -> Dataset:
    if path.suffix == ".npz":
        return _load_npz(path)
    if path.name.endswith((".tar.gz", ".tgz")):
        with tarfile.open(path) as archive:
            return _load_cifar_batches(lambda name: _member(archive, f"cifar-10-batches-py/{name}"), split)
    raise DatasetError(f"{path}: not a data set; expected .npz, .tar.gz (CIFAR-10 python version) or a folder")


def _load_npz(path: Path) -> Dataset:
    try:
        archive = np.load(path, allow_pickle=False)
        names = set(archive.files)
        if {"images", "labels"} <= names:
            images, labels = archive["images"], archive["labels"]
        elif {"jpeg", "offset", "label"} <= names:
            images, labels = _decode_jpegs(archive["jpeg"], archive["offset"]), archive["label"]
        else:
            raise DatasetError(
                f"{path}: holds arrays {sorted(names)}; expected 'images' uint8 [N, H, W, 3] and 'labels' [N]"
            )
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: cannot be read as .npz ({error})") from error
    classes = tuple(str(name) for name in archive["classes"]) if "classes" in names else ()
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise DatasetError(f"{path}: 'images' is {images.dtype} {list(images.shape)}; expected uint8 [N, H, W, 3]")
    if labels.shape != (len(images),):
        raise DatasetError(f"{path}: {len(images)} images but labels of shape {list(labels.shape)}")
    return Dataset(images, labels.astype(np.int64), classes)


def _decode_jpegs(stream: npt.NDArray[np.uint8], offset: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    from PIL import Image

    pictures = [
        np.asarray(Image.open(io.BytesIO(stream[start:end].tobytes())).convert("RGB"))
        for start, end in zip(offset[:-1], offset[1:], strict=True)
    ]
    return np.stack(pictures) if pictures else np.zeros((0, 1, 1, 3), np.uint8)


def _load_class_folders(path: Path) -> Dataset:
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir())
    images: list[Path] = []
    labels: list[int] = []
    for index, folder in enumerate(folders):
        pictures = sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in PICTURE_SUFFIXES)
        images += pictures
        labels += [index] * len(pictures)
    if not images:
        raise DatasetError(f"{path}: no pictures found; expected one subfolder per class with pictures in it")
    return Dataset(images, np.array(labels, np.int64), tuple(folder.name for folder in folders))


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        stream = archive.extractfile(name)
    except KeyError as error:
        raise DatasetError(f"{archive.name}: has no member {name}; is it the CIFAR-10 python version?") from error
    assert stream is not None, name  # a regular file by construction of the archive
    return stream


class _ArraysOnly(pickle.Unpickler):
    """The batches are pickles of arrays; anything else in them is refused rather than executed."""

    _ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise DatasetError(f"CIFAR-10 batch asks for {module}.{name}; it is not the official file")
        return super().find_class(module, name)


def _load_cifar_batches(open_member: Any, split: str) -> Dataset:
    names = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
    images, labels = [], []
    for name in names:
        with open_member(name) as stream:
            batch = _ArraysOnly(stream, encoding="bytes").load()
        images.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(np.asarray(batch[b"labels"], np.int64))
    return Dataset(np.ascontiguousarray(np.concatenate(images)), np.concatenate(labels), CIFAR10_CLASSES)


def _load_idx(path: Path, prefix: str, suffix: str) -> Dataset:
    images = _read_idx(path / f"{prefix}-images-idx3-ubyte{suffix}")
    labels = _read_idx(path / f"{prefix}-labels-idx1-ubyte{suffix}")
    if images.ndim != 3 or labels.shape != (len(images),):
        raise DatasetError(f"{path}: images {list(images.shape)} and labels {list(labels.shape)} do not match")
    colour = np.repeat(images[..., None], 3, axis=3)
    return Dataset(colour, labels.astype(np.int64), FASHION_CLASSES)


def _read_idx(path: Path) -> npt.NDArray[np.uint8]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            data = stream.read()
    except (OSError, EOFError) as error:
        raise DatasetError(f"{path}: cannot be read ({error})") from error
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise DatasetError(f"{path}: not an IDX file of bytes")
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, 4).astype(int)
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * rank)
    if values.size != int(np.prod(shape)):
        raise DatasetError(f"{path}: {values.size} bytes of values but shape {list(shape)}")
    return values.reshape(tuple(shape))
