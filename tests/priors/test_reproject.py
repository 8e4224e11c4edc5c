"""Reprojection against a loop over pixels with plain numbers, and what it must leave out."""

import math

import numpy as np
import pytest
import torch
from attrs import evolve

from pshead_core.cameras.camera import orbit
from pshead_core.priors.reproject import reproject
from pshead_core.render.base import Views
from pshead_core.testing import empty_views, tiny_views

TOLERANCE = 0.04


def two_views():
    """The ellipsoid from 0 and 25 degrees, with noise in all pictures so that every rule matters."""
    ring = tiny_views(71, side_px=48)  # every 5 degrees
    azimuth = ring.cameras.azimuth_deg.round().tolist()
    both = torch.tensor([azimuth.index(0.0), azimuth.index(25.0)])
    generator = torch.Generator().manual_seed(3)
    depth = ring.depth[both]
    rough = depth + 0.01 * torch.randn(depth.shape, generator=generator)
    return Views(
        rgb=torch.rand(ring.rgb[both].shape, generator=generator),
        alpha=ring.alpha[both],
        depth=torch.where(depth > 0, rough, depth),
        cameras=ring.cameras[both],
        background=torch.tensor([0.9, 0.2, 0.4]),
    )


def loop(views, first, second, tolerance):
    """Return colours here and there of the points seen twice, pixel by pixel in Python's numbers."""
    rgb, alpha, depth = (getattr(views, name).double().numpy() for name in ("rgb", "alpha", "depth"))
    poses = views.cameras.T_world_camera.double().numpy()
    side, focal = views.cameras.height_px, views.cameras.focal_px

    def colour(view, row, column):
        cover = alpha[view, row, column]
        own = [(rgb[view, row, column, k] - (1 - cover) * float(views.background[k])) / cover for k in range(3)]
        return [min(max(value, 0.0), 1.0) for value in own]

    here, there = [], []
    for row in range(side):
        for column in range(side):
            if not (alpha[first, row, column] > 0.5 and depth[first, row, column] > 0):
                continue
            ray = np.array([(column + 0.5 - side / 2) / focal, (row + 0.5 - side / 2) / focal, 1.0])
            world = poses[first] @ [*(ray * depth[first, row, column]), 1.0]
            x, y, z, _ = np.linalg.inv(poses[second]) @ world
            across, down = x / z * focal + side / 2 - 0.5, y / z * focal + side / 2 - 0.5
            left, top = math.floor(across), math.floor(down)
            if not (0 <= left < side - 1 and 0 <= top < side - 1):
                continue
            four = [(top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)]
            if any(alpha[second][at] <= 0.5 or abs(depth[second][at] - z) > tolerance for at in four):
                continue
            a, b = across - left, down - top
            weights = [(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b]
            here.append(colour(first, row, column))
            there.append(sum(w * np.array(colour(second, *at)) for w, at in zip(weights, four, strict=True)))
    return np.array(here), np.array(there)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0)])
def test_equals_a_loop_over_pixels(first, second):
    views = two_views()
    found = reproject(views, first, second, TOLERANCE)
    here, there = loop(views, first, second, TOLERANCE)
    assert 100 < len(here) < found.pixels - 100  # some are seen twice, some are not
    assert found.pixels == int((views.alpha[first] > 0.5).sum())
    np.testing.assert_allclose(found.here.numpy(), here, atol=1e-12)
    np.testing.assert_allclose(found.there.numpy(), there, atol=1e-6)  # poses are float32


def test_a_view_sees_itself():
    views = two_views()
    found = reproject(views, 0, 0, 10.0)
    torch.testing.assert_close(found.here, found.there, atol=1e-5, rtol=0)
    assert found.here.shape[0] > 0.5 * found.pixels


def test_what_lies_behind_is_not_seen():
    views = tiny_views(2, side_px=48)
    opposite = orbit(torch.tensor([0.0, 180.0]), torch.zeros(2), distance=2.0, fovy_deg=49.1, side_px=48)
    found = reproject(evolve(views, cameras=opposite), 0, 1, TOLERANCE)  # the same outline from behind
    assert found.pixels > 100
    assert len(found.here) < 0.1 * found.pixels  # points near the outline, seen edge on by both


def test_the_background_has_no_part_in_colours():
    views = two_views()
    alpha = views.alpha[..., None]

    def over(background):
        own = 0.2 + 0.6 * views.rgb
        shown = own * alpha + (1 - alpha) * torch.tensor(background)
        return reproject(evolve(views, rgb=shown, background=torch.tensor(background)), 0, 1, TOLERANCE)

    white, black = over([1.0, 1.0, 1.0]), over([0.0, 0.0, 0.0])
    torch.testing.assert_close(white.here, black.here, atol=1e-6, rtol=0)
    torch.testing.assert_close(white.there, black.there, atol=1e-6, rtol=0)


def test_nothing_is_seen_of_nothing():
    found = reproject(empty_views(2), 0, 1, TOLERANCE)
    assert found.pixels == 0
    assert found.here.shape == found.there.shape == (0, 3)
