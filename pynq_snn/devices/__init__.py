"""The places where a program can run, all behind one register and memory interface.

========== ===========================================================================================
reference  numpy, slow and obvious: the golden model
kernel     the C++ kernel of ``hls/`` compiled for this machine: the default where there is no board
========== ===========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable

from pynq_snn.devices.interface import Buffer, Device
from pynq_snn.errors import DeviceError


def _reference() -> Device:
    from pynq_snn.devices.reference import ReferenceDevice

    return ReferenceDevice()


def _kernel() -> Device:
    from pynq_snn.devices.kernel import KernelDevice

    return KernelDevice()


_OPENERS: dict[str, Callable[[], Device]] = {"kernel": _kernel, "reference": _reference}
DEVICE_NAMES = ("auto", *_OPENERS)


def open_device(name: str = "auto") -> Device:
    """Open a device by name.

    Parameters
    ----------
    name : {"auto", "kernel", "reference"}
        ``auto`` is the C++ kernel; it never falls back to another device.

    Raises
    ------
    DeviceError
        There is no such device, or it cannot work here; the message says what to install.
    """
    opener = _OPENERS.get("kernel" if name == "auto" else name)
    if opener is None:
        raise DeviceError(f"device {name!r} is not known; use one of {', '.join(DEVICE_NAMES)}")
    return opener()


def available() -> dict[str, str | None]:
    """Return for each device None where it works on this machine, or else what is missing and how to get it."""
    result: dict[str, str | None] = {}
    for name, opener in _OPENERS.items():
        try:
            opener().close()
            result[name] = None
        except DeviceError as error:
            result[name] = str(error)
    return result


__all__ = ["DEVICE_NAMES", "Buffer", "Device", "available", "open_device"]
