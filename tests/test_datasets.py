"""Labelled pictures in all forms, whole and damaged."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pynq_snn.datasets import CIFAR10_CLASSES, load_dataset
from pynq_snn.errors import DatasetError


def random_images(count: int, side: int = 4) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3), np.uint8)


def save_npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_npz_of_arrays(tmp_path: Path) -> None:
    images = random_images(5)
    path = save_npz(tmp_path / "set.npz", images=images, labels=np.arange(5), classes=list("abcde"))
    dataset = load_dataset(path)
    assert np.array_equal(np.asarray(dataset.images), images)
    assert dataset.labels.tolist() == [0, 1, 2, 3, 4]
    assert dataset.classes == tuple("abcde")


def test_npz_of_jpeg_streams(tmp_path: Path) -> None:
    streams = []
    for level in (10, 200):
        stream = io.BytesIO()
        Image.new("RGB", (8, 6), (level, level, level)).save(stream, "JPEG")
        streams.append(stream.getvalue())
    offset = np.cumsum([0, *(len(stream) for stream in streams)])
    jpeg = np.frombuffer(b"".join(streams), np.uint8)
    save_npz(tmp_path / "test.npz", jpeg=jpeg, offset=offset, label=np.array([1, 0], np.uint8))
    dataset = load_dataset(tmp_path)
    assert np.asarray(dataset.images).shape == (2, 6, 8, 3)
    assert [int(image.mean()) for image in np.asarray(dataset.images)] == [10, 200]
    assert dataset.labels.tolist() == [1, 0]


@pytest.mark.parametrize("inside", ["", "test"])
def test_a_folder_of_classes_is_balanced_from_the_start(tmp_path: Path, inside: str) -> None:
    for name, count in (("cat", 3), ("dog", 2), ("empty", 0)):
        folder = tmp_path / inside / name
        folder.mkdir(parents=True)
        for index in range(count):
            Image.new("RGB", (2, 2)).save(folder / f"{index}.PNG")
    (tmp_path / inside / "cat" / "zz-notes.txt").write_text("not a picture")
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("cat", "dog", "empty")
    assert dataset.labels.tolist() == [0, 1, 0, 1, 0]
    assert dataset.first(2).labels.tolist() == [0, 1]
    assert [path.parent.name for path in dataset.images] == ["cat", "dog", "cat", "dog", "cat"]
    assert len(dataset.first(None)) == len(dataset.first(99)) == 5


def cifar_batch(count: int) -> bytes:
    return pickle.dumps({b"data": random_images(count, 32).reshape(count, -1), b"labels": [7] * count}, protocol=4)


@pytest.mark.parametrize("packed", [False, True])
def test_official_cifar10(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for index in range(1, 6):
        (folder / f"data_batch_{index}").write_bytes(cifar_batch(2))
    (folder / "test_batch").write_bytes(cifar_batch(3))
    source = folder
    if packed:
        source = tmp_path / "cifar-10-python.tar.gz"
        with tarfile.open(source, "w:gz") as archive:
            archive.add(folder, folder.name)
    test, train = load_dataset(source), load_dataset(source, "train")
    assert test.classes == CIFAR10_CLASSES
    assert (len(test), len(train)) == (3, 10)
    assert test.labels.tolist() == [7, 7, 7]
    expected = random_images(3, 32).reshape(3, 3, 32, 32).transpose(0, 2, 3, 1)
    assert np.array_equal(np.asarray(test.images), expected)


def test_a_batch_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "harmed",))

    (tmp_path / "data_batch_1").touch()
    (tmp_path / "test_batch").write_bytes(pickle.dumps(Attack()))
    with pytest.raises(DatasetError, match="not the official file"):
        load_dataset(tmp_path)
    assert not (tmp_path / "harmed").exists()


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes([0, 0, 8, values.ndim]) + b"".join(side.to_bytes(4, "big") for side in values.shape)
    content = header + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.mark.parametrize(("suffix", "folder", "first"), [("", "mnist", "0"), (".gz", "FashionMNIST", "T-shirt")])
def test_idx_files(tmp_path: Path, suffix: str, folder: str, first: str) -> None:
    path = tmp_path / folder
    path.mkdir()
    images = np.arange(2 * 5 * 4, dtype=np.uint8).reshape(2, 5, 4)
    write_idx(path / f"t10k-images-idx3-ubyte{suffix}", images)
    write_idx(path / f"t10k-labels-idx1-ubyte{suffix}", np.array([3, 9], np.uint8))
    dataset = load_dataset(path)
    assert np.array_equal(np.asarray(dataset.images)[..., 1], images)
    assert dataset.labels.tolist() == [3, 9]
    assert dataset.classes[0] == first


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": np.zeros(3)}, "holds arrays"),
        ({"images": np.zeros((2, 4, 4, 3)), "labels": np.zeros(2, int)}, "float64"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(2, int)}, r"\[2, 4, 4\]"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "labels": np.zeros(3, int)}, "labels"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "labels": np.zeros(2)}, "labels"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "labels": np.array([0, 2]), "classes": ["a", "b"]}, "2 classes"),
        ({"images": np.zeros((2, 4, 4, 3), np.uint8), "labels": np.array([{}, {}])}, "cannot be read"),
        ({"jpeg": np.zeros(9, np.uint8), "offset": np.array([0, 9]), "label": np.zeros(1, int)}, "cannot be read"),
    ],
)
def test_unusable_arrays(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load_dataset(save_npz(tmp_path / "set.npz", **arrays))


def test_every_cut_of_an_npz_ends_in_one_error(tmp_path: Path) -> None:
    whole = save_npz(tmp_path / "whole.npz", images=random_images(3), labels=np.arange(3)).read_bytes()
    cut = tmp_path / "cut.npz"
    for length in range(0, len(whole), 37):
        cut.write_bytes(whole[:length])
        with pytest.raises(DatasetError, match="cut.npz"):
            load_dataset(cut)


def test_flipped_bytes_never_escape_as_another_error(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    whole = save_npz(tmp_path / "whole.npz", images=random_images(3), labels=np.arange(3)).read_bytes()
    flipped = tmp_path / "flipped.npz"
    for position in random.integers(0, len(whole), 200):
        content = bytearray(whole)
        content[position] ^= int(random.integers(1, 256))
        flipped.write_bytes(content)
        try:
            load_dataset(flipped)
        except DatasetError as error:
            assert "flipped.npz" in str(error)  # noqa: PT017 - both outcomes are good


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("set.npz", b"plain text"),
        ("set.npz", b""),
        ("set.tar.gz", b"plain text"),
        ("set.tar.gz", gzip.compress(b"plain text")),
        ("set.txt", b"plain text"),
        ("data_batch_1", b"plain text"),
        ("t10k-images-idx3-ubyte", b"plain text"),
        ("t10k-images-idx3-ubyte", b"\0\0\x08\x03"),
        ("t10k-images-idx3-ubyte", b"\0\0\x08\x01\xff\xff\xff\xff"),
        ("t10k-images-idx3-ubyte.gz", b"plain text"),
    ],
)
def test_other_files(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=str(tmp_path)):
        load_dataset(tmp_path / name if "." in name and "idx" not in name else tmp_path)


def test_missing_and_empty_places(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file or folder"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="no pictures found"):
        load_dataset(tmp_path)


def test_an_array_file_with_the_wrong_name(tmp_path: Path) -> None:
    np.save(tmp_path / "set.npy", np.zeros(3))
    (tmp_path / "set.npy").rename(tmp_path / "set.npz")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_dataset(tmp_path / "set.npz")
