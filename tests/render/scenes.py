"""Scenes for the renderer tests, and the comparison of two renderers' pictures and gradients."""

from __future__ import annotations

import torch
from attrs import evolve, frozen
from torch import Tensor

from pshead_core.cameras.camera import Cameras, orbit
from pshead_core.gaussians.model import GaussianModel
from pshead_core.render.base import Renderer, Rendering

PICTURES = ("rgb", "alpha", "depth")


@frozen(kw_only=True, eq=False)
class Scene:
    model: GaussianModel
    cameras: Cameras
    background: Tensor


def cloud(
    n: int,
    seed: int,
    *,
    spread: float = 0.4,
    log_scale: float = -3.0,
    log_scale_std: float = 0.4,
    opacity_logit: float = 0.5,
    sh_coefficients: int = 4,
) -> GaussianModel:
    """Return random Gaussians around the origin (float64, so that float32 and float64 models share the numbers)."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    sh = 0.2 * normal(n, sh_coefficients, 3)
    sh[:, 0] += 0.5  # keeps most colours above the clamp at 0
    model = GaussianModel(
        means=spread * normal(n, 3),
        quaternions=normal(n, 4),
        log_scales=log_scale + log_scale_std * normal(n, 3),
        opacity_logits=opacity_logit + 1.5 * normal(n),
        sh=sh,
    )
    return model.to(torch.float64)


def views(
    *azimuths_deg: float, height_px: int, width_px: int, distance: float = 2.0, fovy_deg: float = 49.1
) -> Cameras:
    azimuths = torch.tensor(azimuths_deg)
    cameras = orbit(azimuths, (0.3 * azimuths) % 40 - 20, distance=distance, fovy_deg=fovy_deg, side_px=height_px)
    return evolve(cameras, width_px=width_px)


def backgrounds() -> Tensor:
    return torch.tensor([0.2, 0.5, 0.9])


def scenes() -> dict[str, Scene]:
    """Return the scenes on which `cpu` is compared with the reference.

    No scene was chosen for its result. A pair of Gaussian and pixel that lies within float32 rounding of the skip rule
    (alpha = 1/255) or of the stop rule could differ by up to 4e-3 between float32 and float64; with about 1e5 pairs per
    scene and a relative rounding of 1e-6 the chance is about 1 % per scene, and with these seeds none does.
    """
    square = views(20.0, height_px=64, width_px=64)
    odd = views(-75.0, 130.0, height_px=37, width_px=53)
    needles = cloud(120, 1, log_scale=-3.5)
    needles = evolve(needles, log_scales=needles.log_scales + torch.tensor([2.5, 0.0, -2.5], dtype=torch.float64))
    return {
        "plain": Scene(model=cloud(400, 0), cameras=square, background=backgrounds()),
        "needles": Scene(model=needles, cameras=square, background=backgrounds()),
        # most opacities above .99, some above the limit .999: the limit and the early stop act
        "opaque": Scene(model=cloud(400, 2, opacity_logit=6.0, log_scale=-2.5), cameras=odd, background=backgrounds()),
        "two odd views": Scene(model=cloud(300, 3, sh_coefficients=16), cameras=odd, background=torch.ones(3)),
        # the camera stands inside the cloud: Gaussians behind it, very near and far outside the picture
        "inside": Scene(
            model=cloud(300, 4, spread=0.6, log_scale=-3.5),
            cameras=views(45.0, height_px=40, width_px=48, distance=0.3, fovy_deg=80.0),
            background=backgrounds(),
        ),
        "overlapping": Scene(
            model=cloud(250, 5, spread=0.05, log_scale=-2.0), cameras=square, background=torch.zeros(3)
        ),
    }


@frozen(kw_only=True, eq=False)
class Result:
    rendering: Rendering
    gradients: dict[str, Tensor]


def differentiate(renderer: Renderer, scene: Scene, dtype: torch.dtype, *, only: str | None = None) -> Result:
    """Render, pull random cotangents of rgb, alpha and depth (or of one of them) back, and return all gradients."""
    model = scene.model.to(dtype).requires_grad()
    rendering = renderer.render(model, scene.cameras.to(dtype), scene.background.to(dtype))
    random = torch.Generator().manual_seed(7)
    pictures, cotangents = [], []
    for name in PICTURES:
        picture = getattr(rendering, name)
        cotangent = torch.randn(picture.shape, generator=random)
        if only in (None, name):
            pictures.append(picture)
            cotangents.append(cotangent.to(picture))
    torch.autograd.backward(pictures, cotangents)
    gradients = {
        name: torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        for name, tensor in model.tensors().items()
    }
    gradients["abs_mean_grad_px"] = rendering.abs_mean_grad_px
    return Result(rendering=rendering, gradients=gradients)
