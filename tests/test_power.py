"""Power meters, each against something that answers as the real one does, and energy made of their samples."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pynq_snn.errors import PowerError
from pynq_snn.power import PolledMeter, PowerTrace, open_meter
from pynq_snn.power.csv_log import CsvLog
from pynq_snn.power.hwmon import Hwmon
from pynq_snn.power.ina import Ina219, Ina226
from pynq_snn.power.interface import FEWEST_SAMPLES
from pynq_snn.power.joulescope import JoulescopeMeter
from pynq_snn.power.model import TERMS, Work, energy_parts
from tests.conftest import ROOT


class FakeBus:
    """An I2C bus with one current sensor behind a shunt of 0.1 ohms; registers as the data sheets say."""

    def __init__(self, chip: str, volts: float, amperes: float, address: int = 0x40) -> None:
        self.address = address
        self.closed = False
        self.configuration: int | None = None
        step = 10e-6 if chip == "ina219" else 2.5e-6
        shunt = round(amperes * 0.1 / step) & 0xFFFF
        # The INA219 keeps its bus voltage in steps of 4 mV above three flag bits; "conversion ready" is set here.
        bus = (round(volts / 4e-3) << 3) | 0b010 if chip == "ina219" else round(volts / 1.25e-3)
        self.registers = {1: shunt, 2: bus, 0xFE: 0x5449, 0xFF: 0x2260} if chip == "ina226" else {1: shunt, 2: bus}

    def read_i2c_block_data(self, address: int, register: int, length: int) -> list[int]:
        if address != self.address or register not in self.registers:
            raise OSError(121, "Remote I/O error")
        assert length == 2
        return [*self.registers[register].to_bytes(2, "big")]

    def write_i2c_block_data(self, address: int, register: int, data: list[int]) -> None:
        if address != self.address:
            raise OSError(121, "Remote I/O error")
        assert register == 0
        self.configuration = int.from_bytes(bytes(data), "big")

    def close(self) -> None:
        self.closed = True


class FakeJoulescope:
    """Stands for the package and for its device: 5 V, a current that alternates, one sample missing."""

    def __init__(self) -> None:
        self.opened = self.closed = False

    def scan_require_one(self, config: str) -> FakeJoulescope:
        assert config == "auto"
        return self

    def __str__(self) -> str:
        return "JS-fake"

    def open(self) -> None:
        self.opened = True

    def read(self, contiguous_duration: float) -> np.ndarray:
        assert self.opened and not self.closed
        samples = np.column_stack([np.tile([0.2, 0.4], 50), np.full(100, 5.0)])
        samples[7] = np.nan, np.nan
        time.sleep(contiguous_duration / 10)
        return samples

    def close(self) -> None:
        self.closed = True


def sensor_folder(root: Path, number: int, name: str, **files: int) -> None:
    folder = root / f"hwmon{number}"
    folder.mkdir()
    (folder / "name").write_text(name + "\n")
    for file, value in files.items():
        (folder / f"{file}_input").write_text(f"{value}\n")


def on_hwmon(root: Path) -> PolledMeter:
    sensor_folder(root, 0, "cpu_thermal", temp1=40_000)
    sensor_folder(root, 1, "ina2xx", power1=1_500_000)
    return Hwmon(root=root)


METERS: dict[str, tuple[Callable[[Path], PolledMeter], float]] = {
    "ina219": (lambda root: Ina219(connection=FakeBus("ina219", 5.0, 0.3)), 1.5),
    "ina226": (lambda root: Ina226(connection=FakeBus("ina226", 12.0, 0.125)), 1.5),
    "hwmon": (on_hwmon, 1.5),
    "joulescope": (lambda root: JoulescopeMeter(FakeJoulescope()), (50 * 0.2 + 49 * 0.4) / 99 * 5),
}


@pytest.fixture(params=METERS)
def meter_and_watts(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    make, watts = METERS[request.param]
    with make(tmp_path) as meter:
        yield meter, watts


def test_a_polled_meter_tells_power_and_energy(meter_and_watts: tuple[PolledMeter, float]) -> None:
    meter, watts = meter_and_watts
    meter.start()
    begin = time.time()
    time.sleep(0.15)
    end = time.time()
    trace = meter.stop()
    assert np.all(np.diff(trace.times_s) >= 0)
    assert trace.mean_w(begin, end) == pytest.approx(watts, rel=0.02)
    assert trace.energy_j(begin, end) == pytest.approx(watts * (end - begin), rel=0.02)


def test_a_polled_meter_watches_again(meter_and_watts: tuple[PolledMeter, float]) -> None:
    meter, _ = meter_and_watts
    with pytest.raises(PowerError, match="not watching"):
        meter.stop()
    for _ in range(2):
        meter.start()
        with pytest.raises(PowerError, match="already"):
            meter.start()
        assert len(meter.stop().watts) >= 2
    meter.close()
    meter.close()


# --- current sensors --------------------------------------------------------------------------------------------------


def test_currents_may_be_negative() -> None:
    assert Ina219(connection=FakeBus("ina219", 5.0, -0.3)).read_watts() == pytest.approx(-1.5)


def test_a_sensor_is_set_to_measure_continuously() -> None:
    bus = FakeBus("ina219", 5.0, 0.3)
    meter = Ina219(connection=bus)
    assert bus.configuration is not None and bus.configuration & 0b111 == 0b111
    meter.close()
    assert bus.closed


@pytest.mark.parametrize(("chip", "kind", "amperes"), [("ina219", Ina219, 3.25), ("ina226", Ina226, 0.8192)])
def test_currents_out_of_range(chip: str, kind: Any, amperes: float) -> None:
    bus = FakeBus(chip, 5.0, 0.3)
    meter = kind(connection=bus)
    bus.registers[1] = 0x7FFF  # what the chips hold above their range
    with pytest.raises(PowerError, match="use a smaller shunt"):
        meter.read_watts()


def test_another_chip_at_the_address() -> None:
    bus = FakeBus("ina226", 5.0, 0.1)
    bus.registers[0xFF] = 0x1234
    with pytest.raises(PowerError, match="not an INA226"):
        Ina226(connection=bus)
    assert bus.closed


def test_no_chip_at_the_address() -> None:
    with pytest.raises(PowerError, match="no answer from INA219 at 0x41 .*i2cdetect"):
        Ina219(address=0x41, connection=FakeBus("ina219", 5.0, 0.3))


@pytest.mark.parametrize("options", [{"shunt_ohms": 0}, {"address": 0x99}])
def test_impossible_sensors(options: dict[str, Any]) -> None:
    with pytest.raises(PowerError):
        Ina219(connection=FakeBus("ina219", 5.0, 0.3), **options)


def test_a_meter_that_stops_answering() -> None:
    bus = FakeBus("ina219", 5.0, 0.3)
    meter = Ina219(connection=bus)
    meter.start()
    bus.address = 0x55
    time.sleep(0.05)
    with pytest.raises(PowerError, match="ina219 stopped answering: .*Remote"):
        meter.stop()


def test_a_meter_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynq_snn.power.interface.STOP_TIMEOUT_S", 0.05)
    released = threading.Event()

    class Hanging(PolledMeter):
        name, description = "hanging", "hangs at the second question"
        asked = 0

        def read_watts(self) -> float:
            self.asked += 1
            if self.asked > 1:
                released.wait(5)
            return 1.0

    meter = Hanging()
    meter.start()
    time.sleep(0.05)
    with pytest.raises(PowerError, match="did not answer within"):
        meter.stop()
    released.set()


# --- hwmon ------------------------------------------------------------------------------------------------------------


def test_voltage_times_current(tmp_path: Path) -> None:
    sensor_folder(tmp_path, 3, "ina226_u79", in1=5_000, curr1=320)
    assert Hwmon(root=tmp_path).read_watts() == pytest.approx(1.6)


def test_choosing_a_sensor(tmp_path: Path) -> None:
    sensor_folder(tmp_path, 1, "one", power1=1_000_000)
    sensor_folder(tmp_path, 2, "two", power1=2_000_000)
    with pytest.raises(PowerError, match=r"several .*hwmon1 \(one\), hwmon2 \(two\)"):
        Hwmon(root=tmp_path)
    assert Hwmon("two", root=tmp_path).read_watts() == 2
    assert Hwmon("hwmon1", root=tmp_path).read_watts() == 1
    with pytest.raises(PowerError, match="no hwmon sensor 'three'"):
        Hwmon("three", root=tmp_path)


def test_no_sensor(tmp_path: Path) -> None:
    with pytest.raises(PowerError, match="no sensor under"):
        Hwmon(root=tmp_path)


def test_a_sensor_that_goes_away(tmp_path: Path) -> None:
    sensor_folder(tmp_path, 1, "one", power1=1)
    meter = Hwmon(root=tmp_path)
    (tmp_path / "hwmon1" / "power1_input").unlink()
    with pytest.raises(PowerError, match="cannot be read"):
        meter.read_watts()


# --- CSV --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("time,watts", "{time},1.5"),
        ("Timestamp, Voltage, Current, note", "{time},5.0,0.3,x"),
        ("power_w,time_s", "1.5,{time}"),
    ],
)
def test_a_log_that_grows(tmp_path: Path, header: str, row: str) -> None:
    path = tmp_path / "log.csv"
    begin = time.time()
    ending = threading.Event()
    path.write_text(header + "\n" + row.format(time=begin - 1) + "\n")

    def write() -> None:
        with path.open("a") as log:
            while not ending.wait(0.01):
                log.write(row.format(time=time.time()) + "\n")
                log.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        meter = CsvLog(path)
        meter.start()
        start = time.time()
        time.sleep(0.1)
        end = time.time()
        trace = meter.stop()
    finally:
        ending.set()
        writer.join()
    assert trace.energy_j(start, end) == pytest.approx(1.5 * (end - start))


def test_iso_times_and_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("time,watts\n2026-11-23T12:00:00Z,1\n2026-11-23T13:00:01+01:00,2\n2026-11-23T12:00:0")
    trace = CsvLog(path)._read()
    assert np.diff(trace.times_s).tolist() == [1.0]
    assert trace.watts.tolist() == [1.0, 2.0]


def test_a_log_that_ends_too_early(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f"time,watts\n{time.time() - 100},1\n")
    meter = CsvLog(path, catch_up_s=0.1)
    meter.start()
    with pytest.raises(PowerError, match=r"ends 100\.\d s before the run did"):
        meter.stop()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no column time"),
        ("time,volts\n", "no column amperes"),
        ("time,watts\n1,abc\n", "line 2"),
        ("time,watts\n1,1\n2\n", "line 3"),
        ("time,watts\n1,nan\n", "line 2"),
        ("time,watts\nyesterday,1\n", "line 2"),
        ("time,watts\n2,1\n1,1\n", "timestamps go back"),
    ],
)
def test_damaged_logs(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(PowerError, match=problem):
        CsvLog(path)


# --- energy -----------------------------------------------------------------------------------------------------------


def test_energy_of_a_ramp_is_exact() -> None:
    times = np.linspace(0, 4, 9)
    assert PowerTrace(times, 2 * times).energy_j(0.3, 3.7) == pytest.approx(3.7**2 - 0.3**2)


def test_energy_needs_samples_around_and_inside() -> None:
    trace = PowerTrace(np.arange(5.0), np.ones(5))
    for start, end in ((-1, 2), (2, 5)):
        with pytest.raises(PowerError, match="clocks"):
            trace.energy_j(start, end)
    with pytest.raises(PowerError, match="measure longer"):
        trace.energy_j(0.5, 0.5 + FEWEST_SAMPLES - 1)
    with pytest.raises(PowerError, match="no time at all"):
        PowerTrace(np.zeros(0), np.zeros(0)).energy_j(0, 1)


def test_the_model_adds_up_and_each_term_has_a_source() -> None:
    work = Work(seconds=0.01, clock_hz=1e8, additions=5e7, ddr_bytes=1e7)
    parts = energy_parts(work)
    assert set(parts) == {term.name for term in TERMS}
    assert sum(parts.values()) == pytest.approx(0.01 * 1.5 + 0.01 * 0.1 + 5e7 * 2.65e-12 + 1e7 * 244e-12)
    assert all(term.source for term in TERMS)


# --- by name ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("multimeter", "not known; use one of ina219, ina226, hwmon, joulescope, csv:FILE"),
        ("csv", "csv:FILE"),
        ("csv:/nowhere/log.csv", "cannot be read"),
        ("ina219:shunt=1", "no option 'shunt'"),
        ("ina219:bus=one", "bus='one' is not a number"),
        ("ina219:bus", "'bus' is not NAME=VALUE"),
        ("hwmon:path=x", "no option 'path'"),
        ("joulescope:serial=1", "no option 'serial'"),
    ],
)
def test_meters_that_cannot_be_opened(text: str, problem: str) -> None:
    with pytest.raises(PowerError, match=problem.replace("(", r"\(")):
        open_meter(text)


@pytest.mark.parametrize(
    ("text", "module", "extra"), [("ina219", "smbus2", "power"), ("joulescope", "joulescope", "joulescope")]
)
def test_missing_packages(text: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(PowerError, match=rf"pip install 'pynq-snn\[{extra}\]'"):
        open_meter(text)


def test_missing_bus() -> None:
    pytest.importorskip("smbus2")
    with pytest.raises(PowerError, match="I2C bus 987 cannot be opened"):
        open_meter("ina219:bus=987")


def test_the_guide_names_every_term_and_its_source() -> None:
    guide = (ROOT / "docs" / "benchmark.md").read_text("utf-8")
    scales = {"W": (1.0, "W"), "W per Hz": (1e9, "mW per MHz"), "J": (1e12, "pJ")}
    for term in TERMS:
        factor, unit = scales[term.unit]
        assert f"| {term.name} | {term.value * factor:g} {unit} | {term.source[:25]}" in guide
