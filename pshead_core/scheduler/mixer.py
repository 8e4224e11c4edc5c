"""The mixer: contributions of all due priors become one image gradient per step.

By the chain rule, one backward pass of the mixed image gradient through the renderer equals the backward pass of the
weighted sum of the priors' scalars. A guidance's scalar and a refiner's loss are both a sum over pixels and a mean over
the views of the slot.
"""

from __future__ import annotations

from typing import Literal

import torch
from attrs import define
from torch import Tensor

from pshead_core.errors import PluginContractError
from pshead_core.priors.contribution import DenoisedTarget, ImageGradient
from pshead_core.render.base import Views

HUBER_DELTA = 0.1  # colour difference, 0..1, up to which `huber` is quadratic: a tenth of the range


@define(kw_only=True, eq=False)
class MixedGradient:
    """The sum of the weighted contributions of a step; `add` changes it in place."""

    rgb: Tensor
    """`[view, height, width, 3]` of the batch."""
    alpha: Tensor | None = None
    """`[view, height, width]`; None until something is added, which most priors never do."""
    depth: Tensor | None = None
    """As `alpha`."""


def zero_gradient(batch: Views) -> MixedGradient:
    """Return the gradient of a batch of views to which nothing was added."""
    return MixedGradient(rgb=torch.zeros_like(batch.rgb))


def part_of(batch: Views, views: Tensor) -> Views:
    """Return copies of some views of a batch, so that no prior can disturb another."""
    return Views(
        rgb=batch.rgb.index_select(0, views),
        alpha=batch.alpha.index_select(0, views),
        depth=batch.depth.index_select(0, views),
        cameras=batch.cameras[views],
        background=batch.background.clone(),
    )


def target_gradient(views: Views, target: DenoisedTarget, loss: Literal["l2", "l1", "huber"]) -> ImageGradient:
    """Return the gradient of a refiner's loss, sum over pixels and mean over views.

    `l2` is half the weighted squared difference, so that its gradient is `weight * (rgb - target)`; `l1` the weighted
    absolute difference; `huber` is `l2` up to a difference of `HUBER_DELTA` and linear beyond.

    Args:
        views: rendered.
        target: what the refiner wants to see.
        loss: the distance.
    """
    weight = target.weight / len(views.rgb)
    rgb = _slope(views.rgb - target.rgb, loss).mul_(weight[..., None])
    alpha = None if target.alpha is None else _slope(views.alpha - target.alpha, loss).mul_(weight)
    return ImageGradient(rgb=rgb, alpha=alpha)


def _slope(difference: Tensor, loss: Literal["l2", "l1", "huber"]) -> Tensor:
    match loss:
        case "l2":
            return difference
        case "l1":
            return difference.sign()
        case "huber":
            return difference.clamp(-HUBER_DELTA, HUBER_DELTA)


def add(mixed: MixedGradient, gradient: ImageGradient, *, views: Tensor, weight: float) -> float:
    """Add a weighted contribution to the mix in place and return the L2 norm of what was added.

    Args:
        mixed: the mix of the batch.
        gradient: of the slot's views.
        views: `[view]`, indices of these views in the batch.
        weight: of the slot at this step.
    """
    if gradient.alpha is not None and mixed.alpha is None:
        mixed.alpha = mixed.rgb.new_zeros(mixed.rgb.shape[:3])
    if gradient.depth is not None and mixed.depth is None:
        mixed.depth = mixed.rgb.new_zeros(mixed.rgb.shape[:3])
    squares = 0.0
    for total, part in ((mixed.rgb, gradient.rgb), (mixed.alpha, gradient.alpha), (mixed.depth, gradient.depth)):
        if total is not None and part is not None:
            total.index_add_(0, views, part, alpha=weight)
            squares += float(torch.linalg.vector_norm(part.flatten(1), dim=1).double().square().sum())
    return float(abs(weight) * squares**0.5)


def check_gradient(gradient: ImageGradient, views: Views, who: str) -> None:
    """Check at the border what a guidance returned.

    Args:
        gradient: the contribution.
        views: for which it was asked.
        who: slot, plugin, version and step, for the message.

    Raises:
        PluginContractError: for a wrong type or shape, a graph, or a number that is not finite.
    """
    if not isinstance(gradient, ImageGradient):
        raise PluginContractError(f"{who} returned {type(gradient).__name__}, expected ImageGradient")
    _check_image("gradient.rgb", gradient.rgb, views.rgb, who)
    if gradient.alpha is not None:
        _check_image("gradient.alpha", gradient.alpha, views.alpha, who)
    if gradient.depth is not None:
        _check_image("gradient.depth", gradient.depth, views.depth, who)


def check_target(target: DenoisedTarget, views: Views, who: str) -> None:
    """Check at the border what a refiner returned. Arguments and error as for `check_gradient`."""
    if not isinstance(target, DenoisedTarget):
        raise PluginContractError(f"{who} returned {type(target).__name__}, expected DenoisedTarget")
    _check_image("target.rgb", target.rgb, views.rgb, who)
    _check_image("target.weight", target.weight, views.alpha, who)
    if target.alpha is not None:
        _check_image("target.alpha", target.alpha, views.alpha, who)
    if bool((target.weight < 0).any()):
        raise PluginContractError(f"{who} returned a negative target.weight", fix="return weights of 0 or more")


def _check_image(name: str, image: Tensor, like: Tensor, who: str) -> None:
    if not isinstance(image, Tensor):
        raise PluginContractError(f"{who} returned {type(image).__name__} as {name}, expected a tensor")
    if image.shape != like.shape:
        raise PluginContractError(
            f"{who} returned {name} of shape {tuple(image.shape)}; the views are {tuple(like.shape)}",
            why="contributions are in image space, one value per rendered pixel",
            fix="pull latent gradients back through the prior's own encoder",
        )
    if image.dtype != like.dtype or image.device != like.device:
        raise PluginContractError(
            f"{who} returned {name} as {image.dtype} on {image.device}; the views are {like.dtype} on {like.device}",
            fix="return the views' own type and device",
        )
    if image.requires_grad:
        raise PluginContractError(f"{who} returned {name} with a graph", fix="detach what the prior returns")
    lowest_and_highest = torch.stack(torch.aminmax(image))  # both are NaN if one number is; one pass over the pixels
    if not bool(torch.isfinite(lowest_and_highest).all()):
        raise PluginContractError(
            f"{who} returned {name} with {int((~torch.isfinite(image)).sum())} numbers that are not finite",
            fix="run the prior in float32 or lower its gradient; the run stops before the head is harmed",
        )
