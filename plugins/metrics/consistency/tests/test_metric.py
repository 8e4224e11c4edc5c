"""A textured ball seen by exact cameras: high where all is right, lower where depth or colours are not."""

import numpy as np
import pytest
import torch
from attrs import evolve
from pshead_metrics_consistency.config import ConsistencyConfig
from pshead_metrics_consistency.metric import build, neighbours

from pshead_core.api import PsheadError, Views
from pshead_core.cameras.camera import orbit
from pshead_core.testing import empty_views, tiny_context, tiny_views

RADIUS, DISTANCE = 0.5, 2.0


@pytest.fixture
def metric(tmp_path):
    return build(ConsistencyConfig(), tiny_context(tmp_path))


def _ball(azimuth_deg, side_px=64, colour=None, elevation_deg=10.0):
    """Views of a ball whose colour is a smooth function of the point, computed ray by ray in numpy."""
    azimuth = torch.tensor(azimuth_deg)
    cameras = orbit(azimuth, torch.full_like(azimuth, elevation_deg), distance=DISTANCE, fovy_deg=40, side_px=side_px)
    steps = (np.arange(side_px) + 0.5 - side_px / 2) / cameras.focal_px
    rays = np.stack([*np.meshgrid(steps, steps), np.ones((side_px, side_px))], -1)
    pose = cameras.T_world_camera.double().numpy()
    towards = np.einsum("vij,hwj->vhwi", pose[:, :3, :3], rays)
    eye = pose[:, None, None, :3, 3]
    a, b, c = (towards**2).sum(-1), (towards * eye).sum(-1), (eye**2).sum(-1) - RADIUS**2
    hit = b * b > a * c
    depth = np.where(hit, (-b - np.sqrt(np.maximum(b * b - a * c, 0))) / a, 0)
    points = eye + depth[..., None] * towards
    rgb = np.where(hit[..., None], (colour or _texture)(points, eye), 1.0)
    images = [torch.from_numpy(image).float() for image in (rgb, hit, depth)]
    return Views(rgb=images[0], alpha=images[1], depth=images[2], cameras=cameras, background=torch.ones(3))


def _texture(points, _):
    return 0.5 + 0.4 * np.sin(points * (9.0, 7.0, 8.0) + points[..., [1, 2, 0]] * 5.0)


def _glossy(points, eye):
    """A highlight that moves with the camera."""
    normal, away = points / RADIUS, eye / DISTANCE
    return np.clip(_texture(points, eye) + 0.8 * np.clip((normal * away).sum(-1, keepdims=True), 0, 1) ** 8 - 0.2, 0, 1)


RING = [0.0, 15.0, 30.0, 45.0]


def test_an_exact_head_is_consistent(metric):
    found = metric.measure(_ball(RING), None)
    assert found["reprojection_psnr_db"] > 40
    assert 0.6 < found["reprojected_frac"] < 1.0


def test_finer_pictures_are_more_consistent(metric):
    """Only interpolation is left, and it errs less between nearer pixels."""
    values = [metric.measure(_ball(RING, side_px=side), None)["reprojection_psnr_db"] for side in (32, 64, 128)]
    assert values[1] > values[0] + 3
    assert values[2] > values[1] + 3


def test_noise_gives_its_closed_form(metric):
    """Independent noise s in each pixel: s² of the pixel itself, (2/3)² s² of the mean of four with bilinear weights.

    A weight 1 - a, a has the mean square 2/3 where a is uniform, in each of two directions.
    """
    views = _ball([0.0, 15.0, 30.0, 45.0, 60.0], side_px=96, colour=lambda points, _: np.full(points.shape, 0.5))
    noise = 0.05 * torch.randn(views.rgb.shape, generator=torch.Generator().manual_seed(1))
    found = metric.measure(evolve(views, rgb=views.rgb + noise), None)
    assert found["reprojection_psnr_db"] == pytest.approx(-10 * np.log10(0.05**2 * (1 + 4 / 9)), abs=0.2)


def test_one_colour_is_perfect(metric):
    found = metric.measure(_ball(RING, colour=lambda points, _: np.full(points.shape, 0.25)), None)
    assert found["reprojection_psnr_db"] == pytest.approx(120.0)


