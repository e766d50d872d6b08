"""From pictures and address events to the spike maps that the core reads (docs/numerics.md, sections 1 and 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pynq_snn import layout
from pynq_snn.errors import ProgramError
from pynq_snn.layout import Coding

PIXEL_PLANES = 8


@dataclass(frozen=True)
class MapLayout:
    """Where the masks of a spike map lie.

    Attributes
    ----------
    channels, height, width : int
    planes : int
        Even; see `layout.even_planes`.
    coding : Coding
        What the planes are.
    """

    channels: int
    height: int
    width: int
    planes: int
    coding: Coding

    @property
    def blocks(self) -> int:
        """Blocks of 32 channels."""
        return -(-self.channels // layout.BLOCK_CHANNELS)

    @property
    def row_bytes(self) -> int:
        return layout.MASK_BYTES * self.planes * self.width

    @property
    def block_bytes(self) -> int:
        return layout.align(self.row_bytes * self.height)

    @property
    def image_bytes(self) -> int:
        return self.block_bytes * self.blocks


@dataclass(frozen=True)
class PatchGeometry:
    """How a first convolution's patches are cut from a padded picture."""

    kernel_height: int
    kernel_width: int
    stride: int
    padding: int


def pack_planes(planes: npt.NDArray[np.bool_], target: MapLayout) -> npt.NDArray[np.uint8]:
    """Pack planes of bits into a spike map.

    Parameters
    ----------
    planes : bool [target.planes, target.channels, target.height, target.width]

    Returns
    -------
    uint8 [target.image_bytes]
    """
    padded = np.zeros((target.blocks * layout.BLOCK_CHANNELS, target.height, target.width, target.planes), np.bool_)
    padded[: target.channels] = planes.transpose(1, 2, 3, 0)
    grouped = padded.reshape(target.blocks, layout.BLOCK_CHANNELS, -1).transpose(0, 2, 1)
    masks = np.packbits(grouped, axis=2, bitorder="little")
    result = np.zeros((target.blocks, target.block_bytes), np.uint8)
    result[:, : target.row_bytes * target.height] = masks.reshape(target.blocks, -1)
    return result.reshape(-1)


def unpack_planes(data: npt.NDArray[np.uint8], source: MapLayout) -> npt.NDArray[np.bool_]:
    """Undo `pack_planes`: uint8 [image_bytes] to bool [planes, channels, height, width]."""
    blocks = data.reshape(source.blocks, source.block_bytes)[:, : source.row_bytes * source.height]
    masks = np.ascontiguousarray(blocks).reshape(
        source.blocks, source.height, source.width, source.planes, layout.MASK_BYTES
    )
    bits = np.unpackbits(masks, axis=4, bitorder="little").astype(np.bool_)
    channels_last = bits.transpose(3, 0, 4, 1, 2)
    return channels_last.reshape(source.planes, -1, source.height, source.width)[:, : source.channels]


def binary_planes(values: npt.NDArray[Any], planes: int) -> npt.NDArray[np.bool_]:
    """Return the bits of unsigned `values` [...], most significant first: bool [planes, ...]."""
    shifts = np.arange(planes - 1, -1, -1).reshape((-1,) + (1,) * values.ndim)
    return (values[None].astype(np.int64) >> shifts & 1).astype(np.bool_)


def spike_counts(planes: npt.NDArray[np.bool_] | npt.NDArray[np.uint8], coding: Coding) -> npt.NDArray[np.int64]:
    """Return the number that each place of a map holds: bool or uint8 of 0 and 1 [planes, ...] to int64 [...]."""
    if coding == Coding.TIMESTEPS:
        return planes.sum(axis=0, dtype=np.int64)
    weights = 1 << np.arange(len(planes) - 1, -1, -1, dtype=np.int64)
    return np.tensordot(weights, planes.astype(np.int64), axes=1)


def encode_pixels(
    image: npt.NDArray[np.uint8], target: MapLayout, patches: PatchGeometry, mean_pixel: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    """Cut a picture into patches and pack their pixels as bit planes.

    Parameters
    ----------
    image : uint8 [height, width, channels]
    target : MapLayout
        Of the patches: one channel per pixel of a patch, one place per position of the kernel.
    mean_pixel : tuple of int
        Colour of the padding, one value per channel.

    Returns
    -------
    uint8 [target.image_bytes]
    """
    margin = patches.padding
    height, width, channels = image.shape
    padded = np.empty((height + 2 * margin, width + 2 * margin, channels), np.uint8)
    padded[:] = np.array(mean_pixel, np.uint8)
    padded[margin : margin + height, margin : margin + width] = image
    windows = np.lib.stride_tricks.sliding_window_view(
        padded, (patches.kernel_height, patches.kernel_width), axis=(0, 1)
    )
    chosen = windows[:: patches.stride, :: patches.stride]  # [rows, columns, channels, kernel row, kernel column]
    values = chosen.transpose(3, 4, 2, 0, 1).reshape(target.channels, target.height, target.width)
    return pack_planes(binary_planes(values, target.planes), target)


def to_events(spikes: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return the address events, int64 [N, 4] (t, y, x, channel), of spikes, bool [T, channels, height, width]."""
    t, channel, y, x = np.nonzero(spikes)
    return np.stack([t, y, x, channel], axis=1)


def encode_events(events: npt.NDArray[Any], target: MapLayout, timesteps: int) -> npt.NDArray[np.uint8]:
    """Pack address events into a spike map.

    Parameters
    ----------
    events : int [N, 4]
        One row per spike: timestep, y, x, channel. Repeated rows are one spike.
    timesteps : int
        T; events at or beyond it are refused.

    Returns
    -------
    uint8 [target.image_bytes]

    Raises
    ------
    ProgramError
        An event lies outside the map or the time window.
    """
    events = np.asarray(events)
    if events.size == 0:
        events = np.zeros((0, 4), np.int64)
    if events.ndim != 2 or events.shape[1] != 4 or events.dtype.kind not in "iu":
        raise ProgramError(
            f"events are {events.dtype} {list(events.shape)}; expected integers [N, 4]: t, y, x, channel"
        )
    limits = np.array([timesteps, target.height, target.width, target.channels])
    outside = ((events < 0) | (events >= limits)).any(axis=1)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise ProgramError(
            f"event {first} (t, y, x, channel) = {events[first].tolist()} is outside {limits.tolist()}; "
            "crop the events to the network's input"
        )
    planes = np.zeros((target.planes, target.channels, target.height, target.width), np.bool_)
    t, y, x, channel = events.T
    planes[t, channel, y, x] = True
    return pack_planes(planes, target)
