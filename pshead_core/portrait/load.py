"""Read a photo file.

Whatever is wrong with it ends in one `PhotoError`, and nothing large is allocated before the header has been checked.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from pshead_core.errors import PhotoError
from pshead_core.portrait.decode import decode
from pshead_core.portrait.facts import Photo

MAX_PIXELS = 100_000_000
"""Largest photo that is decoded. Phones make 12 to 50 megapixels; at 100 the decoded picture takes 300 MB."""
MAX_FILE_BYTES = 512 * 2**20
"""Largest file that is read."""
MAX_SIDE_PX = 4096
"""Longest side that is kept: a portrait is at most a few hundred to a thousand pixels wide."""
MIN_SIDE_PX = 64
"""Shortest side in which a face can be large enough."""

_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "AVIF", "TGA")
"""Formats of photos. EPS, PDF and the like stay out: they start other programs or hold no photo."""
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"})
"""Brands of HEIF files (ISO/IEC 23008-12, annex B), bytes 8 to 12; AVIF has its own."""

_SAVE_AGAIN = "open it in an image program and save it as JPEG or PNG"


def load_photo(path: Path) -> Photo:
    """Return the photo upright, in 8-bit sRGB, its longest side at most `MAX_SIDE_PX`.

    EXIF orientation and ICC profile are applied; grey, 16-bit, palette and CMYK pictures are converted; of several
    frames the first is taken.

    Raises:
        PhotoError: the file is missing, unreadable, empty, truncated, no photo, too large or too small.
    """
    data = _read(path)
    with warnings.catch_warnings():
        # Pillow warns about large pictures and damaged EXIF data; both are dealt with here.
        warnings.simplefilter("ignore")
        image = _open(path, data)
        _check_size(path, image.size)
        try:
            rgb, alpha = decode(image, max_side_px=MAX_SIDE_PX)
        except Exception as error:
            # Decoders raise nearly any exception on damaged input (OSError, ValueError, struct.error, SyntaxError).
            raise PhotoError(
                f"the photo {path} cannot be decoded", why=f"damaged or truncated: {error}", fix=_SAVE_AGAIN
            ) from error
    if min(rgb.shape[:2]) < MIN_SIDE_PX:
        raise _too_small(path, (rgb.shape[1], rgb.shape[0]))
    return Photo(rgb=rgb, alpha=alpha, source=str(path), sha256=hashlib.sha256(data).hexdigest())


def _read(path: Path) -> bytes:
    fix = "give the path of one photo (JPEG, PNG, WebP, TIFF)"
    try:
        if path.is_dir():
            raise PhotoError(f"{path} is a folder, not a photo", fix=fix)
        size = path.stat().st_size
        if not path.is_file():
            raise PhotoError(f"{path} is not a regular file", fix=fix)
        if size > MAX_FILE_BYTES:
            why = f"it has {size / 2**20:.0f} MiB, the limit is {MAX_FILE_BYTES // 2**20} MiB"
            raise PhotoError(f"the file {path} is too large", why=why, fix=_SAVE_AGAIN)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise PhotoError(f"there is no file {path}", fix="check the path; quote it if it contains spaces") from error
    except (OSError, ValueError) as error:
        raise PhotoError(f"the file {path} cannot be read", why=str(error), fix="check its permissions") from error
    if not data:
        raise PhotoError(f"the file {path} is empty", why="it has 0 bytes", fix="copy or download it again")
    return data


def _open(path: Path, data: bytes) -> Image.Image:
    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]  # AVIF and JPEG 2000 are optional parts of Pillow
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except Image.DecompressionBombError as error:
        raise _too_many_pixels(path, str(error)) from error
    except UnidentifiedImageError as error:
        raise _not_a_photo(path, data) from error
    except Exception as error:
        # As in load_photo: a damaged header may raise nearly anything.
        raise PhotoError(
            f"the photo {path} cannot be opened", why=f"damaged header: {error}", fix=_SAVE_AGAIN
        ) from error


def _not_a_photo(path: Path, data: bytes) -> PhotoError:
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return PhotoError(
            f"{path} is a HEIC photo, which is not supported",
            why="the decoder for it is not part of pshead",
            fix='convert it to JPEG, or set the phone\'s camera to "most compatible"',
        )
    return PhotoError(
        f"{path} is not a photo that can be read",
        why="its content is none of JPEG, PNG, WebP, TIFF, BMP, GIF, PPM, JPEG 2000, AVIF, TGA, or it is cut off",
        fix=_SAVE_AGAIN,
    )


def _check_size(path: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise _too_many_pixels(path, f"{width}×{height} are {width * height / 1e6:.0f} megapixels")
    if min(size) < MIN_SIDE_PX:
        raise _too_small(path, size)


def _too_many_pixels(path: Path, why: str) -> PhotoError:
    return PhotoError(
        f"the photo {path} has too many pixels",
        why=f"{why}; the limit is {MAX_PIXELS // 10**6} megapixels",
        fix="scale it down, 4000 pixels on the longer side are plenty",
    )


def _too_small(path: Path, size: tuple[int, int]) -> PhotoError:
    return PhotoError(
        f"the photo {path} is too small",
        why=f"it has {size[0]}×{size[1]} pixels, each side needs {MIN_SIDE_PX} or more",
        fix="take a larger copy of the photo, with a face at least 128 pixels high",
    )
