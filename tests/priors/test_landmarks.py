"""Landmarks lifted and seen again: closed forms, true heads with true depth, a brute-force ray test."""

from __future__ import annotations

import functools

import pytest
import torch
from attrs import evolve

from pshead_core.cameras.camera import orbit, project
from pshead_core.errors import PsheadError
from pshead_core.priors.landmarks import lift, portrait_landmarks, project_landmarks
from pshead_core.render.base import Views
from pshead_core.testing import tiny_portrait, tiny_views
from pshead_core.testing.scenes import RADII
from training.heads.make import make_head
from training.render import render_head

SIDE_PX = 192
SEEDS = (1_000_006, 1_000_020)  # of the ground-truth set; the others take longer to make


def cameras_at(*azimuth_deg, side_px=SIDE_PX, elevation_deg=0.0):
    azimuth = torch.tensor(azimuth_deg, dtype=torch.float32)
    return orbit(azimuth, torch.full_like(azimuth, elevation_deg), distance=2.0, fovy_deg=49.1, side_px=side_px)


def plane(depth_at, side_px=32):
    """Return depth `[side, side]` from a function of pixel centres."""
    centres = torch.arange(side_px) + 0.5
    return depth_at(centres[None, :].expand(side_px, -1), centres[:, None].expand(-1, side_px))


def spots(*xy):
    """478 landmarks, of which the first are these."""
    out = torch.full((478, 2), 16.0)
    out[: len(xy)] = torch.tensor(xy).reshape(-1, 2)
    return out


def as_views(rgb, alpha, depth, cameras):
    return Views(rgb=rgb, alpha=alpha, depth=depth, cameras=cameras, background=torch.ones(3))


# --- lifting


def test_a_sloping_plane_is_interpolated_exactly():
    camera = cameras_at(0.0, side_px=32)
    depth = plane(lambda x, y: 1.8 + 0.004 * x - 0.006 * y)
    at = spots((3.2, 9.9), (16.5, 16.5), (30.1, 1.4))
    lifted = lift(at, depth, torch.ones(32, 32), camera)
    assert bool(lifted.known.all())
    pixels, found = project(lifted.points, camera)
    assert torch.allclose(pixels[0], at, atol=1e-4)
    assert torch.allclose(found[0], 1.8 + 0.004 * at[:, 0] - 0.006 * at[:, 1], atol=1e-5)


def test_depth_is_not_mixed_across_silhouettes():
    camera = cameras_at(0.0, side_px=32)
    alpha = plane(lambda x, y: (x > 8).float())
    depth = plane(lambda x, y: torch.where(x > 8, torch.where(y < 24, 1.7, 2.3), 0.0))
    at = spots((8.1, 12.0), (20.0, 23.9), (20.0, 24.1), (20.0, 26.0), (7.6, 12.0), (4.0, 12.0))
    lifted = lift(at, depth, alpha, camera)
    depths = project(lifted.points, camera)[1][0][:6]
    assert torch.allclose(depths[:5], torch.tensor([1.7, 1.7, 1.7, 2.3, 1.7]), atol=1e-5)
    assert lifted.known[:6].tolist() == [True, True, True, True, True, False]  # the last is 4 px from the head


def test_an_empty_view_lets_nothing_be_known():
    lifted = lift(spots(), torch.zeros(32, 32), torch.zeros(32, 32), cameras_at(0.0, side_px=32))
    assert not lifted.known.any()
    assert bool(torch.isfinite(lifted.points).all())
    views = tiny_views(2)
    assert not project_landmarks(lifted, views).visible.any()


def test_landmarks_that_are_not_numbers_or_far_outside_are_not_known():
    view = tiny_views(1, view_set="reference")
    at = spots((float("nan"), 3.0), (-40.0, 16.0), (1e9, -1e9))
    lifted = lift(at, view.depth[0], view.alpha[0], view.cameras)
    assert lifted.known[:3].tolist() == [False, False, False]
    assert bool(lifted.known[3:].all())
    assert bool(torch.isfinite(lifted.points).all())


def test_one_reference_view_of_the_depths_size_is_asked_for():
    view = tiny_views(2, side_px=16)
    with pytest.raises(PsheadError, match="cannot be lifted"):
        lift(spots(), view.depth[0], view.alpha[0], view.cameras)
    with pytest.raises(PsheadError, match="cannot be lifted"):
        lift(spots(), view.depth[0], view.alpha[0], view.cameras[:1].resized(32, 32))


def test_the_portraits_landmarks_are_scaled_to_the_view():
    portrait = tiny_portrait(64)
    assert torch.equal(portrait_landmarks(portrait, 128), portrait.landmarks_px * 2)
    for points in (torch.zeros(0, 3), torch.full((478, 3), float("nan"))):
        with pytest.raises(PsheadError, match="no usable face landmarks"):
            portrait_landmarks(evolve(portrait, landmarks_px=points), 64)


# --- an ellipsoid, in closed form


