"""Checks of priors that hold state, leave the device, or work before the first step."""

from __future__ import annotations

import torch

from pshead_core.priors.protocols import Offloadable, Prepares, Stateful
from pshead_core.testing.scenes import tiny_step
from pshead_core.testing.subject import Subject, built, contribution, require, views_for


def check_state_round_trip(subject: Subject) -> None:
    """Stateful: after `load_state_dict` a fresh build continues exactly as the old one; resume depends on it."""
    views = views_for(subject)
    with built(subject) as old:
        if not isinstance(old, Stateful):
            return
        for index in range(2):
            contribution(subject, old, views, tiny_step(index))
        state = {name: value.clone() for name, value in old.state_dict().items()}
        wanted = contribution(subject, old, views, tiny_step(2))
    with built(subject) as new:
        new.load_state_dict(state)
        got = contribution(subject, new, views, tiny_step(2))
    require(
        all(torch.equal(wanted[name], got[name]) for name in wanted),
        f"'{subject.spec.name}' does not continue from its own state",
        fix="put everything that changes from call to call into state_dict()",
    )


def check_state_plain(subject: Subject) -> None:
    """Stateful: the state is a mapping of names to tensors without a graph, so that it fits a safetensors file."""
    with built(subject) as prior:
        if not isinstance(prior, Stateful):
            return
        contribution(subject, prior, views_for(subject), tiny_step())
        state = prior.state_dict()
    for name, value in state.items():
        require(
            isinstance(name, str) and isinstance(value, torch.Tensor) and not value.requires_grad,
            f"'{subject.spec.name}' has {type(value).__name__} '{name}' in its state, not a plain tensor",
            fix="return detached tensors by name",
        )


def check_offload(subject: Subject) -> None:
    """Offloadable: leaving the device and coming back changes nothing."""
    views = views_for(subject)
    with built(subject) as prior:
        if not isinstance(prior, Offloadable):
            return
        wanted = contribution(subject, prior, views, tiny_step())
    with built(subject) as prior:
        prior.to(torch.device("cpu"))
        prior.to(views.rgb.device)
        got = contribution(subject, prior, views, tiny_step())
    require(
        all(torch.equal(wanted[name], got[name]) for name in wanted),
        f"'{subject.spec.name}' differs after to()",
        fix="move every weight and buffer in to(), and nothing else",
    )


def check_prepare_twice(subject: Subject) -> None:
    """Prepares: a second `prepare` (after an interruption) finds its own files and changes nothing."""
    views = views_for(subject)
    with built(subject) as prior:
        if not isinstance(prior, Prepares):
            return
        wanted = contribution(subject, prior, views, tiny_step())
    with built(subject) as prior:
        prior.prepare()  # `built` has called it once
        got = contribution(subject, prior, views, tiny_step())
    require(
        all(torch.equal(wanted[name], got[name]) for name in wanted),
        f"'{subject.spec.name}' differs after a second prepare()",
        fix="let prepare() load what it has already written into context.cache_folder",
    )
