"""The C++ kernel of ``hls/``, compiled for this machine."""

from __future__ import annotations

import ctypes
from pathlib import Path

from pynq_snn import layout
from pynq_snn.devices.simulated import MEMORY_BYTES, SimulatedDevice
from pynq_snn.errors import DeviceError

LIBRARY_PATTERN = "_snn_core*.so"
PACKAGE_FOLDER = Path(__file__).parent.parent


class KernelDevice(SimulatedDevice):
    """Runs programs on the compiled kernel; its cycle counters are an estimate."""

    name = "kernel"
    description = "C++ kernel on this machine's processor"

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._library = _load_library()
        super().__init__(memory_bytes)

    def execute(self) -> None:
        self._library.snn_core_run(
            self.words.ctypes.data,
            self.memory.array.ctypes.data,
            self.memory.base,
            len(self.memory.array),
            self.abort.ctypes.data,
        )


def _load_library() -> ctypes.CDLL:
    candidates = sorted(PACKAGE_FOLDER.glob(LIBRARY_PATTERN))
    if not candidates:
        raise DeviceError(
            "the kernel device is not built: no C++ compiler was found when pynq-snn was installed; "
            "install g++ (sudo apt install g++) and install pynq-snn again, or use --device reference"
        )
    try:
        library = ctypes.CDLL(str(candidates[0]))
        library.snn_core_run.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p,
        ]  # fmt: skip
        library.snn_core_run.restype = ctypes.c_int
        library.snn_core_layout_version.restype = ctypes.c_uint32
        version = library.snn_core_layout_version()
    except (OSError, AttributeError) as error:
        raise DeviceError(f"{candidates[0]} cannot be loaded ({error}); install pynq-snn again") from error
    if version != layout.LAYOUT_VERSION:
        raise DeviceError(
            f"{candidates[0]} is built for layout version {version}, this package has {layout.LAYOUT_VERSION}; "
            "install pynq-snn again"
        )
    return library
