"""Where on the base mesh lips, cheeks, beard, scalp and so on are: soft masks per vertex, from the landmarks."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from skimage.measure import points_in_poly

from training.heads.makehuman.assets import MakeHumanAssets
from training.heads.makehuman.landmarks import skin_landmarks

Floats = NDArray[np.float32]

LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
"""MediaPipe's outer lip line."""
MOUTH_Y, MOUTH_BACK = 6.6136923, 0.60345674
"""Height of the line between the lips, and depth of the mouth's back, of the base mesh: constants, so that pictures
stay the same when lip points are derived anew."""
RIGHT_EYE = (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7)
LEFT_EYE = (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249)
RIGHT_BROW = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
LEFT_BROW = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
HAIRLINE = (10, 338, 297, 332, 284, 251)
"""Landmarks along the top of the forehead, middle to the subject's left temple."""


@frozen(kw_only=True, eq=False)
class Masks:
    """Masks `[base vertex]` in 0..1."""

    lips: Floats
    mouth: Floats
    """Inside of the mouth."""
    cheeks: Floats
    nose: Floats
    ears: Floats
    lids: Floats
    """Around the eyes: shadow."""
    lash_line: Floats
    brows: Floats
    beard: Floats
    moustache: Floats
    goatee: Floats
    scalp: Floats
    recession: Floats
    """How early a scalp vertex loses its hair: 1 at temples and crown, 0 at sides and back."""


def polygon_distance(points: Floats, polygon: Floats) -> Floats:
    """Return the signed distance `[point]` of points `[point, 2]` from a polygon `[corner, 2]`, negative inside."""
    start = polygon
    edge = np.roll(polygon, -1, axis=0) - start
    offset = points[:, None] - start[None]
    share = np.clip((offset * edge).sum(-1) / np.maximum((edge * edge).sum(-1), 1e-12), 0, 1)
    distance = np.linalg.norm(offset - share[..., None] * edge, axis=-1).min(axis=1)
    return np.asarray(np.where(points_in_poly(points, polygon), -distance, distance), np.float32)


