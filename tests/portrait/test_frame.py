"""The frame puts the face where the template says, and resampling is exact where mathematics says what is exact."""

from __future__ import annotations

import numpy as np
import pytest

from pshead_core.portrait.choose import CHIN, EAR_SIDES, TOP, roll_deg
from pshead_core.portrait.frame import FACE_Y_FRAC, KEEP_ROLL_DEG, MARGIN_FRAC, SMALLEST_SHARE, Frame, make_frame

NOBODY = np.zeros((10, 10), bool)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.einsum("ij,nj->ni", matrix, np.concatenate([points, np.ones((len(points), 1))], axis=1))


@pytest.mark.parametrize(("x", "y", "height"), [(300, 200, 100), (50, 900, 70), (2000, 1500, 1300)])
@pytest.mark.parametrize("roll", [0, 25, -29, 31, 90, 180, -120])
def test_template(make_face, x: float, y: float, height: float, roll: float):
    face = make_face(x, y, height, roll_deg=roll)
    frame = make_frame(face, NOBODY, side_px=512, face_frac=0.3)
    mapped = frame.map_points(face.landmarks_px)
    assert np.linalg.norm(mapped[TOP, :2] - mapped[CHIN, :2]) == pytest.approx(0.3 * 512, rel=1e-4)
    assert mapped[[TOP, CHIN], 1].mean() == pytest.approx(FACE_Y_FRAC * 512, abs=0.01)
    assert mapped[list(EAR_SIDES), 0].mean() == pytest.approx(256, abs=0.01)
    assert roll_deg(mapped) == pytest.approx(roll if abs(roll) <= KEEP_ROLL_DEG else 0, abs=0.01)
    np.testing.assert_allclose(mapped[:, :2], apply(frame.photo_to_frame, face.landmarks_px[:, :2]), atol=1e-2)
    np.testing.assert_allclose(mapped[:, 2], face.landmarks_px[:, 2] * frame.scale, rtol=1e-5, atol=1e-4)


def test_turned_head_is_centred_on_the_head(make_face):
    """The points beside the ears lie near the axis: turning about it moves the nose, not the frame."""
    straight = make_frame(make_face(300, 300, 100), NOBODY, side_px=512, face_frac=0.3).photo_to_frame
    turned = make_frame(make_face(300, 300, 100, yaw_deg=20), NOBODY, side_px=512, face_frac=0.3).photo_to_frame
    assert abs(straight - turned).max() < 0.1 * 0.3 * 512


@pytest.mark.parametrize(
    ("box", "binding"),
    [((250, 100, 350, 400), "top"), ((60, 250, 350, 400), "left"), ((250, 250, 520, 400), "right")],
)
def test_hair_gets_the_room_that_it_needs(make_face, box: tuple[int, int, int, int], binding: str):
    person = np.zeros((900, 900), bool)
    left, top, right, bottom = box
    person[top:bottom, left:right] = True
    person[400:, :] = True  # shoulders, wider than the frame: no reason to shrink
    face = make_face(300, 340, 100)
    frame = make_frame(face, person, side_px=512, face_frac=0.3)
    corners = apply(frame.photo_to_frame, np.array([[left + 0.5, top + 0.5], [right - 0.5, bottom - 0.5]]))
    margins = {"top": corners[0, 1], "left": corners[0, 0], "right": 512 - corners[1, 0]}
    assert margins[binding] == pytest.approx(MARGIN_FRAC * 512, abs=0.6)
    assert min(margins.values()) >= MARGIN_FRAC * 512 - 0.6
    assert frame.scale < 0.3 * 512 / 100


def test_face_never_becomes_tiny(make_face):
    frame = make_frame(make_face(450, 800, 100), np.ones((900, 900), bool), side_px=512, face_frac=0.3)
    assert frame.scale == pytest.approx(SMALLEST_SHARE * 0.3 * 512 / 100)


def similarity(scale: float, turn_deg: float, shift: tuple[float, float], side: int = 64) -> Frame:
    turn = np.radians(turn_deg)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return Frame(photo_to_frame=np.concatenate([linear, np.array(shift)[:, None]], axis=1), side_px=side)


FRAMES = [
    similarity(0.23, 0, (-6.3, 5.9)),
    similarity(1.0, 0, (-100.5, -60.25)),
    similarity(2.7, 0, (-500.0, -300.0)),
    similarity(0.4, 35, (40.0, -60.0)),
    similarity(2.2, -80, (-150.0, 600.0)),
]


@pytest.mark.parametrize("frame", FRAMES)
def test_linear_pictures_stay_exact(frame: Frame):
    """All the filters keep linear functions: a picture of its own coordinates shows where each pixel came from."""
    height, width = 400, 500
    y, x = np.mgrid[:height, :width] + 0.5
    ramp = np.stack([x / width, y / height], axis=-1).astype(np.float32)
    result = frame.resample(ramp)
    axis = np.arange(frame.side_px) + 0.5
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    xy = apply(np.linalg.inv(np.vstack([frame.photo_to_frame, [0, 0, 1]]))[:2], grid)
    deep = ((xy > 15) & (xy < (width - 15, height - 15))).all(-1)
    assert deep.mean() > 0.3
    error = result.reshape(-1, 2) * (width, height) - xy
    assert np.abs(error[deep]).max() < 0.02 / min(frame.scale, 1)


@pytest.mark.parametrize("frame", FRAMES)
def test_inverse_and_inside(frame: Frame):
    both = np.vstack([frame.photo_to_frame, [0, 0, 1]]) @ np.vstack([frame.frame_to_photo, [0, 0, 1]])
    np.testing.assert_allclose(both, np.eye(3), atol=1e-9)
    inside = frame.inside((400, 500))
    for row, column in np.random.default_rng(0).integers(0, frame.side_px, (50, 2)):
        x, y = apply(frame.frame_to_photo, np.array([[column + 0.5, row + 0.5]]))[0]
        assert inside[row, column] == (0 <= x <= 500 and 0 <= y <= 400)


def test_identity_is_the_photo():
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    np.testing.assert_allclose(similarity(1, 0, (0, 0)).resample(picture), picture / 255, atol=1e-6)


def test_shrinking_does_not_alias():
    stripes = np.zeros((512, 512, 1), np.float32)
    stripes[:, ::2] = 1  # at the Nyquist frequency: an eighth of the size must show its mean
    small = similarity(0.125, 0, (0, 0)).resample(stripes)
    assert np.abs(small[4:-4, 4:-4] - 0.5).max() < 0.01  # beyond the border the edge stripe goes on
