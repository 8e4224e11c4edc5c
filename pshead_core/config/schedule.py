"""The schedule as data: slots and curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from attrs import field, frozen, validators

VIEW_SETS = ("ring", "front", "side", "back", "back_and_side", "reference")
"""Names that `views` may have; `cameras.view_sets` says what they mean."""
REFERENCE = "reference"
"""`use` of the slot that compares with the photo, and name of the view set of the photo's camera. Needs no plugin."""
START = "start"
"""`use` of the slot that keeps views as they were at the start. Needs no plugin."""
REFINERS = "refiners."
"""How the `use` of a slot with a refiner begins."""
SEEN = "seen"
"""`use` of the slot that keeps the surface that the photo shows as it was at the start. Needs no plugin."""
BUILT_IN = (REFERENCE, START, SEEN)
"""What a slot may use beside the instances of the configuration."""

_not_negative = validators.ge(0)


@frozen(kw_only=True)
class CurveConfig:
    """A number that changes over the run: `start` until `from_step`, `end` from `to_step` on, between them `shape`."""

    from_step: int = field(validator=_not_negative)
    """Last step with the value `start`."""
    to_step: int = field(validator=_not_negative)
    """First step with the value `end`."""
    start: float
    """Value at and before `from_step`."""
    end: float
    """Value at and after `to_step`."""
    shape: Literal["linear", "cosine", "exponential"] = field(default="linear")
    """How the value moves in between; exponential needs positive ends."""

    @to_step.validator
    def _after(self, _: object, value: int) -> None:
        if value < self.from_step:
            raise ValueError(f"'to_step' must not be before 'from_step' ({self.from_step}): {value}")

    @shape.validator
    def _positive(self, _: object, value: str) -> None:
        if value == "exponential" and min(self.start, self.end) <= 0:
            raise ValueError("'shape' exponential needs 'start' and 'end' above 0")


def value_at(curve: float | CurveConfig, step: int) -> float:
    """Return the value of a constant or curve at an optimisation step."""
    if not isinstance(curve, CurveConfig):
        return float(curve)
    if step <= curve.from_step:
        return float(curve.start)
    if step >= curve.to_step:
        return float(curve.end)
    done = (step - curve.from_step) / (curve.to_step - curve.from_step)
    match curve.shape:
        case "linear":
            return curve.start + (curve.end - curve.start) * done
        case "cosine":
            return curve.end + (curve.start - curve.end) * 0.5 * (1 + math.cos(math.pi * done))
        case "exponential":
            return float(curve.start * (curve.end / curve.start) ** done)


def is_zero(curve: float | CurveConfig) -> bool:
    """Whether a slot of this weight never contributes, so that its prior need not be built."""
    return not isinstance(curve, CurveConfig) and curve == 0


@frozen(kw_only=True)
class SlotConfig:
    """One line of the schedule: which prior, when, how much, on which views."""

    use: str
    """`guidance.<instance>`, `refiners.<instance>`, `reference` (the losses against the photo), `start` (a target: the
    view as it was at step 0, which holds what the photo does not show until a prior knows better) or `seen` (the same,
    only where the view shows a surface whose colour came from the photo)."""
    name: str | None = None
    """Name in reports and of the random stream; the default is `use`. Must be unique."""
    weight: float | CurveConfig = 1.0
    """Factor of the contribution. A constant 0 keeps the prior from being built."""
    group: str | None = None
    """Members of a group alternate: of those whose steps fit, `choose` picks."""
    choose: Literal["random", "round_robin", "all"] = "random"
    """How the group picks; equal in all members. `random` draws one, in proportion to `probability`."""
    probability: float = field(default=1.0, validator=validators.and_(validators.ge(0), validators.le(1)))
    """Without a group, the chance of being due at a step; in a random group, the relative chance of being picked."""
    rides_on: tuple[str, ...] = ()
    """Names of slots; if any are given, this slot is due only at steps at which one of them is."""
    from_step: int = field(default=0, validator=_not_negative)
    """First step."""
    until_step: int | None = None
    """First step at which the slot is no longer due."""
    every: int = field(default=1, validator=validators.ge(1))
    """Due at each so manieth step."""
    offset: int = field(default=0, validator=_not_negative)
    """Shift of `every`: due when (step - offset) is a multiple of it."""
    views: str | None = None
    """View set: ring, front, back, side, back_and_side or reference; the default is what the plugin asks for."""
    max_views: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    """Most views per step, drawn from the set."""
    min_side_px: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    """Due only at steps that render at least this side."""
    hold_steps: int = field(default=1, validator=validators.ge(1))
    """Refiners: for how many due steps a target is used again (with the same views)."""
    loss: Literal["l2", "l1", "huber"] = "l2"
    """Refiners: distance between the views and the target."""
    perceptual: str | None = None
    """Refiners: `metrics.<instance>`, tagged `differentiable`, whose distance is added to `loss`."""
    perceptual_weight: float = field(default=1.0, validator=validators.ge(0.0))
    """Refiners: factor of that distance, which counts once for each pixel, times the target's weight there."""

    @property
    def label(self) -> str:
        """Name in reports: `name`, or else `use`."""
        return self.name or self.use


def first_refined_step(schedule: Sequence[SlotConfig]) -> int | None:
    """Return the step at which the fine stage begins: the first of a slot that uses a refiner; None without one."""
    slots = [slot for slot in schedule if slot.use.startswith(REFINERS) and not is_zero(slot.weight)]
    return min((slot.from_step for slot in slots), default=None)
