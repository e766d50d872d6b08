"""Power: read from a meter while a network runs, or estimated by a documented model.

========================  =========================================================================================
ina219, ina226            current sensors over I2C; needs the extra ``power``
hwmon                     any sensor that Linux shows under /sys/class/hwmon
joulescope                a Joulescope over USB; needs the extra ``joulescope``
csv:FILE                  a log that another program or machine writes, with timestamps
========================  =========================================================================================

A PYNQ-Z2 cannot measure its own power: a meter sits in its supply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pynq_snn.errors import PowerError
from pynq_snn.power.interface import Meter, PolledMeter, PowerTrace


def _ina219(options: dict[str, str]) -> Meter:
    from pynq_snn.power.ina import Ina219

    return Ina219(**_sensor_options(options))


def _ina226(options: dict[str, str]) -> Meter:
    from pynq_snn.power.ina import Ina226

    return Ina226(**_sensor_options(options))


def _sensor_options(options: dict[str, str]) -> dict[str, Any]:
    """Return I2C bus, address and shunt resistance in ohms as numbers."""
    readers: dict[str, Callable[[str], Any]] = {
        "bus": int,
        "address": lambda text: int(text, 0),
        "shunt_ohms": float,
    }
    values = {}
    for name, text in options.items():
        if name not in readers:
            raise PowerError(f"a current sensor has no option {name!r}; use {', '.join(readers)}")
        try:
            values[name] = readers[name](text)
        except ValueError as error:
            raise PowerError(f"{name}={text!r} is not a number") from error
    return values


def _hwmon(options: dict[str, str]) -> Meter:
    from pynq_snn.power.hwmon import Hwmon

    unknown = set(options) - {"name"}
    if unknown:
        raise PowerError(f"hwmon has no option {min(unknown)!r}; use hwmon:name=SENSOR")
    return Hwmon(options.get("name"))


def _joulescope(options: dict[str, str]) -> Meter:
    from pynq_snn.power.joulescope import JoulescopeMeter

    if options:
        raise PowerError(f"joulescope has no option {min(options)!r}")
    return JoulescopeMeter()


_OPENERS: dict[str, Callable[[dict[str, str]], Meter]] = {
    "ina219": _ina219, "ina226": _ina226, "hwmon": _hwmon, "joulescope": _joulescope,
}  # fmt: skip
METER_FORMS = (*_OPENERS, "csv:FILE")


def open_meter(description: str) -> Meter:
    """Open a power meter.

    Parameters
    ----------
    description : str
        ``ina219``, ``ina226``, ``hwmon`` or ``joulescope``, with options as in
        ``ina219:bus=1,address=0x41,shunt_ohms=0.1`` and ``hwmon:name=ina226_u79``; or ``csv:FILE``.

    Raises
    ------
    PowerError
        It is none of these, or the meter is not there; the message says what to do.
    """
    kind, _, rest = description.partition(":")
    if kind == "csv":
        from pynq_snn.power.csv_log import CsvLog

        if not rest:
            raise PowerError("csv needs a file: --meter csv:FILE")
        return CsvLog(rest)
    if kind not in _OPENERS:
        raise PowerError(f"power meter {description!r} is not known; use one of {', '.join(METER_FORMS)}")
    options = {}
    for part in filter(None, rest.split(",")):
        name, equals, value = part.partition("=")
        if not equals:
            raise PowerError(f"{description!r}: {part!r} is not NAME=VALUE")
        options[name] = value
    return _OPENERS[kind](options)


__all__ = ["METER_FORMS", "Meter", "PolledMeter", "PowerTrace", "open_meter"]
