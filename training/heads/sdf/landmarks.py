"""The 478 landmarks of a signed-distance head: a linear map from its parameters, put onto its skin.

The map was fitted by `derive_landmarks` to what MediaPipe finds in frontal pictures of random heads.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.heads.sdf.body import EYE_RADIUS, EYE_Z
from training.heads.sdf.decals import eye_height, mouth_corner
from training.heads.sdf.shape import Shape
from training.heads.sdf.surface import front_depth

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

TABLE = Path(__file__).with_name("landmarks.npz")
"""Derived by us: `coefficients` `[features, 936]` (x, then y, of 468 points) and `outline_z` `[468]`."""
IRIS_RADIUS = 0.063
FACE_MIDDLE = (0.0, -0.35)
CAMERA_Z = 2.0 / 0.31
"""Of the camera by which the map was fitted (`derive_landmarks`), local."""
RIGHT_OVAL = (10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152)
"""The face's outline on the subject's right side, forehead to chin."""
LEFT_OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152)
EAR, CHIN = 8, 18
"""Places in both lists."""
FRAMING = (0, 7, 8, 9, 18)
"""Places of points by which a head is framed (`training.heads.frame`): pictures depend on them, so they stay."""
FREE_OVAL = tuple(ring[n] for ring in (RIGHT_OVAL, LEFT_OVAL) for n in range(CHIN + 1) if n not in FRAMING)
"""Points that `smooth_oval` moves."""
ON_THE_SKIN = (0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 17, 18)
"""Places whose rays end on the face in most heads; between them the jaw hides nothing but neck and ears."""


def features(p: Shape, lift: float, angle: float) -> Doubles:
    """Return what the map reads `[feature]`: a constant and the parameters that move points of the face."""
    corner_x, corner_y = mouth_corner(p)
    values = (
        1.0, p.width, p.crown, p.face_width, p.jaw * p.face_width, p.chin, p.chin_drop, p.cheek, p.eye_x, eye_height(p),
        p.eye_size, p.nose_length, p.nose_width, p.nose_out, p.mouth_y, corner_x, corner_y, p.lips, p.mouth_open, lift,
        angle, p.brow,
    )  # fmt: skip
    return np.array(values)


@cache
def _table() -> tuple[Doubles, Doubles]:
    with np.load(TABLE) as table:
        return table["coefficients"].astype(np.float64), table["outline_z"].astype(np.float64)


def landmarks(p: Shape, lift: float, angle: float, gaze: tuple[float, float]) -> Floats:
    """Return `[478, 3]`, local.

    Args:
        p: the shape.
        lift: of the brows.
        angle: of the brows.
        gaze: offset of the irises.
    """
    coefficients, outline_z = _table()
    xy = np.ascontiguousarray((features(p, lift, angle) @ coefficients).reshape(2, 468).T)
    z = front_depth(xy, p)
    for _ in range(8):  # points of the outline that the map puts beside the face: on an ear, the neck or nothing
        missed = np.abs(z - outline_z) > 0.27
        xy[missed] += 0.02 * (FACE_MIDDLE - xy[missed])
        z = front_depth(xy, p)
    z = np.where(np.abs(z - outline_z) > 0.27, outline_z, z)
    skin = np.column_stack([xy, z])
    return np.concatenate([skin, irises(p, gaze)]).astype(np.float32)


@cache
def _oval_depth() -> Doubles:
    """Return the usual depth of the outline `[19]`, forehead to chin."""
    _, outline_z = _table()
    z = np.maximum(outline_z[list(RIGHT_OVAL)], outline_z[list(LEFT_OVAL)])
    return np.asarray(np.interp(np.arange(len(z)), ON_THE_SKIN, z[list(ON_THE_SKIN)]))


def smooth_oval(marks: Floats) -> Floats:
    """Return the landmarks with an outline of the face that is smooth from all sides.

    Rays beside the jaw or an ear end on the neck or behind: depths of single points are of no use. The outline takes
    the usual depth instead, shifted so that it meets forehead, ears and chin, and the same shape on both sides.

    Args:
        marks: `[478, 3]`, local.
    """
    usual, places, met = _oval_depth(), np.arange(CHIN + 1), [0, EAR, CHIN]
    sides = []
    for ring in (RIGHT_OVAL, LEFT_OVAL):
        own = marks[list(ring)].astype(np.float64)
        depth = usual + np.interp(places, met, (own[:, 2] - usual)[met])
        # Nearer by so much, a point must lie closer to the middle to be seen at the same place from the front.
        xy = own[:, :2] * ((CAMERA_Z - depth) / (CAMERA_Z - own[:, 2]))[:, None]
        sides.append(np.column_stack([xy, depth]))
    mirror, out = np.array([-1.0, 1.0]), marks.copy()
    free = np.setdiff1d(places, FRAMING)
    for ring, own, other in ((RIGHT_OVAL, *sides), (LEFT_OVAL, *reversed(sides))):
        both = 0.5 * (own[:, :2] + other[:, :2] * mirror)
        shift = [np.interp(places, met, (own[:, :2] - both)[met, axis]) for axis in range(2)]
        out[np.array(ring)[free]] = np.column_stack([both + np.column_stack(shift), own[:, 2]])[free]
    return out


def irises(p: Shape, gaze: tuple[float, float]) -> Doubles:
    """Return `[10, 3]`: centre and border (subject's left, up, right, down) of both irises, the right eye first."""
    radius = IRIS_RADIUS * p.eye_size
    around = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]]) * radius
    xy = np.concatenate([around + np.array([side * p.eye_x + gaze[0], gaze[1] + 0.004]) for side in (-1, 1)])
    return np.column_stack([xy, np.full(10, EYE_Z + EYE_RADIUS + 0.012)])
