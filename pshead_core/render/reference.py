"""The oracle: dense torch, every Gaussian at every pixel, any floating type, gradients by autograd. Slow."""

from __future__ import annotations

from collections.abc import Callable

import torch
from attrs import frozen
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pshead_core.cameras.camera import Cameras
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import colours
from pshead_core.render.base import MAX_ALPHA, MIN_ALPHA, MIN_TRANSMITTANCE, Rendering
from pshead_core.render.projection import Projected, project_gaussians, radii_px

PAIRS_PER_CHUNK = 1 << 23  # pixels × Gaussians held at once; about 1 GB in float32 with autograd's copies


@frozen(kw_only=True)
class ReferenceRenderer:
    """Renders by the book, pixel by pixel. float32 and float64, any device; for tests and small pictures.

    `Rendering.abs_mean_grad_px` adds up over backward passes.
    """

    def render(self, model: GaussianModel, cameras: Cameras, background: Tensor) -> Rendering:
        """Render all cameras; see `pshead_core.render.base.Renderer`."""
        absolute = torch.zeros(len(cameras), len(model), 2, dtype=model.means.dtype, device=model.means.device)
        shades = colours(model.sh, model.means, cameras.positions.to(model.means.dtype))
        results = [
            _render_view(model, shades[view], cameras, view, background.to(model.means.dtype), absolute=absolute[view])
            for view in range(len(cameras))
        ]
        rgb, alpha, depth, radii = (torch.stack(part) for part in zip(*results, strict=True))
        return Rendering(rgb=rgb, alpha=alpha, depth=depth, radii_px=radii, abs_mean_grad_px=absolute)


def _render_view(
    model: GaussianModel, shades: Tensor, cameras: Cameras, view: int, background: Tensor, *, absolute: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return rgb, alpha, depth and radii of one view."""
    radii = _radii(model, cameras, view)
    drawn = radii.nonzero()[:, 0]
    projected = project_gaussians(model.means[drawn], model.quaternions[drawn], model.log_scales[drawn], cameras, view)
    order = projected.depths.detach().argsort(stable=True)
    splats = _Splats(
        means=projected.means_px[order],
        precisions=torch.linalg.inv(projected.covariances_px2[order]),
        opacities=model.opacity_logits[drawn][order].sigmoid(),
        features=torch.cat([shades[drawn], projected.depths[:, None]], -1)[order],
    )

    def tap(gradient: Tensor) -> None:
        absolute.index_add_(0, drawn[order], gradient)

    pixels = _pixel_centres(cameras, model.means)
    chunk = max(1, PAIRS_PER_CHUNK // max(1, len(drawn)))
    parts = [
        checkpoint(_composite, part, splats, tap, use_reentrant=False, preserve_rng_state=False)
        for part in torch.split(pixels, chunk)
    ]
    features, alpha = (torch.cat(part) for part in zip(*parts, strict=True))
    shape = (cameras.height_px, cameras.width_px)
    hit = alpha > 0
    depth = torch.where(hit, features[:, 3], 0.0) / torch.where(hit, alpha, 1.0)
    rgb = features[:, :3] + (1 - alpha)[:, None] * background
    return rgb.reshape(*shape, 3), alpha.reshape(shape), depth.reshape(shape), radii


@frozen(kw_only=True, eq=False)
class _Splats:
    """2D Gaussians of one view, front to back."""

    means: Tensor
    precisions: Tensor
    opacities: Tensor
    features: Tensor
    """`[gaussian, 4]`: colour and depth."""


def _composite(pixels: Tensor, splats: _Splats, tap: Callable[[Tensor], None]) -> tuple[Tensor, Tensor]:
    """Blend front to back at `pixels` `[pixel, 2]`; return features `[pixel, 4]` and alpha `[pixel]`.

    Kerbl et al. 2023, eq. 3, with the skip and stop rules of `render.base`.
    """
    offsets = _Tap.apply(pixels[:, None] - splats.means, tap)
    power = torch.einsum("pni,nij,pnj->pn", offsets, splats.precisions, offsets)
    alpha = (splats.opacities * torch.exp(-0.5 * power)).clamp(max=MAX_ALPHA)
    alpha = torch.where(alpha < MIN_ALPHA, 0.0, alpha)
    after = torch.cumprod(1 - alpha, dim=1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], dim=1)
    weights = alpha * before * (after > MIN_TRANSMITTANCE)
    return weights @ splats.features, weights.sum(1)


class _Tap(torch.autograd.Function):
    """Identity that reports, per Gaussian, the sum over pixels of the absolute gradient (AbsGS, Ye et al. 2024)."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, offsets: Tensor, report: Callable[[Tensor], None]) -> Tensor:
        ctx.report = report  # type: ignore[attr-defined]
        return offsets.view_as(offsets)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        ctx.report(gradient.detach().abs().sum(0))  # type: ignore[attr-defined]
        return gradient, None


def _radii(model: GaussianModel, cameras: Cameras, view: int) -> Tensor:
    with torch.no_grad():
        projected: Projected = project_gaussians(model.means, model.quaternions, model.log_scales, cameras, view)
        return radii_px(projected, model.opacity_logits.sigmoid(), cameras)


def _pixel_centres(cameras: Cameras, like: Tensor) -> Tensor:
    rows = torch.arange(cameras.height_px, dtype=like.dtype, device=like.device) + 0.5
    columns = torch.arange(cameras.width_px, dtype=like.dtype, device=like.device) + 0.5
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1).reshape(-1, 2)
