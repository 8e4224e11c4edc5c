"""Faces of a photo: detected at several scales and orientations, then measured in upright crops."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from PIL import Image

from pshead_analyzers_mediapipe_face.crop import Crop
from pshead_analyzers_mediapipe_face.networks import Detection, Networks
from pshead_core.api import FaceFacts

MESH_PX = 384
"""Side of the crops for the face mesh, whose network sees 192×192 pixels of the face."""
CROP_SIDES = (2.2, 1.6, 3.2)
"""Sides of the crops, in sides of the detected square, tried in this order: the mesh looks for the face once more and
wants some of the head around it."""
FOLLOW_SIDE = 2.0
"""Side of the crop that follows the landmarks, in heights of the face."""
ROUNDS = 5
"""Times that the mesh looks at a face, each time in the crop that the last one gives."""
SURE = 0.004
"""Largest mean movement in the last two rounds, in heights of the face, with which a face is certain.

Measured: frontal faces of 58 to 645 pixels 0.002 or less, turned by 30° 0.004, by 50° 0.003 to 0.011, standing on the
head 0.006 to 0.015; cats, cups and noise lose the mesh altogether.
"""
LOST = 0.02
"""Movement from which there is no face."""
DETECT_PX = 1024
"""Longest side of the picture for detection; the detectors see 128×128 and 192×192 pixels."""
TILINGS = (2, 4)
"""If the whole photo shows no face, tiles of a half and a quarter of its sides are searched, overlapping by a half."""
MIN_TILE_PX = 400
"""Longer side from which a tile is worth a search: in a smaller one, faces of 60 pixels were seen before."""
OVERLAP = 0.4
"""Intersection over union from which two boxes are one face."""

Box = tuple[float, float, float, float]


def find_faces(rgb: NDArray[np.uint8], networks: Networks, max_faces: int) -> tuple[FaceFacts, ...]:
    """Return the faces of `[height, width, 3]`, largest first.

    Searched in turn until a sure one is found: the whole photo, tiles of it, the photo turned by 90°, 270° and 180°.
    Without a sure one, the search with the surest counts.
    """
    best: list[_Found] = []
    for quarter_turns in (0, 1, 3, 2):
        turned = np.ascontiguousarray(np.rot90(rgb, quarter_turns))
        for detections in _searches(turned, networks):
            found = [
                _Found(face=_turned_back(item.face, rgb.shape[:2], quarter_turns), wander=item.wander)
                for item in _measured(turned, detections, networks, max_faces)
            ]
            if _surest(found) < _surest(best):
                best = found
            if _surest(best) <= SURE:
                return _faces(best)
    return _faces(best)


@frozen(kw_only=True, eq=False)
class _Found:
    """A face, and how far its landmarks wander when the crop follows them, in heights of the face."""

    face: FaceFacts
    wander: float


def _surest(found: Sequence[_Found]) -> float:
    return min((item.wander for item in found), default=math.inf)


def _faces(found: Sequence[_Found]) -> tuple[FaceFacts, ...]:
    return tuple(sorted((item.face for item in found), key=lambda face: -face.height_px))


def _searches(rgb: NDArray[np.uint8], networks: Networks) -> Iterator[Sequence[Detection]]:
    height, width = rgb.shape[:2]
    yield _detect(rgb, networks, (0, 0, width, height))
    for tiling in TILINGS:
        size = (-(-width // tiling), -(-height // tiling))
        if max(size) < MIN_TILE_PX:
            return
        steps = range(2 * tiling - 1)
        corners = [(size[0] * column // 2, size[1] * row // 2) for row in steps for column in steps]
        yield [found for x, y in corners for found in _detect(rgb, networks, (x, y, x + size[0], y + size[1]))]


def _detect(rgb: NDArray[np.uint8], networks: Networks, box: tuple[int, int, int, int]) -> list[Detection]:
    tile = rgb[box[1] : box[3], box[0] : box[2]]
    scale = min(1.0, DETECT_PX / max(tile.shape[:2]))
    if scale < 1:
        size = (max(1, round(tile.shape[1] * scale)), max(1, round(tile.shape[0] * scale)))
        tile = np.asarray(Image.fromarray(tile).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))

    def back(point: tuple[float, float]) -> tuple[float, float]:
        return (point[0] / scale + box[0], point[1] / scale + box[1])

    return [
        Detection(
            centre_px=back(found.centre_px),
            side_px=found.side_px / scale,
            right_eye_px=back(found.right_eye_px),
            left_eye_px=back(found.left_eye_px),
            score=found.score,
        )
        for found in networks.detect(np.ascontiguousarray(tile))
    ]


def _measured(
    rgb: NDArray[np.uint8], detections: Sequence[Detection], networks: Networks, max_faces: int
) -> list[_Found]:
    found: list[_Found] = []
    for detection in _distinct(detections)[:max_faces]:
        new = _landmarks(rgb, detection, networks)
        if new is not None and all(_overlap(new.face.box_px, other.face.box_px) < OVERLAP for other in found):
            found.append(new)
    return found


def _distinct(detections: Sequence[Detection]) -> list[Detection]:
    """Return one detection per face, the surest, largest faces first."""
    kept: list[Detection] = []
    for detection in sorted(detections, key=lambda item: -item.score):
        if all(_overlap(_square(detection), _square(other)) < OVERLAP for other in kept):
            kept.append(detection)
    return sorted(kept, key=lambda item: -item.side_px)


def _landmarks(rgb: NDArray[np.uint8], detection: Detection, networks: Networks) -> _Found | None:
    best = None
    for sides in CROP_SIDES:
        crop = Crop(
            centre_px=detection.centre_px,
            side_px=sides * detection.side_px,
            roll_deg=detection.roll_deg,
            pixels=MESH_PX,
        )
        found = _settled(rgb, crop, networks)
        if found is not None and (best is None or found.wander < best.wander):
            best = found
        if best is not None and best.wander <= SURE:
            break
    return best


def _settled(rgb: NDArray[np.uint8], crop: Crop, networks: Networks) -> _Found | None:
    """Return the face after some rounds in which the crop follows the landmarks, None if it gets lost.

    On a face the landmarks settle at once, whatever the first crop was; on a cat, on noise or on a face that stands on
    its head the mesh is lost or keeps wandering.
    """
    former, moves = None, []
    for _ in range(ROUNDS):
        meshes = networks.mesh(crop.cut(rgb))
        if not meshes:
            return None
        # A neighbour's face may be in the crop too: the one in the middle is meant.
        mesh = min(meshes, key=lambda points: float(np.linalg.norm(points[:468, :2].mean(0) - crop.pixels / 2)))
        landmarks = crop.points_to_photo(mesh)
        face = _face(landmarks)
        if former is not None:
            moves.append(float(np.abs(landmarks[:468, :2] - former[:468, :2]).mean()) / face.height_px)
        former = landmarks
        left, top, right, bottom = face.box_px
        across = landmarks[263, :2] - landmarks[33, :2]
        crop = Crop(
            centre_px=((left + right) / 2, (top + bottom) / 2),
            side_px=FOLLOW_SIDE * face.height_px,
            roll_deg=math.degrees(math.atan2(across[1], across[0])),
            pixels=MESH_PX,
        )
    wander = max(moves[-2:])
    return _Found(face=face, wander=wander) if wander <= LOST else None


def _face(landmarks: NDArray[np.float32]) -> FaceFacts:
    left, top = (float(value) for value in landmarks[:468, :2].min(0))
    right, bottom = (float(value) for value in landmarks[:468, :2].max(0))
    return FaceFacts(landmarks_px=landmarks, box_px=(left, top, right, bottom))


def _square(detection: Detection) -> Box:
    (x, y), half = detection.centre_px, detection.side_px / 2
    return (x - half, y - half, x + half, y + half)


def _overlap(one: Box, other: Box) -> float:
    """Return intersection over union of two boxes (left, top, right, bottom)."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return shared / max(areas - shared, 1e-9)


def _turned_back(face: FaceFacts, shape: tuple[int, ...], quarter_turns: int) -> FaceFacts:
    """Return the face of a photo that `np.rot90` turned counter-clockwise, in the photo of (height, width) `shape`."""
    if quarter_turns == 0:
        return face
    height, width = shape[0], shape[1]
    x, y, z = face.landmarks_px.T
    back = {1: (width - y, x), 2: (width - x, height - y), 3: (y, height - x)}[quarter_turns]
    return _face(np.stack([*back, z], axis=1).astype(np.float32))
