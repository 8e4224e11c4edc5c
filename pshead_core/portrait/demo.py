"""The demo photo: a public-domain NASA portrait that scikit-image carries in its package."""

from __future__ import annotations

from pathlib import Path


def demo_photo_path(folder: Path) -> Path:
    """Write the demo photo (Eileen Collins, NASA, public domain, 512×512) into `folder` and return its path.

    It comes from the installed scikit-image; nothing is downloaded.
    """
    from PIL import Image  # noqa: PLC0415  # scikit-image takes a second to import and only the demo needs it
    from skimage.data import astronaut  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "astronaut.png"
    Image.fromarray(astronaut()).save(path)
    return path
