"""Colour profiles: a photo in another colour space arrives in sRGB. The oracle is the colour arithmetic itself."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pshead_core.portrait.load import load_photo

# Columns: XYZ under D50 of the primaries, as ICC matrix profiles state them (sRGB IEC61966-2.1; Display P3).
SRGB = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
P3 = np.array([[0.515102, 0.291965, 0.157153], [0.241182, 0.692236, 0.0665819], [-0.00104941, 0.0418818, 0.784378]])
GAMMA = 1.8


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def profile(space: bytes = b"RGB ") -> bytes:
    """A matrix profile (ICC.1:2001-04, section 6.3) with the P3 primaries and a gamma curve."""
    white = b"XYZ \0\0\0\0" + b"".join(map(_fixed, (0.9642, 1.0, 0.8249)))
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(GAMMA * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 78 + b"\0"
    tags = [(b"desc", text), (b"wtpt", white), (b"cprt", b"text\0\0\0\0none\0\0\0\0")]
    if space == b"RGB ":
        for name, column in zip("rgb", P3.T, strict=True):
            tags.append((f"{name}XYZ".encode(), b"XYZ \0\0\0\0" + b"".join(map(_fixed, column))))
            tags.append((f"{name}TRC".encode(), curve))
    else:
        tags.append((b"kTRC", curve))
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags:
        padded = content + b"\0" * (-len(content) % 4)
        table += name + struct.pack(">II", start + len(data), len(content))
        data += padded
    header = struct.pack(">I4sI4s4s4s", start + len(data), b"\0" * 4, 0x02400000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    header += b"".join(map(_fixed, (0.9642, 1.0, 0.8249)))
    return header.ljust(128, b"\0") + table + data


def to_srgb(encoded: np.ndarray, primaries: np.ndarray) -> np.ndarray:
    linear = (encoded / 255) ** GAMMA @ (np.linalg.inv(SRGB) @ primaries).T
    clipped = np.clip(linear, 0, 1)
    return 255 * np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)


@pytest.fixture
def encoded() -> np.ndarray:
    """Colours that lie inside sRGB, so that no gamut mapping takes part."""
    return np.random.default_rng(1).integers(90, 170, (64, 64, 3)).astype(np.uint8)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_rgb(tmp_path: Path, encoded: np.ndarray, mode: str):
    image = Image.fromarray(encoded)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (64, 1))))
    image.save(tmp_path / "photo.png", icc_profile=profile())
    photo = load_photo(tmp_path / "photo.png")
    assert np.abs(photo.rgb - to_srgb(encoded, P3)).max() <= 1.5
    assert np.abs(photo.rgb.astype(int) - encoded).max() > 10
    assert (photo.alpha is None) == (mode == "RGB")


def test_grey(tmp_path: Path, encoded: np.ndarray):
    grey = encoded[..., 0]
    Image.fromarray(grey).save(tmp_path / "photo.png", icc_profile=profile(b"GRAY"))
    expected = to_srgb(np.repeat(grey[..., None], 3, 2), SRGB)
    assert np.abs(load_photo(tmp_path / "photo.png").rgb - expected).max() <= 1.5


@pytest.mark.parametrize("bad", [b"not a profile", profile()[:200], profile(b"GRAY")])
def test_useless_profile_is_ignored_and_logged(
    tmp_path: Path, encoded: np.ndarray, bad: bytes, caplog: pytest.LogCaptureFixture
):
    Image.fromarray(encoded).save(tmp_path / "photo.png", icc_profile=bad)
    with caplog.at_level(logging.WARNING, "pshead.portrait"):
        np.testing.assert_array_equal(load_photo(tmp_path / "photo.png").rgb, encoded)
    assert "profile" in caplog.text


def test_lab(tmp_path: Path):
    lab = np.zeros((64, 64, 3), np.uint8)
    lab[..., 0] = np.arange(64)[None] * 4  # L in 0..255, a = b = 0 as signed bytes
    Image.fromarray(lab, mode="LAB").save(tmp_path / "photo.tif")
    lightness = lab[..., 0] / 255 * 100
    linear = np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)
    grey = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(load_photo(tmp_path / "photo.tif").rgb - grey[..., None]).max() <= 2
