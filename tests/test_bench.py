"""The benchmark: figures that follow from what was measured, each with the tag that it deserves."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pynq_snn import bench, bench_output
from pynq_snn.accelerator import Accelerator
from pynq_snn.bench import CALCULATED, ESTIMATE, EXACT, ON_BOARD, ON_COMPUTER, SIMULATED, Bench, Clock, run_bench
from pynq_snn.cli import main
from pynq_snn.devices import available
from pynq_snn.devices.reference import ReferenceDevice
from pynq_snn.errors import PowerError, PynqSnnError
from pynq_snn.network import Network, integrate
from pynq_snn.peers import counting_rule, peers
from pynq_snn.power import PolledMeter
from pynq_snn.power.model import TERMS
from tests.conftest import ROOT
from tests.networks import from_events, residual

KERNEL = pytest.mark.skipif(available()["kernel"] is not None, reason="the kernel device is not built here")
CLOCK = Clock(80e6, "given")
Capture = pytest.CaptureFixture[str]


class CountingDevice(ReferenceDevice):
    """The reference with a made-up cycle for each addition, as a device of any kind."""

    def __init__(self, cycles_are: str) -> None:
        super().__init__()
        self.cycles_are = cycles_are

    def _write_counters(self, number: int, header: dict[str, int], counters: dict[str, int]) -> None:
        cycles = counters["additions"] + 100
        moved = {"bytes_read": 640, "bytes_written": 64}
        super()._write_counters(number, header, {**counters, **moved, "cycles": cycles, "stall_cycles": cycles // 4})


class SteadyMeter(PolledMeter):
    """2 W at rest and always."""

    name, description = "steady", "steady meter"
    interval_s = 0.002

    def read_watts(self) -> float:
        return 2.0


@pytest.fixture(scope="module")
def network(model_file: Path) -> Network:
    return Network.from_onnx(model_file)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BASELINE_S", 0.05)


def run(network: Network, device: Any, **options: Any) -> Bench:
    with Accelerator(device) as accelerator:
        return run_bench(accelerator, network, **{"seconds": 0.05, "clock": CLOCK, **options})


def tags(figures: list[bench.Figure]) -> dict[str, str]:
    return {figure.name: figure.tag for figure in figures}


# --- figures ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("kind", [SIMULATED, ESTIMATE])
def test_figures_of_a_simulation_follow_from_cycles_and_clock(network: Network, kind: str, batch: int) -> None:
    result = run(network, CountingDevice(kind), batch=batch)
    value: dict[str, Any] = {figure.name: figure.value for figure in (*result.accelerator, *result.split)}
    cycles = value["cycles"]
    assert cycles == pytest.approx(value["operations"] + 100 * len(network.layers) / batch)
    seconds = cycles / CLOCK.hz
    dense = 2 * network.macs * network.timesteps / seconds / 1e9
    assert value["latency_min"] <= value["latency_median"] <= value["latency_p99"]
    assert value["fps_min"] <= value["fps_p99"] <= value["fps_median"]
    assert value["fps_median"] == pytest.approx(batch / value["latency_median"])
    assert value["latency_median"] == pytest.approx(batch * seconds, rel=0.2)
    assert value["dense_gops"] == pytest.approx(dense)
    assert value["effective_gsops"] == pytest.approx(value["operations"] / seconds / 1e9)
    assert value["peak_gops"] == pytest.approx(2 * 1024 * 0.08)
    assert value["dense_gops_per_adder"] == pytest.approx(dense / 1024)
    assert value["ddr_bytes"] == pytest.approx(704 * len(network.layers) / batch)
    assert value["ddr_bandwidth"] == pytest.approx(704 * len(network.layers) / batch / seconds)
    assert value["compute"] + value["stall"] == pytest.approx(seconds)
    assert value["stall"] == pytest.approx(seconds / 4, rel=0.01)
    assert value["gops_per_dsp"] is None
    assert sum(layer.operations for layer in result.layers) == pytest.approx(value["operations"])
    timed = ("latency_median", "fps_min", "cycles", "dense_gops", "effective_gsops", "ddr_bytes", "ddr_bandwidth")
    assert {tags(result.accelerator)[name] for name in timed} == {kind}
    assert tags(result.accelerator)["operations"] == EXACT
    assert tags(result.accelerator)["peak_gops"] == CALCULATED
    assert set(tags(result.computer).values()) == {ON_COMPUTER}
    assert tags(result.split)["compute"] == kind and tags(result.split)["encode"] == ON_COMPUTER


def test_on_a_board_the_clock_on_the_wall_counts(network: Network) -> None:
    begin = time.perf_counter()
    result = run(network, CountingDevice(ON_BOARD))
    passed = time.perf_counter() - begin
    latency = result.figure("latency_median")
    assert latency.tag == ON_BOARD and latency.value is not None
    assert latency.value != pytest.approx(result.figure("cycles").value / CLOCK.hz)  # type: ignore[operator]
    assert 0 < latency.value * result.setting["runs"] < 2 * passed
    assert result.computer == []
    assert tags(result.split)["encode"] == ON_BOARD


def test_without_cycles_there_is_no_time(network: Network) -> None:
    result = run(network, "reference")
    for name in ("latency_median", "cycles", "dense_gops", "effective_gsops", "energy", "power", "ddr_bytes"):
        figure = result.figure(name)
        assert figure.value is None and "counts no" in figure.tag
    assert result.figure("operations").value and result.figure("simulation_median").value
    assert "-" in bench_output.as_text(result)


@KERNEL
def test_counts_are_those_of_every_device(network: Network) -> None:
    # As many runs as inputs, so that both see each of them.
    inputs = bench.default_inputs(network)
    first, second = (
        run(network, device, inputs=bench.Inputs(inputs.items[:1], "one", None)) for device in ("reference", "kernel")
    )
    for name in ("operations", "share_of_dense", "firing_rate"):
        assert first.figure(name).value == pytest.approx(second.figure(name).value)
    assert second.figure("latency_median").tag == ESTIMATE
    rates = [[layer.firing_rate for layer in result.layers] for result in (first, second)]
    assert rates[0] == pytest.approx(rates[1])


def test_networks_of_events(model_file: Path) -> None:
    result = run(integrate(from_events()), CountingDevice(SIMULATED), batch=3)
    assert "random events" in result.setting["inputs"]
    assert result.figure("preprocess").value is None
    assert result.figure("operations").value


def test_default_inputs_are_the_same_each_time_and_differ() -> None:
    network = integrate(residual())
    first, second = bench.default_inputs(network), bench.default_inputs(network)
    assert all(np.array_equal(one, other) for one, other in zip(first.items, second.items, strict=True))
    assert not np.array_equal(first.items[0], first.items[1])


def test_percentile_is_one_of_the_values() -> None:
    assert bench.percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert bench.percentile(range(1, 201), 0.99) == 198
    assert bench.percentile([5.0], 0.99) == 5.0


# --- power ------------------------------------------------------------------------------------------------------------


def test_a_meter_on_the_board_measures_the_accelerator(network: Network) -> None:
    with SteadyMeter() as meter:
        result = run(network, CountingDevice(ON_BOARD), meter=meter, seconds=0.2)
    start, end = result.power_window or (0, 0)
    energy, watts = result.figure("energy"), result.figure("power")
    assert energy.tag.startswith(ON_BOARD) and "steady meter" in energy.tag
    assert watts.value == pytest.approx(2) and result.baseline_w == pytest.approx(2)
    assert energy.value == pytest.approx(2 * (end - start) / result.setting["runs"])
    assert result.figure("energy_above_rest").value == pytest.approx(0, abs=1e-9)
    assert result.energy_parts == {}


def test_a_meter_beside_a_simulation_does_not_measure_the_accelerator(network: Network) -> None:
    with SteadyMeter() as meter:
        result = run(network, CountingDevice(SIMULATED), meter=meter, seconds=0.2)
    assert result.figure("energy").tag == ESTIMATE
    assert result.figure("metered_power").value == pytest.approx(2)
    assert "not of a board" in result.figure("metered_energy").tag


@pytest.mark.parametrize("kind", [SIMULATED, ON_BOARD, ESTIMATE])
def test_given_power_says_so(network: Network, kind: str) -> None:
    result = run(network, CountingDevice(kind), power_w=1.6)
    energy = result.figure("energy")
    assert energy.tag == f"power given, time: {kind}"
    seconds = 1 / (result.figure("dense_gops").value or 0) * 2 * network.macs * network.timesteps / 1e9
    assert energy.value == pytest.approx(1.6 * seconds)


def test_modelled_power_is_an_estimate_on_every_line(network: Network) -> None:
    result = run(network, CountingDevice(SIMULATED))
    assert set(result.energy_parts) == {term.name for term in TERMS}
    assert result.figure("energy").value == pytest.approx(sum(result.energy_parts.values()))
    lines = [
        line
        for line in bench_output.as_text(result).splitlines()
        if " W  " in line or " mJ  " in line or "watt" in line
    ]
    own = [line for line in lines if not any(line.strip().startswith(peer.name) for peer in peers())]
    assert len(own) >= 9
    assert all("ESTIMATE" in line for line in own), own


def test_a_meter_that_fails_ends_the_benchmark(network: Network) -> None:
    class Failing(SteadyMeter):
        def read_watts(self) -> float:
            if self._thread is not None:
                raise OSError("unplugged")
            return 1.0

    with pytest.raises(PowerError, match="unplugged"):
        run(network, CountingDevice(ON_BOARD), meter=Failing())


# --- clock ------------------------------------------------------------------------------------------------------------


def test_clock_is_given_or_the_overlays_or_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "PACKAGE", tmp_path)
    assert bench.choose_clock(66.5) == Clock(66.5e6, "given")
    assert bench.choose_clock().hz == 100e6 and bench.choose_clock().source.startswith("default")
    folder = tmp_path / "data" / "overlays"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"clock_mhz": 75}')
    assert bench.choose_clock() == Clock(75e6, "overlay manifest")
    (folder / "manifest.json").write_text("{")
    with pytest.raises(PynqSnnError, match="is damaged"):
        bench.choose_clock()


class ClockedDevice(CountingDevice):
    def __init__(self, clock_mhz: float = 66.0) -> None:
        super().__init__(SIMULATED)
        self.clock_mhz = clock_mhz


def test_a_device_with_a_clock_is_taken_at_its_word(network: Network) -> None:
    result = run(network, ClockedDevice(), clock=None)
    assert result.setting["clock_mhz"] == 66 and result.setting["clock_from"] == "of the reference device"
    assert bench.choose_clock(66.2, ClockedDevice()).hz == 66e6
    with pytest.raises(PynqSnnError, match="runs at 66 MHz, not at 80 MHz"):
        bench.choose_clock(80, ClockedDevice())


def test_the_rtl_is_told_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynq_snn.devices.rtl.RtlDevice", ClockedDevice)
    with bench.open_at_clock("rtl", 55) as device:
        assert bench.choose_clock(55, device) == Clock(55e6, "of the reference device")
    with bench.open_at_clock("reference", 55) as device:
        assert bench.choose_clock(55, device) == Clock(55e6, "given")


# --- peers ------------------------------------------------------------------------------------------------------------

PAPER_GOPS, PAPER_WATTS = 38.4, 1.54
MACS = {"VGG-11": 152.8e6, "ResNet-18": 555.4e6}


@pytest.mark.parametrize("name", MACS)
def test_the_papers_rows_follow_the_counting_rule(name: str) -> None:
    (row,) = [peer for peer in peers() if peer.name.endswith(name) and peer.source.endswith("2410.16298")]
    assert row.latency_s == pytest.approx(2 * MACS[name] * 8 / (PAPER_GOPS * 1e9), rel=0.005)
    assert row.energy_j == pytest.approx(PAPER_WATTS * (row.latency_s or 0), rel=0.005)


def test_peers_say_what_their_figures_are() -> None:
    for peer in peers():
        assert peer.status and peer.source
        if peer.is_measured and peer.power_w and peer.latency_s and peer.energy_j:
            assert peer.energy_j == pytest.approx(peer.power_w * peer.latency_s, rel=0.01)
    assert "two operations" in counting_rule()


# --- command line -----------------------------------------------------------------------------------------------------


def command(capsys: Capture, *arguments: object, code: int = 0) -> str:
    returned = main(["bench", *(str(argument) for argument in arguments)])
    captured = capsys.readouterr()
    assert returned == code, captured.err
    return captured.out if code == 0 else captured.err


def test_command_prints_figures_peers_and_counting_rule(capsys: Capture, model_file: Path) -> None:
    text = command(capsys, model_file, "--device", "reference", "--seconds", "0.05", "--clock", "50")
    for part in ("tiny (T=8, deferred firing), device reference", "clock 50 MHz (given)", "FINN CNV-W1A1",
                 "Nimbekar", "two operations", "encode", ON_COMPUTER):  # fmt: skip
        assert part in text


@KERNEL
def test_command_in_json(capsys: Capture, model_file: Path) -> None:
    arguments = (
        model_file,
        "--device",
        "kernel",
        "--seconds",
        "0.05",
        "--json",
        "--firing",
        "stepwise",
        "--batch",
        "2",
    )
    result = json.loads(command(capsys, *arguments))
    assert result["setting"]["firing"] == "stepwise" and result["setting"]["batch"] == 2
    assert {figure["name"]: figure["tag"] for figure in result["accelerator"]}["latency_median"] == ESTIMATE
    assert result["peers"] and result["layers"] and result["time_split"] and result["energy_parts_j"]


@KERNEL
def test_command_writes_a_folder(capsys: Capture, model_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "made" / "here"
    arguments = (model_file, "--device", "kernel", "--seconds", "0.05", "--report", folder)
    assert "wrote " in command(capsys, *arguments)
    assert json.loads((folder / "bench.json").read_text())["setting"]["model"] == "tiny"
    assert {path.stem for path in folder.glob("*.svg")} == {"operations", "comparison", "rates", "gantt"}
    assert "cannot be written" in command(capsys, *arguments[:-1], folder / "bench.txt", code=1)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--meter", "multimeter"], "not known"),
        (["--meter", "csv:/nowhere.csv"], "cannot be read"),
        (["--data", "/nowhere"], "nowhere"),
    ],
)
def test_command_fails_in_one_line(capsys: Capture, model_file: Path, options: list[str], problem: str) -> None:
    line = command(capsys, model_file, "--device", "reference", *options, code=1)
    assert problem in line and line.count("\n") == 1


@pytest.mark.parametrize("options", [["--power-w", "0"], ["--power-w", "1", "--meter", "hwmon"], ["--clock", "fast"]])
def test_wrong_usage(capsys: Capture, model_file: Path, options: list[str]) -> None:
    command(capsys, model_file, *options, code=2)


def test_a_folder_of_pictures(capsys: Capture, model_file: Path, picture_file: Path, tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "one.png").write_bytes(picture_file.read_bytes())
    arguments = (model_file, "--device", "reference", "--seconds", "0.05", "--data", tmp_path)
    assert f"1 pictures of {tmp_path.name}" in command(capsys, *arguments)


def test_data_files_are_where_the_package_looks() -> None:
    assert bench.sample_picture() == ROOT / "examples" / "cat.png"
    assert bench.sample_picture().exists()
