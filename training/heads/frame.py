"""Puts a head where the framing template of photos puts a face, so that photos and training heads agree."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pshead_core.config.run import CameraConfig, PortraitConfig
from pshead_core.gaussians.bust_fit import BREADTH, LENGTH, reference_lens
from pshead_core.portrait.choose import CHIN, EAR_SIDES, TOP
from pshead_core.portrait.frame import FACE_Y_FRAC, MARGIN_FRAC, SMALLEST_SHARE

Floats = NDArray[np.float32]

BROWS = (9, 151, 108, 337)
"""Landmarks of the front of the braincase, as in the core's fit of the head."""


@frozen(kw_only=True, eq=False)
class Placement:
    """World = scale * local + shift."""

    scale: float
    shift: NDArray[np.float64]
    """`[3]`."""

    def apply(self, points: Floats) -> Floats:
        """Return `[point, 3]` in the world."""
        return np.asarray(points * np.float32(self.scale) + self.shift.astype(np.float32), np.float32)


def place(landmarks: Floats, vertices: Floats) -> Placement:
    """Return where the head goes: the face `face_frac` high and centred as in a framed photo, the skull about z = 0.

    As for photos, the face becomes smaller (down to half) when hair or hat would not fit into the frame. The depth
    follows the rule with which the core places the head of a photo: the brow stands half the skull's length before
    the world's axis.

    Args:
        landmarks: `[478, 3]`, in any unit, +y up, the face along +z.
        vertices: `[vertex, 3]`, of the whole head and bust.
    """
    template = PortraitConfig()
    lens = reference_lens(CameraConfig(), 1)  # picture of side 1: pixels are parts of the frame
    points, mesh = landmarks.astype(np.float64), vertices.astype(np.float64)
    width = float(np.linalg.norm(points[454] - points[234]))
    brow = float(points[list(BROWS), 2].mean())
    frac = template.face_frac
    scale, shift = frac * lens.distance / lens.focal_px / float(points[TOP, 1] - points[CHIN, 1]), np.zeros(3)
    for _ in range(12):
        shift[2] = scale * (0.5 * LENGTH * BREADTH * width - brow)
        u, v = lens.pixels(scale * points + shift)
        centre_u, centre_v = u[list(EAR_SIDES)].mean(), v[[TOP, CHIN]].mean()
        depth = (lens.distance - shift[2] - scale * points[[TOP, CHIN], 2].mean()) / lens.focal_px
        shift[0] += (0.5 - centre_u) * depth
        shift[1] -= (FACE_Y_FRAC - centre_v) * depth
        u, v = lens.pixels(scale * points + shift)
        height = float(np.hypot(u[TOP] - u[CHIN], v[TOP] - v[CHIN]))
        frac = min(template.face_frac, height * _room(lens.pixels(scale * mesh + shift), v[CHIN]))
        scale *= max(frac, SMALLEST_SHARE * template.face_frac) / height
    return Placement(scale=scale, shift=shift)


def _room(pixels: tuple[NDArray[np.float64], NDArray[np.float64]], chin_v: float) -> float:
    """Return by which factor the picture may grow until the head above the chin touches the margins."""
    above = pixels[1] < chin_v
    u, v = pixels[0][above], pixels[1][above]
    aside, up = np.abs(u - 0.5).max(), FACE_Y_FRAC - v.min()
    return float(min((0.5 - MARGIN_FRAC) / aside, (FACE_Y_FRAC - MARGIN_FRAC) / up))
