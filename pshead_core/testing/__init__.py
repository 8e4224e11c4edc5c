"""For plugin authors: the conformance checks, fakes, tiny scenes and (opt-in) pytest fixtures.

A plugin's whole conformance test::

    import pshead_guidance_my_prior as plugin
    from pshead_core.testing import parametrize_with_checks

    @parametrize_with_checks(plugin, expected_failures={})
    def test_conformance(subject, check):
        check(subject)

The fixtures `tiny_scene`, `tiny_views`, `only_plugins` and `run_in_tmp` come with
`pytest_plugins = ["pshead_core.testing.pytest_plugin"]` in a conftest.py.
"""

from pshead_core.testing.checks import CHECKS, GROUPS, Check, checks_for
from pshead_core.testing.conformance import CheckResult, parametrize_with_checks, run_checks
from pshead_core.testing.guarded import GuardedViews, guard
from pshead_core.testing.scenes import (
    empty_views,
    tiny_context,
    tiny_model,
    tiny_photo,
    tiny_portrait,
    tiny_step,
    tiny_views,
)
from pshead_core.testing.subject import Subject, subject_of, subjects_of

__all__ = [
    "CHECKS",
    "GROUPS",
    "Check",
    "CheckResult",
    "GuardedViews",
    "Subject",
    "checks_for",
    "empty_views",
    "guard",
    "parametrize_with_checks",
    "run_checks",
    "subject_of",
    "subjects_of",
    "tiny_context",
    "tiny_model",
    "tiny_photo",
    "tiny_portrait",
    "tiny_step",
    "tiny_views",
]
