"""The conditioning picture of CrucibleAI/ControlNetMediaPipeFace: coloured contours of the face on black.

Needs numpy only, neither mediapipe nor OpenCV nor torch: the indices below are those of mediapipe's face mesh (478
landmarks with irises; its FACEMESH_CONTOURS, direction of the edges included), kept as chains. The trainings of the
miniature ControlNet draw with this module too.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pshead_core.api import PsheadError
from pshead_refiners_landmark_controlnet.lines import thick_line

LANDMARKS = 478
DRAWING_PX = 512
"""Side of the published drawings: their line widths belong to it."""
LINE_PX = 2
"""Thickness as OpenCV means it (the published one), without antialiasing; that of `lines.thick_line`."""
PUPIL_HALF_PX = 2
RIGHT_PUPIL, LEFT_PUPIL = 468, 473

Colour = tuple[int, int, int]


@frozen(kw_only=True)
class Part:
    """A part of the face and its published colour. Left and right are the subject's."""

    name: str
    colour: Colour
    """RGB in the finished picture."""
    chains: tuple[tuple[int, ...], ...]
    """Landmarks joined one after another."""

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """Pairs of landmarks, in the direction in which they are drawn."""
        return tuple(edge for chain in self.chains for edge in pairwise(chain))


OVAL = Part(
    name="face oval",
    colour=(10, 200, 10),
    chains=(
        # one ring, from the top of the forehead over the subject's left side to the chin (152) and back
        (
            *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152),
            *(148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10),
        ),
    ),
)
LEFT_EYE = Part(
    name="left eye",
    colour=(10, 200, 180),
    chains=((263, 249, 390, 373, 374, 380, 381, 382, 362), (263, 466, 388, 387, 386, 385, 384, 398, 362)),
)
LEFT_BROW = Part(name="left brow", colour=(10, 220, 180), chains=((276, 283, 282, 295, 285), (300, 293, 334, 296, 336)))
RIGHT_EYE = Part(
    name="right eye",
    colour=(180, 200, 10),
    chains=((33, 7, 163, 144, 145, 153, 154, 155, 133), (33, 246, 161, 160, 159, 158, 157, 173, 133)),
)
RIGHT_BROW = Part(name="right brow", colour=(180, 220, 10), chains=((46, 53, 52, 65, 55), (70, 63, 105, 66, 107)))
LIPS = Part(
    name="lips",
    colour=(10, 180, 10),
    chains=(
        (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
        (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
        (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
        (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
    ),
)
PARTS = (OVAL, LEFT_EYE, LEFT_BROW, RIGHT_EYE, RIGHT_BROW, LIPS)
"""In drawing order: where lines cross, the later one is seen."""
PUPILS: tuple[tuple[int, Colour], ...] = ((RIGHT_PUPIL, (250, 200, 10)), (LEFT_PUPIL, (10, 200, 250)))


CONTOUR = np.array(sorted({index for part in PARTS for chain in part.chains for index in chain}))
"""`[128]`: the landmarks that edges join."""


def draw_landmarks(
    points: NDArray[np.floating], side_px: int = DRAWING_PX, shown: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Return the drawing `[side, side, 3]`, RGB, of landmarks in the published colours and line widths.

    Args:
        points: `[478, 2]`, x to the right and y down, as parts (0..1) of the picture. Those outside are left out with
            their edges; so are points that are not finite.
        side_px: of the drawing; line widths do not grow with it, so it is 512 for all known models (`conditioning`
            makes smaller pictures).
        shown: `[478]`, the landmarks to draw; others are left out with their edges. None: all, hidden ones too, as the
            detector behind the published drawings reports them.

    Raises:
        PsheadError: the points have another shape.
    """
    pixels, inside = _pixels(points, side_px)
    kept = inside if shown is None else inside & shown
    picture = np.zeros((side_px, side_px, 3), np.uint8)
    for part in PARTS:
        lines = [_line(pixels[begin], pixels[end]) for begin, end in part.edges if kept[begin] and kept[end]]
        if lines:
            lit = np.concatenate(lines)
            lit = lit[((lit >= 0) & (lit < side_px)).all(1)]
            picture[lit[:, 1], lit[:, 0]] = part.colour
    for index, colour in PUPILS:
        if kept[index]:
            x, y = pixels[index].tolist()
            rows = slice(max(y - PUPIL_HALF_PX, 0), y + PUPIL_HALF_PX)
            picture[rows, max(x - PUPIL_HALF_PX, 0) : x + PUPIL_HALF_PX] = colour
    return picture


def conditioning(
    points: NDArray[np.floating], side_px: int, shown: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Return the drawing for a model of this picture size `[side, side, 3]`.

    Smaller than 512 px it is drawn at 512 and reduced by areas, so that the face's parts keep their relative widths.

    Args:
        points: as for `draw_landmarks`.
        side_px: of the model's pictures.
        shown: as for `draw_landmarks`.
    """
    drawing = draw_landmarks(points, max(side_px, DRAWING_PX), shown)
    if side_px >= DRAWING_PX:
        return drawing
    shares = _shares(DRAWING_PX, side_px)
    reduced = np.einsum("yv,vuc,xu->yxc", shares, drawing.astype(np.float64), shares, optimize=True)
    return np.rint(reduced).astype(np.uint8)


def _line(begin: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    across, down = (end - begin).tolist()
    return begin + thick_line(across, down)


def _shares(from_px: int, to_px: int) -> NDArray[np.float64]:
    """Return `[to, from]`: which part of each small pixel each large one covers."""
    edges = np.arange(to_px + 1) * (from_px / to_px)
    cells = np.arange(from_px)
    overlap = np.minimum(edges[1:, None], cells + 1) - np.maximum(edges[:-1, None], cells)
    return np.asarray(overlap.clip(min=0) * (to_px / from_px))


def _pixels(points: NDArray[np.floating], side_px: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if points.shape != (LANDMARKS, 2):
        raise PsheadError(
            f"the drawing got points of shape {points.shape}",
            why=f"the face mesh has {LANDMARKS} landmarks with x and y",
            fix="give all landmarks, irises included, in the mesh's order",
        )
    inside = ((points >= 0) & (points <= 1)).all(1)  # False for NaN
    cells = np.floor(np.where(inside[:, None], points, 0) * side_px).astype(np.int64)
    return np.minimum(cells, side_px - 1), inside  # a point on the last border belongs to the last pixel
