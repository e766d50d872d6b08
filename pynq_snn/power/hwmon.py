"""Sensors that Linux shows under /sys/class/hwmon (Documentation/hwmon/sysfs-interface in the kernel)."""

from __future__ import annotations

from pathlib import Path

from pynq_snn.errors import PowerError
from pynq_snn.power.interface import PolledMeter

ROOT = Path("/sys/class/hwmon")


class Hwmon(PolledMeter):
    """The power of one sensor: power1_input in microwatts, or in1_input in millivolts times curr1_input in mA.

    Parameters
    ----------
    sensor : str, optional
        Name of a sensor (its file ``name``) or of its folder (``hwmon3``); needed where several measure power.
    root : Path
        Where sensors are.
    """

    name = "hwmon"

    def __init__(self, sensor: str | None = None, *, root: Path = ROOT) -> None:
        super().__init__()
        self._folder = _find(sensor, root)
        self._has_power = (self._folder / "power1_input").exists()
        how = "power1" if self._has_power else "in1 x curr1"
        self.description = f"hwmon sensor {_name(self._folder)} ({self._folder.name}, {how})"

    def _number(self, file: str) -> int:
        return int((self._folder / file).read_text("ascii"))

    def read_watts(self) -> float:
        try:
            if self._has_power:
                return self._number("power1_input") * 1e-6
            return self._number("in1_input") * 1e-3 * self._number("curr1_input") * 1e-3
        except (OSError, ValueError) as error:
            raise PowerError(f"{self.description} cannot be read ({error})") from error


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text("utf-8").strip()
    except OSError:
        return folder.name


def _measures_power(folder: Path) -> bool:
    return (folder / "power1_input").exists() or all((folder / f"{file}_input").exists() for file in ("in1", "curr1"))


def _find(sensor: str | None, root: Path) -> Path:
    folders = sorted(folder for folder in root.glob("hwmon*") if _measures_power(folder))
    listed = ", ".join(f"{folder.name} ({_name(folder)})" for folder in folders)
    if not folders:
        raise PowerError(f"no sensor under {root} measures power; load its driver, or use another --meter")
    chosen = folders if sensor is None else [folder for folder in folders if sensor in (folder.name, _name(folder))]
    if not chosen:
        raise PowerError(f"no hwmon sensor {sensor!r} measures power; there are {listed}")
    if len(chosen) > 1:
        raise PowerError(f"several hwmon sensors measure power: {listed}; choose one with --meter hwmon:name=hwmonN")
    return chosen[0]