def test_colours_that_depend_on_the_view_are_seen(metric):
    plain, glossy = (metric.measure(_ball(RING, colour=colour), None) for colour in (_texture, _glossy))
    assert glossy["reprojection_psnr_db"] < plain["reprojection_psnr_db"] - 10
    assert glossy["reprojected_frac"] == plain["reprojected_frac"]  # the shape is the same


def test_a_brighter_view_gives_its_closed_form(metric):
    dark, bright = (_ball([0.0, 15.0], colour=lambda p, _, v=v: np.full(p.shape, v)) for v in (0.3, 0.4))
    mixed = evolve(dark, rgb=torch.stack([dark.rgb[0], bright.rgb[1]]))
    assert metric.measure(mixed, None)["reprojection_psnr_db"] == pytest.approx(20.0, abs=1e-4)  # error 0.1²


def test_a_wrong_depth_is_seen(metric):
    views = _ball(RING)
    shifts = [0.0, 0.02, 0.05, 0.1]
    found = [metric.measure(evolve(views, depth=(views.depth + shift) * views.alpha), None) for shift in shifts]
    values = [one["reprojection_psnr_db"] for one in found]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1] + 15


def test_a_depth_that_two_views_do_not_share_is_not_compared(metric):
    views = _ball([0.0, 15.0])
    moved = views.depth.clone()
    moved[1] += 0.2 * views.alpha[1]  # far more than the tolerance of 0.04
    found = metric.measure(evolve(views, depth=moved), None)
    assert found["reprojected_frac"] < 0.1 < metric.measure(views, None)["reprojected_frac"]


def test_the_tolerance_is_a_part_of_the_distance(tmp_path):
    views = _ball([0.0, 15.0])
    deeper = views.depth.clone()
    deeper[1] += 0.05 * views.alpha[1]
    changed = evolve(views, depth=deeper)
    strict, loose = (
        build(ConsistencyConfig(tolerance_frac=frac), tiny_context(tmp_path)).measure(changed, None)
        for frac in (0.02, 0.05)  # 0.04 and 0.1 world units
    )
    assert strict["reprojected_frac"] < 0.2
    assert loose["reprojected_frac"] > 0.5


def test_order_of_views_changes_nothing(metric):
    mixed, sorted_ = (metric.measure(_ball(angles), None) for angles in ([30.0, 0.0, 45.0, 15.0], RING))
    assert mixed == pytest.approx(sorted_, abs=1e-9)


@pytest.mark.parametrize(
    ("azimuth_deg", "pairs"),
    [
        ([0.0], []),
        ([0.0, 20.0], [(0, 1)]),
        ([40.0, 0.0, 20.0], [(1, 2), (2, 0)]),
        ([0.0, 90.0, 180.0, -90.0], [(3, 0), (0, 1), (1, 2), (2, 3)]),
        ([-120.0, -40.0, 40.0, 120.0], [(0, 1), (1, 2), (2, 3), (3, 0)]),  # closed by 120 after 80
        ([-110.0, -40.0, 40.0, 110.0], [(0, 1), (1, 2), (2, 3)]),  # open: 140 after 70
    ],
)
def test_neighbours(azimuth_deg, pairs):
    assert neighbours(torch.tensor(azimuth_deg)) == pairs


def test_nothing_and_one_view_give_no_psnr(metric):
    assert metric.measure(empty_views(3), None) == {"reprojected_frac": 0.0}
    assert metric.measure(tiny_views(1), None) == {"reprojected_frac": 0.0}


def test_black_views_are_consistent(metric):
    views = _ball(RING)
    black = evolve(views, rgb=torch.zeros_like(views.rgb), background=torch.zeros(3))
    assert metric.measure(black, None)["reprojection_psnr_db"] == pytest.approx(120.0)


@pytest.mark.parametrize("name", ["rgb", "alpha", "depth"])
def test_bad_pictures_are_refused(metric, name):
    views = tiny_views(2)
    with pytest.raises(PsheadError, match=f"views' {name} that is not finite"):
        metric.measure(evolve(views, **{name: getattr(views, name) * float("nan")}), None)
