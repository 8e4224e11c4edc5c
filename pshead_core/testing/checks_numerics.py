"""Checks of the numbers: repeatable, one view at a time, scaled as documented, alive in half precision."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from pshead_core.render.base import Views
from pshead_core.specs import AnalyzerSpec, CheckpointSpec
from pshead_core.testing.scenes import tiny_step
from pshead_core.testing.subject import Subject, built, contribution, require, select, views_for

TOLERANCE = 1e-5  # relative to the largest value; float32 sums in another order differ by about 1e-7 per operation
MIN_COSINE = 0.9  # bfloat16 keeps 8 bits, so small networks turn their gradient by a few degrees; a bug turns it more


def _image_gradient(result: dict[str, Tensor], views: Views) -> Tensor:
    """Return the gradient per view without the factor 1 / views, `[view, height, width, 3]`.

    For a refiner, that of the squared loss towards the target.
    """
    if "weight" in result:
        return result["weight"][..., None] * (views.rgb - result["rgb"])
    return result["rgb"] * len(views.rgb)


def _close(one: Tensor, other: Tensor) -> bool:
    scale = max(float(one.abs().max()), float(other.abs().max()), 1e-12)
    return float((one - other).abs().max()) <= TOLERANCE * scale


def check_repeatable(subject: Subject) -> None:
    """Tag `deterministic`: the same views, step and generator seed give the same result, bit for bit."""
    views = views_for(subject)
    results = []
    for _ in range(2):
        with built(subject) as prior:
            results.append(contribution(subject, prior, views, tiny_step(3)))
    require(
        all(torch.equal(results[0][name], results[1][name]) for name in results[0]),
        f"'{subject.spec.name}' gives different results for the same draws",
        fix='draw only from step.generator; without that, drop the tag "deterministic"',
    )


def check_views_independent(subject: Subject) -> None:
    """Tag `views_independent`: what is said about one view does not depend on the other views of the call."""
    views = views_for(subject, 3)
    if len(views.rgb) < 2:
        return
    changed = views.rgb.clone()
    changed[1:] = 1 - changed[1:]
    with built(subject) as prior:
        first = _image_gradient(contribution(subject, prior, views, tiny_step()), views)
    other = attrs.evolve(views, rgb=changed)
    with built(subject) as prior:
        second = _image_gradient(contribution(subject, prior, other, tiny_step()), other)
    require(
        _close(first[0], second[0]),
        f"changing view 1 changes what '{subject.spec.name}' says about view 0",
        fix='drop the tag "views_independent", or normalise per view',
    )


def check_one_by_one(subject: Subject) -> None:
    """Tag `views_independent`: views computed together equal views computed one by one, if nothing is drawn."""
    views = views_for(subject, 3)
    step = tiny_step()
    before = step.generator.get_state()
    with built(subject) as prior:
        together = _image_gradient(contribution(subject, prior, views, step), views)
    if not torch.equal(before, step.generator.get_state()):
        return  # it draws per call, so the draws differ; check_views_independent covers it
    for index in range(len(views.rgb)):
        single = select(views, slice(index, index + 1))
        with built(subject) as prior:
            alone = _image_gradient(contribution(subject, prior, single, tiny_step()), single)
        require(
            _close(together[index], alone[0]),
            f"view {index} alone differs from view {index} of {len(views.rgb)} for '{subject.spec.name}'",
            fix="the reduction is: sum over pixels, mean over views",
        )


def check_gradient_scales_with_views(subject: Subject) -> None:
    """Tag `views_independent`: showing every view twice halves each view's gradient (mean over views)."""
    views = views_for(subject, 1)
    spec = subject.spec
    if isinstance(spec, AnalyzerSpec | CheckpointSpec) or spec.needs.max_views == 1:
        return
    step = tiny_step()
    before = step.generator.get_state()
    with built(subject) as prior:
        once = contribution(subject, prior, views, step)["rgb"]
    if not torch.equal(before, step.generator.get_state()):
        return
    twice_views = select(views, torch.tensor([0, 0]))
    with built(subject) as prior:
        twice = contribution(subject, prior, twice_views, tiny_step())["rgb"]
    require(
        _close(once[0] / 2, twice[0]),
        f"two equal views do not halve the gradient of '{subject.spec.name}'",
        fix="divide by the number of views, and not by the number of pixels",
    )


def check_bfloat16_direction(subject: Subject) -> None:
    """Networks in bfloat16 give about the same direction as in float32, and the result stays float32."""
    views = views_for(subject)
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        with built(subject, dtype=dtype) as prior:
            result = contribution(subject, prior, views, tiny_step())
        gradients.append(_image_gradient(result, views).flatten())
        require(
            all(value.dtype == torch.float32 for value in result.values()),
            f"with context.dtype={dtype} '{subject.spec.name}' returns another type than float32",
            fix="convert the result with .float()",
        )
    if min(float(gradient.norm()) for gradient in gradients) == 0:
        require(
            all(float(gradient.norm()) == 0 for gradient in gradients),
            f"'{subject.spec.name}' says something in one precision and nothing in the other",
            fix="look for an underflow: scale before, not after, the network",
        )
        return
    cosine = float(cosine_similarity(gradients[0], gradients[1], dim=0))
    require(
        cosine >= MIN_COSINE,
        f"the bfloat16 gradient of '{subject.spec.name}' points elsewhere (cosine {cosine:.3f})",
        fix="keep losses, softmax and schedules in float32; only the networks take context.dtype",
    )


def check_zero_strength(subject: Subject) -> None:
    """A refiner with a field `strength` returns the views themselves at strength 0."""
    spec = subject.spec
    if isinstance(spec, CheckpointSpec) or "strength" not in attrs.fields_dict(spec.config):
        return
    views = views_for(subject)
    config = attrs.evolve(spec.tiny(), strength=0.0)  # type: ignore[call-arg]  # the field was just looked up
    with built(subject, config=config) as prior:
        gradient = _image_gradient(contribution(subject, prior, views, tiny_step()), views)
    require(
        float(gradient.abs().max()) <= TOLERANCE,
        f"'{spec.name}' changes the views although its strength is 0",
        fix="return the views (or zero weight) at strength 0",
    )
