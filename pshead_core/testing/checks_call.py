"""Checks of one call of a guidance or refiner: what it returns, and what it leaves alone."""

from __future__ import annotations

import random

import numpy as np
import torch
from attrs import evolve
from torch import Tensor

from pshead_core.render.base import Views
from pshead_core.specs import GuidanceSpec, MetricSpec, RefinerSpec
from pshead_core.testing.guarded import guard
from pshead_core.testing.scenes import empty_views, tiny_step
from pshead_core.testing.subject import Subject, built, contribution, reference_for, require, views_for


def _once(subject: Subject, views: Views | None = None) -> dict[str, Tensor]:
    """Build, and return the contribution to the tiny views."""
    with built(subject) as prior:
        return contribution(subject, prior, views_for(subject) if views is None else views, tiny_step())


def check_returns_contribution(subject: Subject) -> None:
    """A guidance returns an ImageGradient, a refiner a DenoisedTarget; the mixer knows nothing else."""
    _once(subject)


def check_gradient_shape(subject: Subject) -> None:
    """Every tensor has the views' size, is float32 and lies on their device: contributions are in image space."""
    views = views_for(subject)
    _require_fits(subject, views, _once(subject, views))


def check_gradient_finite(subject: Subject) -> None:
    """No NaN and no infinity: one such number makes every Gaussian NaN at once."""
    for name, value in _once(subject).items():
        bad = int((~value.isfinite()).sum())
        require(
            bad == 0,
            f"{bad} of {value.numel()} values of '{subject.spec.name}'.{name} are not finite",
            fix="guard divisions and logarithms, and scale before a half-precision network overflows",
        )


def check_gradient_detached(subject: Subject) -> None:
    """The result carries no graph: the prior's memory is free before the next prior runs."""
    for name, value in _once(subject).items():
        require(
            not value.requires_grad,
            f"'{subject.spec.name}'.{name} still carries a graph",
            fix="return tensors made under torch.no_grad(), or .detach() them",
        )


def check_target_in_range(subject: Subject) -> None:
    """A target is a picture in 0..1 and its weight is not negative, otherwise the squared loss rewards the worst."""
    result = _once(subject)
    low, high = float(result["rgb"].min()), float(result["rgb"].max())
    require(low >= 0 and high <= 1, f"the target lies in {low:.3g}..{high:.3g}, not 0..1", fix="clamp the target")
    require(float(result["weight"].min()) >= 0, "a weight of the target is negative", fix="return weights of 0 or more")


def check_inputs_unchanged(subject: Subject) -> None:
    """The views are the same bit for bit after the call: other priors see them too."""
    views = views_for(subject)
    tensors = {name: getattr(views, name) for name in ("rgb", "alpha", "depth", "background")}
    before = {name: value.clone() for name, value in tensors.items()}
    result = _once(subject, views)
    for name, value in tensors.items():
        require(
            torch.equal(value, before[name]) and value.grad is None and not value.requires_grad,
            f"'{subject.spec.name}' changed views.{name}, or asked for its gradient",
            fix="work on views.rgb.detach().clone(), and use no in-place operation on the views",
        )
    for name, value in result.items():
        value.add_(1)  # a result that shares memory with the views would change them now
        require(
            all(torch.equal(tensors[view], before[view]) for view in tensors),
            f"'{subject.spec.name}'.{name} shares its memory with the views",
            fix="return a new tensor (.clone())",
        )


def check_random_state_untouched(subject: Subject) -> None:
    """Global random state is neither read nor moved: removing one prior must leave all others' draws alone."""
    with built(subject) as prior:
        before = _random_state()
        contribution(subject, prior, views_for(subject), tiny_step())
        after = _random_state()
    moved = [name for name in before if before[name] != after[name]]
    require(
        not moved,
        f"'{subject.spec.name}' drew from the global random state of {', '.join(moved)}",
        fix="pass generator=step.generator to every random function, and nothing else",
    )


def _random_state() -> dict[str, str]:
    """Return the global random states in a form that can be compared."""
    return {
        "torch": str(torch.get_rng_state().tolist()),
        "numpy": str([str(part) for part in np.random.get_state()]),
        "random": str(random.getstate()),
    }


def check_reads_only_needs(subject: Subject) -> None:
    """Only the outputs named in `needs.outputs` are read."""
    spec = subject.spec
    if not isinstance(spec, GuidanceSpec | RefinerSpec | MetricSpec):
        raise TypeError(f"{subject.kind} see no views")
    plain = views_for(subject)
    views = guard(plain, spec.needs.outputs, spec.name)
    with built(subject) as thing:
        if isinstance(spec, MetricSpec):
            compared = reference_for(spec, plain)
            thing.measure(views, None if compared is None else guard(compared, spec.reference_outputs, spec.name))
        else:
            contribution(subject, thing, views, tiny_step())


def check_one_and_many_views(subject: Subject) -> None:
    """One view and many views both work: slots differ in `max_views`, and sets can hold a single view."""
    for count in (1, 2, 5):
        views = views_for(subject, count)
        _require_fits(subject, views, _once(subject, views))


def check_empty_views(subject: Subject) -> None:
    """Views without a head (nothing hit) give finite values of the right shape; "nothing to say" is zero, not None."""
    like = views_for(subject)
    views = empty_views(len(like.cameras), side_px=like.cameras.height_px)
    result = _once(subject, views)
    _require_fits(subject, views, result)
    require(
        all(bool(value.isfinite().all()) for value in result.values()),
        f"'{subject.spec.name}' returns NaN or infinity for an empty view",
        fix="guard divisions by the mask's area",
    )


def check_views_reach_result(subject: Subject) -> None:
    """A gradient depends on the views: a constant answer usually means a cached or detached input."""
    views = views_for(subject, 1)
    other = evolve(views, rgb=views.rgb.flip(2).contiguous() * 0.5 + 0.25)
    first, second = _once(subject, views), _once(subject, other)
    silent = all(float(value.abs().max()) == 0 for value in first.values())
    require(
        silent or any(not torch.equal(first[name], second[name]) for name in first),
        f"'{subject.spec.name}' contributes the same for different views",
        fix="compute the contribution from views.rgb of this very call",
    )


def _require_fits(subject: Subject, views: Views, result: dict[str, Tensor]) -> None:
    """Require shapes, dtype and device of the views."""
    size = tuple(views.rgb.shape[:3])
    for name, value in result.items():
        wanted = (*size, 3) if name == "rgb" else size
        require(
            tuple(value.shape) == wanted,
            f"'{subject.spec.name}' returned {name} of shape {tuple(value.shape)}; the views are {wanted}",
            fix="contributions are in image space: pull latent gradients back through the encoder",
        )
        require(
            value.dtype == torch.float32 and value.device == views.rgb.device,
            f"'{subject.spec.name}' returned {name} as {value.dtype} on {value.device};"
            f" wanted is float32 on {views.rgb.device}",
            fix="convert the result with .to(views.rgb)",
        )
