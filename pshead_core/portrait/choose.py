"""Which face of the photo becomes the head, and whether a head can be made of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pshead_core.errors import PhotoError
from pshead_core.portrait.facts import FaceFacts, Photo

MAX_YAW_DEG = 40.0
"""From here one half of the face is hidden and cannot be reconstructed from this photo. Face meshes understate large
turns: rendered heads at 30°, 40°, 50° measure as 30°, 35°, 43°."""
MIN_FACE_PX = 64.0
"""Smallest face height: below, the features have too few pixels for a likeness."""
MAX_OUTSIDE_FRAC = 0.05
"""Largest part of the landmarks that may lie outside the photo."""

TOP, CHIN = 10, 152
"""Landmarks at the top of the forehead and at the chin."""
RIGHT_SIDE = (234, 127, 93, 33, 133, 61, 58, 172)
"""Landmarks of the subject's right half: cheek edge, temple, eye corners, mouth corner, jaw."""
LEFT_SIDE = (454, 356, 323, 263, 362, 291, 288, 397)
"""The mirror images of `RIGHT_SIDE`, in the same order."""
EAR_SIDES = (234, 127, 93, 454, 356, 323)
"""Landmarks beside the ears: their middle lies near the vertical axis of the head."""


def across(landmarks_px: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the unit vector `[3]` from the subject's right to the subject's left, in picture axes."""
    points = landmarks_px.astype(np.float64)
    vector = (points[list(LEFT_SIDE)] - points[list(RIGHT_SIDE)]).mean(0)
    return np.asarray(vector / np.linalg.norm(vector))


def roll_deg(landmarks_px: NDArray[np.float32]) -> float:
    """Return the rotation of the face in the picture, positive clockwise, in (-180, 180]."""
    vector = across(landmarks_px)
    return math.degrees(math.atan2(vector[1], vector[0]))


def yaw_deg(landmarks_px: NDArray[np.float32]) -> float:
    """Return how far the face is turned away from the camera, positive when the nose points to the picture's right.

    Measured on pairs of mirrored landmarks, whose z is in the unit of x and y (weak perspective): between -90 and 90.
    """
    vector = across(landmarks_px)
    return math.degrees(math.atan2(vector[2], math.hypot(vector[0], vector[1])))


def choose_face(
    photo: Photo, faces: tuple[FaceFacts, ...] | None, wanted: int | None, report: Callable[[str], None]
) -> FaceFacts:
    """Return the wanted face (1 is the largest); without a wish the largest, and say so if there are several.

    Raises:
        PhotoError: no face, no such face, or a face that is too small, seen from the side, or cut off.
    """
    if faces is None:
        raise PhotoError(
            f"nothing looked for a face in {photo.source}",
            why="no chosen analyzer finds faces",
            fix="install and choose one that does: --plugins mediapipe_face",
        )
    if not faces:
        raise PhotoError(
            f"no face found in {photo.source}",
            why="nothing was recognised; faces from the side, covered, blurred or cut off are not",
            fix="give a photo that shows one face from the front, sharp, well lit and at least 128 pixels high",
        )
    ordered = sorted(faces, key=lambda face: -face.height_px)
    if wanted is None:
        if len(ordered) > 1:
            report(_several(photo, ordered))
        chosen = ordered[0]
    elif wanted > len(ordered):
        count = "1 face" if len(ordered) == 1 else f"{len(ordered)} faces"
        raise PhotoError(
            f"there is no face {wanted} in {photo.source}",
            why=f"{count} found",
            fix=f"choose --face between 1 (the largest) and {len(ordered)}",
        )
    else:
        chosen = ordered[wanted - 1]
    _check_face(photo, chosen)
    return chosen


def _several(photo: Photo, ordered: list[FaceFacts]) -> str:
    heights = ", ".join(f"{number} is {face.height_px:.0f} px high" for number, face in enumerate(ordered, start=1))
    return (
        f"{len(ordered)} faces found in {photo.source}; the largest is taken. To take another, set --face N ({heights})"
    )


def _check_face(photo: Photo, face: FaceFacts) -> None:
    if face.height_px < MIN_FACE_PX:
        raise PhotoError(
            f"the face in {photo.source} is too small",
            why=f"it is {face.height_px:.0f} pixels high from forehead to chin, {MIN_FACE_PX:.0f} are needed",
            fix="take a larger copy of the photo or one that was shot closer; 200 pixels or more are good",
        )
    height, width = photo.rgb.shape[:2]
    x, y = face.landmarks_px[:, 0], face.landmarks_px[:, 1]
    outside = float(np.mean((x < 0) | (x > width) | (y < 0) | (y > height)))
    if outside > MAX_OUTSIDE_FRAC:
        raise PhotoError(
            f"the face in {photo.source} is cut off by the edge of the photo",
            why=f"{outside:.0%} of its points lie outside",
            fix="give a photo that shows the whole face, best with all of the hair",
        )
    yaw = yaw_deg(face.landmarks_px)
    if abs(yaw) > MAX_YAW_DEG:
        raise PhotoError(
            f"the face in {photo.source} is seen from the side",
            why=f"it is turned by about {abs(yaw):.0f}°, the limit is {MAX_YAW_DEG:.0f}°",
            fix="give a photo in which the person looks towards the camera",
        )
