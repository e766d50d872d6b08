"""Normalisation and augmentation on whole batches of tensors."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch.nn import functional

# Grey-level means of CIFAR-10 as whole pixel values, and one deviation for all channels: both fold into the first
# layer's integers without rounding, and the mean is a pixel that padding can use (docs/numerics.md).
MEAN = (125, 123, 114)
STD = 64

CROP_MARGIN = 4
CUTOUT_SIZE = 8
SMALL_CROP = 24  # of 32 pixels: 0.56 of the work


def normalise(images: torch.Tensor) -> torch.Tensor:
    """Map [N, 3, H, W] pixels, 0 to 255, to float32 of about zero mean and unit deviation."""
    mean = torch.tensor(MEAN, dtype=torch.float32, device=images.device).reshape(1, 3, 1, 1)
    return (images.float() - mean) / STD


def augment(images: torch.Tensor, cutout: bool, small: bool = False, jpeg_quality: int = 0) -> torch.Tensor:
    """Normalise a batch and apply a random crop and flip, and perhaps JPEG and a cut-out, to each picture.

    Parameters
    ----------
    images : uint8 [N, 3, H, W]
    small : bool
        Crop to SMALL_CROP pixels instead of the pictures' own size.
    jpeg_quality : int
        Of the JPEG compression that every picture goes through after crop and flip; 0 for none.

    Returns
    -------
    float32 [N, 3, H, W], or of SMALL_CROP rows and columns
    """
    count, _, height, width = images.shape
    device = images.device
    padded = functional.pad(images.float(), [CROP_MARGIN] * 4, mode="reflect")  # which PyTorch lacks for uint8
    if small:
        height, width = min(height, SMALL_CROP), min(width, SMALL_CROP)
    tops = torch.randint(0, padded.shape[2] - height + 1, (count, 1)).to(device, non_blocking=True)
    lefts = torch.randint(0, padded.shape[3] - width + 1, (count, 1)).to(device, non_blocking=True)
    rows, columns = tops + torch.arange(height, device=device), lefts + torch.arange(width, device=device)
    flipped = torch.rand(count, 1).to(device, non_blocking=True) < 0.5
    columns = torch.where(flipped, columns.flip(1), columns)
    picture = torch.arange(count, device=device)[:, None, None]
    cropped = padded.permute(0, 2, 3, 1)[picture, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    if jpeg_quality:
        cropped = compress(cropped.to(torch.uint8), jpeg_quality)
    x = normalise(cropped)
    return x * _cut_out(count, height, width, device) if cutout else x


def compress(images: torch.Tensor, quality: int) -> torch.Tensor:
    """Return what pictures look like after JPEG compression with colours at half resolution.

    Parameters
    ----------
    images : uint8 [N, 3, H, W]
    quality : int
        Of libjpeg, 1 to 95.

    Returns
    -------
    uint8 [N, 3, H, W]
    """
    pictures = [_through_jpeg(picture, quality) for picture in images.permute(0, 2, 3, 1).cpu().numpy()]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).to(images.device)


def _through_jpeg(picture: npt.NDArray[np.uint8], quality: int) -> npt.NDArray[np.uint8]:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(stream))


def cut_mix(x: torch.Tensor, labels: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Put a box of another picture into each picture of a batch, and mix the labels by area.

    Parameters
    ----------
    x : float [N, C, H, W]
    labels : int64 [N]

    Returns
    -------
    x : float [N, C, H, W]
    targets : float32 [N, classes]
        Shares of each class.

    Notes
    -----
    CutMix (Yun et al., ICCV 2019), with one box a batch whose area is evenly distributed and then cut at the edges.
    """
    height, width = x.shape[2:]
    side = float(1 - torch.rand(())) ** 0.5
    rows, columns = (_span(size, side) for size in (height, width))
    others = torch.randperm(len(x)).to(x.device, non_blocking=True)
    mixed = x.clone()
    mixed[:, :, rows, columns] = x[others][:, :, rows, columns]
    share = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    own = torch.nn.functional.one_hot(labels, classes).float()
    return mixed, (1 - share) * own + share * own[others]


def _span(size: int, part: float) -> slice:
    """Return a stretch of about `part` of `size` around a random centre, cut at the edges."""
    centre, half = int(torch.randint(0, size, ())), round(size * part / 2)
    return slice(max(centre - half, 0), min(centre + half, size))


def _cut_out(count: int, height: int, width: int, device: torch.device) -> torch.Tensor:
    top = torch.randint(0, height - CUTOUT_SIZE + 1, (count, 1)).to(device, non_blocking=True)
    left = torch.randint(0, width - CUTOUT_SIZE + 1, (count, 1)).to(device, non_blocking=True)
    rows = (torch.arange(height, device=device) >= top) & (torch.arange(height, device=device) < top + CUTOUT_SIZE)
    columns = (torch.arange(width, device=device) >= left) & (torch.arange(width, device=device) < left + CUTOUT_SIZE)
    return (~(rows[:, None, :, None] & columns[:, None, None, :])).float()
