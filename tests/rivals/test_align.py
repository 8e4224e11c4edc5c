"""Fits and maps against closed forms, the project's own projection and renderer, and random rotations."""

from __future__ import annotations

import math

import pytest
import torch

from pshead_core.bench.align import fit_flat, fit_outline, fit_world, not_shared, resampled, view_matrices
from pshead_core.bench.place_head import in_our_axes, wider
from pshead_core.bench.rival_settings import RivalSettings
from pshead_core.cameras.camera import orbit, project
from pshead_core.cameras.sampler import reference_camera
from pshead_core.config.run import CameraConfig
from pshead_core.errors import PsheadError
from pshead_core.gaussians.bust_fit import reference_lens
from pshead_core.gaussians.ply import read_ply, write_ply
from pshead_core.gaussians.rotation import rotation_matrices
from pshead_core.gaussians.sh import basis, colours
from pshead_core.gaussians.similarity import quaternion_of, sh_rotation, transformed
from pshead_core.render.reference import ReferenceRenderer
from pshead_core.testing.scenes import tiny_model

CAMERAS = CameraConfig()
LENS = reference_lens(CAMERAS, 256)
PLY_NAMES = (
    *("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity"),
    *("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"),
)


def some_rotation(seed):
    quaternion = torch.randn(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return rotation_matrices(quaternion)


def some_points(count=60, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=generator, dtype=torch.float64) * 0.15 + torch.tensor([0.0, 0.1, 0.25])


# --- a model turned


@pytest.mark.parametrize("seed", range(6))
def test_the_quaternion_of_a_rotation_gives_it_back(seed):
    rotation = some_rotation(seed)
    torch.testing.assert_close(rotation_matrices(quaternion_of(rotation)), rotation, atol=1e-12, rtol=0)


@pytest.mark.parametrize("axis", range(3))
def test_the_quaternion_of_a_half_turn(axis):
    rotation = -torch.eye(3, dtype=torch.float64)
    rotation[axis, axis] = 1.0
    torch.testing.assert_close(rotation_matrices(quaternion_of(rotation)), rotation, atol=1e-12, rtol=0)


@pytest.mark.parametrize("degree", range(4))
def test_turned_harmonics_show_what_was_shown_from_the_turned_direction(degree):
    rotation = some_rotation(degree)
    generator = torch.Generator().manual_seed(1)
    away = torch.nn.functional.normalize(torch.randn(40, 3, generator=generator, dtype=torch.float64), dim=-1)
    sh = torch.randn((degree + 1) ** 2, generator=generator, dtype=torch.float64)
    turned = sh_rotation(rotation, degree) @ sh
    torch.testing.assert_close(basis(away @ rotation.T, degree) @ turned, basis(away, degree) @ sh, atol=1e-12, rtol=0)


def test_a_turned_head_looks_the_same_to_a_turned_camera():
    generator = torch.Generator().manual_seed(0)
    model = tiny_model(16, sh_degree=3)
    model = transformed(model)
    model.sh[:, 1:] = 0.2 * torch.randn(model.sh[:, 1:].shape, generator=generator)
    model.log_scales[:, 0] += 0.7
    rotation, scale, shift = some_rotation(4), 1.7, (0.4, -0.2, 0.9)
    cameras = reference_camera(CAMERAS, 32).to(torch.float32)
    pose = cameras.T_world_camera[0].double()
    moved_pose = pose.clone()
    moved_pose[:3, :3] = rotation @ pose[:3, :3]
    moved_pose[:3, 3] = scale * (rotation @ pose[:3, 3]) + torch.tensor(shift, dtype=torch.float64)
    moved_cameras = orbit(torch.zeros(1), torch.zeros(1), distance=2.0, fovy_deg=CAMERAS.fovy_deg, side_px=32)
    moved_cameras.T_world_camera[0] = moved_pose.float()
    draw = ReferenceRenderer().render
    before = draw(model, cameras, torch.ones(3))
    after = draw(transformed(model, rotation=rotation, scale=scale, shift=shift), moved_cameras, torch.ones(3))
    assert float((before.rgb - 1).abs().max()) > 0.3
    torch.testing.assert_close(after.rgb, before.rgb, atol=2e-4, rtol=0)
    torch.testing.assert_close(after.depth, before.depth * scale, atol=2e-4, rtol=0)


def test_a_mirror_or_a_negative_size_is_refused():
    with pytest.raises(PsheadError, match="proper rotation"):
        transformed(tiny_model(4), rotation=torch.diag(torch.tensor([1.0, 1.0, -1.0])))
    with pytest.raises(PsheadError, match="scaled by"):
        transformed(tiny_model(4), scale=-1.0)


@pytest.mark.parametrize(("up", "front"), [("-y", "-z"), ("+y", "+z"), ("+z", "+x"), ("+z", "-y"), ("-x", "+y")])
def test_axes_name_directions_of_the_file(tmp_path, up, front):
    """A head written by hand in the file's axes: three points, one above, one before, one beside the origin."""
    place = {"x": 0, "y": 1, "z": 2}
    rows = torch.zeros(3, 3)
    for row, name in enumerate((up, front)):
        rows[row, place[name[1]]] = 1.0 if name[0] == "+" else -1.0
    rows[2] = torch.linalg.cross(rows[0], rows[1])  # up x front: our x
    (tmp_path / "head.ply").write_text(
        "\n".join(
            [
                "ply",
                "format ascii 1.0",
                "element vertex 3",
                *(f"property float {name}" for name in PLY_NAMES),
                "end_header",
                *(f"{x} {y} {z} 0 0 0 1 -3 -3 -3 1 0 0 0" for x, y, z in rows.tolist()),
                "",
            ]
        )
    )
    head = in_our_axes(read_ply(tmp_path / "head.ply"), RivalSettings(up=up, front=front, scale=2.0))
    expected = 2 * torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(head.means, expected, atol=1e-6, rtol=0)


def test_the_default_axes_are_those_that_pshead_writes(tmp_path):
    model = tiny_model(16, sh_degree=2)
    model.sh[:, 1:] = torch.randn(model.sh[:, 1:].shape, generator=torch.Generator().manual_seed(2))
    write_ply(model, tmp_path / "head.ply")
    head = in_our_axes(read_ply(tmp_path / "head.ply"), RivalSettings())
    torch.testing.assert_close(head.means, model.means)
    eyes = torch.tensor([[0.3, 0.2, 2.0]])
    torch.testing.assert_close(colours(head.sh, head.means, eyes), colours(model.sh, model.means, eyes))


# --- the fits


def test_a_flat_fit_inverts_a_map():
    points = some_points()[:, :2] * 200
    found = fit_flat(points, 1.3 * points + torch.tensor([-7.0, 4.0]))
    assert found.scale == pytest.approx(1.3)
    assert found.shift == pytest.approx((-7.0, 4.0))
    assert found.residual == pytest.approx(0.0, abs=1e-9)


def test_a_flat_fit_of_a_turned_face_leaves_a_rest_and_a_mirrored_one_is_refused():
    points = some_points()[:, :2] * 200
    turned = points @ torch.tensor([[0.9, 0.4], [-0.4, 0.9]], dtype=torch.float64)
    assert fit_flat(points, turned).residual > 5.0
    with pytest.raises(PsheadError, match="mirrored"):
        fit_flat(points, -points)


@pytest.mark.parametrize("own", [True, False])
def test_a_fit_in_the_world_inverts_a_map(own):
    """The oracle: points moved by known numbers, seen through the project's own projection."""
    points, camera = some_points(), reference_camera(CAMERAS, 256)
    anchor, place = (None, 0.0) if own else (0.3, 0.27)
    scale, right, up = 0.37, 0.2, -0.11
    goal = points * scale
    goal[:, 0] += right
    goal[:, 1] += up
    goal[:, 2] += 0.0 if own else place - scale * 0.3
    found = fit_world(points, project(goal, camera)[0][0], LENS, anchor_z=anchor, place_z=place)
    assert found.scale == pytest.approx(scale)
    assert found.shift == pytest.approx((right, up, 0.0 if own else place - scale * 0.3))
    assert found.residual_px == pytest.approx(0.0, abs=1e-6)


def disc(side, centre, radius):
    y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    return (radius + 0.5 - ((x - centre[0]) ** 2 + ((y - centre[1]) / 1.3) ** 2).sqrt()).clamp(0, 1)


def test_an_outline_is_laid_over_another():
    wanted, given = disc(192, (100.0, 90.0), 50.0), disc(192, (80.0, 120.0), 35.0)
    found = fit_outline(given, wanted, torch.ones_like(wanted))
    k = 50.5 / 35.5
    assert found.scale == pytest.approx(k, rel=0.01)
    assert found.shift == pytest.approx((100 - k * 80, 90 - k * 120), abs=1.5)
    assert found.residual < 0.04  # two soft edges of different widths


def test_an_outline_ignores_what_the_photo_does_not_know():
    wanted, known = disc(192, (100.0, 90.0), 50.0), torch.ones(192, 192)
    wanted[110:], known[110:] = 0.0, 0.0
    found = fit_outline(disc(192, (90.0, 100.0), 40.0), wanted, known)
    assert found.scale == pytest.approx(50.5 / 40.5, rel=0.02)
    with pytest.raises(PsheadError, match="no outline"):
        fit_outline(torch.zeros(192, 192), wanted, known)


def test_overlap_of_two_squares():
    one, other = torch.zeros(20, 20), torch.zeros(20, 20)
    one[:, :10], other[:, 5:15] = 1.0, 1.0
    assert not_shared(one, other, torch.ones(20, 20)) == pytest.approx(1 - 5 / 15)


# --- pictures


def test_a_place_beside_the_axis_goes_round_with_the_camera():
    """A point on the axis of a distant camera's orbit, moved in the world, is where the matrices say."""
    azimuth = torch.tensor([0.0, 60.0, 90.0, 180.0])
    far = orbit(azimuth, torch.zeros(4), distance=1e5, fovy_deg=0.002, side_px=200)
    step = 0.3
    pixels, _ = project(torch.tensor([[0.0, 0.0, 0.0], [step, 0.0, 0.0]], dtype=torch.float64), far)
    aside = pixels[0, 1, 0] - pixels[0, 0, 0]
    matrix = view_matrices(1.0, (float(aside), 0.0), azimuth, 200, 200)
    torch.testing.assert_close(matrix[:, 0, 2].double(), pixels[:, 1, 0] - pixels[:, 0, 0], atol=1e-3, rtol=0)


def test_shrinking_by_whole_numbers_is_the_mean_of_blocks():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(2, 24, 24, 4, generator=generator)
    found = resampled(pictures, view_matrices(1 / 3, (0.0, 0.0), torch.zeros(2), 24, 8), 8)
    expected = pictures.reshape(2, 8, 3, 8, 3, 4).mean((2, 4))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_same_size_leaves_a_picture_alone_and_beyond_it_is_nothing():
    pictures = torch.rand(1, 16, 16, 1, generator=torch.Generator().manual_seed(0))
    same = resampled(pictures, view_matrices(1.0, (0.0, 0.0), torch.zeros(1), 16, 16), 16)
    torch.testing.assert_close(same, pictures, atol=1e-5, rtol=0)
    moved = resampled(pictures, view_matrices(1.0, (5.0, -2.0), torch.zeros(1), 16, 16), 16)
    torch.testing.assert_close(moved[:, :14, 5:], pictures[:, 2:, :11], atol=1e-5, rtol=0)
    assert float(moved[:, :, :5].abs().max()) == 0.0
    assert float(moved[:, 14:].abs().max()) == 0.0


def test_a_wider_camera_sees_the_same_in_its_middle():
    camera = reference_camera(CAMERAS, 64)
    wide = wider(camera, 32)
    points = some_points()
    torch.testing.assert_close(project(points, wide)[0], project(points, camera)[0] + 32, atol=1e-6, rtol=1e-6)
    assert wide.height_px == 128
    assert math.isclose(wide.focal_px, camera.focal_px, rel_tol=1e-9)
