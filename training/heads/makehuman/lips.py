"""Attaches MediaPipe's lip points to the lips: a ray onto all of the skin would pass between them into the mouth."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from training.heads.makehuman.assets import MakeHumanAssets
from training.heads.makehuman.landmarks import face_triangles
from training.heads.mesh import vertex_normals

Doubles = NDArray[np.float64]
Triangles = NDArray[np.int32]

LOWER = (
    (95, 88, 178, 87, 14, 317, 402, 318, 324),
    (96, 89, 179, 86, 15, 316, 403, 319, 325),
    (77, 90, 180, 85, 16, 315, 404, 320, 307),
)
"""Rows of the lower lip inside its outer line, the innermost first, each from the subject's right to the left."""
UPPER = (
    (191, 80, 81, 82, 13, 312, 311, 310, 415),
    (183, 42, 41, 38, 12, 268, 271, 272, 407),
    (184, 74, 73, 72, 11, 302, 303, 304, 408),
)
CORNERS = ((78, 308), (62, 292), (76, 306))
"""Ends of the rows, innermost first: they may lie on either lip."""
OPENING = "expression/units/caucasian/mouth-open"
LOWERED = -0.14
"""Opening the mouth moves the lower lip by -0.15 to -0.31 decimetres in y, the upper one by -0.13 to +0.01."""
BOX = ((-0.30, 6.48, 1.395), (0.30, 6.75, 1.65))
"""About the lips of the base mesh; in z without the mouth's lining."""
FACING = 0.2
"""Least z of a normal, the mouth open: without the sides of the lips that lie in the mouth."""


@frozen(kw_only=True, eq=False)
class Lip:
    """The outside of a lip and the landmarks that lie on it."""

    triangles: Triangles
    """`[triangle, 3]` base vertices."""
    points: tuple[int, ...]


def lips(assets: MakeHumanAssets) -> tuple[Lip, ...]:
    """Return the lower lip, the upper one, and both for the corners."""
    base = assets.base.vertices
    opened = assets.morph({OPENING: 1.0})
    triangles = face_triangles(assets)
    middle = base[triangles].mean(axis=1)
    facing = vertex_normals(opened, triangles)[triangles, 2].mean(axis=1)
    outside = ((middle > BOX[0]) & (middle < BOX[1])).all(axis=1) & (facing > FACING)
    moved = (opened - base)[triangles, 1].mean(axis=1)
    return (
        Lip(triangles=triangles[outside & (moved < LOWERED)], points=sum(LOWER, ())),
        Lip(triangles=triangles[outside & (moved >= LOWERED)], points=sum(UPPER, ())),
        Lip(triangles=triangles[outside], points=sum(CORNERS, ())),
    )


def mirror_pairs() -> dict[int, int]:
    """Return for each of these points the one on the other side."""
    rows = (*LOWER, *UPPER, *CORNERS)
    return {point: other for row in rows for point, other in zip(row, reversed(row), strict=True)}


def places_on_lip(lip: Lip, base: Doubles, pixels: Doubles, points: Doubles) -> Doubles:
    """Return where on the unmorphed mesh the points of a picture lie, `[point, 3]`.

    A point between the lips goes to the nearest place of its lip that faces the camera: to its rim.

    Args:
        lip: of the points.
        base: `[base vertex, 3]`, unmorphed.
        pixels: `[base vertex, 2]`: where the picture shows the morphed mesh.
        points: `[point, 2]`, in pixels.
    """
    flat = pixels[lip.triangles]
    first, second = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    ahead = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0  # y down: front sides run clockwise
    shown = lip.triangles[ahead]
    return np.stack([attach(shown, pixels, point) @ base for point in points])


def attach(triangles: Triangles, vertices: Doubles, point: Doubles) -> Doubles:
    """Return weights `[vertex]`, three of them not 0, of the place on triangles that is nearest to a point."""
    corner, shares = nearest_place(triangles, vertices, point)
    out = np.zeros(len(vertices))
    out[corner] = shares
    return out


def nearest_place(triangles: Triangles, vertices: Doubles, point: Doubles) -> tuple[Triangles, Doubles]:
    """Return corners `[3]` and barycentric weights `[3]` of the place on triangles that is nearest to a point.

    Args:
        triangles: `[triangle, 3]`.
        vertices: `[vertex, 2 or 3]`.
        point: `[2 or 3]`.
    """
    shares = np.stack([closest(vertices[triangle], point) for triangle in triangles])
    places = np.einsum("tc,tcd->td", shares, vertices[triangles])
    best = int(np.square(places - point).sum(axis=1).argmin())
    return triangles[best], shares[best]


def closest(corners: Doubles, point: Doubles) -> Doubles:
    """Return barycentric weights `[3]` of the point of a triangle `[3, 2 or 3]` nearest to a point."""
    edges = np.stack([corners[1] - corners[0], corners[2] - corners[0]], axis=1)
    uv = np.linalg.lstsq(edges, point - corners[0], rcond=None)[0]
    inside = np.array([1 - uv.sum(), uv[0], uv[1]])
    if inside.min() >= 0:
        return inside
    tries = np.zeros((3, 3))
    for start in range(3):
        end = (start + 1) % 3
        edge = corners[end] - corners[start]
        share = np.clip((point - corners[start]) @ edge / max(float(edge @ edge), 1e-20), 0, 1)
        tries[start, start], tries[start, end] = 1 - share, share
    return tries[int(np.square(tries @ corners - point).sum(axis=1).argmin())]
