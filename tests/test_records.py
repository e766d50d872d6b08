"""What comes with the package about a model belongs to that very file, and to the settings it was found with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pynq_snn.models import shipped_models
from pynq_snn.network import Network
from pynq_snn.records import measured_accuracy, record_folder, simulated_speed

RTL = json.loads((record_folder() / "rtl.json").read_text("utf-8"))


@pytest.mark.parametrize("name", shipped_models())
@pytest.mark.parametrize("firing", ["deferred", "stepwise"])
def test_speed_is_that_of_the_file(name: str, firing: str) -> None:
    network = Network.from_onnx(shipped_models()[name], firing=firing)
    speed, recorded = simulated_speed(network), RTL["models"][name][firing]
    assert speed is not None and speed.cycles == recorded["cycles"]["mean"]
    assert speed.pictures_per_second == pytest.approx(recorded["frames_per_second"])
    assert speed.latency_s == pytest.approx(recorded["cycles"]["mean"] / RTL["clock_mhz"] / 1e6)
    assert speed.batch_pictures_per_second > speed.pictures_per_second
    assert simulated_speed(Network.from_onnx(shipped_models()[name], timesteps=4)) is None


@pytest.mark.parametrize("name", shipped_models())
@pytest.mark.parametrize("firing", ["deferred", "stepwise"])
def test_speed_names_the_command_that_measures_it(name: str, firing: str) -> None:
    recorded = RTL["models"][name][firing]
    assert recorded["command"].endswith(f" --count {recorded['pictures']} --models {name} --firing {firing}")


def test_all_shipped_models_are_in_the_records() -> None:
    measured = json.loads((record_folder() / "accuracy.json").read_text("utf-8"))["models"]
    assert set(measured) == set(RTL["models"]) == set(shipped_models())


def test_figures_belong_to_the_very_file(shipped_model: Path, model_file: Path, tmp_path: Path) -> None:
    network = Network.from_onnx(shipped_model)
    found = measured_accuracy(network)
    assert found is not None and found["pictures"] > 0
    changed = tmp_path / shipped_model.name
    changed.write_bytes(shipped_model.read_bytes() + b"\0")
    others = replace(network, path=str(changed)), Network.from_onnx(model_file), replace(network, path="gone.onnx")
    for other in others:
        assert measured_accuracy(other) is None
        assert simulated_speed(other) is None


@pytest.mark.parametrize("content", [None, "no JSON"])
def test_a_package_without_figures_says_nothing(
    content: str | None, shipped_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pynq_snn.records.record_folder", lambda: tmp_path)
    if content is not None:
        for name in ("accuracy.json", "rtl.json"):
            (tmp_path / name).write_text(content)
    network = Network.from_onnx(shipped_model)
    assert measured_accuracy(network) is None and simulated_speed(network) is None
