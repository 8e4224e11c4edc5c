"""Lines and drawings against OpenCV, which the plugin itself does not need."""

import numpy as np
import pytest
from pshead_refiners_landmark_controlnet.drawing import CONTOUR, PARTS, PUPILS, conditioning, draw_landmarks
from pshead_refiners_landmark_controlnet.lines import thick_line

from pshead_core.testing import tiny_portrait

cv2 = pytest.importorskip("cv2", reason="OpenCV is the oracle of the drawings")


def drawn_by_opencv(across, down):
    """Return the lit pixels of a published line, relative to its start."""
    picture = np.zeros((200, 200), np.uint8)
    cv2.line(picture, (100, 100), (100 + across, 100 + down), 255, 2)
    rows, columns = np.nonzero(picture)
    return set(zip((columns - 100).tolist(), (rows - 100).tolist(), strict=True))


def test_lines_light_the_same_pixels_as_opencv():
    generator = np.random.default_rng(3)
    displacements = [(across, down) for across in range(-9, 10) for down in range(-9, 10)]
    displacements += generator.integers(-95, 96, (600, 2)).tolist()
    for across, down in displacements:
        assert set(map(tuple, thick_line(across, down).tolist())) == drawn_by_opencv(across, down), (across, down)


def pose(turn_deg, scale=1.0):
    """478 points like those of a turned face, as parts of the picture; none in its outermost pixels, where OpenCV clips
    lines before it draws them, which moves a pixel now and then."""
    points = tiny_portrait(64).landmarks_px.numpy() / 64 - 0.5
    turn = np.radians(turn_deg)
    across = points[:, 0] * np.cos(turn) + points[:, 2] * np.sin(turn)
    parts = np.stack([across, points[:, 1]], 1) * scale + 0.5
    parts[(parts < 0.01).any(1) | (parts > 0.99).any(1)] = -1
    return parts


@pytest.mark.parametrize(("turn_deg", "scale"), [(0, 1.0), (30, 1.1), (-45, 0.8), (65, 1.0)])
@pytest.mark.parametrize("thinned", [False, True])
def test_drawings_equal_those_of_opencv(turn_deg, scale, thinned):
    points, shown = pose(turn_deg, scale), np.ones(478, bool)
    if thinned:
        shown[::5] = False
    picture = np.zeros((512, 512, 3), np.uint8)
    at = [tuple(int(np.floor(value * 512)) for value in point) for point in points]
    kept = shown & ((points >= 0) & (points <= 1)).all(1)
    for part in PARTS:
        for begin, end in part.edges:
            if kept[begin] and kept[end]:
                cv2.line(picture, at[begin], at[end], part.colour, 2)
    for index, colour in PUPILS:
        x, y = at[index]
        if kept[index]:
            picture[y - 2 : y + 2, x - 2 : x + 2] = colour
    assert picture.any()
    assert np.array_equal(draw_landmarks(points, shown=shown), picture)


def test_reduced_drawings_are_those_of_opencv_but_for_rounding():
    for side_px in (128, 96, 320):
        reference = cv2.resize(draw_landmarks(pose(20)), (side_px, side_px), interpolation=cv2.INTER_AREA)
        assert np.abs(conditioning(pose(20), side_px).astype(int) - reference).max() <= 1
    assert conditioning(pose(20), 768).shape == (768, 768, 3)


def test_the_contour_holds_the_landmarks_of_all_edges():
    assert set(CONTOUR.tolist()) == {index for part in PARTS for edge in part.edges for index in edge}
