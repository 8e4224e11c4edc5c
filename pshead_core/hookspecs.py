"""The hooks of pshead (pluggy). Registration hooks return frozen specs; observers watch a run.

No hook runs in the gradient path: the loop calls the objects that the specs build directly.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from pshead_core.config.run import RunConfig
    from pshead_core.records import RunSummary, StepReport
    from pshead_core.specs import (
        AnalyzerSpec,
        CheckpointSpec,
        GuidanceSpec,
        MetricSpec,
        RefinerSpec,
    )

PROJECT = "pshead"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def pshead_guidance() -> Iterable[GuidanceSpec]:
    """Offer guidances. Called once, when the plugin is selected. API 1.0."""
    raise NotImplementedError


@hookspec
def pshead_refiners() -> Iterable[RefinerSpec]:
    """Offer refiners. Called once, when the plugin is selected. API 1.0."""
    raise NotImplementedError


@hookspec
def pshead_metrics() -> Iterable[MetricSpec]:
    """Offer metrics. Called once, when the plugin is selected. API 1.0."""
    raise NotImplementedError


@hookspec
def pshead_analyzers() -> Iterable[AnalyzerSpec]:
    """Offer analyzers. Called once, when the plugin is selected. API 1.0."""
    raise NotImplementedError


@hookspec
def pshead_checkpoints() -> Iterable[CheckpointSpec]:
    """Offer checkpoints. Called once, when the plugin is selected. API 1.0."""
    raise NotImplementedError


@hookspec
def pshead_check_run(config: RunConfig) -> Iterable[str]:
    """Name problems of this configuration, one sentence each, before anything is built. API 1.0."""
    raise NotImplementedError


@hookspec
def pshead_diagnose() -> Iterable[str]:
    """Name problems of this machine or installation, for `pshead doctor` and `plugins check`. API 1.0."""
    raise NotImplementedError


@hookspec
def pshead_run_started(config: RunConfig) -> None:
    """Called after all priors are built, before the first step. API 1.0."""


@hookspec
def pshead_step_ended(report: StepReport) -> None:
    """Called after each optimisation step with its report. API 1.0."""


@hookspec
def pshead_run_ended(summary: RunSummary) -> None:
    """Called once the head and its pictures are written. API 1.0."""
