"""Contact sheets small enough for a repository."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from training.common.files import write_atomically

MOST_BYTES = 250_000
QUALITIES = (92, 85, 75, 65)
"""Of WebP, tried in turn; then the picture is reduced."""
SHRINK = 0.8
MOST_SIDE_PX = 16_383
"""Of the format."""


def write_sheet(source: Path, target: Path, most_bytes: int = MOST_BYTES) -> None:
    """Write a picture as WebP of at most so many bytes: in the best quality that fits, reduced if none does."""
    with Image.open(source) as opened:
        image = opened.convert("RGB")
    if max(image.size) > MOST_SIDE_PX:
        image.thumbnail((MOST_SIDE_PX, MOST_SIDE_PX))

    def write(path: Path) -> None:
        picture = image
        while True:
            for quality in QUALITIES:
                picture.save(path, format="WEBP", quality=quality, method=6)
                if path.stat().st_size <= most_bytes or min(picture.size) == 1:
                    return
            smaller = (max(int(side * SHRINK), 1) for side in picture.size)
            picture = picture.resize(tuple(smaller), Image.Resampling.LANCZOS)

    write_atomically(target, write)
