"""INA219 and INA226: current sensors with a shunt resistor, over I2C (Texas Instruments, SBOS448 and SBOS547).

Power is shunt voltage / shunt resistance x bus voltage, from the two registers that need no calibration. The address is
set by pins of the sensor, the bus is one of /dev/i2c-*, a USB adapter's for example.
"""

from __future__ import annotations

import abc
from pathlib import Path
from typing import Any

from pynq_snn.errors import PowerError
from pynq_snn.power.interface import PolledMeter

DEFAULT_BUS = 1
DEFAULT_ADDRESS = 0x40
DEFAULT_SHUNT_OHMS = 0.1  # what breakout boards carry
CONFIGURATION, SHUNT_VOLTAGE, BUS_VOLTAGE = 0x00, 0x01, 0x02


class _CurrentSensor(PolledMeter):
    """What both sensors share."""

    configuration: int
    shunt_step_v: float  # of one step of the shunt register
    largest_shunt_step: int  # what the register holds when the shunt voltage is out of range

    def __init__(
        self,
        bus: int = DEFAULT_BUS,
        address: int = DEFAULT_ADDRESS,
        shunt_ohms: float = DEFAULT_SHUNT_OHMS,
        *,
        connection: Any = None,
    ) -> None:
        super().__init__()
        if not shunt_ohms > 0:
            raise PowerError(f"shunt_ohms={shunt_ohms} is not above 0; give the shunt's resistance in ohms")
        if not 0x08 <= address <= 0x77:
            raise PowerError(f"address={address:#x} is no I2C address; use 0x08 to 0x77 (0x40 unless pins set another)")
        self.address, self.shunt_ohms = address, shunt_ohms
        self.description = f"{self.name.upper()} at {address:#x} of I2C bus {bus}, shunt {shunt_ohms:g} ohms"
        self._connection = _open_bus(bus) if connection is None else connection
        try:
            self._identify()
            self._connection.write_i2c_block_data(address, CONFIGURATION, [*self.configuration.to_bytes(2, "big")])
        except OSError as error:
            self.close()
            raise PowerError(
                f"no answer from {self.description} ({error}); check wiring and address (i2cdetect -y {bus})"
            ) from error
        except BaseException:
            self.close()
            raise

    def _identify(self) -> None:
        """Raise PowerError where another chip answers; the INA219 has nothing to tell it by."""

    def _read(self, register: int) -> int:
        return int.from_bytes(bytes(self._connection.read_i2c_block_data(self.address, register, 2)), "big")

    def read_watts(self) -> float:
        shunt = self._read(SHUNT_VOLTAGE)
        shunt -= (shunt & 0x8000) << 1
        if abs(shunt) >= self.largest_shunt_step:
            limit = self.largest_shunt_step * self.shunt_step_v / self.shunt_ohms
            raise PowerError(
                f"the current is above the {limit:.2f} A that {self.description} can measure; use a smaller shunt"
            )
        return shunt * self.shunt_step_v / self.shunt_ohms * self._bus_volts()

    @abc.abstractmethod
    def _bus_volts(self) -> float: ...

    def close(self) -> None:
        super().close()
        connection, self._connection = getattr(self, "_connection", None), None
        if connection is not None:
            connection.close()


class Ina219(_CurrentSensor):
    """INA219: 12 bits, up to 320 mV over the shunt."""

    name = "ina219"
    # 32 V bus range, 320 mV shunt range, means of 16 conversions (8.5 ms each), shunt and bus continuously.
    configuration = 1 << 13 | 0b11 << 11 | 0b1100 << 7 | 0b1100 << 3 | 0b111
    shunt_step_v = 10e-6
    largest_shunt_step = 32_000

    def _bus_volts(self) -> float:
        return (self._read(BUS_VOLTAGE) >> 3) * 4e-3


class Ina226(_CurrentSensor):
    """INA226: 16 bits, up to 82 mV over the shunt."""

    name = "ina226"
    # Means of 4 conversions of 1.1 ms each, shunt and bus continuously: a new value every 8.8 ms.
    configuration = 0x4000 | 0b001 << 9 | 0b100 << 6 | 0b100 << 3 | 0b111
    shunt_step_v = 2.5e-6
    largest_shunt_step = 32_767
    MANUFACTURER, DIE = 0xFE, 0xFF
    IDENTITY = (0x5449, 0x2260)  # "TI", INA226

    def _identify(self) -> None:
        found = (self._read(self.MANUFACTURER), self._read(self.DIE) & 0xFFF0)
        if found != self.IDENTITY:
            raise PowerError(
                f"what answers at {self.description} says it is {found[0]:#06x} {found[1]:#06x}, not an INA226; "
                "check the address, or use --meter ina219"
            )

    def _bus_volts(self) -> float:
        return self._read(BUS_VOLTAGE) * 1.25e-3


def _open_bus(number: int) -> Any:
    try:
        from smbus2 import SMBus
    except ImportError as error:
        raise PowerError("an I2C meter needs smbus2, which is not installed; pip install 'pynq-snn[power]'") from error
    try:
        return SMBus(number)
    except OSError as error:
        found = ", ".join(sorted(path.name for path in Path("/dev").glob("i2c-*"))) or "none"
        raise PowerError(
            f"I2C bus {number} cannot be opened ({error.strerror}); there are: {found}; choose one with "
            "--meter ina219:bus=N, and be in the group i2c"
        ) from error
