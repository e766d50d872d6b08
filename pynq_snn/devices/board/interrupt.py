"""The core's interrupt, as the kernel hands it to a program: a userspace I/O (UIO) device.

pynq has a class for it that waits inside an asyncio loop, without a time limit. This one waits in plain code, with one.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys

_COUNT_BYTES = 4  # of what is read from and written to a UIO device
_ENABLE = (1).to_bytes(_COUNT_BYTES, sys.byteorder)


class InterruptLine:
    """An interrupt that can be waited for.

    Parameters
    ----------
    path : str
        A UIO device, such as ``/dev/uio0``.

    Raises
    ------
    OSError
        It cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def arm(self) -> None:
        """Forget interrupts of the past, and let the next one through: the kernel switches the line off after each."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._descriptor, _COUNT_BYTES)
        os.write(self._descriptor, _ENABLE)

    def wait(self, timeout_s: float) -> bool:
        """Return whether an interrupt came within `timeout_s` seconds."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if not poll.poll(max(0.0, 1000 * timeout_s)):
            return False
        with contextlib.suppress(BlockingIOError):
            os.read(self._descriptor, _COUNT_BYTES)
        return True

    def close(self) -> None:
        """Give the line back; safe to call twice."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


def open_line(number: int) -> InterruptLine | None:
    """Return the line of a number at the interrupt controller; None where the kernel has no device for it."""
    from pynq.interrupt import get_uio_irq

    try:
        path = get_uio_irq(number)
        return None if path is None else InterruptLine(path)
    except OSError:
        return None  # no UIO on this machine: the caller polls
