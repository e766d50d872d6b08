"""Spike events from files, for networks that read events instead of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn.encode import to_events
from pynq_snn.errors import RecordingError
from pynq_snn.network import Network

MAX_EVENTS = 1 << 26  # 2 GB as int64 [N, 4]; more is no window of at most 32 timesteps
FORMS = "spikes, bool or 0 and 1 [T, channels, height, width], or events, integers [N, 4] (timestep, y, x, channel)"


def load_events(path: str | Path, network: Network) -> npt.NDArray[np.int64]:
    """Read one window of spike events.

    Parameters
    ----------
    path : str or Path
        A ``.npy`` file of spikes, bool or 0 and 1 [T, channels, height, width], or of address events, integers [N, 4].
    network : Network
        Says how many timesteps, and what shape.

    Returns
    -------
    int64 [N, 4]
        Timestep, y, x, channel of each event.

    Raises
    ------
    RecordingError
        The file is missing, damaged, or holds something else; or the network reads pictures.
    """
    if network.input_kind != "events":
        raise RecordingError(f"{network.name} reads pictures, not events; give it a picture")
    array = _open(Path(path))
    kind = f"{path}: holds {array.dtype} {list(array.shape)}"
    if array.dtype.kind not in "biu":
        raise RecordingError(f"{kind}; expected {FORMS}")
    if array.ndim == 2 and array.shape[1] == 4 and array.dtype != np.bool_:
        if len(array) > MAX_EVENTS:
            raise RecordingError(
                f"{path}: {len(array):,} events, more than {MAX_EVENTS:,}; give one window of timesteps"
            )
        return np.asarray(array, np.int64)
    window = (network.timesteps, *network.input_shape)
    if array.shape != window:
        raise RecordingError(f"{kind}, {network.name} reads windows of {list(window)}; expected {FORMS}")
    if array.size and (array.min() < 0 or array.max() > 1):
        raise RecordingError(f"{kind} from {array.min()} to {array.max()}; expected spikes of 0 and 1")
    return to_events(array != 0)


def _open(path: Path) -> npt.NDArray[Any]:
    try:
        # An archive (.npz), whatever its name, would come back as something else than an array.
        return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise RecordingError(f"{path}: no such file; check the path") from error
    except (OSError, ValueError, EOFError) as error:
        raise RecordingError(f"{path}: is no .npy file that can be read ({error}); save it with numpy.save") from error