def soft(distance: Floats, width: float) -> Floats:
    """Return 1 well inside (negative distance), 0 well outside, over a border `width` wide."""
    share = np.clip(0.5 - distance / width, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def lip_paint(assets: MakeHumanAssets) -> Floats:
    """Return factors `[base vertex, 3]` that redden the lips."""
    mask = _front(assets.base.vertices, skin_landmarks(assets.base.vertices), LIPS, 0.05)
    return np.asarray(1 - mask[:, None] * np.array([0.12, 0.42, 0.38]), np.float32)


def _front(vertices: Floats, landmarks: Floats, polygon: tuple[int, ...], width: float, grow: float = 0.0) -> Floats:
    corners = landmarks[list(polygon)]
    near = vertices[:, 2] > corners[:, 2].min() - 0.15
    return soft(polygon_distance(vertices[:, :2], corners[:, :2]) - grow, width) * near


def _blob(vertices: Floats, centre: Floats, radius: float) -> Floats:
    return np.asarray(np.exp(-np.square(vertices - centre).sum(axis=1) / (2 * radius**2)), np.float32)


def make_masks(assets: MakeHumanAssets) -> Masks:
    """Return the masks of the unmorphed base mesh; they hold for every morph of it."""
    vertices = assets.base.vertices
    marks = skin_landmarks(vertices)
    lips = _front(vertices, marks, LIPS, 0.05)
    back = np.float32(MOUTH_BACK) - np.float32(0.12)
    wide = np.abs(vertices[:, 0]) < 0.9 * abs(float(marks[61, 0]))
    level = np.abs(vertices[:, 1] - np.float32(MOUTH_Y)) < 0.30
    mouth = soft(vertices[:, 2] - back, 0.08) * wide * level * (vertices[:, 2] > 0.2)
    around = np.maximum(_front(vertices, marks, RIGHT_EYE, 0.22, 0.07), _front(vertices, marks, LEFT_EYE, 0.22, 0.07))
    line = np.maximum(_front(vertices, marks, RIGHT_EYE, 0.035, 0.012), _front(vertices, marks, LEFT_EYE, 0.035, 0.012))
    brows = np.maximum(_front(vertices, marks, RIGHT_BROW, 0.07), _front(vertices, marks, LEFT_BROW, 0.07))
    ear_x = abs(float(marks[234, 0]))
    ears = soft(ear_x + 0.04 - np.abs(vertices[:, 0]), 0.1) * (np.abs(vertices[:, 1] - 7.1) < 0.5)
    beard, moustache, goatee = _beards(vertices, marks, lips)
    scalp, recession = _scalp(vertices, marks)
    return Masks(
        lips=lips,
        mouth=mouth,
        cheeks=np.maximum(_blob(vertices, marks[50], 0.22), _blob(vertices, marks[280], 0.22)),
        nose=_blob(vertices, marks[4], 0.16),
        ears=np.asarray(ears * (1 - scalp), np.float32),
        lids=around,
        lash_line=line,
        brows=brows,
        beard=beard,
        moustache=moustache,
        goatee=goatee,
        scalp=scalp,
        recession=recession,
    )


def _beards(vertices: Floats, marks: Floats, lips: Floats) -> tuple[Floats, Floats, Floats]:
    mouth_y = np.float32(MOUTH_Y)
    chin, jaw = marks[152], marks[[58, 288]].mean(axis=0)
    # Upper border: from the sideburns before the ears down across the cheek to the corners of the mouth.
    share = np.clip(np.abs(vertices[:, 0]) / abs(float(marks[234, 0])), 0, 1)
    border = mouth_y - 0.02 + np.power(np.clip((share - 0.35) / 0.65, 0, 1), 2.2) * (marks[234, 1] - mouth_y + 0.1)
    below = soft(vertices[:, 1] - border, 0.16)
    neck = soft((chin[1] - 0.16) - vertices[:, 1] - np.clip(jaw[2] + 0.5 - vertices[:, 2], 0, 0.3), 0.2)
    front = soft((marks[234, 2] - 0.02) - vertices[:, 2], 0.16)
    beard = below * neck * front
    nose = float(marks[2, 1])
    high = soft(vertices[:, 1] - (nose - 0.07), 0.08) * soft(mouth_y - vertices[:, 1], 0.1)
    moustache = high * soft(np.abs(vertices[:, 0]) - 0.34, 0.12) * (vertices[:, 2] > marks[61, 2] - 0.1)
    low = soft(vertices[:, 1] - mouth_y, 0.1) * neck * soft(np.abs(vertices[:, 0]) - 0.24, 0.14)
    goatee = low * (vertices[:, 2] > marks[61, 2] - 0.35)
    keep = 1 - lips
    full, chin_only = np.maximum(beard, moustache), np.maximum(goatee, moustache)
    return (
        np.asarray(full * keep, np.float32),
        np.asarray(moustache * keep, np.float32),
        np.asarray(chin_only * keep, np.float32),
    )


def _scalp(vertices: Floats, marks: Floats) -> tuple[Floats, Floats]:
    """The scalp lies above a line from the forehead over the temples, before and behind the ears to the nape."""
    ear_z, ear_x = float(marks[[234, 454], 2].mean()) - 0.25, abs(float(marks[234, 0]))
    top = float(marks[10, 1])
    z_front = float(marks[10, 2])
    # Profile of the hairline's height over depth (front to nape).
    depth = np.array(
        [-1.2, ear_z - 0.55, ear_z - 0.18, ear_z + 0.02, ear_z + 0.3, ear_z + 0.45, z_front - 0.25, z_front + 0.3]
    )
    level = float(marks[234, 1])
    height = np.array(
        [level - 0.75, level - 0.72, level - 0.15, level + 0.25, level + 0.05, level + 0.45, top + 0.02, top + 0.06]
    )
    line = np.interp(vertices[:, 2], depth, height)
    inside = (np.abs(vertices[:, 0]) < ear_x + 0.09) & (vertices[:, 1] > level - 1.0)
    scalp = soft(line - vertices[:, 1], 0.12) * inside
    crown = _blob(vertices, np.array([0, 8.3, -0.1], np.float32), 0.45)
    temples = _blob(np.abs(vertices), np.array([0.45, top + 0.1, z_front - 0.2], np.float32), 0.35)
    high = np.clip((vertices[:, 1] - top) / 0.5, 0, 1)
    return np.asarray(scalp, np.float32), np.asarray(np.maximum(np.maximum(crown, temples), 0.6 * high), np.float32)
