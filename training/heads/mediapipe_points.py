"""MediaPipe's face mesh on a picture: used only to derive the correspondence tables, never to make a head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def detect(pictures: NDArray[np.uint8]) -> list[NDArray[np.float32] | None]:
    """Return landmarks `[478, 3]` in pixels (z in the same unit) of every picture `[picture, height, width, 3]`."""
    import mediapipe  # noqa: PLC0415  (not a requirement of the generators)

    found: list[NDArray[np.float32] | None] = []
    with mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True, max_num_faces=1, refine_landmarks=True, min_detection_confidence=0.4
    ) as mesh:
        for picture in pictures:
            faces = mesh.process(np.ascontiguousarray(picture)).multi_face_landmarks
            if not faces:
                found.append(None)
                continue
            height, width = picture.shape[:2]
            points = [(p.x * width, p.y * height, p.z * width) for p in faces[0].landmark]
            found.append(np.array(points, np.float32))
    return found
