"""Density control: where Gaussians are cloned, split and pruned (Kerbl et al. 2023, section 5.2).

The measure is the absolute screen-space gradient (AbsGS, arXiv:2404.10484).
The strategy has no memory of its own: its state is a record that the loop carries and checkpoints hold.
"""

from __future__ import annotations

import torch
from attrs import evolve, frozen
from torch import Tensor

from pshead_core.config.run import DensityConfig
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.rotation import rotation_matrices

SHRINK = 1.6  # a split Gaussian's halves have 1 / 1.6 of its scales: 0.8 * 2, Kerbl et al. 2023


@frozen(kw_only=True, eq=False)
class DensityState:
    """Sums since the last densification."""

    grad_sum: Tensor
    """`[gaussian]`, sum over views of the absolute screen-space gradient, per half picture width."""
    seen: Tensor
    """`[gaussian]`, number of views that saw the Gaussian."""


@frozen(kw_only=True, eq=False)
class DensityChange:
    """What densification does to a model."""

    keep: Tensor
    """`[kept]`, int64: the Gaussians that stay, in order."""
    born: GaussianModel
    """The new Gaussians, which follow the kept ones."""
    faded: Tensor
    """`[kept]`, the opacity logits of the kept ones: a cloned Gaussian shares its opacity with its copy."""


def fresh_state(gaussians: int, device: torch.device) -> DensityState:
    """Return the state before any view was seen."""
    zeros = torch.zeros(gaussians, device=device)
    return DensityState(grad_sum=zeros, seen=zeros.clone())


def accumulate(state: DensityState, abs_mean_grad_px: Tensor, radii_px: Tensor, width_px: int) -> DensityState:
    """Return the state after a rendering whose backward pass has run.

    Args:
        state: so far.
        abs_mean_grad_px: `[view, gaussian, 2]` of the rendering.
        radii_px: `[view, gaussian]` of the rendering; 0 where unseen.
        width_px: of the pictures; makes gradients of different resolutions comparable.
    """
    size = abs_mean_grad_px.norm(dim=-1) * (width_px / 2)
    visible = (radii_px > 0).to(size.dtype)
    return evolve(state, grad_sum=state.grad_sum + (size * visible).sum(0), seen=state.seen + visible.sum(0))


def is_due(config: DensityConfig, step: int, steps: int) -> bool:
    """Whether the model is densified after this step of a run of `steps`."""
    until = steps if config.until_step is None else config.until_step
    beat = config.every > 0 and (step + 1) % config.every == 0
    return beat and config.from_step <= step + 1 < until


def will_be_due(config: DensityConfig, step: int, steps: int) -> bool:
    """Whether the model may still be densified, after this step or a later one, so that sums are of use."""
    until = steps if config.until_step is None else config.until_step
    return config.every > 0 and step + 1 < until


def densify(
    model: GaussianModel, state: DensityState, config: DensityConfig, generator: torch.Generator
) -> DensityChange:
    """Return how the model changes: those with large gradients are cloned or split, transparent ones pruned.

    A split replaces a Gaussian by two halves drawn from it. A clone keeps it and adds a displaced copy; both get the
    opacity 1 - sqrt(1 - opacity), so that together they cover as much as before.

    Args:
        model: the present model.
        state: gradients since the last densification.
        config: thresholds and budget.
        generator: for the positions of new Gaussians.
    """
    opacity = torch.sigmoid(model.opacity_logits)
    largest = model.log_scales.max(-1).values
    alive = (opacity >= config.min_opacity) & (largest <= torch.log(torch.tensor(config.max_scale)))
    chosen = _largest_gradients(state, alive, config)
    large = largest > torch.log(torch.tensor(config.split_scale))
    split, clone = chosen & large, chosen & ~large
    keep = torch.nonzero(alive & ~split)[:, 0]
    shared = torch.logit((1 - (1 - opacity).clamp_min(0).sqrt()).clamp(1e-6, 1 - 1e-6))
    faded = torch.where(clone, shared, model.opacity_logits)[keep]
    halves = _drawn_from(model, torch.nonzero(split)[:, 0].repeat(2), generator)
    halves = evolve(halves, log_scales=halves.log_scales - torch.log(torch.tensor(SHRINK)))
    copies_of = torch.nonzero(clone)[:, 0]
    copies = evolve(_drawn_from(model, copies_of, generator), opacity_logits=shared[copies_of])
    born = GaussianModel(
        **{name: torch.cat([tensor, copies.tensors()[name]]) for name, tensor in halves.tensors().items()}
    )
    return DensityChange(keep=keep, born=born, faded=faded)


def _largest_gradients(state: DensityState, alive: Tensor, config: DensityConfig) -> Tensor:
    """Return which Gaussians to densify, bool: above the threshold, the largest first, within the budget."""
    score = torch.where(alive, state.grad_sum / state.seen.clamp_min(1), 0.0)
    room = config.max_gaussians - int(alive.sum())
    budget = max(0, min(room, int(config.grow_frac * len(score))))
    order = torch.argsort(score, descending=True, stable=True)[:budget]
    chosen = torch.zeros_like(alive)
    chosen[order] = score[order] > config.grad_threshold
    return chosen


def _drawn_from(model: GaussianModel, parents: Tensor, generator: torch.Generator) -> GaussianModel:
    """Return copies of the parents `[child]` whose means are drawn from the parents themselves."""
    part = GaussianModel(**{name: tensor[parents] for name, tensor in model.tensors().items()})
    noise = torch.randn(part.means.shape, generator=generator).to(part.means)
    offset = torch.einsum("nij,nj->ni", rotation_matrices(part.quaternions), part.log_scales.exp() * noise)
    return evolve(part, means=part.means + offset)
