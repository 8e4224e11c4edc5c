"""The renderer against ray casting and closed forms."""

from __future__ import annotations

import math

import numpy as np
import torch

from pshead_core.cameras.camera import orbit
from training.heads.props import grid_triangles
from training.render import DEFAULT_LIGHTS, render_mesh, sample_lights, shade
from training.render.kernel import SAMPLES_PER_SIDE


def cameras(side_px, azimuth=(0.0,), elevation=0.0):
    angles = torch.tensor(azimuth)
    return orbit(angles, torch.full_like(angles, elevation), distance=2.0, fovy_deg=49.1, side_px=side_px)


def sphere(radius, rows=160, columns=240):
    polar = np.linspace(0, np.pi, rows)[:, None]
    around = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    unit = np.stack(
        [np.sin(polar) * np.sin(around), np.cos(polar) + 0 * around, np.sin(polar) * np.cos(around)], axis=-1
    ).reshape(-1, 3)
    return (radius * unit).astype(np.float32), grid_triangles(rows, columns, closed=True), unit.astype(np.float32)


def rays(camera, view):
    """Origin `[3]` and directions `[row, column, 3]` (depth 1 along +z) of every sample, in double precision."""
    side = camera.height_px * SAMPLES_PER_SIDE
    axis = (np.arange(side) + 0.5 - side / 2) / (camera.focal_px * SAMPLES_PER_SIDE)
    local = np.stack(np.broadcast_arrays(axis[None], axis[:, None], np.ones((side, side))), axis=-1)
    pose = camera.T_world_camera[view].double().numpy()
    return pose[:3, 3], local @ pose[:3, :3].T


def cast(origin, directions, triangles):
    """Möller and Trumbore: nearest depth, its triangle and its weights, per ray; and how near a ray is to an edge."""
    shape = directions.shape[:2]
    nearest, which, weights = np.full(shape, np.inf), np.full(shape, -1), np.zeros((*shape, 3))
    margin = np.full(shape, np.inf)
    for number, (a, b, c) in enumerate(triangles):
        p = np.cross(directions, c - a)
        determinant = p @ (b - a)
        u = p @ (origin - a) / determinant
        q = np.cross(origin - a, b - a)
        v = directions @ q / determinant
        depth = (c - a) @ q / determinant
        shares = np.stack([1 - u - v, u, v], axis=-1)
        margin = np.minimum(margin, np.abs(shares).min(-1))
        hit = (shares >= 0).all(-1) & (depth > 0) & (depth < nearest)
        nearest[hit], which[hit], weights[hit] = depth[hit], number, shares[hit]
    return nearest, which, weights, margin


def per_pixel(samples):
    side = samples.shape[0] // SAMPLES_PER_SIDE
    return samples.reshape(side, SAMPLES_PER_SIDE, side, SAMPLES_PER_SIDE, -1).swapaxes(1, 2).reshape(side, side, 4, -1)


def test_crossing_triangles_equal_ray_casting():
    rng = np.random.default_rng(7)
    vertices = rng.uniform(-0.7, 0.7, (36, 3)).astype(np.float32)
    triangles = np.arange(36, dtype=np.int32).reshape(-1, 3)
    colours = rng.uniform(0, 1, (36, 3)).astype(np.float32)
    camera = cameras(40, azimuth=(25.0, 190.0), elevation=12.0)
    pictures = render_mesh(vertices, triangles, colours, camera)
    for view in range(2):
        depth, which, weights, margin = cast(*rays(camera, view), vertices.astype(np.float64)[triangles])
        seen = which >= 0
        paint = np.einsum("rcw,rcwk->rck", weights, colours[triangles[which]]) * seen[..., None]
        hits = per_pixel(seen[..., None].astype(float)).sum(2)
        clear = per_pixel(margin[..., None]).min(2)[..., 0] > 1e-4  # no sample on an edge
        assert clear.mean() > 0.95
        expected = np.concatenate([per_pixel(paint).sum(2) / np.maximum(hits, 1), hits / 4], axis=-1)
        np.testing.assert_allclose(pictures.rgba[view][clear], expected[clear], atol=2e-4)
        far = per_pixel(np.where(seen, depth, 0)[..., None]).sum(2)[..., 0] / np.maximum(hits[..., 0], 1)
        np.testing.assert_allclose(pictures.depth[view][clear], far[clear], atol=2e-4)
    assert 0.1 < (pictures.rgba[..., 3] > 0).mean() < 0.9


