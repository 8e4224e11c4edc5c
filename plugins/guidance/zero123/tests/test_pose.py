"""The camera vector against numbers worked out by hand from the fact sheets of the three checkpoints."""

import math

import pytest
import torch
from pshead_guidance_zero123.pose import camera_vectors

from pshead_core.cameras.camera import orbit

ROOT_HALF, ROOT_THREE_QUARTERS = math.sqrt(0.5), math.sqrt(0.75)


def cameras(*places, distance=2.0):
    azimuth, elevation = torch.tensor(places, dtype=torch.float64).T
    return orbit(azimuth, elevation, distance=distance, fovy_deg=49.1, side_px=8)


def assert_rows(found, *rows):
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(rows), atol=1e-6, rtol=0)


@pytest.mark.parametrize("pose", ["original", "xl"])
def test_original_and_xl(pose):
    seen = cameras((0, 0), (90, 0), (-90, 0), (180, 0), (30, 20), (-135, -30))
    assert_rows(
        camera_vectors(seen, pose),
        (0, 0, 1, 0),
        (0, 1, 0, 0),
        (0, -1, 0, 0),
        (0, 0, -1, 0),
        (-math.pi / 9, 0.5, ROOT_THREE_QUARTERS, 0),  # higher camera: smaller polar angle
        (math.pi / 6, -ROOT_HALF, -ROOT_HALF, 0),
    )


def test_distance_is_a_difference():
    found = camera_vectors(cameras((0, 0), (30, 20), distance=2.0), "original", reference_distance=1.5)
    assert_rows(found, (0, 0, 1, 0.5), (-math.pi / 9, 0.5, ROOT_THREE_QUARTERS, 0.5))


def test_stable_ends_with_the_polar_angle_of_the_reference():
    seen = cameras((0, 0), (90, 0), (30, 20))
    assert_rows(
        camera_vectors(seen, "stable", reference_distance=1.5),
        (0, 0, 1, math.pi / 2),
        (0, 1, 0, math.pi / 2),
        (-math.pi / 9, 0.5, ROOT_THREE_QUARTERS, math.pi / 2),  # not the view's own angle, and no distance
    )


def test_reference_elsewhere():
    seen, place = cameras((30, 20)), {"reference_azimuth_deg": -60.0, "reference_elevation_deg": 10.0}
    assert_rows(camera_vectors(seen, "original", **place), (-math.pi / 18, 1, 0, 0))
    assert_rows(camera_vectors(seen, "stable", **place), (-math.pi / 18, 1, 0, math.pi * 80 / 180))


def test_positive_sine_is_the_viewers_right():
    seen = cameras((90, 0))
    assert seen.positions[0, 0] == pytest.approx(2.0)  # +x, where the portrait's right side is
    assert camera_vectors(seen, "original")[0, 1] == pytest.approx(1.0)
