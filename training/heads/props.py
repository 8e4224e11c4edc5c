"""What both generators put on a head: eyeballs, glasses, caps and beanies. Own geometry, from landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.heads.mesh import Part, vertex_normals

Floats = NDArray[np.float32]

PUPIL, IRIS, LIMBUS = 0.17, 0.45, 0.52
"""Angles from the gaze, radians: an iris of 11.7 mm across on an eyeball of 24-27 mm, a pupil of 4 mm."""


def grid_triangles(rows: int, columns: int, closed: bool) -> NDArray[np.int32]:
    """Return triangles of a grid of vertices (row-major); `closed` joins the last column to the first."""
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing="ij")
    beside = (column + 1) % columns
    a, b = row * columns + column, row * columns + beside
    c, d = a + columns, b + columns
    pairs = np.stack([np.stack([a, c, b], -1), np.stack([b, c, d], -1)], 2)
    return np.ascontiguousarray(pairs.reshape(-1, 3), np.int32)


def eyeball(centre: Floats, radius: float, gaze: Floats, iris: Floats, white: Floats) -> Part:
    """Return the front two thirds of an eyeball.

    Args:
        centre: `[3]`.
        radius: of the eyeball.
        gaze: `[3]`, unit vector.
        iris: `[3]`, colour.
        white: `[3]`, colour of the sclera.
    """
    angles = np.array([0.0, PUPIL - 0.01, PUPIL + 0.03, 0.32, IRIS, LIMBUS, 0.58, 0.75, 1.0, 1.3, 1.7])
    black, dark = np.full(3, 0.03), iris * 0.45
    paint = np.array(
        [black, black, iris * 1.0, iris * 1.15, iris * 0.85, dark, white, white, white, white * 0.95, white * 0.9]
    )
    side = np.cross([0.0, 1.0, 0.0], gaze)
    side /= np.linalg.norm(side)
    up = np.cross(gaze, side)
    around = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    ring = np.cos(around)[:, None] * side + np.sin(around)[:, None] * up
    normals = np.cos(angles)[:, None, None] * gaze + np.sin(angles)[:, None, None] * ring
    normals = normals.reshape(-1, 3).astype(np.float32)
    colours = np.repeat(paint, len(around), axis=0)
    # The upper lid and its lashes shade the upper part of the eye.
    colours = colours * (1 - 0.45 * np.clip((normals[:, 1:2] - 0.05) / 0.45, 0, 1))
    return Part(
        vertices=np.asarray(centre + radius * normals, np.float32),
        triangles=grid_triangles(len(angles), len(around), closed=True),
        colours=np.asarray(np.clip(colours, 0, 1), np.float32),
        normals=normals,
        occluded=0.35,
    )


def tube(path: Floats, radius: float, colour: Floats, closed: bool = False, sides: int = 6) -> Part:
    """Return a tube along a path `[point, 3]`."""
    along = np.gradient(path, axis=0) if not closed else np.roll(path, -1, 0) - np.roll(path, 1, 0)
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    helper = np.where(np.abs(along[:, 1:2]) > 0.9, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    first = np.cross(along, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(along, first)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)[None, :, None]
    normals = np.cos(angle) * first[:, None] + np.sin(angle) * second[:, None]
    vertices = (path[:, None] + radius * normals).reshape(-1, 3)
    triangles = grid_triangles(len(path), sides, closed=True)
    if closed:
        last, count = (len(path) - 1) * sides, sides
        near, beside = np.arange(count), (np.arange(count) + 1) % count
        ends = [np.stack([last + near, near, last + beside], -1), np.stack([last + beside, near, beside], -1)]
        triangles = np.concatenate([triangles, *ends])
    return Part(
        vertices=vertices.astype(np.float32),
        triangles=np.ascontiguousarray(triangles, np.int32),
        colours=np.tile(colour, (len(vertices), 1)).astype(np.float32),
        normals=normals.reshape(-1, 3).astype(np.float32),
    )


def glasses(
    landmarks: Floats, frame: Floats, lens: Floats | None, squareness: float, size: float, thick: float
) -> list[Part]:
    """Return glasses before the eyes.

    Args:
        landmarks: `[478, 3]`.
        frame: `[3]`, colour of the frame.
        lens: `[3]`, colour of dark lenses, or None for clear ones (not drawn).
        squareness: 0 round, 1 almost rectangular.
        size: height and width of a lens, 1 is usual.
        thick: thickness of the frame, 1 is usual.
    """
    eyes = landmarks[[468, 473]].astype(np.float64)  # subject's right, left
    pupils = float(eyes[1, 0] - eyes[0, 0])
    radius = 0.022 * pupils * thick
    half = pupils * np.array([0.43, 0.32]) * size
    front = max(float(landmarks[[6, 197], 2].max()), float(eyes[:, 2].max()) + 0.16 * pupils)
    power = 2.0 + 4.0 * squareness
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    loop_x = half[0] * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / power)
    loop_y = half[1] * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / power)
    parts = []
    middle_y = float(eyes[:, 1].mean()) - 0.04 * pupils
    for side, eye, temple in ((-1, eyes[0], landmarks[127]), (1, eyes[1], landmarks[356])):
        x0 = eye[0] + side * 0.045 * pupils
        path = np.stack(
            [x0 + loop_x, middle_y + loop_y, front - 0.10 * np.abs(x0 + loop_x - eyes[:, 0].mean()) ** 2 / pupils], -1
        )
        parts.append(tube(path, radius, frame, closed=True))
        if lens is not None:
            fan = np.concatenate([path, path.mean(0, keepdims=True)])
            rim = np.arange(28)
            triangles = np.stack([rim, (rim + 1) % 28, np.full(28, 28)], -1).astype(np.int32)
            shades = np.concatenate([np.tile(lens, (28, 1)), [lens * 1.25]])
            shades = shades * (1 + 0.35 * (fan[:, 1:2] - middle_y) / half[1])
            normals = np.tile(np.array([0, 0, 1], np.float32), (29, 1))
            parts.append(
                Part(
                    vertices=fan.astype(np.float32),
                    triangles=triangles,
                    colours=shades.astype(np.float32),
                    normals=normals,
                )
            )
        hinge = np.array([x0 + side * half[0], middle_y + 0.45 * half[1], path[:, 2].min()])
        ear = np.array([temple[0] + side * 0.12 * pupils, hinge[1] + 0.02 * pupils, temple[2] - 0.75 * pupils])
        corner = np.array(
            [max(abs(hinge[0]), abs(temple[0]) + 0.05 * pupils) * side, hinge[1], hinge[2] - 0.15 * pupils]
        )
        bend = np.linspace(0, 1, 8)[:, None]
        parts.append(tube(np.concatenate([hinge[None], corner + bend * (ear - corner)]), radius, frame))
    bridge = np.linspace(eyes[0, 0] + 0.88 * half[0], eyes[1, 0] - 0.88 * half[0], 7)
    arch = middle_y + 0.25 * half[1] + 0.06 * pupils * np.sin(np.linspace(0, np.pi, 7))
    parts.append(tube(np.stack([bridge, arch, np.full(7, front)], -1), radius, frame))
    return parts


def shell_radius(points: Floats, centre: Floats, directions: Floats, cone: float) -> Floats:
    """Return how far `[direction]` the points reach from a centre along each unit direction, within a cone.

    Args:
        points: `[point, 3]`.
        centre: `[3]`.
        directions: `[direction, 3]`, unit.
        cone: half-angle in radians; smooths the shell.
    """
    arms = points - centre
    length = np.linalg.norm(arms, axis=1)
    cosine = (directions @ arms.T) / length
    return np.asarray(np.where(cosine > np.cos(cone), length, 0).max(axis=1), np.float32)


BACK_DROP = {"cap": 0.30, "beanie": 0.62, "hat": 0.30}
"""Radians by which a hat's edge is lower at the nape than at the forehead."""


