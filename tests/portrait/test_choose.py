"""Which face is taken, and which photos are refused."""

from __future__ import annotations

import numpy as np
import pytest

from pshead_core.errors import PhotoError
from pshead_core.portrait.choose import MAX_YAW_DEG, MIN_FACE_PX, choose_face, roll_deg, yaw_deg


@pytest.fixture
def photo(make_photo):
    return make_photo(np.zeros((800, 1200, 3), np.uint8))


@pytest.mark.parametrize("yaw", [-80, -45, -10, 0, 5, 30, 60])
@pytest.mark.parametrize("roll", [-170, -60, 0, 20, 90])
def test_angles_of_turned_landmarks(make_face, yaw: float, roll: float):
    points = make_face(300, 300, 150, yaw_deg=yaw, roll_deg=roll).landmarks_px
    assert yaw_deg(points) == pytest.approx(yaw, abs=1e-3)
    assert roll_deg(points) == pytest.approx(roll, abs=1e-3)


def test_one_face_needs_no_words(photo, make_face):
    said: list[str] = []
    face = make_face(300, 300, 150)
    assert choose_face(photo, (face,), None, said.append) is face
    assert said == []


def test_three_faces(photo, make_face):
    faces = tuple(make_face(200 + 300 * number, 400, height) for number, height in enumerate((100, 180, 140)))
    said: list[str] = []
    assert choose_face(photo, faces, None, said.append) is faces[1]
    assert len(said) == 1
    assert "3 faces" in said[0]
    assert "--face" in said[0]
    for wanted, expected in ((1, 1), (2, 2), (3, 0)):
        assert choose_face(photo, faces, wanted, said.append) is faces[expected]
    assert len(said) == 1
    with pytest.raises(PhotoError, match="no face 4"):
        choose_face(photo, faces, 4, said.append)


def refused(photo, faces) -> str:
    with pytest.raises(PhotoError) as caught:
        choose_face(photo, faces, None, lambda _: None)
    assert photo.source in str(caught.value)
    assert caught.value.fix
    return str(caught.value)


def test_nobody_looked(photo):
    assert "mediapipe_face" in refused(photo, None)


def test_no_face(photo):
    assert "no face found" in refused(photo, ())


def test_60_pixel_face(photo, make_face):
    assert MIN_FACE_PX > 60
    assert "60 pixels high" in refused(photo, (make_face(300, 300, 60),))


@pytest.mark.parametrize("sign", [-1, 1])
def test_profile(photo, make_face, sign: int):
    choose_face(photo, (make_face(300, 300, 150, yaw_deg=sign * (MAX_YAW_DEG - 1)),), None, lambda _: None)
    assert "from the side" in refused(photo, (make_face(300, 300, 150, yaw_deg=sign * (MAX_YAW_DEG + 1)),))


@pytest.mark.parametrize("place", [(10, 300), (1190, 300), (300, 10), (300, 790)])
def test_cut_off(photo, make_face, place: tuple[int, int]):
    assert "cut off" in refused(photo, (make_face(*place, 200),))
