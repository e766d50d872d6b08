"""From any picture that Pillow opens to the pixels that a network reads.

What happens to a picture, in this order:

1. the first frame of an animation is taken, and turned upright as its EXIF orientation says;
2. grey levels of 16 bits keep their upper 8; 32-bit and floating-point levels, whose range no file states,
   are stretched from their smallest to their largest;
3. it is scaled with an antialiasing filter, keeping its aspect ratio: ``crop`` fills the network's input and cuts
   what sticks out on the longer sides, as classifiers are trained on objects that fill the frame; ``pad`` shows all
   of it, with the network's mean colour beside it;
4. transparent parts become the network's mean colour, which it sees as zero.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from pynq_snn.errors import PictureError

if TYPE_CHECKING:
    from pynq_snn.network import Network

MAX_PICTURE_PIXELS = 89_478_485  # Pillow's own mark of a decompression bomb: 256 MiB as RGB
FITS = ("crop", "pad")

# Pillow 9.0, which the board has, keeps these names in the module itself.
_TRANSPOSE: Any = getattr(Image, "Transpose", Image)
_RESAMPLING: Any = getattr(Image, "Resampling", Image)

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: _TRANSPOSE.FLIP_LEFT_RIGHT,
    3: _TRANSPOSE.ROTATE_180,
    4: _TRANSPOSE.FLIP_TOP_BOTTOM,
    5: _TRANSPOSE.TRANSPOSE,
    6: _TRANSPOSE.ROTATE_270,
    7: _TRANSPOSE.TRANSVERSE,
    8: _TRANSPOSE.ROTATE_90,
}
_MODES = {1: "L", 3: "RGB"}  # by channels of the network's input
# A JPEG may be decoded at a half, quarter or eighth of its size as long as this many pixels remain for each of ours.
_DRAFT_FACTOR = 8

Pixels = npt.NDArray[np.uint8]


def fit_picture(picture: str | Path | Image.Image | Pixels, network: Network, *, fit: str = "crop") -> Pixels:
    """Return a picture as the pixels that a network reads.

    Parameters
    ----------
    picture : str, Path, PIL.Image.Image, or uint8 [H, W], [H, W, 3] or [H, W, 4]
        A file, or a picture of any size and mode.
    network : Network
        Says size, channels and mean colour.
    fit : {"crop", "pad"}
        Cut what sticks out of the network's aspect ratio, or pad with the mean colour.

    Returns
    -------
    uint8 [input_height, input_width, input_channels]

    Raises
    ------
    PictureError
        The file is missing, damaged, no picture, or larger than `MAX_PICTURE_PIXELS`; or the network
        does not read pictures.
    """
    if fit not in FITS:
        raise PictureError(f"fit={fit!r} is not known; use one of {', '.join(FITS)}")
    if network.input_kind != "pixels":
        raise PictureError(
            f"{network.name} reads events, not pictures; give it a .npy file of spikes or address events"
        )
    mode = _MODES.get(network.input_channels)
    if mode is None:
        raise PictureError(
            f"{network.name} reads {network.input_channels} channels of pixels, pictures have 1 or 3; "
            "use a model that reads 1 or 3 channels"
        )
    size = (network.input_width, network.input_height)
    upright = _as_image(picture, size)
    scaled = crop(upright, size) if fit == "crop" else _scale_inside(upright, size)
    background = network.mean_pixel
    canvas = Image.new(mode, size, background if mode == "RGB" else background[0])
    corner = ((size[0] - scaled.width) // 2, (size[1] - scaled.height) // 2)
    mask = scaled.getchannel("A") if scaled.mode in ("RGBA", "LA") else None
    canvas.paste(scaled.convert(mode), corner, mask)
    return np.asarray(canvas, np.uint8).reshape(network.input_height, network.input_width, network.input_channels)


def _as_image(picture: str | Path | Image.Image | Pixels, size: tuple[int, int]) -> Image.Image:
    """Return an upright picture of mode L, LA, RGB or RGBA."""
    if isinstance(picture, (str, Path)):
        return _open(Path(picture), size)
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or 0 in picture.shape:
            raise PictureError(f"picture is {picture.dtype} {list(picture.shape)}; expected uint8 [H, W] or [H, W, 3]")
        try:
            return _simplify(Image.fromarray(picture))
        except TypeError as error:
            raise PictureError(f"picture has shape {list(picture.shape)}; expected [H, W] or [H, W, 3]") from error
    return _upright_and_simple(picture)


def _open(path: Path, size: tuple[int, int]) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of bombs, which are refused below, and of oddities in metadata
            with Image.open(path) as picture:
                return _decode(picture, path, size)
    except PictureError:
        raise
    except FileNotFoundError as error:
        raise PictureError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise PictureError(f"{path}: is a folder; give a picture") from error
    except PermissionError as error:
        raise PictureError(f"{path}: may not be read; change its permissions") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{path}: is refused as a possible decompression bomb ({error}); shrink it first") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{path}: is not a picture in a format that Pillow {_pillow_version()} reads") from error
    except Exception as error:  # on damaged files Pillow's decoders raise whatever their parsing runs into
        raise PictureError(f"{path}: is damaged or cut off ({type(error).__name__}: {error})") from error


def _pillow_version() -> str:
    from PIL import __version__

    return __version__


def _decode(picture: Image.Image, path: Path, size: tuple[int, int]) -> Image.Image:
    width, height = picture.size
    if width * height > MAX_PICTURE_PIXELS:
        raise PictureError(
            f"{path}: {width} x {height} pixels are refused as a possible decompression bomb "
            f"(the limit is {MAX_PICTURE_PIXELS}); shrink it first"
        )
    side = _DRAFT_FACTOR * max(size)
    picture.draft(None, (side, side))
    picture.load()
    return _upright_and_simple(picture)


def _upright_and_simple(picture: Image.Image) -> Image.Image:
    simple = _simplify(picture)
    try:
        orientation = picture.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged EXIF data is no reason to refuse a picture; viewers show it as it lies
        return simple
    return simple.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else simple


def _simplify(picture: Image.Image) -> Image.Image:
    """Return the picture in mode L, LA, RGB or RGBA."""
    if picture.mode in ("L", "LA", "RGB", "RGBA") and "transparency" not in picture.info:
        return picture
    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(_to_grey_levels(picture))
    if "transparency" in picture.info or picture.mode in ("PA", "La", "RGBa"):
        return picture.convert("RGBA")
    try:
        return picture.convert("L" if picture.mode == "1" else "RGB")
    except ValueError as error:
        raise PictureError(f"colour mode {picture.mode} is not supported; save the picture as RGB") from error


def _to_grey_levels(picture: Image.Image) -> Pixels:
    """Return levels of more than 8 bits as uint8 [H, W]."""
    levels = np.nan_to_num(np.asarray(picture).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    # Pillow opens 16-bit PNG and PGM files as 32-bit integers, depending on its version.
    if picture.mode.startswith("I;16") or picture.format in ("PNG", "PPM"):
        return np.clip(levels / 256, 0, 255).astype(np.uint8)
    low, high = float(levels.min()), float(levels.max())
    return np.round((levels - low) * (255 / (high - low) if high > low else 0)).astype(np.uint8)


def crop(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale the largest centred part that has the aspect ratio of `size`."""
    ratio = min(picture.width / size[0], picture.height / size[1])
    width, height = size[0] * ratio, size[1] * ratio
    # Rounding must not put an edge outside the picture.
    left, top = max(0.0, (picture.width - width) / 2), max(0.0, (picture.height - height) / 2)
    box = (left, top, min(left + width, picture.width), min(top + height, picture.height))
    return picture.resize(size, _RESAMPLING.LANCZOS, box=box)


def _scale_inside(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Scale the whole picture so that it just fits into `size`."""
    ratio = min(size[0] / picture.width, size[1] / picture.height)
    scaled = (max(1, round(picture.width * ratio)), max(1, round(picture.height * ratio)))
    return picture.resize(scaled, _RESAMPLING.LANCZOS)