def test_landmarks_on_an_ellipsoid_are_lifted_onto_it_and_hidden_behind_it():
    view = tiny_views(1, side_px=256, view_set="reference")
    lifted = lift(tiny_portrait(256).landmarks_px, view.depth[0], view.alpha[0], view.cameras)
    size = (lifted.points / torch.tensor(RADII)).norm(dim=1)
    assert float((size[lifted.known] - 1).abs().median()) < 1e-3
    turned = tiny_views(25, side_px=256)
    seen = project_landmarks(lifted, turned)
    normal = lifted.points / torch.tensor(RADII).square()
    away = turned.cameras.positions[:, None] - lifted.points
    facing = torch.nn.functional.cosine_similarity(away, normal[None].expand_as(away), dim=-1)
    sure = lifted.known & (facing.abs() > 0.3)  # at the horizon the tolerance decides
    assert torch.equal(seen.visible[sure], (facing > 0)[sure])


# --- true heads


@functools.cache
def true_head(seed):
    return make_head("sdf", seed)


@functools.cache
def seen_head(seed):
    """Return views of a true head at 0, 45, -45 degrees with their true depth."""
    cameras = cameras_at(0.0, 45.0, -45.0)
    pictures = render_head(true_head(seed), cameras)
    rgba = torch.from_numpy(pictures.rgba)
    return as_views(rgba[..., :3], rgba[..., 3], torch.from_numpy(pictures.depth), cameras)


def first(views):
    return evolve(views, rgb=views.rgb[:1], alpha=views.alpha[:1], depth=views.depth[:1], cameras=views.cameras[:1])


@pytest.mark.parametrize("seed", SEEDS)
def test_reprojection_on_true_heads_errs_by_less_than_two_per_cent_of_the_face(seed):
    views = seen_head(seed)
    landmarks = torch.from_numpy(true_head(seed).landmarks)
    truth, _ = project(landmarks, views.cameras)
    lifted = lift(truth[0], views.depth[0], views.alpha[0], views.cameras[:1])
    assert bool(lifted.known.all())
    found = project_landmarks(lifted, views)
    face = float((truth[0, 234] - truth[0, 454]).norm())
    error = (found.pixels - truth).norm(dim=-1) / face
    assert float(error[0].max()) < 1e-4  # the view it was lifted from
    assert float(error[1:].mean(1).max()) <= 0.02
    # a depth that says nothing of the face, a plane through its middle, is far outside that
    flat = torch.where(views.depth[0] > 0, views.depth[0][views.depth[0] > 0].median(), 0.0)
    plain = project_landmarks(lift(truth[0], flat, views.alpha[0], views.cameras[:1]), views)
    assert float(((plain.pixels - truth).norm(dim=-1) / face)[1:].mean()) > 0.05


def rays_hit(origin, points, head, margin):
    """Return whether a triangle of the head stands between a camera and each point, by Moeller and Trumbore's test.

    Args:
        origin: `[3]`.
        points: `[point, 3]`.
        head: with vertices and triangles.
        margin: world units before a point in which a hit does not count.
    """
    corner = torch.from_numpy(head.vertices).double()[torch.from_numpy(head.triangles).long()]
    start, one, other = corner[:, 0], corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    hit = []
    for point in points.double():
        way = point - origin
        cross = torch.linalg.cross(way.expand_as(other), other)
        volume = (one * cross).sum(1)
        aside = origin - start
        u = (aside * cross).sum(1) / volume
        turned = torch.linalg.cross(aside, one)
        v = (turned * way).sum(1) / volume
        along = (other * turned).sum(1) / volume
        inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (volume.abs() > 1e-15)
        hit.append(bool((inside & (along > 0) & (along < 1 - margin / way.norm())).any()))
    return torch.tensor(hit)


@pytest.mark.parametrize("seed", SEEDS)
def test_visibility_agrees_with_rays(seed):
    head, views = true_head(seed), seen_head(seed)
    reference = first(views)
    truth, _ = project(torch.from_numpy(head.landmarks), reference.cameras)
    lifted = lift(truth[0], reference.depth[0], reference.alpha[0], reference.cameras)
    seen = project_landmarks(lifted, views).visible
    chosen = torch.arange(0, 478, 3)
    for view in (1, 2):
        origin = views.cameras.positions[view].double()
        # a ray test has no pixels: what is hidden by less than the tolerance may go either way
        hidden, free = (rays_hit(origin, lifted.points[chosen], head, margin) for margin in (0.05, 0.004))
        found = seen[view, chosen]
        assert int(hidden.sum()) >= 5  # the far side of the nose and of the face
        assert float((~found[hidden]).float().mean()) > 0.75  # at an edge, one free pixel of four is enough
        assert float(found[~free].float().mean()) > 0.95


def test_landmarks_outside_the_picture_or_behind_the_camera_are_not_visible():
    view = tiny_views(1, side_px=64, view_set="reference")
    lifted = lift(tiny_portrait(64).landmarks_px, view.depth[0], view.alpha[0], view.cameras)
    assert float(project_landmarks(lifted, view).visible.float().mean()) > 0.95
    nowhere = evolve(lifted, points=lifted.points + torch.tensor([0.0, 0.0, 3.0]))
    assert not project_landmarks(nowhere, view).visible.any()
    beside = evolve(lifted, points=lifted.points + torch.tensor([2.0, 0.0, 0.0]))
    assert not project_landmarks(beside, view).visible.any()
