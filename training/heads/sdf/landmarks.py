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


def irises(p: Shape, gaze: tuple[float, float]) -> Doubles:
    """Return `[10, 3]`: centre and border (subject's left, up, right, down) of both irises, the right eye first."""
    radius = IRIS_RADIUS * p.eye_size
    around = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]]) * radius
    xy = np.concatenate([around + np.array([side * p.eye_x + gaze[0], gaze[1] + 0.004]) for side in (-1, 1)])
    return np.column_stack([xy, np.full(10, EYE_Z + EYE_RADIUS + 0.012)])
