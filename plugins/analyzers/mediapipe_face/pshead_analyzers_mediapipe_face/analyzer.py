"""The analyzer itself: photo in, faces and matte out."""

from __future__ import annotations

import contextlib

from pshead_analyzers_mediapipe_face.config import MediapipeFaceConfig
from pshead_analyzers_mediapipe_face.find import find_faces
from pshead_analyzers_mediapipe_face.matte import person_matte
from pshead_analyzers_mediapipe_face.networks import Networks
from pshead_analyzers_mediapipe_face.quiet import quiet
from pshead_core.api import Photo, PluginError, PortraitFacts


class MediapipeFace:
    """Landmarks and matte with MediaPipe. It holds settings only; the networks live during one `analyze`."""

    def __init__(self, config: MediapipeFaceConfig) -> None:
        self._config = config

    def analyze(self, photo: Photo) -> PortraitFacts:
        """Return the faces, largest first, and their people's matte, if it is configured and the photo has no alpha.

        Raises:
            PluginError: the installed MediaPipe brings no models and none are configured, or these cannot be loaded.
        """
        with quiet(), contextlib.closing(_networks(self._config)) as networks:
            faces = find_faces(photo.rgb, networks, self._config.max_faces)
            wanted = bool(faces) and self._config.matte and photo.alpha is None
            matte = person_matte(photo.rgb, faces, networks) if wanted else None
        return PortraitFacts(faces=faces, matte=matte)


def _networks(config: MediapipeFaceConfig) -> Networks:
    # Either import loads MediaPipe, a second or two: only when a photo is analysed, and inside quiet().
    if config.landmarker_file is not None:
        from pshead_analyzers_mediapipe_face.tasks import Tasks  # noqa: PLC0415

        return Tasks(config.landmarker_file, config.segmenter_file, config.min_confidence)
    try:
        from pshead_analyzers_mediapipe_face.solutions import Solutions  # noqa: PLC0415
    except ImportError as error:
        raise PluginError(
            "mediapipe_face has no models",
            why=f"MediaPipe brings them up to 0.10.21 only, and {error}",
            fix="pip install 'mediapipe==0.10.14', or set `landmarker_file` and `segmenter_file`; see the README",
        ) from error
    return Solutions(config.min_confidence)
