"""Pixels of an opened Pillow image: turned upright, converted to 8-bit sRGB, alpha split off."""

from __future__ import annotations

import io
import logging

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

ORIENTATION_TAG = 0x0112
"""EXIF tag of the orientation, 1–8 (Exif 2.32, section 4.6.4)."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a photo of each orientation upright."""

_WITH_ALPHA = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_PROFILE_SPACES = {"L": "GRAY", "RGB": "RGB ", "CMYK": "CMYK"}
"""Colour space that an ICC profile must state to describe a picture of a mode."""

_log = logging.getLogger("pshead.portrait")


def decode(image: Image.Image, *, max_side_px: int) -> tuple[NDArray[np.uint8], NDArray[np.float32] | None]:
    """Return `[height, width, 3]` sRGB and `[height, width]` alpha in 0..1 (None if absent or constant).

    Args:
        image: opened, size already checked; it is decoded here and may raise whatever its decoder raises.
        max_side_px: a longer side is scaled down to this.
    """
    if max(image.size) >= 2 * max_side_px:
        # JPEG decodes at a half, a quarter or an eighth directly, which saves most of the memory.
        image.draft(None, (max_side_px, max_side_px))
    image.load()
    image = _upright(image)
    profile = image.info.get("icc_profile")
    colour, alpha = _split_alpha(_eight_bit(image))
    rgb = _to_srgb(colour, profile)
    rgb, alpha = _shrunk(rgb, alpha, max_side_px)
    pixels = np.asarray(rgb, dtype=np.uint8)
    if alpha is None:
        return pixels, None
    coverage = np.asarray(alpha, dtype=np.float32) / np.float32(255)
    return pixels, None if float(coverage.min()) == float(coverage.max()) else coverage


def _upright(image: Image.Image) -> Image.Image:
    # Read after load(): Pillow turns TIFFs itself while loading and then drops the tag.
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception as error:
        # The EXIF block is untrusted and irrelevant to the pixels: a damaged one must not cost the photo.
        _log.warning("EXIF data cannot be read (%s): the photo is taken as upright", error)
        return image
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _eight_bit(image: Image.Image) -> Image.Image:
    # Pillow's own conversions of these modes clip at 255 instead of scaling.
    if image.mode == "1":
        return image.convert("L")
    if not image.mode.startswith("I") and image.mode != "F":
        return image
    values = np.asarray(image).astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("the picture holds values that are not numbers")
    if image.mode == "F":
        top = 1.0 if values.max() <= 1.0 else 255.0
    else:
        top = 255.0 if image.mode == "I" and values.max() <= 255 else 65535.0
    if values.min() < 0 or values.max() > top:
        raise ValueError(f"values run from {values.min():g} to {values.max():g}, expected 0 to {top:g}")
    return Image.fromarray(np.rint(values * (255.0 / top)).astype(np.uint8))


def _split_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        straight = image if image.mode == "RGBA" else image.convert("RGBA")
        return straight.convert("RGB"), straight.getchannel("A")
    if image.mode in {"L", "RGB", "CMYK", "LAB"}:
        return image, None
    return image.convert("RGB"), None


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    srgb = ImageCms.createProfile("sRGB")
    if image.mode == "LAB":
        return _transformed(image, ImageCms.createProfile("LAB"), srgb)
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            space = source.profile.xcolor_space
            fitting = image.convert("RGB") if space == "RGB " and image.mode == "L" else image
            if space == _PROFILE_SPACES[fitting.mode]:
                return _transformed(fitting, source, srgb)
            _log.warning("the colour profile is for %s, the photo is %s: profile ignored", space.strip(), image.mode)
        except (ImageCms.PyCMSError, OSError) as error:
            _log.warning("the colour profile cannot be used (%s): colours are taken as sRGB", error)
    return image.convert("RGB")


def _transformed(image: Image.Image, source: object, target: object) -> Image.Image:
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    result = ImageCms.profileToProfile(
        image,
        source,  # type: ignore[arg-type]  # Pillow's stub leaves out the profile that its createProfile returns
        target,  # type: ignore[arg-type]
        renderingIntent=intent,
        outputMode="RGB",
        flags=flags,
    )
    if result is None:
        raise ValueError("the colour profile gave no picture")
    return result


def _shrunk(rgb: Image.Image, alpha: Image.Image | None, max_side_px: int) -> tuple[Image.Image, Image.Image | None]:
    longest = max(rgb.size)
    if longest <= max_side_px:
        return rgb, alpha
    size = tuple(max(1, round(side * max_side_px / longest)) for side in rgb.size)
    shape = (size[0], size[1])
    if alpha is None:
        return rgb.resize(shape, Image.Resampling.LANCZOS), None
    together = rgb.copy()
    together.putalpha(alpha)
    # Pillow resizes RGBA premultiplied, so that invisible colours do not leak into visible ones.
    small = together.resize(shape, Image.Resampling.LANCZOS)
    return small.convert("RGB"), small.getchannel("A")
