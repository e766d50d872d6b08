"""Memory that a training gives back and asks for again at every step."""

from __future__ import annotations

import ctypes

# Parameters of glibc's mallopt (malloc.h).
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
LARGEST = 2**31 - 1  # that mallopt takes
PAD = 1 << 28


def keep_freed_memory() -> bool:
    """Let the C library keep what is freed, instead of asking the kernel for fresh pages at every large tensor.

    The first touch of a fresh page costs more than what is computed there: int8 convolutions of 64 channels took half
    of the time without.

    Returns
    -------
    bool
        Whether the C library can (glibc's can).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((MMAP_MAX, 0), (TRIM_THRESHOLD, LARGEST), (TOP_PAD, PAD))
    return all(mallopt(parameter, value) for parameter, value in settings)
