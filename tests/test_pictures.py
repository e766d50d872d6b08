"""From any picture to the pixels of a network."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pynq_snn.errors import PictureError
from pynq_snn.network import Network, integrate
from pynq_snn.pictures import fit_picture
from tests.networks import NetworkBuilder, from_events, pooled_spikes

MEAN = (125, 123, 114)
NO_DITHER: Any = 0
TRANSPOSE = getattr(Image, "Transpose", Image)  # in the module itself up to Pillow 9.0
RED, GREEN = (200, 10, 10), (10, 200, 10)


def network_for(height: int, width: int, channels: int = 3) -> Network:
    network = integrate(NetworkBuilder(1, (channels, height, width)).readout(2))
    return replace(network, mean_pixel=MEAN[:channels])


@pytest.fixture(scope="module")
def network() -> Network:
    return network_for(8, 8)


def save(picture: Image.Image, path: Path, **options: Any) -> Path:
    picture.save(path, **options)
    return path


def halves(width: int = 64, height: int = 64) -> Image.Image:
    """Red above green."""
    picture = Image.new("RGB", (width, height), RED)
    picture.paste(GREEN, (0, height // 2, width, height))
    return picture


def assert_halves(pixels: np.ndarray, tolerance: int = 12) -> None:
    assert np.abs(pixels[:3].astype(int) - RED).max() <= tolerance
    assert np.abs(pixels[-3:].astype(int) - GREEN).max() <= tolerance


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif", "ppm", "tga", "pcx", "webp"])
def test_formats(tmp_path: Path, network: Network, suffix: str) -> None:
    assert_halves(fit_picture(save(halves(), tmp_path / f"picture.{suffix}"), network))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "PA", "CMYK", "YCbCr", "HSV", "I;16", "I", "F"])
def test_modes_keep_light_and_dark(network: Network, mode: str) -> None:
    levels = np.repeat(np.array([[20], [220]], np.uint8), 8, axis=0) * np.ones((1, 16), np.uint8)
    grey = Image.fromarray(levels)
    if mode == "I;16":
        picture = Image.fromarray(levels.astype(np.uint16) * 256)
    elif mode in ("I", "F"):
        picture = Image.fromarray(levels.astype(np.int32 if mode == "I" else np.float32) * 1000 - 7)
    elif mode in ("CMYK", "YCbCr", "HSV"):
        picture = grey.convert("RGB").convert(mode)
    else:
        picture = grey.convert(mode, dither=NO_DITHER)
    assert picture.mode == mode
    pixels = fit_picture(picture, network)
    assert pixels[:3].max() < 40
    assert pixels[-3:].min() > 200


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_keeps_its_absolute_level(tmp_path: Path, network: Network, suffix: str) -> None:
    levels = Image.fromarray(np.full((5, 5), 100 * 256 + 77, np.uint16))
    assert np.unique(fit_picture(save(levels, tmp_path / f"grey.{suffix}"), network)).tolist() == [100]


def test_levels_without_a_range(network: Network) -> None:
    flat = Image.fromarray(np.full((4, 4), 3.5, np.float32))
    assert np.unique(fit_picture(flat, network)).tolist() == [0]
    damaged = np.zeros((8, 8), np.float32)
    damaged[0, 0], damaged[0, 1], damaged[4:] = np.nan, np.inf, 1.0
    assert fit_picture(Image.fromarray(damaged), network)[-1].min() == 255


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_upright(tmp_path: Path, network: Network, suffix: str, orientation: int) -> None:
    # What a camera stores when held so: the inverse of what a viewer does.
    stored = {
        1: None, 2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90",
        7: "TRANSVERSE", 8: "ROTATE_270",
    }[orientation]  # fmt: skip
    picture = halves()
    picture.paste((0, 0, 255), (0, 0, 32, 32))  # the upper left quarter, so that mirrors show
    turned = picture.transpose(getattr(TRANSPOSE, stored)) if stored else picture
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(turned, tmp_path / f"turned.{suffix}", exif=exif)
    difference = fit_picture(path, network).astype(int) - fit_picture(picture, network)
    assert np.abs(difference).mean() < 4


def test_damaged_exif_is_ignored(tmp_path: Path, network: Network) -> None:
    path = save(halves(), tmp_path / "odd.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\xff\xff")
    assert_halves(fit_picture(path, network))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_parts_become_the_mean_colour(network: Network, mode: str) -> None:
    picture = Image.new("RGBA", (32, 32), (255, 255, 255, 255))
    picture.paste((0, 0, 0, 0), (0, 16, 32, 32))
    if mode == "PA":
        palette = picture.convert("P")
        palette.putalpha(picture.getchannel("A"))
        picture = palette
    picture = picture.convert(mode)
    assert picture.mode == mode
    pixels = fit_picture(picture, network)
    assert pixels[0].min() == 255
    assert (pixels[-1] == MEAN).all()


def test_transparent_palette_entries_and_colour_keys(tmp_path: Path, network: Network) -> None:
    picture = Image.new("P", (16, 16), 0)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.paste(1, (0, 8, 16, 16))
    for path in (
        save(picture, tmp_path / "palette.gif", transparency=1),
        save(picture, tmp_path / "palette.png", transparency=1),
        save(picture.convert("RGB"), tmp_path / "key.png", transparency=(0, 255, 0)),
    ):
        pixels = fit_picture(path, network)
        assert (pixels[0] == (255, 0, 0)).all(), path
        assert (pixels[-1] == MEAN).all(), path


def test_half_transparent_is_half_mean(network: Network) -> None:
    pixels = fit_picture(Image.new("RGBA", (5, 5), (255, 255, 255, 128)), network)
    assert np.abs(pixels.astype(float) - (np.array(MEAN) * 127 + 255 * 128) / 255).max() <= 1


def test_the_first_frame_of_an_animation(tmp_path: Path, network: Network) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN)]
    path = save(frames[0], tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert np.abs(fit_picture(path, network).astype(int) - RED).max() <= 12


def test_a_picture_of_the_right_size_is_unchanged(network: Network) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    assert np.array_equal(fit_picture(pixels, network), pixels)
    assert np.array_equal(fit_picture(pixels, network, fit="pad"), pixels)


def test_crop_keeps_the_centre_and_pad_keeps_everything(network: Network) -> None:
    picture = Image.new("RGB", (96, 32), RED)
    picture.paste(GREEN, (32, 0, 64, 32))
    cropped = fit_picture(picture, network)
    assert np.abs(cropped[:, 2:6].astype(int) - GREEN).max() <= 2
    padded = fit_picture(picture, network, fit="pad")
    assert (padded[:2] == MEAN).all() and (padded[-2:] == MEAN).all()
    assert padded[4, 0, 0] > 150 and padded[4, 4, 1] > 150 and padded[4, -1, 0] > 150


def test_scaling_down_is_antialiased(network: Network) -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    pixels = fit_picture(stripes, network)
    assert pixels.min() >= 120 and pixels.max() <= 135


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    target=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    fit=st.sampled_from(["crop", "pad"]),
    channels=st.sampled_from([1, 3]),
)
def test_any_size_fits_any_network(size: tuple[int, int], target: tuple[int, int], fit: str, channels: int) -> None:
    network = network_for(*target, channels)
    pixels = fit_picture(Image.new("RGB", size, MEAN if channels == 3 else (125, 125, 125)), network, fit=fit)
    assert pixels.shape == (*target, channels)
    assert pixels.dtype == np.uint8
    assert (pixels == MEAN[:channels]).all()  # a picture of the mean colour is the mean colour everywhere


@pytest.mark.parametrize("size", [(1, 1), (20_000, 10), (10, 20_000), (1, 3000)])
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_extreme_sizes(tmp_path: Path, network: Network, size: tuple[int, int], fit: str) -> None:
    pixels = fit_picture(save(Image.new("RGB", size, RED), tmp_path / "odd.png"), network, fit=fit)
    assert (pixels == RED).all(axis=2).any()


def test_large_jpegs_decoded_at_reduced_size_look_the_same(tmp_path: Path, network: Network) -> None:
    path = save(halves(2000, 1500), tmp_path / "large.jpg", quality=95)
    assert_halves(fit_picture(path, network))


def test_grey_networks(tmp_path: Path) -> None:
    network = integrate(pooled_spikes())
    path = save(Image.new("RGB", (20, 20), (255, 255, 255)), tmp_path / "white.png")
    pixels = fit_picture(path, network)
    assert pixels.shape == (network.input_height, network.input_width, 1)
    assert pixels.min() == 255


def png_declaring(width: int, height: int) -> bytes:
    """Return a PNG file that declares a size and holds nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a picture"),
        (b"plain text", "not a picture"),
        (png_declaring(9_500, 9_500), "decompression bomb"),
        (png_declaring(60_000, 60_000), "decompression bomb"),
        (png_declaring(0, 5), "picture"),
        (png_declaring(100, 100), "damaged or cut off"),
    ],
)
def test_files_that_are_no_pictures(tmp_path: Path, network: Network, content: bytes, message: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=message) as caught:
        fit_picture(path, network)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "webp"])
