"""Mesh tools against closed forms."""

from __future__ import annotations

import numpy as np

from tests.training.test_render import sphere
from training.heads.mesh import (
    Part,
    compact,
    components,
    join,
    occluded,
    occlusion,
    subdivide,
    triangulate,
    vertex_normals,
)
from training.heads.noise import noise


def area(vertices, triangles):
    a, b, c = np.moveaxis(vertices[triangles].astype(float), 1, 0)
    return np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2


def test_normals_of_a_sphere_are_its_directions():
    vertices, triangles, unit = sphere(0.5, 60, 90)
    normals = vertex_normals(vertices, triangles)
    cosine = np.abs((normals * unit).sum(1))  # the grid's winding is not promised
    assert np.quantile(cosine, 0.02) > 0.995


def test_subdividing_keeps_the_area_and_shares_edges():
    vertices, triangles, _ = sphere(0.5, 8, 12)
    finer, quarters = subdivide(vertices, triangles)
    assert len(quarters) == 4 * len(triangles)
    np.testing.assert_allclose(area(finer, quarters), area(vertices, triangles), rtol=1e-5)
    edges = {tuple(sorted(edge)) for t in triangles.tolist() for edge in ((t[0], t[1]), (t[1], t[2]), (t[2], t[0]))}
    assert len(finer) == len(vertices) + len(edges)


def test_quads_and_repeated_corners_become_triangles():
    quads = np.array([[0, 1, 2, 3], [4, 5, 6, 6]], np.int32)
    assert sorted(map(tuple, triangulate(quads).tolist())) == [(0, 1, 2), (0, 2, 3), (4, 5, 6)]


def test_parts_are_found_compacted_and_joined():
    triangles = np.array([[0, 1, 2], [5, 6, 7]], np.int32)
    label = components(triangles, 8)
    assert label[0] == label[2] != label[5] == label[7]
    used, renumbered = compact(triangles[1:], 8)
    assert used.tolist() == [5, 6, 7]
    assert renumbered.tolist() == [[0, 1, 2]]
    part = Part(vertices=np.zeros((3, 3)), triangles=renumbered, colours=np.zeros((3, 3)), normals=np.zeros((3, 3)))
    dim = Part(
        vertices=np.ones((3, 3)), triangles=renumbered, colours=np.zeros((3, 3)), normals=np.zeros((3, 3)), occluded=0.5
    )
    assert join([part, dim]).triangles.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert occluded([part, dim]).tolist() == [1, 1, 1, 0.5, 0.5, 0.5]


def test_a_cleft_is_darker_than_a_ball():
    vertices, triangles, unit = sphere(0.5, 60, 90)
    # Two balls that nearly touch: the cleft is where they face each other.
    side = np.array([0.55, 0, 0], np.float32)
    both = np.concatenate([vertices - side, vertices + side])
    faces = np.concatenate([triangles, triangles + len(vertices)]).astype(np.int32)
    shade = occlusion(both, np.concatenate([unit, unit]), faces, 0.03, (0.15,))
    facing = np.concatenate([unit[:, 0], -unit[:, 0]])
    assert shade[facing > 0.97].mean() > 0.15
    assert shade[facing < 0].mean() < 0.03


def test_noise_is_smooth_repeats_and_differs_by_seed():
    points = np.random.default_rng(0).uniform(-9, 9, (2000, 3)).astype(np.float32)
    values = noise(points, 5, 2)
    np.testing.assert_array_equal(values, noise(points, 5, 2))
    assert abs(np.corrcoef(values, noise(points, 6, 2))[0, 1]) < 0.1
    assert values.std() > 0.2
    near = noise(points + np.float32(1e-3), 5, 2)
    assert np.abs(near - values).max() < 0.02
