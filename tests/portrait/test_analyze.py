"""The portrait of a synthetic person whose matte, colours and landmarks are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from pshead_core.config.run import PortraitConfig
from pshead_core.errors import PhotoError
from pshead_core.portrait.analyze import NEUTRAL_PROMPT, make_portrait
from pshead_core.portrait.facts import Photo, PortraitFacts
from pshead_core.portrait.frame import FACE_Y_FRAC

SHAPE = (700, 900)
SKIN, WALL = np.float32([0.8, 0.5, 0.4]), np.float32([0.1, 0.2, 0.9])


@pytest.fixture
def matte(make_disc) -> np.ndarray:
    shoulders = make_disc(SHAPE, 400, 760, 340)
    return np.maximum(make_disc(SHAPE, 400, 300, 140), shoulders)


@pytest.fixture
def photo(make_photo, matte: np.ndarray) -> Photo:
    rgb = matte[..., None] * SKIN + (1 - matte[..., None]) * WALL
    return make_photo(np.rint(rgb * 255).astype(np.uint8))


@pytest.fixture
def facts(make_face, matte: np.ndarray) -> PortraitFacts:
    return PortraitFacts(matte=matte, faces=(make_face(400, 300, 160),))


@pytest.fixture
def portrait_of() -> Callable:
    def build(photo: Photo, *facts: PortraitFacts, **config: object):
        return make_portrait(photo, facts, PortraitConfig(**config), lambda _: None)

    return build


def test_geometry(photo, facts, portrait_of):
    portrait = portrait_of(photo, facts)
    assert portrait.rgba.shape == (512, 512, 4)
    assert portrait.rgba.dtype == portrait.landmarks_px.dtype == torch.float32
    assert portrait.photo_to_frame.dtype == torch.float64
    assert portrait.sha256 == photo.sha256
    own = torch.from_numpy(facts.faces[0].landmarks_px).double()
    mapped = own[:, :2] @ portrait.photo_to_frame[:, :2].T + portrait.photo_to_frame[:, 2]
    torch.testing.assert_close(portrait.landmarks_px[:, :2].double(), mapped, atol=1e-3, rtol=0)
    # The hair is a disc of 140 pixels about the face of 160: in the frame a disc of 140 * 0.3 * 512 / 160.
    alpha = portrait.rgba[..., 3].numpy()
    rows = np.nonzero(alpha[:, 256] > 0.5)[0]
    assert rows.min() == pytest.approx(FACE_Y_FRAC * 512 - 140 * 0.96, abs=1.5)
    columns = np.nonzero(alpha[round(FACE_Y_FRAC * 512)] > 0.5)[0]
    assert (columns.max() - columns.min() + 1) / 2 == pytest.approx(140 * 0.96, abs=1.5)


def test_colours_are_the_persons_alone(photo, facts, portrait_of):
    rgba = portrait_of(photo, facts).rgba.numpy()
    assert np.abs(rgba[..., :3] - SKIN).max() < 0.12  # everywhere, at the rim and beyond; the wall differs by 0.7
    assert np.abs(rgba[rgba[..., 3] > 0.9][:, :3] - SKIN).mean() < 0.003


def test_where_the_photo_ends_nothing_is_seen(photo, facts, portrait_of):
    portrait = portrait_of(photo, facts, face_frac=0.1)
    inside = portrait.photo_inside
    assert 0.1 < inside.float().mean() < 0.9
    assert portrait.rgba[..., 3][~inside].max() == 0
    # The shoulders run into the lower edge of the photo and are cut exactly there.
    assert portrait.rgba[..., 3][inside].max() == 1
    edge_row = int(inside.any(1).nonzero().max())
    column = int(portrait.landmarks_px[10, 0])
    assert portrait.rgba[edge_row, column, 3] == 1


def test_large_and_small_photos_give_the_same_portrait(make_photo, facts, portrait_of, photo, make_face):
    double = make_photo(np.repeat(np.repeat(photo.rgb, 2, 0), 2, 1))
    twice = PortraitFacts(matte=np.repeat(np.repeat(facts.matte, 2, 0), 2, 1), faces=(make_face(800, 600, 320),))
    difference = portrait_of(photo, facts).rgba - portrait_of(double, twice).rgba
    assert difference.abs().mean() < 2e-3


def test_own_alpha_is_used_and_its_colours_are_straight(make_photo, facts, matte, portrait_of):
    # Where alpha is 0 the file says green; with premultiplied care nothing of it is seen.
    rgb = np.where(matte[..., None] > 0, SKIN, np.float32([0, 1, 0]))
    photo = make_photo(np.rint(rgb * 255).astype(np.uint8), matte)
    nonsense = PortraitFacts(matte=np.ones(SHAPE, np.float32), faces=facts.faces)
    rgba = portrait_of(photo, nonsense).rgba.numpy()
    assert np.abs(rgba[..., :3] - SKIN).max() < 0.05
    assert np.abs(rgba[rgba[..., 3] > 0.4][:, :3] - SKIN).max() < 0.02
    expected = portrait_of(make_photo(photo.rgb), facts).rgba[..., 3].numpy()
    assert np.abs(rgba[..., 3] - expected).mean() < 2e-3
    assert rgba[..., 3].mean() < 0.6


def test_prompt(photo, facts, portrait_of):
    assert portrait_of(photo, facts).prompt == NEUTRAL_PROMPT
    words = PortraitFacts(prompt_words=("woman", "short brown hair"))
    more = PortraitFacts(prompt_words=("short brown hair", "orange suit"))
    assert portrait_of(photo, facts, words).prompt == "photo of a woman, short brown hair"
    assert portrait_of(photo, facts, words, more).prompt == "photo of a woman, short brown hair, orange suit"
    assert portrait_of(photo, facts, words, prompt="sks man").prompt == "sks man"


def test_first_statement_counts(photo, facts, portrait_of, make_face):
    other = PortraitFacts(faces=(make_face(500, 300, 300),), matte=np.zeros(SHAPE, np.float32))
    silent = PortraitFacts()
    expected = portrait_of(photo, facts).landmarks_px
    torch.testing.assert_close(portrait_of(photo, silent, facts, other).landmarks_px, expected)


def test_chosen_face_of_two(make_photo, make_face, make_disc):
    matte = np.maximum(make_disc(SHAPE, 250, 300, 150), make_disc(SHAPE, 600, 300, 120))
    rgb = np.where(np.arange(900)[None, :, None] < 440, SKIN, WALL) * np.ones((*SHAPE, 1), np.float32)
    photo = make_photo(np.rint(rgb * 255).astype(np.uint8))
    facts = PortraitFacts(matte=matte, faces=(make_face(250, 300, 170), make_face(600, 300, 140)))
    said: list[str] = []
    first = make_portrait(photo, [facts], PortraitConfig(), said.append)
    assert len(said) == 1
    second = make_portrait(photo, [facts], PortraitConfig(face=2), said.append)
    assert len(said) == 1
    for portrait, colour in ((first, SKIN), (second, WALL)):
        visible = portrait.rgba[portrait.rgba[..., 3] > 0.9][:, :3].numpy()
        assert np.abs(visible - colour).max() < 0.02


def test_no_matte(photo, facts, portrait_of):
    with pytest.raises(PhotoError, match="background"):
        portrait_of(photo, PortraitFacts(faces=facts.faces))


def test_matte_that_misses_the_face(photo, facts, portrait_of):
    with pytest.raises(PhotoError, match="cannot be told from the background"):
        portrait_of(photo, PortraitFacts(faces=facts.faces, matte=np.zeros(SHAPE, np.float32)))