def test_truncated_and_flipped_files_never_escape_as_another_error(
    tmp_path: Path, network: Network, suffix: str
) -> None:
    noise = Image.fromarray(np.random.default_rng(2).integers(0, 256, (40, 40, 3), np.uint8))
    whole = save(noise, tmp_path / f"whole.{suffix}").read_bytes()
    damaged = tmp_path / f"damaged.{suffix}"
    damaged.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PictureError, match="damaged"):
        fit_picture(damaged, network)
    random = np.random.default_rng(4)
    for _ in range(60):
        content = bytearray(whole)
        content[random.integers(0, min(len(whole), 300))] ^= int(random.integers(1, 256))
        damaged.write_bytes(content[: random.integers(1, len(whole) + 1)])
        try:
            fit_picture(damaged, network)
        except PictureError as error:
            assert "damaged." in str(error)  # noqa: PT017 - both outcomes are good


def test_places_that_are_no_files(tmp_path: Path, network: Network) -> None:
    with pytest.raises(PictureError, match="no such file"):
        fit_picture(tmp_path / "nothing.png", network)
    with pytest.raises(PictureError, match="is a folder"):
        fit_picture(tmp_path, network)


@pytest.mark.parametrize(
    ("shape", "kind"), [((4, 4, 3), np.float64), ((4, 4, 7), np.uint8), ((4,), np.uint8), ((0, 4), np.uint8)]
)
def test_arrays_of_the_wrong_kind(network: Network, shape: tuple[int, ...], kind: Any) -> None:
    with pytest.raises(PictureError, match="expected"):
        fit_picture(np.zeros(shape, kind), network)


def test_networks_that_read_no_pictures(network: Network) -> None:
    with pytest.raises(PictureError, match="events, not pictures"):
        fit_picture(halves(), integrate(from_events()))
    with pytest.raises(PictureError, match="fit='stretch'"):
        fit_picture(halves(), network, fit="stretch")
