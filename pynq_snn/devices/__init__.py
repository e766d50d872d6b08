"""The places where a program can run, all behind one register and memory interface.

========== ===========================================================================================
board      the FPGA of a PYNQ-Z2: the default on such a board
reference  numpy, slow and obvious: the golden model
kernel     the C++ kernel of ``hls/`` compiled for this machine: the default where there is no board
rtl        the RTL of ``overlays/rtl``, simulated cycle by cycle; built on first use
========== ===========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pynq_snn.devices.interface import Buffer, Device
from pynq_snn.errors import DeviceError


def _reference() -> Device:
    from pynq_snn.devices.reference import ReferenceDevice

    return ReferenceDevice()


def _kernel() -> Device:
    from pynq_snn.devices.kernel import KernelDevice

    return KernelDevice()


def _board(**options: Any) -> Device:
    from pynq_snn.devices import board

    problem = board.what_is_missing()
    if problem is not None:
        raise DeviceError(problem)
    return board.BoardDevice(**options)


def _rtl(**options: Any) -> Device:
    from pynq_snn.devices.rtl import RtlDevice

    return RtlDevice(**options)


def _default() -> str:
    """Return what ``auto`` means: a board is never passed over because something is wrong with it."""
    from pynq_snn.devices.board.presence import board_present

    return "board" if board_present() else "kernel"


_OPENERS: dict[str, Callable[..., Device]] = {
    "board": _board,
    "kernel": _kernel,
    "rtl": _rtl,
    "reference": _reference,
}
DEVICE_NAMES = ("auto", *_OPENERS)
_OPTIONS = {"board": {"clock_mhz"}, "rtl": {"clock_mhz", "trace"}}


def open_device(name: str = "auto", **options: Any) -> Device:
    """Open a device by name.

    Parameters
    ----------
    name : {"auto", "board", "kernel", "rtl", "reference"}
        ``auto`` is the board on a PYNQ-Z2, and the C++ kernel anywhere else; it never falls back to another device.
    **options
        `clock_mhz` of the board and rtl devices, `trace` of the rtl device (see `pynq_snn.devices.rtl.RtlDevice`).

    Raises
    ------
    DeviceError
        There is no such device, or it cannot work here; the message says what to install.
    """
    chosen = _default() if name == "auto" else name
    opener = _OPENERS.get(chosen)
    if opener is None:
        raise DeviceError(f"device {name!r} is not known; use one of {', '.join(DEVICE_NAMES)}")
    for option in options:
        if option not in _OPTIONS.get(chosen, ()):
            able = [device for device, names in _OPTIONS.items() if option in names]
            raise DeviceError(f"the {chosen} device has no {option}; use --device {' or '.join(able)}")
    return opener(**options)


def available() -> dict[str, str | None]:
    """Return for each device None where it works on this machine, or else what is missing and how to get it.

    The board is looked at from outside only: another process may be using it. The rtl device is not built for this.
    """
    from pynq_snn.devices.board.presence import what_is_missing
    from pynq_snn.devices.rtl_model import missing_tools

    result: dict[str, str | None] = {}
    for name, opener in _OPENERS.items():
        try:
            if name == "board":
                result[name] = what_is_missing()
            elif name == "rtl":
                result[name] = missing_tools()
            else:
                opener().close()
                result[name] = None
        except DeviceError as error:
            result[name] = str(error)
    return result


__all__ = ["DEVICE_NAMES", "Buffer", "Device", "available", "open_device"]
