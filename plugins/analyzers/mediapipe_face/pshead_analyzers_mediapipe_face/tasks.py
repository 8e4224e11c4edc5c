"""The same networks through MediaPipe's Tasks API, whose model files the user supplies."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision
from numpy.typing import NDArray

from pshead_analyzers_mediapipe_face.networks import Detection
from pshead_core.api import PluginError


class Tasks:
    """Face landmarker and image segmenter."""

    def __init__(self, landmarker_file: Path, segmenter_file: Path | None, min_confidence: float) -> None:
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as built:
            self._landmarker = built.enter_context(_landmarker(landmarker_file, min_confidence))
            self._segmenter = built.enter_context(_segmenter(segmenter_file)) if segmenter_file is not None else None
            self._stack = built.pop_all()

    def close(self) -> None:
        """Free the networks."""
        self._stack.close()

    def detect(self, rgb: NDArray[np.uint8]) -> Sequence[Detection]:
        """Return the faces of `[height, width, 3]`; the landmarker has its own detector inside."""
        found = []
        for points in self.mesh(rgb):
            low, high = points[:, :2].min(0), points[:, :2].max(0)
            right, left = points[[33, 133], :2].mean(0), points[[263, 362], :2].mean(0)
            found.append(
                Detection(
                    centre_px=(float(low[0] + high[0]) / 2, float(low[1] + high[1]) / 2),
                    side_px=float((high - low).max()),
                    right_eye_px=(float(right[0]), float(right[1])),
                    left_eye_px=(float(left[0]), float(left[1])),
                    score=1.0,
                )
            )
        return found

    def mesh(self, rgb: NDArray[np.uint8]) -> Sequence[NDArray[np.float64]]:
        """Return the landmarks `[478, 3]` of each face, pixels of the picture."""
        height, width = rgb.shape[:2]
        faces = self._landmarker.detect(_image(rgb)).face_landmarks
        return [np.array([(p.x * width, p.y * height, p.z * width) for p in face]) for face in faces]

    def person(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probability of "person" `[height, width]` in 0..1."""
        if self._segmenter is None:
            raise PluginError(
                "mediapipe_face cannot make a matte",
                why="the landmarker file is set, the segmenter file is not",
                fix="set `segmenter_file` to selfie_multiclass_256x256.tflite, or `matte = false` for a photo with "
                "transparent background",
            )
        masks = [np.asarray(mask.numpy_view()) for mask in self._segmenter.segment(_image(rgb)).confidence_masks]
        # Several classes: the first is the background. A single one is the person.
        person = 1 - masks[0] if len(masks) > 1 else masks[0]
        return np.asarray(person.reshape(rgb.shape[:2]), dtype=np.float32)


def _image(rgb: NDArray[np.uint8]) -> Any:
    return mp.Image(image_format=mp.ImageFormat.SRGB, data=np.ascontiguousarray(rgb))


def _landmarker(path: Path, min_confidence: float) -> Any:
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(path)),
        num_faces=4,
        min_face_detection_confidence=min_confidence,
        min_face_presence_confidence=min_confidence,
    )
    with _naming("landmarker_file", path):
        return vision.FaceLandmarker.create_from_options(options)


def _segmenter(path: Path) -> Any:
    options = vision.ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_path=str(path)), output_confidence_masks=True
    )
    with _naming("segmenter_file", path):
        return vision.ImageSegmenter.create_from_options(options)


@contextlib.contextmanager
def _naming(field: str, path: Path) -> Any:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise PluginError(
            f"mediapipe_face cannot load {path}",
            why=str(error).splitlines()[0],
            fix=f"set `{field}` to a model file for MediaPipe's Tasks API; the plugin's README names them",
        ) from error
