"""The perceptual part of a refiner's loss: a differentiable metric between the views and the target.

A slot's `perceptual` names the metric. Beside `loss` l2 this is PSHead's eq. 7, beside l1 what its authors' code does.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.errors import PluginContractError
from pshead_core.priors.contribution import DenoisedTarget
from pshead_core.priors.protocols import DifferentiableMetric

CHUNK_PIXELS = 2**18
"""Most pixels that go through the metric at once, but at least one view: one of 512 px or four of 256 px, which takes
1.0 GiB with LPIPS on a VGG16 (measured on a CPU) and 0.06 GiB on an AlexNet."""


@frozen(kw_only=True, eq=False)
class Perceptual:
    """A slot's metric and its factor."""

    metric: DifferentiableMetric
    weight: float
    """`perceptual_weight` of the slot."""


def perceptual_gradient(
    rgb: Tensor, target: DenoisedTarget, perceptual: Perceptual, *, chunk_pixels: int = CHUNK_PIXELS
) -> Tensor:
    """Return the gradient of the perceptual loss with respect to the views, `[view, height, width, 3]`.

    The loss is `weight · mean over views of (distance of the view · sum over pixels of target.weight)`, so that it has
    the reduction of the other losses: a mean over pixels times their number. Pixels about which the target says nothing
    (weight 0) are shown to the metric as they are rendered, and views without a weight are not shown at all.

    Args:
        rgb: `[view, height, width, 3]`, the rendered views.
        target: what the refiner wants to see.
        perceptual: the metric and its factor.
        chunk_pixels: most pixels per call of the metric, though at least one view; the result is the same.

    Raises:
        PluginContractError: the metric returned something else than one finite, differentiable number for each view.
    """
    total = target.weight.sum((1, 2))
    wanted = torch.where(target.weight[..., None] > 0, target.rgb, rgb)
    gradient = torch.zeros_like(rgb)
    for views in _chunks(total, chunk_pixels // (rgb.shape[1] * rgb.shape[2])):
        leaf = rgb[views].requires_grad_()
        with torch.enable_grad():
            distance = _checked(perceptual.metric.distance(leaf, wanted[views]), len(views))
            loss = (distance * total[views]).sum() * (perceptual.weight / len(rgb))
        (part,) = torch.autograd.grad(loss, leaf)
        if not bool(torch.isfinite(part).all()):
            raise PluginContractError("the gradient of its distance is not finite", fix=_FINITE)
        gradient[views] = part
    return gradient


_FINITE = "guard divisions and roots: pictures may be equal to their target, empty, or of one colour"


def _chunks(total: Tensor, most: int) -> Iterator[Tensor]:
    """Return the indices of the views with a weight, `most` at a time, but at least one."""
    yield from torch.split(torch.nonzero(total)[:, 0], max(most, 1))


def _checked(distance: Tensor, views: int) -> Tensor:
    if not isinstance(distance, Tensor) or distance.shape != (views,):
        found = f"shape {tuple(distance.shape)}" if isinstance(distance, Tensor) else type(distance).__name__
        raise PluginContractError(
            f"its distance has {found}, expected one number for each of {views} views", fix="return shape [view]"
        )
    if not distance.requires_grad:
        raise PluginContractError(
            "its distance carries no graph", fix="compute it without torch.no_grad() and .detach(), or drop the tag"
        )
    if not bool(torch.isfinite(distance).all()):
        raise PluginContractError("its distance is not finite", fix=_FINITE)
    return distance