def hat(kind: str, points: Floats, centre: Floats, brim_y: float, colour: Floats, second: Floats) -> list[Part]:
    """Return a cap or a beanie that covers the skull.

    Args:
        kind: `cap`, `beanie` or `hat` (with a brim all round).
        points: `[point, 3]`, skin and hair that the hat must cover.
        centre: `[3]`, middle of the skull.
        brim_y: height of the hat's edge at the forehead.
        colour: `[3]`, of the crown.
        second: `[3]`, of the visor or the band.
    """
    columns, rows = 44, 12
    azimuth = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    front = float(points[:, 2].max() - centre[2])
    lift = np.arctan2(brim_y - centre[1], front)
    edge = lift - BACK_DROP[kind] * (1 - np.cos(azimuth)) / 2
    share = np.linspace(0, 1, rows)[:, None]
    elevation = edge + share * (np.pi / 2 - 0.01 - edge)
    flat = np.cos(elevation)
    directions = np.stack([np.sin(azimuth) * flat, np.sin(elevation), np.cos(azimuth) * flat], -1)
    reach = shell_radius(points, centre, directions.reshape(-1, 3), 0.16).reshape(rows, columns)
    for row in range(rows - 2, -1, -1):  # below the given points the hat goes straight on
        reach[row] = np.where(reach[row] > 0, reach[row], reach[row + 1])
    for _ in range(2):
        reach = np.maximum(reach, (np.roll(reach, 1, 1) + np.roll(reach, -1, 1)) / 2)
    reach[-1] = reach[-1].mean()
    swell = np.full((rows, 1), 1.05)
    if kind == "hat":  # a flat crown, dented
        swell[4:, 0] += np.array([0.02, 0.05, 0.08, 0.08, 0.05, 0.02, 0.0, -0.02])
    if kind == "beanie":
        swell[:3], swell[3:] = 1.11, 1.07
        swell[-4:, 0] += np.array([0.01, 0.03, 0.05, 0.06])
    vertices = (centre + directions * (reach * swell)[..., None]).reshape(-1, 3).astype(np.float32)
    shade = np.where((share < 0.22) & (kind == "beanie"), 1.0, 0.0)
    paint = np.broadcast_to(shade[..., None] * second + (1 - shade[..., None]) * colour, (rows, columns, 3))
    if kind == "beanie":
        paint = paint * (0.94 + 0.06 * np.where(np.arange(columns) % 2 == 0, 1, -1))[None, :, None]
    triangles = grid_triangles(rows, columns, closed=True)[:, ::-1]
    normals = _outward(vertices, np.ascontiguousarray(triangles), centre)
    crown = Part(
        vertices=vertices,
        triangles=np.ascontiguousarray(triangles),
        colours=np.ascontiguousarray(paint.reshape(-1, 3), np.float32),
        normals=normals,
    )
    if kind == "beanie":
        return [crown]
    return [crown, _visor(vertices[:columns], second) if kind == "cap" else _brim(vertices[:columns], centre, second)]


