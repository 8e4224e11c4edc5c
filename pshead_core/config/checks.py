"""What must hold between the parts of a configuration, and what is allowed but probably not meant."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations

from pshead_core.config.problems import Problem
from pshead_core.config.resolved import Instance
from pshead_core.config.run import RunConfig
from pshead_core.config.schedule import BUILT_IN, REFERENCE, SEEN, START, VIEW_SETS, SlotConfig
from pshead_core.models.licences import strictness_of
from pshead_core.registry.host import PluginHost
from pshead_core.registry.nearest import did_you_mean
from pshead_core.specs import GuidanceSpec, MetricSpec, RefinerSpec, Spec


def schedule_problems(slots: Sequence[SlotConfig], uses: Collection[str]) -> list[Problem]:
    """Return what is wrong between the slots, and between the slots and the instances.

    Args:
        slots: of the configuration.
        uses: what a slot may use beside the built-in ones: `guidance.<instance>` and `refiners.<instance>`.
    """
    return [*_uses(slots, uses), *_labels(slots), *_groups(slots), *_each(slots)]


def _uses(slots: Sequence[SlotConfig], uses: Collection[str]) -> list[Problem]:
    known = [*BUILT_IN, *uses]
    problems = []
    for index, slot in enumerate(slots):
        if slot.use not in known:
            hint = did_you_mean(slot.use, known) or f"; there are: {', '.join(known)}"
            text = f"no instance '{slot.use}'{hint}"
            problems.append(Problem(text=text, path=("schedule", index, "use")))
    return problems


def _labels(slots: Sequence[SlotConfig]) -> list[Problem]:
    labels = [slot.label for slot in slots]
    problems = []
    for index, slot in enumerate(slots):
        first = labels.index(slot.label)
        if first != index:
            text = f"the slots {first} and {index} are both called '{slot.label}'; give one of them another 'name'"
            problems.append(Problem(text=text, path=("schedule", index)))
        if _rides_in_a_circle(slot, slots):
            text = f"slot '{slot.label}' rides on itself, directly or through other slots"
            problems.append(Problem(text=text, path=("schedule", index, "rides_on")))
            continue
        for label in slot.rides_on:
            others = [other for other in labels if other != slot.label]
            if label not in labels:
                hint = did_you_mean(label, others) or f"; the other slots are: {', '.join(others) or 'none'}"
                text = f"no other slot is called '{label}'{hint}"
                problems.append(Problem(text=text, path=("schedule", index, "rides_on")))
    return problems


def _rides_in_a_circle(slot: SlotConfig, slots: Sequence[SlotConfig]) -> bool:
    by_label = {other.label: other for other in slots}
    seen: set[str] = set()
    ahead = list(slot.rides_on)
    while ahead:
        label = ahead.pop()
        if label == slot.label:
            return True
        if label not in seen and label in by_label:
            seen.add(label)
            ahead += by_label[label].rides_on
    return False


def _groups(slots: Sequence[SlotConfig]) -> list[Problem]:
    problems = []
    leaders: dict[str, SlotConfig] = {}
    for index, slot in enumerate(slots):
        if slot.group is None:
            continue
        leader = leaders.setdefault(slot.group, slot)
        if slot.choose != leader.choose:
            text = (
                f"the members of group '{slot.group}' must choose alike: "
                f"'{leader.label}' says '{leader.choose}', '{slot.label}' says '{slot.choose}'"
            )
            problems.append(Problem(text=text, path=("schedule", index, "choose")))
    return problems


def _each(slots: Sequence[SlotConfig]) -> list[Problem]:
    problems = []
    for index, slot in enumerate(slots):
        if slot.views is not None and slot.views not in VIEW_SETS:
            hint = did_you_mean(slot.views, VIEW_SETS)
            text = f"no view set '{slot.views}'{hint} (view sets: {', '.join(VIEW_SETS)})"
            problems.append(Problem(text=text, path=("schedule", index, "views")))
        if slot.until_step is not None and slot.until_step <= slot.from_step:
            text = f"'until_step' ({slot.until_step}) must be after 'from_step' ({slot.from_step})"
            problems.append(Problem(text=text, path=("schedule", index, "until_step")))
    return problems


def perceptual_problems(slots: Sequence[SlotConfig], instances: Sequence[Instance], host: PluginHost) -> list[Problem]:
    """Return a problem for each slot whose `perceptual` names no metric that can be a loss, or has no target."""
    metrics = {one.use: host.specs("metrics")[one.plugin] for one in instances if one.kind == "metrics"}
    problems = []
    for index, slot in enumerate(slots):
        if slot.perceptual is None:
            continue
        if slot.use not in (START, SEEN) and not slot.use.startswith("refiners."):
            text = f"slot '{slot.label}' has no target to compare with: '{slot.use}' is no refiner"
            problems.append(Problem(text=text, path=("schedule", index, "perceptual")))
        if slot.perceptual not in metrics:
            hint = did_you_mean(slot.perceptual, metrics) or f"; there are: {', '.join(metrics) or 'none'}"
            text = f"no metric '{slot.perceptual}'{hint}"
            problems.append(Problem(text=text, path=("schedule", index, "perceptual")))
        elif "differentiable" not in _tags(metrics[slot.perceptual]):
            able = [use for use, spec in metrics.items() if "differentiable" in _tags(spec)]
            text = f"'{slot.perceptual}' cannot be a loss: its plugin has no tag 'differentiable'"
            text += f"; these have: {', '.join(able) or 'none'}"
            problems.append(Problem(text=text, path=("schedule", index, "perceptual")))
    return problems


def _tags(spec: Spec) -> frozenset[str]:
    return spec.tags if isinstance(spec, MetricSpec) else frozenset()


def excluded(instances: Sequence[Instance], host: PluginHost) -> list[Problem]:
    """Return a problem for each two priors of which one must not run beside the other."""
    problems = []
    for one, other in combinations(instances, 2):
        for first, second in ((one, other), (other, one)):
            spec = host.specs(first.kind)[first.plugin]
            if isinstance(spec, GuidanceSpec | RefinerSpec) and second.plugin in spec.excludes:
                text = f"'{first.use}' ({first.plugin}) must not run beside '{second.use}' ({second.plugin})"
                problems.append(Problem(text=text, path=(first.kind, first.name)))
    return problems


def not_commercial(config: RunConfig, instances: Sequence[Instance], host: PluginHost) -> list[Problem]:
    """Return a problem for each plugin that excludes commercial use, if the configuration asks for it.

    Weights are looked at when the run resolves their names.
    """
    if not config.models.commercial_use:
        return []
    problems = []
    for instance in instances:
        for licence in host.specs(instance.kind)[instance.plugin].licences:
            if strictness_of(licence) == "non-commercial":
                text = f"'{instance.use}' ({instance.plugin}) excludes commercial use ({licence}), which"
                text += " models.commercial_use asks for"
                problems.append(Problem(text=text, path=(instance.kind, instance.name)))
    return problems


def warnings_of(config: RunConfig, instances: Sequence[Instance]) -> tuple[str, ...]:
    """Return what is allowed, but probably not meant; one sentence each."""
    return (*_unused(config, instances), *_never_due(config), *_resolution(config))


def _unused(config: RunConfig, instances: Sequence[Instance]) -> list[str]:
    used = {slot.use for slot in config.schedule}
    warnings = [
        f"no slot uses '{instance.use}', so it does nothing: add [[schedule]] use = \"{instance.use}\""
        for instance in instances
        if instance.kind in ("guidance", "refiners") and instance.use not in used
    ]
    if REFERENCE not in used:
        warnings.append(f"the schedule has no slot '{REFERENCE}', so nothing compares the head with the photo")
    return warnings


def _never_due(config: RunConfig) -> list[str]:
    sides = [side for side, first in _sides(config) if first < config.steps]
    warnings = []
    for slot in config.schedule:
        if slot.from_step >= config.steps:
            warnings.append(f"slot '{slot.label}' starts at step {slot.from_step}, but the run has {config.steps}")
        elif slot.min_side_px is not None and slot.min_side_px > max(sides, default=0):
            largest = max(sides, default=0)
            warnings.append(f"slot '{slot.label}' needs {slot.min_side_px} px, but the run renders at most {largest}")
    return warnings


def _resolution(config: RunConfig) -> list[str]:
    unreached = [side for side, first in _sides(config) if first >= config.steps]
    if not unreached:
        return []
    firsts = ", ".join(str(first) for first in config.resolution.from_steps)
    return [
        f"the run ends after {config.steps} steps and never renders {' or '.join(map(str, unreached))} px "
        f"(resolution.from_steps is {firsts}; steps are absolute and do not shrink with --steps)"
    ]


def _sides(config: RunConfig) -> list[tuple[int, int]]:
    return list(zip(config.resolution.sides_px, config.resolution.from_steps, strict=False))
