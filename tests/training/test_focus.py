"""The focus lies where the face is."""

import pytest
import torch

from training.common.data import plain_batch, random_batch, truth_pictures
from training.common.focus import NOWHERE_PX, focus_map, focus_points
from training.common.seeds import step_generator
from training.ground_truth import load_ground_truth


def test_points_are_where_the_camera_sees_them_and_nowhere_from_behind():
    landmarks = torch.zeros(1, 478, 3)
    landmarks[..., 2] = 0.5  # in front of the centre
    points = focus_points(landmarks, torch.tensor([[0.0, 60.0, 100.0]]), 128)
    torch.testing.assert_close(points[0, 0], torch.full_like(points[0, 0], 64.0))
    assert float(points[0, 1, 0, 0]) < 64  # the camera went to the right, the nose points to the left
    assert bool((points[0, 2] == NOWHERE_PX).all())


def test_map_is_one_at_the_points_and_falls_off():
    spots = focus_map(torch.tensor([[[20.5, 40.5]], [[NOWHERE_PX, NOWHERE_PX]]]), 64)
    assert float(spots[0, 0, 40, 20]) == pytest.approx(1.0)
    assert float(spots[0, 0, 20, 40]) < 1e-6
    assert float(spots[1].max()) == 0.0
    deviation = 0.025 * 64
    assert float(spots[0, 0, 40, 24]) == pytest.approx(
        float(torch.exp(torch.tensor(-16 / (2 * deviation**2)))), rel=1e-4
    )


def test_irises_of_the_truth_are_darker_or_lighter_than_the_skin_around_them():
    pictures = truth_pictures(128)
    for head in load_ground_truth():
        eyes = focus_points(torch.from_numpy(head.landmarks)[None], torch.zeros(1, 1), 256)[0, 0, 6:8]
        rgb = torch.from_numpy(head.images[0][..., :3]).mean(-1)
        for x, y in eyes.round().long().tolist():
            patch = rgb[y - 10 : y + 11, x - 10 : x + 11]
            assert float(patch.max() - patch.min()) > 0.08  # lids, white, iris: never flat skin
    assert set(pictures) == {"makehuman", "sdf"}


def test_crops_turn_to_the_face_and_keep_the_focus_aligned():
    pictures = truth_pictures(128)["sdf"]
    drawn = random_batch(pictures, 48, 64, step_generator(0, 5))
    plain = [random_batch(pictures, 48, None, step_generator(0, 5)).focus]
    assert drawn.focus.shape == (48, 1, 64, 64)
    whole = float((plain[0].flatten(1).sum(1)).mean())
    assert float(drawn.focus.flatten(1).sum(1).mean()) > 0.4 * whole  # a quarter of the area would hold a quarter


def test_without_landmarks_there_is_no_focus():
    assert float(plain_batch(torch.ones(1, 4, 8, 8)).focus.max()) == 0.0
