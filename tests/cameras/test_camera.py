"""Cameras: conventions of DESIGN.md, and the laws of projection."""

import math

import pytest
import torch

from pshead_core.cameras.camera import concatenate, orbit, project, unproject
from pshead_core.cameras.sampler import even_ring, random_ring, reference_camera
from pshead_core.cameras.view_sets import contains
from pshead_core.config.run import CameraConfig
from pshead_core.config.schedule import VIEW_SETS
from pshead_core.errors import ConfigError

NOSE = torch.tensor([[0.0, 0.0, 0.3]])
LEFT_EAR = torch.tensor([[0.25, 0.0, 0.0]])  # the subject looks along +z, so its left is +x


def _orbit(azimuth_deg, elevation_deg=0.0):
    return orbit(torch.tensor([azimuth_deg]), torch.tensor([elevation_deg]), distance=2.0, fovy_deg=49.1, side_px=100)


def test_camera_at_azimuth_90_stands_on_the_subjects_left_and_sees_the_nose_on_the_left_of_the_picture():
    camera = _orbit(90.0)
    assert camera.positions[0].tolist() == pytest.approx([2.0, 0.0, 0.0], abs=1e-6)
    nose, _ = project(NOSE, camera)
    assert nose[0, 0, 0] < 50
    _, ear_depth = project(LEFT_EAR, camera)
    _, other_ear_depth = project(-LEFT_EAR, camera)
    assert ear_depth < other_ear_depth


def test_front_camera_shows_the_subjects_left_on_the_right_and_up_at_the_top():
    camera = _orbit(0.0)
    ear, _ = project(LEFT_EAR, camera)
    top, _ = project(torch.tensor([[0.0, 0.3, 0.0]]), camera)
    assert ear[0, 0, 0] > 50
    assert top[0, 0, 1] < 50


def test_positive_elevation_looks_down_from_above():
    camera = _orbit(0.0, 30.0)
    assert camera.positions[0].tolist() == pytest.approx(
        [0.0, 2 * math.sin(math.radians(30)), 2 * math.cos(math.radians(30))], abs=1e-6
    )


def test_rotations_are_proper_and_inverting_twice_is_the_identity():
    cameras = random_ring(CameraConfig(elevation_deg=17.0), 64, torch.Generator().manual_seed(3)).to(torch.float64)
    rotation = cameras.T_world_camera[:, :3, :3]
    eye = torch.eye(3, dtype=torch.float64).expand(25, 3, 3)
    torch.testing.assert_close(rotation @ rotation.transpose(1, 2), eye, atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(25, dtype=torch.float64), atol=1e-6, rtol=0)
    inverse = torch.linalg.inv(cameras.T_world_camera)
    torch.testing.assert_close(cameras.T_camera_world, inverse, atol=1e-6, rtol=0)


def test_unproject_undoes_project():
    cameras = random_ring(CameraConfig(), 64, torch.Generator().manual_seed(4))
    points = torch.randn(7, 3, generator=torch.Generator().manual_seed(5)) * 0.3
    pixels, depth = project(points, cameras)
    torch.testing.assert_close(unproject(pixels, depth, cameras), points.expand(25, 7, 3), atol=1e-5, rtol=0)


def test_focal_length_of_the_papers_camera():
    assert _orbit(0.0).focal_px == pytest.approx(1.0946 * 100, rel=1e-4)  # facts of the authors' configuration


def test_ring_is_even_and_starts_and_ends_behind_the_head():
    ring = random_ring(CameraConfig(), 64, torch.Generator().manual_seed(0))
    steps = ring.azimuth_deg.diff()
    torch.testing.assert_close(steps, torch.full_like(steps, 14.4), atol=1e-3, rtol=0)
    assert ring.azimuth_deg[0] < -165
    assert ring.azimuth_deg[-1] > 165


def test_even_ring_wraps_azimuths():
    ring = even_ring(CameraConfig(), 8, 64)
    assert ring.azimuth_deg.tolist() == [0, 45, 90, 135, 180, -135, -90, -45]
    torch.testing.assert_close(ring.T_world_camera[:1], reference_camera(CameraConfig(), 64).T_world_camera)


def test_concatenate_and_index_agree():
    ring = even_ring(CameraConfig(), 6, 64)
    again = concatenate([ring[:2], ring[2:5], ring[5:]])
    torch.testing.assert_close(again.T_world_camera, ring.T_world_camera)


def test_view_sets_split_the_ring():
    azimuth = even_ring(CameraConfig(), 360, 8).azimuth_deg
    front, side, back = (contains(name, azimuth) for name in ("front", "side", "back"))
    assert bool((front.int() + side.int() + back.int() == 1).all())
    assert bool((contains("back_and_side", azimuth) == ~front).all())
    assert bool(contains("ring", azimuth).all())
    assert front[0]
    assert back[180]
    assert side[90]
    assert side[270]


def test_unknown_view_set_is_named():
    with pytest.raises(ConfigError, match="no view set 'frontal'") as error:
        contains("frontal", torch.zeros(1))
    assert all(name in str(error.value) for name in VIEW_SETS)
