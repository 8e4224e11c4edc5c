"""The analyzer itself: photo in, faces and matte out."""

from __future__ import annotations

import contextlib

from pshead_analyzers_mediapipe_face.config import MediapipeFaceConfig
from pshead_analyzers_mediapipe_face.find import find_faces
from pshead_analyzers_mediapipe_face.matte import person_matte
from pshead_analyzers_mediapipe_face.networks import Networks
from pshead_analyzers_mediapipe_face.quiet import quiet
from pshead_core.api import Photo, PortraitFacts


class MediapipeFace:
    """Landmarks and matte with MediaPipe. It holds settings only; the networks live during one `analyze`."""

    def __init__(self, config: MediapipeFaceConfig) -> None:
        self._config = config

    def analyze(self, photo: Photo) -> PortraitFacts:
        """Return the faces, largest first, and, if configured and the photo has no alpha, the matte."""
        with quiet(), contextlib.closing(_load(self._config)) as networks:
            faces = find_faces(photo.rgb, networks, self._config.max_faces)
            wanted = self._config.matte and photo.alpha is None
            matte = person_matte(photo.rgb, faces, networks) if wanted else None
        return PortraitFacts(faces=faces, matte=matte)


def _load(config: MediapipeFaceConfig) -> Networks:
    from pshead_analyzers_mediapipe_face.solutions import Solutions

    return Solutions(config.min_confidence)
