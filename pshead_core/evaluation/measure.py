"""Metrics applied to a scene. What cannot be measured is said to be missing, with the reason, and never 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from attrs import evolve, frozen
from torch import Tensor

from pshead_core.cameras.view_sets import contains
from pshead_core.errors import PluginContractError, PsheadError
from pshead_core.evaluation.scene import Scene
from pshead_core.priors.protocols import Metric
from pshead_core.render.base import Views
from pshead_core.specs import Figure, MetricSpec

Part = Literal["reference", "novel"]
"""Which views a number is about: the one from the photo's camera, or the novel ones."""


@frozen(kw_only=True)
class MetricInUse:
    """A configured metric: built, or the reason why it is not."""

    name: str
    """Of the instance."""
    spec: MetricSpec
    metric: Metric | None = None
    missing: str = ""
    """Why it cannot measure; empty if it can."""


@frozen(kw_only=True)
class Measured:
    """One number of one metric, or why there is none."""

    metric: str
    figure: Figure
    part: Part
    compares: Literal["truth", "photo", "nothing"]
    """What the views were compared with; the reference view's truth is the photo."""
    value: float | None = None
    missing: str = ""
    """Why there is no value; empty if there is one."""
    penalised: bool = False
    """Whether the value was made worse by a penalty (`MetricSpec.penalty_frac`)."""

    @property
    def key(self) -> str:
        """Name in tables and files, such as `novel.psnr_db`; that of the figure is unique within a part."""
        return f"{self.part}.{self.figure.name}"


def measure(
    metrics: Sequence[MetricInUse], scene: Scene, started: Callable[[str], None] | None = None
) -> tuple[Measured, ...]:
    """Return all numbers of a scene: of the reference view first, then of the novel views.

    Metrics that compare with a truth measure the reference view beside the photo, and the novel views beside the truth,
    where there are such; the others measure novel views.

    Args:
        metrics: of the configuration.
        scene: what they see.
        started: called with a metric's name before it measures.

    Raises:
        PluginContractError: a metric returns what its spec does not announce.
    """
    reference, novel = [], []
    for metric in metrics:
        if started is not None:
            started(metric.name)
        reference += _of_reference(metric, scene)
        novel += _of_novel(metric, scene)
    return (*reference, *_penalised(novel, metrics))


def values_of(measured: Sequence[Measured]) -> dict[str, float]:
    """Return the numbers that there are, by key."""
    return {one.key: one.value for one in measured if one.value is not None}


def _of_reference(metric: MetricInUse, scene: Scene) -> list[Measured]:
    if metric.spec.compares != "truth" or scene.photo is None:
        return []
    lacking = _lacking(metric, scene.outputs, frozenset({"rgb", "alpha"}), scene.reference)
    return _measured(metric, "reference", lacking, scene.reference, scene.photo)


def _of_novel(metric: MetricInUse, scene: Scene) -> list[Measured]:
    spec, compared = metric.spec, None
    if spec.compares == "truth":
        if scene.truth is None:
            return []
        compared, known = scene.truth, scene.truth_outputs
    elif spec.compares == "photo":
        if scene.photo is None:
            return _missing(metric, "novel", "there is no photo to compare with")
        compared, known = scene.photo, frozenset({"rgb", "alpha"})
    else:
        known = spec.reference_outputs
    places = contains(spec.needs.views, scene.novel.cameras.azimuth_deg).nonzero()[:, 0]
    if not len(places):
        return _missing(metric, "novel", f"there is no view in '{spec.needs.views}'")
    views = some_of(scene.novel, places)
    if compared is not None and spec.compares == "truth":
        compared = some_of(compared, places)
    return _measured(metric, "novel", _lacking(metric, scene.outputs, known, views), views, compared)


def some_of(views: Views, places: Tensor) -> Views:
    """Return the views at some places `[n]`."""
    return evolve(
        views,
        rgb=views.rgb[places],
        alpha=views.alpha[places],
        depth=views.depth[places],
        cameras=views.cameras[places],
    )


def _lacking(metric: MetricInUse, outputs: frozenset[str], reference: frozenset[str], views: Views) -> str:
    """Return why a metric cannot look at these pictures; empty if it can."""
    spec, side_px = metric.spec, views.cameras.height_px
    if metric.missing:
        return metric.missing
    if spec.needs.outputs - outputs:
        return f"the head is given without {', '.join(sorted(spec.needs.outputs - outputs))}"
    if spec.reference_outputs - reference:
        return f"the truth has no {', '.join(sorted(spec.reference_outputs - reference))}"
    if side_px < spec.needs.min_side_px:
        return f"views have {side_px} px, it needs {spec.needs.min_side_px}"
    return ""


def _measured(metric: MetricInUse, part: Part, lacking: str, views: Views, compared: Views | None) -> list[Measured]:
    if lacking or metric.metric is None:
        return _missing(metric, part, lacking or "it was not built")
    try:
        found = metric.metric.measure(views, compared)
    except PsheadError as error:
        return _missing(metric, part, "; ".join(text for text in (error.what, error.why) if text))
    figures = {figure.name: figure for figure in metric.spec.figures}
    wrong = [f"{name} = {value}" for name, value in found.items() if name not in figures or not math.isfinite(value)]
    if wrong:
        raise PluginContractError(
            f"the metric '{metric.name}' returned {', '.join(wrong)}",
            why=f"its figures are {', '.join(figures)}, and every value is finite",
            fix="report this to the plugin's author",
        )
    return [_one(metric, part, figures[name], value=float(value)) for name, value in found.items()]


def _missing(metric: MetricInUse, part: Part, reason: str) -> list[Measured]:
    return [_one(metric, part, metric.spec.figures[0], missing=reason)]


def _one(metric: MetricInUse, part: Part, figure: Figure, *, value: float | None = None, missing: str = "") -> Measured:
    return Measured(
        metric=metric.name,
        figure=figure,
        part=part,
        compares=metric.spec.compares,
        value=value,
        missing=missing,
    )


def _penalised(novel: Sequence[Measured], metrics: Sequence[MetricInUse]) -> list[Measured]:
    """Make the figures that compare with the photo worse where a metric with a penalty found a fault."""
    penalty = {metric.name: metric.spec.penalty_frac for metric in metrics}
    faults = [penalty[one.metric] for one in novel if one.value is not None and one.figure.error(one.value) > 0]
    worst = max(faults, default=0.0)
    if not worst:
        return list(novel)
    return [
        evolve(one, value=worse(one.figure, one.value, worst), penalised=True)
        if one.compares == "photo" and one.value is not None
        else one
        for one in novel
    ]


def worse(figure: Figure, value: float, by_frac: float) -> float:
    """Return a value made worse by a part of its size (PSHead, section 4.1), within the figure's range."""
    up = figure.best <= figure.range[0]
    changed = value + abs(value) * by_frac if up else value - abs(value) * by_frac
    low, high = figure.range
    return min(max(changed, low), high)


def summary(measured: Sequence[Measured]) -> list[Mapping[str, object]]:
    """Return the numbers as `metrics.json` holds them."""
    return [
        {
            "key": one.key,
            "metric": one.metric,
            "part": one.part,
            "compared_with": {"truth": "photo" if one.part == "reference" else "truth"}.get(one.compares, one.compares),
            "value": one.value,
            "missing": one.missing or None,
            "penalised": one.penalised,
            "better": one.figure.direction,
            "range": [None if math.isinf(end) else end for end in one.figure.range],
            "unit": one.figure.unit,
            "summary": one.figure.summary,
        }
        for one in measured
    ]
