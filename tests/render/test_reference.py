"""The reference renderer against closed forms, a scalar loop and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from attrs import evolve

from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import colours, rgb_to_dc
from pshead_core.render.projection import project_gaussians
from pshead_core.render.reference import ReferenceRenderer

from .scenes import Scene, cloud, views


def _ball(z: float, colour: tuple[float, float, float], *, opacity: float, scale: float = 0.2) -> GaussianModel:
    """Return one round Gaussian on the axis of the camera that `views(0.0, distance=2)` sets up at z = 2."""
    return GaussianModel(
        means=torch.tensor([[0.0, 0.0, z]], dtype=torch.float64),
        quaternions=torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64),
        log_scales=torch.full((1, 3), math.log(scale), dtype=torch.float64),
        opacity_logits=torch.logit(torch.tensor([opacity], dtype=torch.float64)),
        sh=rgb_to_dc(torch.tensor([[colour]], dtype=torch.float64)),
    )


def _join(*models: GaussianModel) -> GaussianModel:
    parts = [model.tensors() for model in models]
    return GaussianModel(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})


def _front(side_px: int):
    return evolve(views(0.0, height_px=side_px, width_px=side_px), T_world_camera=_axis_pose())


def _axis_pose() -> torch.Tensor:
    """Return the pose at (0, 0, 2) that looks along -z with +y up."""
    pose = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))
    pose[2, 3] = 2.0
    return pose[None]


def test_one_gaussian_is_its_closed_form() -> None:
    cameras, background = _front(9), torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    got = ReferenceRenderer().render(_ball(0.5, (0.2, 0.4, 0.6), opacity=0.8), cameras, background)
    variance = (cameras.focal_px * 0.2 / 1.5) ** 2 + 0.3
    offset = torch.arange(9, dtype=torch.float64) - 4
    alpha = 0.8 * torch.exp(-(offset[:, None] ** 2 + offset[None] ** 2) / (2 * variance))
    alpha = torch.where(alpha < 1 / 255, 0.0, alpha)
    torch.testing.assert_close(got.alpha[0], alpha)
    colour = torch.tensor([0.2, 0.4, 0.6], dtype=torch.float64)
    torch.testing.assert_close(got.rgb[0], alpha[..., None] * colour + (1 - alpha)[..., None] * background)
    torch.testing.assert_close(got.depth[0], torch.where(alpha > 0, 1.5, 0.0).double())


def test_the_nearer_gaussian_covers_the_farther() -> None:
    model = _join(_ball(-0.5, (0.0, 1.0, 0.0), opacity=0.9), _ball(0.5, (1.0, 0.0, 0.0), opacity=0.6))
    got = ReferenceRenderer().render(model, _front(9), torch.zeros(3, dtype=torch.float64))
    expected = torch.tensor([0.6, 0.4 * 0.9, 0.0], dtype=torch.float64)
    torch.testing.assert_close(got.rgb[0, 4, 4], expected)
    torch.testing.assert_close(got.depth[0, 4, 4], ((0.6 * 1.5 + 0.36 * 2.5) / 0.96 * torch.ones(())).double())


def test_opacity_is_limited_and_a_finished_pixel_takes_nothing_more() -> None:
    layers = [_ball(0.5 - 0.1 * i, (1.0, 0.0, 0.0), opacity=0.99999) for i in range(3)]
    got = ReferenceRenderer().render(_join(*layers), _front(9), torch.zeros(3, dtype=torch.float64))
    # after one layer 1e-3 is left; a second would leave 1e-6 <= 1e-4, so it is not drawn
    torch.testing.assert_close(got.alpha[0, 4, 4], torch.tensor(0.999, dtype=torch.float64))


def test_gaussians_behind_or_beside_are_not_drawn() -> None:
    behind = _ball(2.5, (1.0, 0.0, 0.0), opacity=0.9)
    beside = evolve(behind, means=torch.tensor([[5.0, 0.0, 0.0]], dtype=torch.float64))
    model = _join(behind, beside).requires_grad()
    got = ReferenceRenderer().render(model, _front(9), torch.ones(3, dtype=torch.float64))
    assert got.radii_px.tolist() == [[0, 0]]
    assert (got.rgb == 1).all()
    got.rgb.sum().backward()
    assert all((tensor.grad is None or (tensor.grad == 0).all()) for tensor in model.tensors().values())


@pytest.mark.parametrize(("seed", "sh_coefficients"), [(0, 4), (1, 1)])
def test_gradients_are_those_of_finite_differences(seed: int, sh_coefficients: int) -> None:
    model = cloud(3, seed, spread=0.2, log_scale=-1.8, sh_coefficients=sh_coefficients)
    cameras = views(30.0, height_px=5, width_px=4).to(torch.float64)
    background = torch.tensor([0.1, 0.7, 0.4], dtype=torch.float64)
    names = list(model.tensors())

    def render(*tensors: torch.Tensor):
        drawn = ReferenceRenderer().render(GaussianModel(**dict(zip(names, tensors, strict=True))), cameras, background)
        return drawn.rgb, drawn.alpha, drawn.depth

    inputs = tuple(tensor.clone().requires_grad_() for tensor in model.tensors().values())
    # a step of 1e-7 does not carry any of these pairs over the skip rule
    assert torch.autograd.gradcheck(render, inputs, eps=1e-7, atol=1e-5)


def test_absolute_gradient_is_that_of_a_loop_over_pixels() -> None:
    scene = Scene(
        model=cloud(10, 3, spread=0.2, log_scale=-2.2),
        cameras=views(-40.0, height_px=9, width_px=7).to(torch.float64),
        background=torch.tensor([0.1, 0.7, 0.4], dtype=torch.float64),
    )
    cotangent = torch.randn(9, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = scene.model.requires_grad()
    drawn = ReferenceRenderer().render(model, scene.cameras, scene.background)
    picture = torch.cat([drawn.rgb[0], drawn.alpha[0, ..., None], drawn.depth[0, ..., None]], -1)
    (picture * cotangent).sum().backward()

    expected, pixels = _loop(scene, cotangent)
    torch.testing.assert_close(picture.detach(), pixels)
    torch.testing.assert_close(drawn.abs_mean_grad_px[0], expected)


def _loop(scene: Scene, cotangent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Blend pixel by pixel and Gaussian by Gaussian; return the absolute gradients and the picture."""
    model = scene.model
    projected = project_gaussians(model.means, model.quaternions, model.log_scales, scene.cameras, 0)
    shades = colours(model.sh, model.means, scene.cameras.positions)[0]
    means = projected.means_px.detach().requires_grad_()
    order = projected.depths.argsort().tolist()
    total, pixels = torch.zeros_like(means), torch.zeros(9, 7, 5, dtype=torch.float64)
    for row in range(9):
        for column in range(7):
            left = torch.ones((), dtype=torch.float64)
            colour, depth = torch.zeros(3, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
            for i in order:
                offset = torch.tensor([column + 0.5, row + 0.5], dtype=torch.float64) - means[i]
                power = offset @ torch.linalg.solve(projected.covariances_px2[i], offset)
                alpha = (model.opacity_logits[i].sigmoid() * torch.exp(-power / 2)).clamp(max=0.999)
                if alpha < 1 / 255:
                    continue
                if left * (1 - alpha) <= 1e-4:
                    break
                colour = colour + left * alpha * shades[i]
                depth = depth + left * alpha * projected.depths[i]
                left = left * (1 - alpha)
            hit = 1 - left
            values = [colour + left * scene.background, hit[None], (depth / hit if hit > 0 else depth)[None]]
            pixel = torch.cat(values)
            pixels[row, column] = pixel.detach()
            if pixel.requires_grad:
                total += torch.autograd.grad((pixel * cotangent[row, column]).sum(), means)[0].abs()
    return total, pixels
