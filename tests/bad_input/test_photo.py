"""Whatever file is given as the photo: it loads, or one `PhotoError` says what is wrong, where and what to do."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pshead_core.errors import PhotoError
from pshead_core.portrait import load
from pshead_core.portrait.load import load_photo


def encoded(suffix: str) -> bytes:
    rng = np.random.default_rng(3)
    pixels = np.kron(rng.integers(0, 256, (10, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, suffix)
    return buffer.getvalue()


def refused(path: Path, *words: str) -> str:
    with pytest.raises(PhotoError) as caught:
        load_photo(path)
    message = str(caught.value)
    assert str(path) in message
    assert caught.value.fix
    for word in words:
        assert word in message
    return message


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def test_missing(tmp_path: Path):
    refused(tmp_path / "nobody.jpg", "no file")


def test_folder(tmp_path: Path):
    refused(tmp_path, "folder")


def test_path_through_a_file(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file" / "photo.jpg", "cannot be read")


def test_pipe(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "not a regular file")


def test_empty(tmp_path: Path):
    (tmp_path / "photo.jpg").write_bytes(b"")
    refused(tmp_path / "photo.jpg", "0 bytes")


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        os.urandom(999),
    ],
)
def test_not_an_image(tmp_path: Path, content: bytes):
    (tmp_path / "photo.jpg").write_bytes(content)
    refused(tmp_path / "photo.jpg", "photo")


def test_heic(tmp_path: Path):
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99)
    refused(tmp_path / "photo.heic", "HEIC", "JPEG")


@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.95])
def test_truncated(tmp_path: Path, suffix: str, kept: float):
    data = encoded(suffix)
    (tmp_path / "photo").write_bytes(data[: max(12, int(kept * len(data)))])
    refused(tmp_path / "photo")


def test_200_megapixels_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_decoding(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(load, "decode", no_decoding)
    (tmp_path / "photo.png").write_bytes(png_header(20_000, 10_000) + b"\0\0\0\0IDAT")
    started = time.perf_counter()
    refused(tmp_path / "photo.png", "too many pixels", "100 megapixels")
    assert time.perf_counter() - started < 0.5


def test_120_megapixels_are_refused_with_their_size(tmp_path: Path):
    # Beyond the limit here, below the one at which Pillow itself refuses.
    (tmp_path / "photo.png").write_bytes(png_header(12_000, 10_000) + b"\0\0\0\0IDAT")
    refused(tmp_path / "photo.png", "12000×10000 are 120 megapixels")


def test_large_jpeg_header(tmp_path: Path):
    data = bytearray(encoded("JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 20_000, 10_000)
    (tmp_path / "photo.jpg").write_bytes(data)
    refused(tmp_path / "photo.jpg", "too many pixels")


def test_large_file_is_not_read(tmp_path: Path):
    with (tmp_path / "photo.tif").open("wb") as file:
        file.truncate(load.MAX_FILE_BYTES + 1)  # sparse: takes no room on the disk
    refused(tmp_path / "photo.tif", "too large")


@pytest.mark.parametrize("size", [(10, 10), (63, 500), (8000, 70)])
def test_tiny(tmp_path: Path, size: tuple[int, int]):
    Image.new("RGB", size).save(tmp_path / "photo.png")
    refused(tmp_path / "photo.png", "too small")


def test_values_that_are_no_colours(tmp_path: Path):
    Image.fromarray(np.full((64, 64), np.nan, np.float32)).save(tmp_path / "photo.tif")
    refused(tmp_path / "photo.tif", "not numbers")


@pytest.mark.parametrize("suffix", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
def test_flipped_bytes(tmp_path: Path, suffix: str):
    """Damaged files load or raise PhotoError, never anything else (warnings are errors here)."""
    data = encoded(suffix)
    rng = np.random.default_rng(11)
    messages = []
    for _ in range(60):
        damaged = np.frombuffer(data, np.uint8).copy()
        # Half of the damage goes into the header, where it does most.
        span = len(damaged) if rng.random() < 0.5 else min(64, len(damaged))
        damaged[rng.integers(0, span, 4)] = rng.integers(0, 256, 4)
        (tmp_path / "photo").write_bytes(damaged.tobytes())
        try:
            load_photo(tmp_path / "photo")
        except PhotoError as error:
            messages.append(str(error))
    assert messages
    assert all(str(tmp_path / "photo") in message for message in messages)
