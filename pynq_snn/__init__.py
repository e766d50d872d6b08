"""Deep spiking neural networks on a PYNQ-Z2, and bit for bit the same on a simulator.

>>> from pynq_snn import Accelerator                                              # doctest: +SKIP
>>> with Accelerator() as accelerator:                                            # doctest: +SKIP
...     accelerator.load("vgg11")
...     accelerator.classify(images)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pynq_snn.accelerator import Accelerator
    from pynq_snn.errors import (
        ConversionWarning,
        DatasetError,
        DeviceError,
        DeviceTimeout,
        ModelError,
        PictureError,
        ProgramError,
        PynqSnnError,
    )
    from pynq_snn.network import Network
    from pynq_snn.pictures import fit_picture

__version__ = "0.1.0"

# Loaded when first asked for, so that importing the package costs next to nothing.
_HOMES = {
    "Accelerator": "accelerator",
    "Network": "network",
    "fit_picture": "pictures",
    "ConversionWarning": "errors",
    "DatasetError": "errors",
    "DeviceError": "errors",
    "DeviceTimeout": "errors",
    "ModelError": "errors",
    "PictureError": "errors",
    "ProgramError": "errors",
    "PynqSnnError": "errors",
}

__all__ = [
    "Accelerator",
    "ConversionWarning",
    "DatasetError",
    "DeviceError",
    "DeviceTimeout",
    "ModelError",
    "Network",
    "PictureError",
    "ProgramError",
    "PynqSnnError",
    "__version__",
    "fit_picture",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