def _visor(rim: Floats, colour: Floats) -> Part:
    columns = len(rim)
    arc = np.r_[columns - 9 : columns, 0:10]
    edge = rim[arc]
    spread = np.cos(np.linspace(-np.pi / 2, np.pi / 2, len(arc)))
    size = float(np.ptp(rim[:, 2]))
    out = np.linspace(0, 1, 4)[:, None, None]
    reach = np.stack([0 * spread, -0.10 * size * spread, 0.36 * size * spread], -1)
    vertices = (edge[None] + out * reach[None]).reshape(-1, 3).astype(np.float32)
    return Part(
        vertices=vertices,
        triangles=grid_triangles(4, len(arc), closed=False),
        colours=np.tile(colour, (len(vertices), 1)).astype(np.float32),
        normals=np.tile(np.float32([0, 0.94, 0.34]), (len(vertices), 1)),
    )


def _brim(rim: Floats, centre: Floats, colour: Floats) -> Part:
    columns = len(rim)
    out = (rim - centre) * np.array([1, 0, 1], np.float32)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    rows = np.linspace(0, 1, 4)[:, None, None]
    size = 0.26 * float(np.ptp(rim[:, 0]))
    lift = 0.10 * size * np.abs(out[:, :1]) * np.array([[0, 1, 0]])
    vertices = (
        (rim[None] + rows * (size * out[None]) + np.square(rows) * (3 * lift)[None]).reshape(-1, 3).astype(np.float32)
    )
    shade = np.where(rows < 0.3, 0.55, 1.0)
    return Part(
        vertices=vertices,
        triangles=grid_triangles(4, columns, closed=True),
        colours=np.ascontiguousarray(np.broadcast_to(shade * colour, (4, columns, 3)).reshape(-1, 3), np.float32),
        normals=np.tile(np.float32([0, 1, 0]), (len(vertices), 1)),
    )


def _outward(vertices: Floats, triangles: NDArray[np.int32], centre: Floats) -> Floats:
    normals = vertex_normals(vertices, triangles)
    inward = np.einsum("vc,vc->v", normals, vertices - centre) < 0
    return np.where(inward[:, None], -normals, normals).astype(np.float32)