def test_sphere_has_the_closed_form_outline_and_depth():
    vertices, triangles, unit = sphere(0.5)
    camera = cameras(96, azimuth=(0.0, 140.0))
    pictures = render_mesh(vertices, triangles, 0.5 + 0.5 * unit, camera)
    radius_px = camera.focal_px * math.tan(math.asin(0.5 / 2.0))
    areas = pictures.rgba[..., 3].sum(axis=(1, 2))
    np.testing.assert_allclose(areas, math.pi * radius_px**2, rtol=0.004)
    offset = (np.arange(96) + 0.5 - 48) / camera.focal_px
    slope = offset[None] ** 2 + offset[:, None] ** 2
    inside = slope < (0.93 * radius_px / camera.focal_px) ** 2
    # Depth z of the nearer intersection of the line (x, y, 1) z with the sphere about (0, 0, 2).
    z = (2 - np.sqrt(np.maximum(4 - (1 + slope) * (4 - 0.25), 0))) / (1 + slope)
    np.testing.assert_allclose(pictures.depth[0][inside], z[inside], atol=2e-3)


def test_azimuth_shows_the_side_that_the_camera_stands_on():
    vertices, triangles, unit = sphere(0.5, 40, 60)
    middle = render_mesh(vertices, triangles, 0.5 + 0.5 * unit, cameras(33, azimuth=(0.0, 90.0, 180.0))).rgba[:, 16, 16]
    np.testing.assert_allclose(middle[:, :3], [[0.5, 0.5, 1], [1, 0.5, 0.5], [0.5, 0.5, 0]], atol=0.02)


def test_colour_is_straight_where_the_outline_is_soft():
    vertices, triangles, _ = sphere(0.4, 60, 90)
    rgba = render_mesh(vertices, triangles, np.full((len(vertices), 3), 0.25, np.float32), cameras(48)).rgba[0]
    soft = (rgba[..., 3] > 0) & (rgba[..., 3] < 1)
    assert soft.sum() > 20
    np.testing.assert_allclose(rgba[soft][:, :3], 0.25, atol=1e-5)
    assert not rgba[rgba[..., 3] == 0].any()


def test_behind_the_camera_nothing_is_drawn():
    triangle = np.array([[-1, -1, 3], [1, -1, 3], [0, 1, 3]], np.float32)
    picture = render_mesh(triangle, np.array([[0, 1, 2]], np.int32), np.ones((3, 3), np.float32), cameras(16))
    assert not picture.rgba.any()


def test_half_lambert():
    normals = DEFAULT_LIGHTS.directions[:1]
    expected = DEFAULT_LIGHTS.ambient + sum(
        ((1 + float(normals[0] @ direction)) / 2) ** 2 * strength
        for direction, strength in zip(DEFAULT_LIGHTS.directions, DEFAULT_LIGHTS.strengths, strict=True)
    )
    np.testing.assert_allclose(
        shade(np.full((1, 3), 0.5, np.float32), normals, DEFAULT_LIGHTS)[0], 0.5 * expected, rtol=1e-5
    )


def test_random_lights_leave_a_grey_face_neither_black_nor_burnt():
    rng = np.random.default_rng(3)
    front = np.array([[0, 0, 1]], np.float32)
    lit = [float(shade(np.full((1, 3), 0.5, np.float32), front, sample_lights(rng)).mean()) for _ in range(300)]
    assert min(lit) > 0.22
    assert max(lit) < 0.85
