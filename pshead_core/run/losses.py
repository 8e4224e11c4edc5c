"""Losses of the reference view, and weight-free regularisers.

The reference losses are PSHead's eq. 3 with the mask and the alpha term of the authors' code. The regularisers keep a
run without diffusion priors a head and not a pancake.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor
from torch.nn.functional import interpolate

from pshead_core.config.run import LossConfig
from pshead_core.config.schedule import value_at
from pshead_core.gaussians.model import GaussianModel
from pshead_core.portrait.portrait import Portrait
from pshead_core.render.base import Rendering


@frozen(kw_only=True, eq=False)
class ReferenceTarget:
    """The portrait at one resolution."""

    rgb: Tensor
    """`[side, side, 3]`, composited over the run's background."""
    alpha: Tensor
    """`[side, side]`."""
    mask: Tensor
    """`[side, side]`, 1 where the subject is (alpha above one half), else 0."""
    inside: Tensor
    """`[side, side]`, 1 where the photo says something about alpha, else 0."""
    depth: Tensor
    """`[side, side]`, depth of the start's surface along +z, 0 where it says nothing."""


def reference_target(portrait: Portrait, surface_depth: Tensor, background: Tensor, side_px: int) -> ReferenceTarget:
    """Return the portrait reduced to a side by area averaging (premultiplied, so that edges do not bleed).

    Args:
        portrait: the framed photo.
        surface_depth: `[side, side]` at the portrait's side, 0 where it says nothing.
        background: `[3]`.
        side_px: the wanted side.
    """
    alpha = portrait.rgba[..., 3]
    rgb = portrait.rgba[..., :3] * alpha[..., None] + background * (1 - alpha[..., None])
    small_alpha = _resize(alpha, side_px)
    known = (surface_depth > 0).float()
    share = _resize(known, side_px)
    depth = torch.where(share > 0.99, _resize(surface_depth * known, side_px) / share.clamp_min(1e-6), 0.0)
    return ReferenceTarget(
        rgb=torch.stack([_resize(channel, side_px) for channel in rgb.unbind(-1)], -1),
        alpha=small_alpha,
        mask=(small_alpha > 0.5).float(),
        inside=(_resize(portrait.photo_inside.float(), side_px) > 0.99).float(),
        depth=depth,
    )


def _resize(image: Tensor, side_px: int) -> Tensor:
    """Resize `[side, side]` by area averaging when it shrinks, bilinearly when it grows."""
    if image.shape[0] == side_px:
        return image
    mode = "area" if side_px < image.shape[0] else "bilinear"
    return interpolate(image[None, None], size=(side_px, side_px), mode=mode)[0, 0]


def reference_losses(rendering: Rendering, target: ReferenceTarget, config: LossConfig, step: int) -> dict[str, Tensor]:
    """Return the weighted losses of the rendered reference view, by name, each a scalar.

    `rgb`: mean absolute plus mean squared difference inside the mask; `alpha`: mean squared difference where the photo
    says something; `depth`: mean squared distance from the start's surface, world units.
    """
    difference = (rendering.rgb[0] - target.rgb) * target.mask[..., None]
    alpha_error = (rendering.alpha[0] - target.alpha) * target.inside
    on_surface = ((target.depth > 0) & (rendering.alpha[0].detach() > 0.5)).float()
    depth_error = (rendering.depth[0] - target.depth) * on_surface
    return {
        "rgb": value_at(config.rgb, step) * (difference.abs().mean() + difference.square().mean()),
        "alpha": value_at(config.alpha, step) * alpha_error.square().mean(),
        "depth": value_at(config.depth, step) * depth_error.square().sum() / on_surface.sum().clamp_min(1.0),
    }


def regularisers(model: GaussianModel, config: LossConfig, step: int) -> dict[str, Tensor]:
    """Return the weighted weight-free regularisers, by name, each a scalar.

    `opacity`: mean binary entropy; `scale`: mean squared excess, in logarithms, of the largest scale over `max_scale`
    and of the longest over the second axis beyond `max_aspect` (needles; discs are welcome).
    """
    opacity = torch.sigmoid(model.opacity_logits)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(model.opacity_logits, opacity)
    ordered = model.log_scales.sort(dim=-1, descending=True).values
    too_large = (ordered[:, 0] - torch.log(torch.tensor(config.max_scale))).clamp_min(0.0)
    too_long = (ordered[:, 0] - ordered[:, 1] - torch.log(torch.tensor(config.max_aspect))).clamp_min(0.0)
    return {
        "opacity": value_at(config.opacity, step) * entropy,
        "scale": value_at(config.scale, step) * (too_large.square() + too_long.square()).mean(),
    }


def masked_psnr_db(rgb: Tensor, target: ReferenceTarget) -> float:
    """Return the PSNR of an image `[side, side, 3]` against the target inside its mask, in dB, range of colours 1."""
    squared = ((rgb.clamp(0, 1) - target.rgb).square().mean(-1) * target.mask).sum() / target.mask.sum().clamp_min(1)
    return float(-10 * torch.log10(squared.clamp_min(1e-12)))
