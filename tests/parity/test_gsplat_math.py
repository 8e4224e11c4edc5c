"""Projection, covariance and spherical harmonics against gsplat's own torch code; pictures against gsplat on CUDA.

`gsplat.cuda._torch_impl` is private to gsplat; the extra `gsplat` of this project allows 1.5 only.
"""

from __future__ import annotations

import pytest
import torch

from pshead_core.gaussians.sh import colours
from pshead_core.render.cpu import CpuRenderer
from pshead_core.render.layout import HALF_LOG2_E
from pshead_core.render.projection import covariances, project_gaussians, radii_px
from pshead_core.render.threads import Workers
from pshead_core.render.tile_lists import flat, list_view, scene_of
from tests.render.scenes import Scene, backgrounds, cloud, differentiate, views

gsplat_math = pytest.importorskip("gsplat.cuda._torch_impl", reason="the extra 'gsplat' is not installed")


@pytest.fixture(scope="module")
def scene() -> Scene:
    model = cloud(500, 11, spread=0.5, log_scale=-3.0, log_scale_std=0.8, sh_coefficients=16)
    # the camera is near, so that some means lie outside the picture, where the Jacobian is clamped
    cameras = views(25.0, height_px=80, width_px=100, distance=1.0).to(torch.float64)
    return Scene(model=model, cameras=cameras, background=backgrounds())


@pytest.fixture(scope="module")
def expected(scene: Scene):
    """Return gsplat's radii, means2d, depths, conics."""
    cameras, model = scene.cameras, scene.model
    focal = cameras.focal_px
    intrinsics = torch.tensor([[focal, 0, 50.0], [0, focal, 40.0], [0, 0, 1]], dtype=torch.float64)
    covariance, _ = gsplat_math._quat_scale_to_covar_preci(
        model.quaternions, model.log_scales.exp(), compute_preci=False
    )
    results = gsplat_math._fully_fused_projection(
        model.means, covariance, cameras.T_camera_world, intrinsics[None], 100, 80
    )
    return [result[0] for result in results[:4]]


def test_covariances(scene: Scene) -> None:
    model = scene.model
    theirs, _ = gsplat_math._quat_scale_to_covar_preci(model.quaternions, model.log_scales.exp(), compute_preci=False)
    torch.testing.assert_close(covariances(model.quaternions, model.log_scales), theirs)


def test_spherical_harmonics(scene: Scene) -> None:
    model = scene.model
    directions = model.means - scene.cameras.positions[0]
    theirs = gsplat_math._spherical_harmonics(3, directions, model.sh)
    ours = colours(model.sh, model.means, scene.cameras.positions)[0]
    torch.testing.assert_close(ours, (theirs + 0.5).clamp_min(0), rtol=1e-6, atol=1e-6)  # constants of 7 digits


def test_projection(scene: Scene, expected) -> None:
    _, means, depths, conics = expected
    seen = depths > 0.01
    assert 50 < seen.sum() < len(seen)
    ours = project_gaussians(
        scene.model.means[seen], scene.model.quaternions[seen], scene.model.log_scales[seen], scene.cameras, 0
    )
    outside = (ours.means_px < -0.15 * 100).any(-1) | (ours.means_px > 1.15 * 100).any(-1)
    assert outside.sum() > 10  # the clamp of the Jacobian is exercised
    torch.testing.assert_close(ours.means_px, means[seen])
    torch.testing.assert_close(ours.depths, depths[seen])
    inverse = torch.linalg.inv(ours.covariances_px2)
    ours_conics = torch.stack([inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]], -1)
    torch.testing.assert_close(ours_conics, conics[seen], rtol=1e-5, atol=1e-7)


def test_radii_are_gsplats_for_full_opacity(scene: Scene, expected) -> None:
    """gsplat's torch code does not know the opacity and takes 3.33 standard deviations; ln(255) gives 3.329."""
    theirs, _, depths, _ = expected
    seen = depths > 0.01
    ours = project_gaussians(
        scene.model.means[seen], scene.model.quaternions[seen], scene.model.log_scales[seen], scene.cameras, 0
    )
    radii = radii_px(ours, torch.ones(int(seen.sum()), dtype=torch.float64), scene.cameras)
    largest = theirs[seen].amax(-1)
    both = (radii > 0) & (largest > 0)
    assert both.sum() > 50
    assert (radii[both] - largest[both]).abs().max() <= 1 + 0.001 * largest.max()
    assert ((radii > 0) != (largest > 0)).sum() <= 2  # the box reaches the picture by a fraction of a pixel


def test_cpu_kernels_project_as_gsplat_does(scene: Scene, expected) -> None:
    _, means, depths, conics = expected
    model, cameras = scene.model.to(torch.float32), scene.cameras.to(torch.float32)
    n = len(model)
    radii = torch.zeros(n, dtype=torch.int32)
    CpuRenderer(threads=1)  # compiles the kernels, with its message
    record = scene_of(cameras, scene.background, torch.zeros(1, n, 2).numpy())
    parameters = [flat(tensor) for tensor in list(model.tensors().values())[:4]]
    shades = flat(torch.zeros(n, 3))
    found = list_view(record, 0, parameters, shades, radii.numpy(), workers=Workers(1))
    rows = torch.from_numpy(found.params).reshape(n, 16)[radii > 0].double()
    factor_x, factor_y, factor_yy = rows[:, 2], rows[:, 3], rows[:, 4]
    ours = torch.stack([factor_x**2, factor_x * factor_y, factor_y**2 + factor_yy], -1) / float(HALF_LOG2_E)
    assert len(rows) > 50
    torch.testing.assert_close(rows[:, :2], means[radii > 0], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(rows[:, 9], depths[radii > 0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours, conics[radii > 0], rtol=1e-4, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cpu_equals_gsplat_on_cuda() -> None:
    from pshead_core.render.gsplat_backend import GsplatRenderer

    scene = Scene(
        model=cloud(2000, 12, log_scale=-3.5),
        cameras=views(25.0, -120.0, height_px=120, width_px=90),
        background=backgrounds(),
    )
    ours = differentiate(CpuRenderer(), scene, torch.float32)
    cuda = torch.device("cuda")
    there = Scene(model=scene.model.to(cuda), cameras=scene.cameras.to(cuda), background=scene.background.to(cuda))
    theirs = differentiate(GsplatRenderer(), there, torch.float32)
    for picture in ("rgb", "alpha"):
        difference = (getattr(theirs.rendering, picture).cpu() - getattr(ours.rendering, picture)).abs()
        assert difference.max() <= 5e-3, picture  # one pair on the other side of the skip rule
        assert difference.mean() <= 1e-5, picture
    for name, gradient in theirs.gradients.items():
        assert (ours.gradients[name] - gradient.cpu()).norm() <= 1e-3 * gradient.norm(), name
