"""Pages say what the benchmarks measured."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import accuracy, accuracy_page, sparsity
from pynq_snn.accelerator import Accelerator
from pynq_snn.datasets import CIFAR10_CLASSES
from pynq_snn.models import find_model


def test_pages_are_up_to_date() -> None:
    found = list(accuracy_page.pages())
    assert len(found) >= 3
    for page, text in found:
        assert page.read_text("utf-8") == text, f"{page} is stale: python -m benchmarks.accuracy_page"


def test_a_page_without_its_mark_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- rates: here -->\nold\n<!-- end of rates -->\n")
    assert accuracy_page.filled(page, rates="new")[1] == "<!-- rates: here -->\nnew\n<!-- end of rates -->\n"
    with pytest.raises(SystemExit, match="no part is marked curves"):
        accuracy_page.filled(page, curves="new")


@pytest.mark.parametrize(("pictures", "kept"), [(2, {"accuracy": 90.0, "sha256": "of the twin"}), (3, None)])
def test_a_twin_that_is_not_named_keeps_its_figure_for_as_many_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pictures: int, kept: dict[str, object] | None
) -> None:
    shown = np.random.default_rng(4).integers(0, 256, (2, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "test.npz", images=shown, labels=np.arange(2), classes=CIFAR10_CLASSES)
    out = tmp_path / "accuracy.json"
    twin = {"accuracy": 90.0, "sha256": "of the twin"}
    out.write_text(
        json.dumps({"models": {"vgg11": {"sha256": "former", "pictures": pictures, "full_precision": twin}}})
    )
    monkeypatch.setattr(sys, "argv", ["accuracy", "vgg11", "--data", str(tmp_path), "--out", str(out)])
    accuracy.main()
    measured = json.loads(out.read_text())["models"]["vgg11"]
    assert measured.get("full_precision") == kept
    assert measured["pictures"] == 2 and measured["sha256"] != "former"


def test_originals_stand_beside_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels of one set are the classes that the network finds, those of the other never are."""
    shown = np.random.default_rng(4).integers(0, 256, (2, 32, 32, 3), np.uint8)
    with Accelerator("kernel") as accelerator:
        found = accelerator.load(find_model("vgg11")).scores(accelerator.infer(shown)).argmax(axis=1)
    for name, labels in (("copies", (found + 1) % 10), ("originals", found)):
        np.savez(tmp_path / f"{name}.npz", images=shown, labels=labels, classes=CIFAR10_CLASSES)
    out = tmp_path / "accuracy.json"
    arguments = ["--data", str(tmp_path / "copies.npz"), "--originals", str(tmp_path / "originals.npz")]
    for run in (arguments, arguments[:2]):  # a later run without originals keeps what is known of the same file
        monkeypatch.setattr(sys, "argv", ["accuracy", "vgg11", *run, "--out", str(out)])
        accuracy.main()
    table = accuracy_page.originals_table(json.loads(out.read_text()))
    assert "| VGG-11, spiking, T = 8, deferred | 2 | 0.00% | 100.00% |" in table
    assert "full precision" not in table


def test_networks_are_sorted_by_the_strength_of_the_regulariser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for strength in (0.003, 0.0):
        run = tmp_path / f"strength{strength}"
        run.mkdir()
        (run / "quantised.json").write_text(json.dumps({"recipe": {"synops_weight": strength}}))
        shutil.copy(find_model("vgg11"), run)
    pictures = np.random.default_rng(3).integers(0, 256, (2, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "test.npz", images=pictures, labels=np.arange(2), classes=CIFAR10_CLASSES)
    out = tmp_path / "sparsity.json"
    runs = [str(path) for path in sorted(tmp_path.glob("strength*"), reverse=True)]
    monkeypatch.setattr(sys, "argv", ["sparsity", "vgg11", *runs, "--data", str(tmp_path), "--out", str(out)])
    sparsity.main()
    figures = json.loads(out.read_text())
    first, second = figures["points"]
    assert first["recipe"]["synops_weight"] < second["recipe"]["synops_weight"]
    assert {**figures["shipped"], "recipe": first["recipe"]} == first  # the same file
    deferred, stepwise = (figures["shipped"][order]["synaptic_operations_per_image"] for order in accuracy_page.ORDERS)
    assert 0 < deferred < stepwise
    lines = accuracy_page.sparsity_table(figures).splitlines()
    assert [line.split(" | ")[0] for line in lines[4:]] == ["| shipped", "| 0", "| 0.003"]
