"""What is read from a photo file, and what analyzers say about it. Numpy only."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

LANDMARKS = 478
"""Points of MediaPipe's face mesh with attention: 468 of the mesh, 5 of each iris."""


@frozen(kw_only=True, eq=False)
class Photo:
    """A decoded photo: upright, sRGB, 8 bit."""

    rgb: NDArray[np.uint8]
    """`[height, width, 3]`."""
    alpha: NDArray[np.float32] | None
    """`[height, width]` in 0..1 if the file has a transparency channel that is not constant, else None."""
    source: str
    """The path as the user gave it, for messages."""
    sha256: str
    """Of the file's bytes."""


@frozen(kw_only=True, eq=False)
class FaceFacts:
    """One face of a photo."""

    landmarks_px: NDArray[np.float32]
    """`[478, 3]`: x to the right, y down, pixels of the photo; z in the same unit, smaller is nearer to the camera."""
    box_px: tuple[float, float, float, float]
    """Left, top, right, bottom."""

    @property
    def height_px(self) -> float:
        """Distance between the top of the forehead (landmark 10) and the chin (landmark 152)."""
        return float(np.linalg.norm(self.landmarks_px[10, :2] - self.landmarks_px[152, :2]))


@frozen(kw_only=True, eq=False)
class PortraitFacts:
    """What one analyzer sees. None means "does not look at this"; an empty tuple of faces means "saw none"."""

    matte: NDArray[np.float32] | None = None
    """`[height, width]` in 0..1, the person against the background."""
    faces: tuple[FaceFacts, ...] | None = None
    """Largest first."""
    prompt_words: tuple[str, ...] | None = None
    """Words for a text prompt, such as "woman", "short brown hair"."""
