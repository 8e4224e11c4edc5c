"""Photos made of scikit-image's astronaut, and the analyzer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pshead_analyzers_mediapipe_face.analyzer import MediapipeFace
from pshead_analyzers_mediapipe_face.config import MediapipeFaceConfig
from skimage.data import astronaut as astronaut_pixels

from pshead_core.config.run import PortraitConfig
from pshead_core.portrait.analyze import make_portrait
from pshead_core.portrait.facts import Photo, PortraitFacts
from pshead_core.portrait.portrait import Portrait

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def astronaut() -> Image.Image:
    return Image.fromarray(astronaut_pixels())


@pytest.fixture(scope="session")
def analyzer() -> MediapipeFace:
    return MediapipeFace(MediapipeFaceConfig())


@pytest.fixture(scope="session")
def photo_of() -> Callable[[Image.Image], Photo]:
    def build(image: Image.Image) -> Photo:
        return Photo(rgb=np.asarray(image.convert("RGB")), alpha=None, source="somebody.jpg", sha256="0" * 64)

    return build


@pytest.fixture(scope="session")
def rendered(photo_of) -> Callable[[int], Photo]:
    """A rendered head whose yaw is known."""
    return lambda yaw_deg: photo_of(Image.open(DATA / f"rendered_{yaw_deg}.jpg"))


@pytest.fixture(scope="session")
def facts(analyzer: MediapipeFace, astronaut: Image.Image, photo_of) -> PortraitFacts:
    """What the analyzer says about the plain astronaut."""
    return analyzer.analyze(photo_of(astronaut))


@pytest.fixture(scope="session")
def portrait_of(analyzer: MediapipeFace, photo_of) -> Callable[..., Portrait]:
    def build(image: Image.Image, **config: object) -> Portrait:
        photo = photo_of(image)
        return make_portrait(photo, [analyzer.analyze(photo)], PortraitConfig(**config), lambda _: None)

    return build


@pytest.fixture(scope="session")
def portrait(portrait_of, astronaut: Image.Image) -> Portrait:
    return portrait_of(astronaut)
