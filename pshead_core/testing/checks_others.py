"""Checks of the kinds that contribute nothing to a step: metrics, analyzers, checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import evolve

from pshead_core.errors import PsheadError
from pshead_core.models.files import CHECKSUMS, component_folders, verify_checkpoint
from pshead_core.portrait.facts import LANDMARKS, Photo, PortraitFacts
from pshead_core.render.base import Views
from pshead_core.specs import CheckpointSpec, Figure, MetricSpec
from pshead_core.testing.scenes import tiny_photo, tiny_views
from pshead_core.testing.subject import SIDE_PX, Subject, built, require, select, views_for

IMAGES = ("rgb", "alpha", "depth")


def _metric(subject: Subject) -> MetricSpec:
    if not isinstance(subject.spec, MetricSpec):
        raise TypeError(f"{subject.spec.name} is not a metric")
    return subject.spec


def _measure(subject: Subject, views: Views, reference: Views | None) -> Mapping[str, Any]:
    with built(subject) as metric:
        values: Mapping[str, Any] = metric.measure(views, reference)
    return values


def _figures(subject: Subject) -> dict[str, Figure]:
    return {figure.name: figure for figure in _metric(subject).figures}


def _scene(subject: Subject) -> tuple[Views, Views | None]:
    """Return equal views and reference, as the metric compares them; every view is the photo where it compares so."""
    views = views_for(subject)
    match _metric(subject).compares:
        case "truth":
            return views, views
        case "photo":
            photo = select(views, slice(0, 1))
            return evolve(
                views, **{name: getattr(photo, name).expand_as(getattr(views, name)) for name in IMAGES}
            ), photo
        case "nothing":
            return views, None


def _worse(views: Views, amount: float) -> Views:
    """Return the views blended with a checkerboard of inverted colours: worse by every measure."""
    size = views.rgb.shape[2]
    board = (np.indices((size, size)).sum(0) // 2 % 2).astype(np.float32)
    mask = views.rgb.new_tensor(board)[None, :, :, None] * amount
    return evolve(views, rgb=views.rgb * (1 - mask) + (1 - views.rgb) * mask)


def check_metric_floats(subject: Subject) -> None:
    """A metric returns at least one of its spec's figures by name; values are finite Python floats."""
    values, figures = _measure(subject, *_scene(subject)), _figures(subject)
    require(bool(values), f"metric '{subject.spec.name}' measures nothing", fix="return at least one named number")
    for name, value in values.items():
        require(
            isinstance(value, float) and math.isfinite(value),
            f"metric '{subject.spec.name}' returned {name!r}: {value!r}",
            fix="return {str: float}, all finite; take .item() of tensors",
        )
        require(
            name in figures,
            f"metric '{subject.spec.name}' returned '{name}', its spec has {', '.join(figures)}",
            fix="name every number in `figures`",
        )


def check_metric_range(subject: Subject) -> None:
    """Every value lies in its figure's range, for equal and for very different pictures."""
    figures, (views, reference) = _figures(subject), _scene(subject)
    for other in (views, _worse(views, 1.0)):
        for name, value in _measure(subject, other, reference).items():
            low, high = figures[name].range
            require(
                low <= value <= high,
                f"metric {name} is {value}, outside {low}..{high}",
                fix="correct `range` of the figure",
            )


def check_metric_order(subject: Subject) -> None:
    """Equal pictures score best, slightly wrong ones less, very wrong ones least."""
    if _metric(subject).compares == "nothing":
        return
    figures, (views, reference) = _figures(subject), _scene(subject)
    scores = [_measure(subject, other, reference) for other in (views, _worse(views, 0.2), _worse(views, 0.8))]
    for name in scores[0]:
        same, slight, strong = (figures[name].error(score[name]) for score in scores)
        told = ", ".join(f"{score[name]:.4g}" for score in scores)
        require(
            same <= slight <= strong and same < strong,
            f"metric {name}: equal pictures, worse, worst: {told}; {figures[name].direction} is better",
            fix="correct `best` of the figure, or the metric",
        )


def check_metric_symmetric(subject: Subject) -> None:
    """Exchanging views and truth changes nothing (declare an expected failure if the metric is directed)."""
    if _metric(subject).compares != "truth":
        return
    views = views_for(subject)
    other = _worse(views, 0.5)
    there, back = _measure(subject, other, views), _measure(subject, views, other)
    for name, value in there.items():
        require(
            math.isclose(value, back[name], rel_tol=1e-4, abs_tol=1e-6),
            f"metric {name} is {value:.6g} one way and {back[name]:.6g} the other",
            fix='expected_failures={"check_metric_symmetric": "reason"} declares a directed metric',
        )


def check_metric_without_reference(subject: Subject) -> None:
    """Without a reference the metric works, or says with a PsheadError that it needs one."""
    try:
        values = _measure(subject, views_for(subject), None)
    except PsheadError as error:
        require(_metric(subject).compares != "nothing", f"it compares with nothing, but: {error}", fix="see `compares`")
        require("reference" in str(error), f"unclear message: {error}", fix="name the missing reference views")
        return
    require(bool(values), f"metric '{subject.spec.name}' measures nothing", fix="return at least one named number")


def check_metric_repeatable(subject: Subject) -> None:
    """Two measurements of the same pictures give the same numbers."""
    views, reference = _scene(subject)
    first, second = (_measure(subject, _worse(views, 0.3), reference) for _ in range(2))
    require(first == second, f"metric '{subject.spec.name}' gives {first}, then {second}", fix="fix its random draws")


