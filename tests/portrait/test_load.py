"""Every kind of photo file arrives upright, in 8-bit sRGB."""

from __future__ import annotations

import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pshead_core.portrait.load import MAX_SIDE_PX, load_photo

HEIGHT, WIDTH = 80, 120


@pytest.fixture
def colours() -> np.ndarray:
    """Smooth, asymmetric, all three channels different."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([2 * x, 3 * y, (x + y)], axis=-1).astype(np.uint8)


# Exif 2.32, table of the tag Orientation: which visual side the stored row 0 and column 0 are.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[:, ::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(("suffix", "tolerance"), [(".png", 0), (".tif", 0), (".webp", 6), (".jpg", 6)])
def test_orientation(tmp_path: Path, colours: np.ndarray, orientation: int, suffix: str, tolerance: int):
    image = Image.fromarray(np.ascontiguousarray(STORED[orientation](colours)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {} if suffix in {".png", ".tif"} else {"quality": 100}
    if suffix == ".jpg":
        options["subsampling"] = 0
    path = tmp_path / f"photo{suffix}"
    image.save(path, exif=exif, **options)
    photo = load_photo(path)
    assert photo.rgb.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(photo.rgb.astype(int) - colours).max() <= tolerance


def test_plain(tmp_path: Path, colours: np.ndarray):
    path = tmp_path / "a photo.png"
    Image.fromarray(colours).save(path)
    photo = load_photo(path)
    np.testing.assert_array_equal(photo.rgb, colours)
    assert photo.rgb.dtype == np.uint8
    assert photo.alpha is None
    assert photo.source == str(path)
    assert photo.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_damaged_exif_does_not_cost_the_photo(tmp_path: Path, colours: np.ndarray):
    path = tmp_path / "photo.jpg"
    Image.fromarray(colours).save(path, quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert load_photo(path).rgb.shape == colours.shape


def test_cmyk(tmp_path: Path):
    cmyk = np.zeros((64, 256, 4), np.uint8)
    cmyk[:, :64, 0], cmyk[:, 64:128, 1], cmyk[:, 128:192, 2], cmyk[:, 192:, 3] = 255, 255, 255, 255
    path = tmp_path / "photo.tif"
    Image.fromarray(cmyk, mode="CMYK").save(path)
    rgb = load_photo(path).rgb
    expected = [(0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 0)]
    for number, colour in enumerate(expected):
        np.testing.assert_array_equal(rgb[32, 64 * number + 32], colour)


def test_cmyk_jpeg_is_not_inverted(tmp_path: Path):
    path = tmp_path / "photo.jpg"
    Image.new("CMYK", (64, 64), (0, 0, 0, 0)).save(path, quality=95)
    assert load_photo(path).rgb.min() >= 250


def test_grey_16_bit(tmp_path: Path):
    values = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    for name in ("photo.png", "photo.tif"):
        Image.fromarray(values).save(tmp_path / name)
        rgb = load_photo(tmp_path / name).rgb
        assert np.abs(rgb - values[..., None] / 257).max() <= 0.5 + 1e-9


def _png(path: Path, samples: np.ndarray, colour_type: int) -> None:
    """Write a 16-bit PNG by hand: Pillow cannot (colour type 2: RGB, 4: grey and alpha, 6: RGBA)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def test_colour_16_bit(tmp_path: Path):
    samples = np.random.default_rng(0).integers(0, 65536, (64, 64, 4)).astype(np.uint16)
    _png(tmp_path / "rgb.png", samples[..., :3], 2)
    assert np.abs(load_photo(tmp_path / "rgb.png").rgb - samples[..., :3] / 257).max() <= 1
    _png(tmp_path / "rgba.png", samples, 6)
    photo = load_photo(tmp_path / "rgba.png")
    assert np.abs(photo.rgb - samples[..., :3] / 257).max() <= 1
    assert np.abs(photo.alpha - samples[..., 3] / 65535).max() <= 1 / 255
    _png(tmp_path / "la.png", samples[..., :2], 4)
    photo = load_photo(tmp_path / "la.png")
    assert np.abs(photo.rgb - samples[..., :1] / 257).max() <= 1
    assert np.abs(photo.alpha - samples[..., 1] / 65535).max() <= 1 / 255


def test_float(tmp_path: Path):
    values = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    Image.fromarray(values).save(tmp_path / "photo.tif")
    assert np.abs(load_photo(tmp_path / "photo.tif").rgb - values[..., None] * 255).max() <= 0.5 + 1e-4


def test_black_and_white(tmp_path: Path):
    bits = np.indices((64, 64)).sum(0) % 2 == 0
    Image.fromarray(bits).save(tmp_path / "photo.png")
    np.testing.assert_array_equal(load_photo(tmp_path / "photo.png").rgb, np.repeat(bits[..., None] * 255, 3, 2))


def test_palette_with_transparency(tmp_path: Path):
    image = Image.new("P", (64, 64), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(0, (0, 0, 32, 64))
    image.save(tmp_path / "photo.png", transparency=0)
    photo = load_photo(tmp_path / "photo.png")
    np.testing.assert_array_equal(photo.rgb[5, 5], (10, 20, 30))
    np.testing.assert_array_equal(photo.rgb[5, 60], (200, 100, 50))
    np.testing.assert_array_equal(photo.alpha[5, [5, 60]], (0, 1))


def test_first_frame(tmp_path: Path):
    frames = [Image.new("L", (64, 64), shade) for shade in (200, 10)]
    frames[0].save(tmp_path / "photo.gif", save_all=True, append_images=frames[1:])
    assert load_photo(tmp_path / "photo.gif").rgb.min() == 200


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha(tmp_path: Path, mode: str):
    image = Image.new(mode, (64, 64), 77)
    alpha = np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "photo.png")
    photo = load_photo(tmp_path / "photo.png")
    np.testing.assert_allclose(photo.alpha, alpha / 255, atol=1e-6)
    image.putalpha(128)
    image.save(tmp_path / "constant.png")
    assert load_photo(tmp_path / "constant.png").alpha is None


def test_large_photos_shrink(tmp_path: Path):
    width = 2 * MAX_SIDE_PX + 100
    ramp = np.tile(np.linspace(0, 255, width).astype(np.uint8), (400, 1))
    for name in ("photo.png", "photo.jpg"):
        Image.fromarray(ramp).save(tmp_path / name)
        rgb = load_photo(tmp_path / name).rgb
        assert rgb.shape == (round(400 * MAX_SIDE_PX / width), MAX_SIDE_PX, 3)
        assert np.abs(rgb[50, :, 0] - np.linspace(0, 255, MAX_SIDE_PX)).max() <= 3


def test_shrinking_keeps_invisible_colours_out(tmp_path: Path):
    rgba = np.zeros((100, MAX_SIDE_PX + 512, 4), np.uint8)
    rgba[..., 1] = 255  # invisible green ...
    rgba[:, ::2] = (255, 0, 0, 255)  # ... between visible red columns
    Image.fromarray(rgba).save(tmp_path / "photo.png")
    photo = load_photo(tmp_path / "photo.png")
    visible = photo.alpha > 0.25
    assert visible.mean() > 0.5
    assert photo.rgb[visible][:, 1].max() <= 4
