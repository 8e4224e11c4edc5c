"""Running the checks: as pytest parameters, or as a plain function for `pshead plugins check`."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from attrs import frozen

from pshead_core.errors import PsheadError
from pshead_core.registry.nearest import did_you_mean
from pshead_core.specs import Spec
from pshead_core.testing.checks import CHECKS, checks_for
from pshead_core.testing.subject import subject_of, subjects_of

if TYPE_CHECKING:
    import pytest


@frozen(kw_only=True)
class CheckResult:
    """What one check found."""

    name: str
    passed: bool
    message: str
    """Empty if the check passed, otherwise what is wrong and how to repair it."""
    seconds: float


def run_checks(
    spec: Spec,
    *,
    plugin: ModuleType | None = None,
    groups: Collection[str] | None = None,
) -> list[CheckResult]:
    """Run the checks on one spec, without pytest. No check stops the others.

    Args:
        spec: what a plugin registers.
        plugin: its entry module; without it the package checks are left out.
        groups: of package, config, build, call, numerics, life, metrics, analyzers, checkpoints; None means all.
    """
    subject = subject_of(spec, plugin)
    results = []
    for check in checks_for(subject, groups):
        start = time.perf_counter()
        try:
            check.run(subject)
            message = ""
        except Exception as error:
            # any exception of a plugin is a finding here, so it is reported and not raised
            message = str(error) if isinstance(error, PsheadError) else f"{type(error).__name__}: {error}"
        seconds = time.perf_counter() - start
        results.append(CheckResult(name=check.name, passed=not message, message=message, seconds=seconds))
    return results


def parametrize_with_checks(
    plugin: object,
    expected_failures: Mapping[str, str] | None = None,
) -> pytest.MarkDecorator:
    """Return a pytest decorator that runs a test with every (subject, check) of a plugin.

    Args:
        plugin: the plugin's entry module, or an object with hook implementations.
        expected_failures: check name -> reason. Such a check must fail: it becomes a strict xfail.

    Raises:
        PsheadError: an expected failure names a check that does not exist or does not apply.
    """
    import pytest  # noqa: PLC0415  # only test runs need pytest

    failures = dict(expected_failures or {})
    applied: set[str] = set()
    parameters = []
    for subject in subjects_of(plugin):
        for check in checks_for(subject):
            applied.add(check.name)
            marks = [pytest.mark.xfail(reason=failures[check.name], strict=True)] if check.name in failures else []
            run: Callable[..., None] = check.run
            parameters.append(pytest.param(subject, run, id=f"{subject.spec.name}-{check.name}", marks=marks))
    _require_known(failures, applied)
    return pytest.mark.parametrize(("subject", "check"), parameters)


def _require_known(failures: Mapping[str, str], applied: Collection[str]) -> None:
    """Refuse expected failures that could never be met."""
    known = {check.name for check in CHECKS}
    for name in failures:
        if name not in known:
            raise PsheadError(f"expected_failures names '{name}', which is no check{did_you_mean(name, known)}")
        if name not in applied:
            raise PsheadError(f"expected_failures names '{name}', which does not apply to this plugin")
