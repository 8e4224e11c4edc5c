"""The networks that MediaPipe's wheels before 0.10.31 carry (`mp.solutions`)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import numpy as np
from mediapipe.python.solutions import face_detection, face_mesh, selfie_segmentation
from numpy.typing import NDArray

from pshead_analyzers_mediapipe_face.networks import Detection


class Solutions:
    """Face detection at short and full range, face mesh with attention, selfie segmentation."""

    def __init__(self, min_confidence: float) -> None:
        self._detectors = [
            face_detection.FaceDetection(model_selection=reach, min_detection_confidence=min_confidence)
            for reach in (0, 1)
        ]
        self._mesh = face_mesh.FaceMesh(
            static_image_mode=True,
            refine_landmarks=True,
            max_num_faces=4,
            min_detection_confidence=min_confidence,
        )
        self._segmenter = selfie_segmentation.SelfieSegmentation(model_selection=0)

    def close(self) -> None:
        """Free the graphs."""
        with contextlib.ExitStack() as stack:
            for part in (*self._detectors, self._mesh, self._segmenter):
                stack.callback(part.close)

    def detect(self, rgb: NDArray[np.uint8]) -> Sequence[Detection]:
        """Return the faces of `[height, width, 3]`, as both detectors see them."""
        height, width = rgb.shape[:2]
        found = []
        results = [detector.process(rgb).detections or () for detector in self._detectors]
        for detection in (item for items in results for item in items):
            location = detection.location_data
            box = location.relative_bounding_box
            points = np.array([(point.x, point.y) for point in location.relative_keypoints]) * (width, height)
            found.append(
                Detection(
                    centre_px=((box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height),
                    side_px=float(np.sqrt(box.width * width * box.height * height)),
                    right_eye_px=(float(points[0, 0]), float(points[0, 1])),
                    left_eye_px=(float(points[1, 0]), float(points[1, 1])),
                    score=float(detection.score[0]),
                )
            )
        return found

    def mesh(self, rgb: NDArray[np.uint8]) -> Sequence[NDArray[np.float64]]:
        """Return the 478 landmarks `[478, 3]` of each face in an upright crop, in its pixels."""
        height, width = rgb.shape[:2]
        faces = self._mesh.process(rgb).multi_face_landmarks or ()
        # z is relative to the picture's width, as x is.
        return [np.array([(p.x * width, p.y * height, p.z * width) for p in face.landmark]) for face in faces]

    def person(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of "person" `[height, width]` in 0..1; the network sees 256×256 pixels."""
        return np.asarray(self._segmenter.process(rgb).segmentation_mask, dtype=np.float32)