def _analyze(subject: Subject, photo: Photo) -> PortraitFacts:
    with built(subject) as analyzer:
        facts = analyzer.analyze(photo)
    require(
        isinstance(facts, PortraitFacts),
        f"analyzer '{subject.spec.name}' returned {type(facts).__name__}",
        fix="return PortraitFacts(...)",
    )
    return facts if isinstance(facts, PortraitFacts) else PortraitFacts()


def check_analyzer_says_something(subject: Subject) -> None:
    """At least one fact is looked at; "saw none" is an empty tuple, None means "does not look at this"."""
    facts = _analyze(subject, tiny_photo())
    looked = [facts.matte is not None, facts.faces is not None, facts.prompt_words is not None]
    require(any(looked), f"analyzer '{subject.spec.name}' states nothing", fix="return a matte, faces or prompt words")


def check_analyzer_facts(subject: Subject) -> None:
    """Facts have the photo's size and the documented types, in landscape and in portrait format."""
    for photo in (tiny_photo(96, 64), tiny_photo(64, 128)):
        facts = _analyze(subject, photo)
        if facts.matte is not None:
            _require_matte(facts, photo)
        for face in facts.faces or ():
            require(
                face.landmarks_px.shape == (LANDMARKS, 3) and face.landmarks_px.dtype == np.float32,
                f"landmarks are {face.landmarks_px.dtype} of shape {face.landmarks_px.shape}",
                fix=f"return float32 of shape ({LANDMARKS}, 3), in pixels of the photo",
            )
        heights = [face.height_px for face in facts.faces or ()]
        require(heights == sorted(heights, reverse=True), "faces are not sorted by size", fix="put the largest first")
        require(
            all(isinstance(word, str) for word in facts.prompt_words or ()), "a prompt word is no text", fix="use str"
        )


def _require_matte(facts: PortraitFacts, photo: Photo) -> None:
    matte = facts.matte
    if matte is None:
        return
    require(
        matte.shape == photo.rgb.shape[:2] and matte.dtype == np.float32,
        f"the matte is {matte.dtype} of shape {matte.shape}; the photo is {photo.rgb.shape[:2]}",
        fix="return float32 [height, width] in the photo's size",
    )
    require(
        bool(np.isfinite(matte).all()) and float(matte.min()) >= 0 and float(matte.max()) <= 1,
        f"the matte lies in {matte.min():.3g}..{matte.max():.3g}",
        fix="clip the matte to 0..1",
    )


def check_analyzer_keeps_photo(subject: Subject) -> None:
    """The photo is the same after the call: other analyzers read it too."""
    photo = tiny_photo()
    before = photo.rgb.copy()
    _analyze(subject, photo)
    require(
        bool((photo.rgb == before).all()), f"analyzer '{subject.spec.name}' changed the photo", fix="work on a copy"
    )


def check_analyzer_blank_photo(subject: Subject) -> None:
    """A photo of nothing is no error: it has no face, and the core says so."""
    photo = tiny_photo()
    facts = _analyze(subject, evolve(photo, rgb=np.full_like(photo.rgb, 200)))
    require(not facts.faces, f"analyzer '{subject.spec.name}' sees a face on a blank wall", fix="raise its threshold")


def check_analyzer_repeatable(subject: Subject) -> None:
    """Tag `deterministic`: the same photo gives the same facts."""
    first, second = (_analyze(subject, tiny_photo()) for _ in range(2))
    same_matte = np.array_equal(_or_empty(first), _or_empty(second))
    same_faces = [face.box_px for face in first.faces or ()] == [face.box_px for face in second.faces or ()]
    require(
        same_matte and same_faces and first.prompt_words == second.prompt_words,
        f"analyzer '{subject.spec.name}' states different facts about the same photo",
        fix='build a fresh model for each photo (no tracking), or drop the tag "deterministic"',
    )


def _or_empty(facts: PortraitFacts) -> Any:
    return np.zeros(0) if facts.matte is None else facts.matte


def check_checkpoint_folder(subject: Subject) -> None:
    """All components are there and are what was published, and weights are safetensors: loading them runs no code."""
    spec = subject.spec
    if not isinstance(spec, CheckpointSpec):
        raise TypeError(f"{spec.name} is not a checkpoint")
    component_folders(spec)  # raises where one is missing
    folder = spec.folder()
    files = [path for path in folder.rglob("*") if path.is_file()]
    require(bool(files), f"checkpoint '{spec.name}' has no files in {folder}", fix="ship the weights in the wheel")
    pickles = [path.name for path in files if path.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"}]
    require(not pickles, f"checkpoint '{spec.name}' holds pickles: {pickles}", fix="convert them to safetensors")
    require(bool(spec.licences), f"checkpoint '{spec.name}' names no licence", fix="set `licences`")
    if any(path.name == CHECKSUMS for path in files):
        verify_checkpoint(spec)


def check_metric_one_view(subject: Subject) -> None:
    """One view works as well as many, and the numbers are means over the views."""
    spec = _metric(subject)
    views = tiny_views(1, side_px=max(SIDE_PX, spec.needs.min_side_px), view_set=spec.needs.views)
    reference = None if spec.compares == "nothing" else views
    require(
        bool(_measure(subject, views, reference)), "nothing is measured on one view", fix="return a number per name"
    )
