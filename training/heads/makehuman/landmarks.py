"""The 478 landmarks of a morphed base mesh, by a fixed correspondence (derived by `derive_landmarks`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.heads.makehuman.assets import MakeHumanAssets
from training.heads.mesh import triangulate
from training.heads.props import IRIS

Floats = NDArray[np.float32]

TABLE = Path(__file__).with_name("landmarks.npz")
"""Derived by us: `corners` `[468, 3]` base vertices and `weights` `[468, 3]`."""


def face_triangles(assets: MakeHumanAssets) -> NDArray[np.int32]:
    """Return the triangles of the base mesh's skin above the chest."""
    quads = assets.base.quads[assets.base.groups["body"]]
    high = assets.base.vertices[quads[:, 0], 1] > 5.0
    return triangulate(quads[high])


@cache
def _table() -> tuple[NDArray[np.int32], Floats]:
    with np.load(TABLE) as table:
        return table["corners"], table["weights"]


def skin_landmarks(vertices: Floats) -> Floats:
    """Return landmarks `[468, 3]` of a base mesh `[base vertex, 3]`."""
    corners, weights = _table()
    return np.asarray(np.einsum("pc,pcd->pd", weights, vertices[corners]), np.float32)


def iris_landmarks(spheres: list[tuple[Floats, float]], gaze: Floats) -> Floats:
    """Return `[10, 3]`: of each eye the iris's centre and four points of its border.

    MediaPipe counts them from the subject's left border over the upper one to the right and the lower one; the
    subject's right eye comes first.

    Args:
        spheres: centre and radius of the eyeballs, right one first.
        gaze: `[3]`, unit.
    """
    side = np.cross([0.0, 1.0, 0.0], gaze)
    side /= np.linalg.norm(side)
    up = np.cross(gaze, side)
    directions = [gaze] + [np.cos(IRIS) * gaze + np.sin(IRIS) * edge for edge in (side, up, -side, -up)]
    return np.array([centre + radius * direction for centre, radius in spheres for direction in directions], np.float32)
