"""The conditioning drawing of the landmark ControlNet against mediapipe's edges and slow oracles."""

from __future__ import annotations

import functools
import warnings

import cv2
import numpy as np
import pytest
import torch

from pshead_core.cameras.camera import project
from pshead_core.errors import PsheadError
from training.controlnet import drawing as parts_of
from training.controlnet.drawing import PARTS, PUPILS, conditioning, draw_landmarks
from training.ground_truth import load_ground_truth


@functools.cache
def true_heads():
    return load_ground_truth()


def face_points(view=0, head=0):
    truth = true_heads()[head]
    pixels, _ = project(torch.from_numpy(truth.landmarks), truth.cameras[torch.tensor([view])])
    return pixels[0].numpy() / truth.cameras.height_px


@pytest.fixture(scope="module")
def poses():
    return [face_points(view, head) for view, head in ((0, 0), (3, 7), (22, 9))]


def test_the_edges_are_those_of_mediapipe():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        connections = pytest.importorskip("mediapipe.python.solutions.face_mesh_connections")
    names = {
        "FACE_OVAL": parts_of.OVAL,
        "LIPS": parts_of.LIPS,
        "LEFT_EYE": parts_of.LEFT_EYE,
        "LEFT_EYEBROW": parts_of.LEFT_BROW,
        "RIGHT_EYE": parts_of.RIGHT_EYE,
        "RIGHT_EYEBROW": parts_of.RIGHT_BROW,
    }
    for name, part in names.items():
        assert sorted(part.edges) == sorted(getattr(connections, f"FACEMESH_{name}")), name
    assert {edge for part in PARTS for edge in part.edges} == set(connections.FACEMESH_CONTOURS)
    assert sum(len(part.edges) for part in PARTS) == 124
    irises = (connections.FACEMESH_RIGHT_IRIS, connections.FACEMESH_LEFT_IRIS)
    for (centre, _), ring in zip(PUPILS, irises, strict=True):
        assert centre + 1 == min(min(edge) for edge in ring)  # the centre stands before its ring


def edge_by_edge(points, side_px):
    """The published drawing, said again: one line after another, then the squares."""
    picture = np.zeros((side_px, side_px, 3), np.uint8)
    pixel = [tuple(int(np.floor(value * side_px)) for value in point) for point in points]
    seen = [0 <= x <= 1 and 0 <= y <= 1 for x, y in points]
    for part in PARTS:
        for begin, end in part.edges:
            if seen[begin] and seen[end]:
                cv2.line(picture, pixel[begin], pixel[end], part.colour, 2)
    for index, colour in PUPILS:
        x, y = pixel[index]
        for row in range(y - 2, y + 2):
            for column in range(x - 2, x + 2):
                if seen[index]:
                    picture[row, column] = colour
    return picture


def test_drawings_equal_single_lines_whatever_is_left_out(poses):
    for points in poses:
        assert (draw_landmarks(points) == edge_by_edge(points, 512)).all()
    moved = poses[0] * 2 - [0.5, 0.62]  # the forehead leaves the picture at the top
    assert (moved < 0).any()
    assert not (moved[[468, 473]] < 0.05).any()
    assert (draw_landmarks(moved) == edge_by_edge(moved, 512)).all()


def distance(begin, end, side_px):
    """`[row, column]`: distance of each pixel from a segment between two pixels."""
    grid = np.stack(np.meshgrid(np.arange(side_px), np.arange(side_px)), -1).astype(float)
    begin, along = np.array(begin, float), np.array(end, float) - begin
    share = ((grid - begin) @ along / max(along @ along, 1e-9)).clip(0, 1)
    return np.linalg.norm(grid - begin - share[..., None] * along, axis=-1)


def test_lit_pixels_lie_at_segments_of_their_colour_and_segments_are_lit(poses):
    side_px = 160  # line widths stay, so this is a hard case: lines cross
    for points in poses[:2]:
        picture = draw_landmarks(points, side_px)
        pixel = np.floor(points * side_px)
        covered = np.zeros((side_px, side_px), bool)
        for index, colour in reversed(PUPILS):
            x, y = pixel[index].astype(int)
            assert (picture[y - 2 : y + 2, x - 2 : x + 2] == colour).all()
            covered[y - 2 : y + 2, x - 2 : x + 2] = True
        lit = picture.any(-1) & ~covered
        for part in reversed(PARTS):
            nearest = np.min([distance(pixel[a], pixel[b], side_px) for a, b in part.edges], axis=0)
            own = (picture == part.colour).all(-1)
            assert own.any()
            assert nearest[own].max() <= 1 + 0.5**0.5  # half of 2 px, and rounding both ways to whole pixels
            assert own[(nearest <= 0.5) & ~covered].all()
            covered |= own
            lit &= ~own
        assert not lit.any()


def test_left_and_right_are_the_subjects(poses):
    picture = draw_landmarks(poses[0])
    columns = {name: np.nonzero((picture == colour).all(-1))[1].mean() for name, colour in eyes_and_brows()}
    assert columns["right eye"] < columns["left eye"]
    assert columns["right brow"] < columns["left brow"]
    assert columns["right pupil"] < columns["left pupil"]


def eyes_and_brows():
    named = [(part.name, part.colour) for part in PARTS]
    return [*named, ("right pupil", (250, 200, 10)), ("left pupil", (10, 200, 250))]


def test_points_outside_take_their_edges_with_them(poses):
    points = poses[0].copy()
    points[152] = [0.5, 1.01]  # the chin: two edges of the oval
    points[468] = [np.nan, 0.5]
    picture, whole = draw_landmarks(points), draw_landmarks(poses[0])
    lost = (picture != whole).any(-1)
    assert lost.any()
    near = [distance(*np.floor(poses[0][[a, b]] * 512), 512) for a, b in parts_of.OVAL.edges if 152 in (a, b)]
    assert len(near) == 2
    pupil = np.zeros((512, 512), bool)
    x, y = np.floor(poses[0][468] * 512).astype(int)
    pupil[y - 2 : y + 2, x - 2 : x + 2] = True
    assert (lost & ~pupil <= (np.min(near, axis=0) <= 1.5)).all()
    assert not (picture == PUPILS[0][1]).all(-1).any()
    assert not draw_landmarks(np.full((478, 2), -1.0)).any()
    assert draw_landmarks(np.ones((478, 2)))[-1, -1].any()  # on the last border, still inside


def test_other_shapes_are_refused():
    with pytest.raises(PsheadError, match=r"\(468, 2\)"):
        draw_landmarks(np.zeros((468, 2)))


def test_small_conditioning_is_the_mean_of_blocks_of_the_full_drawing(poses):
    full = draw_landmarks(poses[0]).astype(float)
    means = full.reshape(128, 4, 128, 4, 3).mean((1, 3))
    assert np.abs(conditioning(poses[0], 128) - means).max() <= 0.5 + 1e-9
    assert (conditioning(poses[0], 512) == full).all()
