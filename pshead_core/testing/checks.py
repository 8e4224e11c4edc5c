"""The list of all checks: to which kinds and tags each applies. A check never chooses by a plugin's name."""

from __future__ import annotations

from collections.abc import Callable, Collection

from attrs import frozen

from pshead_core.specs import KINDS, Kind
from pshead_core.testing import checks_build as build
from pshead_core.testing import checks_call as call
from pshead_core.testing import checks_config as config
from pshead_core.testing import checks_life as life
from pshead_core.testing import checks_numerics as numerics
from pshead_core.testing import checks_others as others
from pshead_core.testing import checks_package as package
from pshead_core.testing.subject import Subject

PRIORS: tuple[Kind, ...] = ("guidance", "refiners")
BUILT: tuple[Kind, ...] = ("guidance", "refiners", "metrics", "analyzers")
SEEING: tuple[Kind, ...] = ("guidance", "refiners", "metrics")


@frozen
class Check:
    """One line of the list."""

    run: Callable[[Subject], None]
    """Raises PluginContractError (or whatever the plugin raises) if the check fails."""
    group: str
    kinds: tuple[Kind, ...]
    tag: str | None = None
    """Applies only to specs with this tag."""

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.run.__name__

    def applies(self, subject: Subject) -> bool:
        """Return whether the check is meant for the subject."""
        fits = subject.kind in self.kinds and (self.tag is None or self.tag in subject.tags)
        return fits and (self.group != "package" or subject.plugin is not None)


CHECKS: tuple[Check, ...] = (
    Check(package.check_entry_point, "package", KINDS),
    Check(package.check_requires_core, "package", KINDS),
    Check(package.check_entry_module_light, "package", KINDS),
    Check(package.check_typed, "package", KINDS),
    Check(package.check_readme_and_licence, "package", KINDS),
    Check(config.check_config_record, "config", BUILT),
    Check(config.check_config_defaults, "config", BUILT),
    Check(config.check_config_tiny, "config", BUILT),
    Check(config.check_config_field_types, "config", BUILT),
    Check(config.check_config_documented, "config", BUILT),
    Check(config.check_config_units, "config", BUILT),
    Check(config.check_config_refuses_nan, "config", BUILT),
    Check(config.check_config_toml_round_trip, "config", BUILT),
    Check(config.check_config_unknown_key, "config", BUILT),
    Check(config.check_config_flags, "config", BUILT),
    Check(build.check_builds_quickly, "build", BUILT),
    Check(build.check_builds_offline, "build", BUILT),
    Check(build.check_builds_independent, "build", PRIORS, "deterministic"),
    Check(build.check_builds_without_prompt, "build", SEEING),
    Check(build.check_released, "build", BUILT),
    Check(build.check_weights_declared, "build", SEEING),
    Check(call.check_returns_contribution, "call", PRIORS),
    Check(call.check_gradient_shape, "call", PRIORS),
    Check(call.check_gradient_finite, "call", PRIORS),
    Check(call.check_gradient_detached, "call", PRIORS),
    Check(call.check_target_in_range, "call", ("refiners",)),
    Check(call.check_inputs_unchanged, "call", PRIORS),
    Check(call.check_random_state_untouched, "call", PRIORS),
    Check(call.check_reads_only_needs, "call", SEEING),
    Check(call.check_one_and_many_views, "call", PRIORS),
    Check(call.check_empty_views, "call", PRIORS),
    Check(call.check_views_reach_result, "call", ("guidance",)),
    Check(numerics.check_repeatable, "numerics", PRIORS, "deterministic"),
    Check(numerics.check_views_independent, "numerics", PRIORS, "views_independent"),
    Check(numerics.check_one_by_one, "numerics", PRIORS, "views_independent"),
    Check(numerics.check_gradient_scales_with_views, "numerics", ("guidance",), "views_independent"),
    Check(numerics.check_bfloat16_direction, "numerics", PRIORS),
    Check(numerics.check_zero_strength, "numerics", ("refiners",)),
    Check(life.check_state_round_trip, "life", PRIORS),
    Check(life.check_state_plain, "life", PRIORS),
    Check(life.check_offload, "life", PRIORS),
    Check(life.check_prepare_twice, "life", PRIORS),
    Check(others.check_metric_floats, "metrics", ("metrics",)),
    Check(others.check_metric_one_view, "metrics", ("metrics",)),
    Check(others.check_metric_range, "metrics", ("metrics",)),
    Check(others.check_metric_order, "metrics", ("metrics",)),
    Check(others.check_metric_symmetric, "metrics", ("metrics",)),
    Check(others.check_metric_without_reference, "metrics", ("metrics",)),
    Check(others.check_metric_repeatable, "metrics", ("metrics",), "deterministic"),
    Check(others.check_analyzer_says_something, "analyzers", ("analyzers",)),
    Check(others.check_analyzer_facts, "analyzers", ("analyzers",)),
    Check(others.check_analyzer_keeps_photo, "analyzers", ("analyzers",)),
    Check(others.check_analyzer_blank_photo, "analyzers", ("analyzers",)),
    Check(others.check_analyzer_repeatable, "analyzers", ("analyzers",), "deterministic"),
    Check(others.check_checkpoint_folder, "checkpoints", ("checkpoints",)),
)
"""In the order in which a plugin author meets them. Package checks apply only if the entry module is known."""

GROUPS: tuple[str, ...] = tuple(dict.fromkeys(check.group for check in CHECKS))


def checks_for(subject: Subject, groups: Collection[str] | None = None) -> tuple[Check, ...]:
    """Return the checks that apply to a subject, optionally of some groups only."""
    return tuple(check for check in CHECKS if check.applies(subject) and (groups is None or check.group in groups))
