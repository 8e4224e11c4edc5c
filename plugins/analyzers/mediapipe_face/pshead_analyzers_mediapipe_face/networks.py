"""What the analyzer needs of MediaPipe, whichever generation is installed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from attrs import frozen
from numpy.typing import NDArray


@frozen(kw_only=True)
class Detection:
    """A face as a detector sees it."""

    centre_px: tuple[float, float]
    side_px: float
    """Side of a square about the face."""
    right_eye_px: tuple[float, float]
    """The subject's right eye: on the left of an upright picture."""
    left_eye_px: tuple[float, float]
    score: float

    @property
    def roll_deg(self) -> float:
        """Rotation of the line of the eyes, positive clockwise."""
        across = np.subtract(self.left_eye_px, self.right_eye_px)
        return math.degrees(math.atan2(across[1], across[0]))


class Networks(Protocol):
    """Detection, landmarks and segmentation of `[height, width, 3]` uint8 pictures."""

    def detect(self, rgb: NDArray[np.uint8]) -> Sequence[Detection]:
        """Return the faces of the picture; one face may be returned twice."""
        ...

    def mesh(self, rgb: NDArray[np.uint8]) -> Sequence[NDArray[np.float64]]:
        """Return the landmarks `[478, 3]` of each face of an upright crop, pixels of the crop."""
        ...

    def person(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of "person", `[height, width]` in 0..1."""
        ...

    def close(self) -> None:
        """Free the networks."""
        ...
