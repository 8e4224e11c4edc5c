"""Cut-outs of pictures that were composed from a known person, a known background and a known matte."""

from __future__ import annotations

import numpy as np
import pytest

from pshead_core.portrait.cutout import clean_matte, foreground_colour, one_person, spread

SHAPE = (200, 240)
FACE = np.array([120.0, 100.0, 60.0])
NONE = np.zeros((0, 3))


@pytest.fixture
def head(make_disc) -> np.ndarray:
    return make_disc(SHAPE, 120, 100, 60)


def test_everything_apart_from_the_face_goes(head: np.ndarray, make_disc):
    matte = np.maximum(head, make_disc(SHAPE, 20, 30, 12))
    person = one_person(matte, FACE, NONE)
    np.testing.assert_array_equal(person, head >= 0.5)
    cleaned = clean_matte(matte, person, trusted=False)
    assert cleaned[30, 20] == 0
    assert np.abs(cleaned - head).max() < 0.15  # the rim's contrast is raised, nothing else


def test_nobody_under_the_face(make_disc):
    assert not one_person(make_disc(SHAPE, 20, 30, 12), FACE, NONE).any()
    assert not one_person(np.zeros(SHAPE, np.float32), FACE, NONE).any()


def test_holes_and_veils(head: np.ndarray):
    matte = np.maximum(head * 0.97, 0.04).astype(np.float32)
    matte[90:100, 90:110] = 0.1  # a hole
    matte[110:120, 90:110] = 0.7  # a weak place
    person = one_person(matte, FACE, NONE)
    cleaned = clean_matte(matte, person, trusted=False)
    assert cleaned[head == 1].min() == 1
    assert cleaned[head == 0].max() == 0


def test_own_alpha_keeps_holes_and_values(head: np.ndarray):
    matte = head.copy()
    matte[90:100, 90:110] = 0
    matte[60:70, 90:110] = 0.3
    cleaned = clean_matte(matte, one_person(matte, FACE, NONE), trusted=True)
    np.testing.assert_allclose(cleaned, matte, atol=1e-6)


def test_people_who_touch_are_parted(make_disc):
    left, right = make_disc(SHAPE, 70, 100, 52), make_disc(SHAPE, 170, 100, 52)
    matte = np.maximum(left, right)
    first, second = np.array([70.0, 100, 50]), np.array([170.0, 100, 50])
    one = one_person(matte, first, second[None])
    other = one_person(matte, second, first[None])
    assert not (one & other).any()
    assert one[:, :119].sum() == (matte >= 0.5)[:, :119].sum()
    assert not one[:, 121:].any()
    assert other[:, 121:].sum() == (matte >= 0.5)[:, 121:].sum()


def test_background_leaves_the_rim(make_disc):
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    person = np.stack([0.6 + 0 * rows, 0.3 + 0.001 * columns, 0.1 + 0.001 * rows], -1).astype(np.float32)
    background = np.broadcast_to(np.float32([0.1, 0.9, 0.2]), person.shape)
    distance = 60 - np.hypot(columns + 0.5 - 120, rows + 0.5 - 100)
    alpha = np.clip(0.5 + distance / 8, 0, 1).astype(np.float32)  # a rim eight pixels wide
    photo = alpha[..., None] * person + (1 - alpha[..., None]) * background
    colour = foreground_colour(photo, alpha)
    rim = (alpha > 0.02) & (alpha < 0.98)
    naive = np.abs(photo - person)[rim].mean()
    assert np.abs(colour - person)[rim].mean() < 0.05 * naive
    assert np.abs(colour - person)[rim].max() < 0.06
    np.testing.assert_array_equal(colour[alpha == 1], photo[alpha == 1])
    # Beyond the person its colours go on: nothing of the green background is left.
    assert colour[..., 1].max() < person[..., 1].max() + 0.02


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (64, 64), (33, 100)])
def test_spread(shape: tuple[int, int]):
    rng = np.random.default_rng(0)
    colours = rng.random((*shape, 3)).astype(np.float32)
    weight = (rng.random(shape) < 0.1).astype(np.float32)
    weight[0, 0] = 1
    result = spread(colours, weight)
    np.testing.assert_allclose(result[weight == 1], colours[weight == 1], atol=1e-6)
    known = colours[weight == 1]
    assert (result >= known.min(0) - 1e-5).all()
    assert (result <= known.max(0) + 1e-5).all()
    constant = spread(np.where(weight[..., None] > 0, np.float32(0.3), colours), weight)
    np.testing.assert_allclose(constant, 0.3, atol=1e-5)


def test_spread_of_nothing_and_of_all():
    colours = np.random.default_rng(0).random((9, 9, 3)).astype(np.float32)
    assert not spread(colours, np.zeros((9, 9), np.float32)).any()
    np.testing.assert_array_equal(spread(colours, np.ones((9, 9), np.float32)), colours)
