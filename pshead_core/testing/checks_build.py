"""Checks of `build`: quick, offline, independent of other builds, and gone when it is dropped."""

from __future__ import annotations

import gc
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any

import torch

from pshead_core.errors import PsheadError
from pshead_core.priors.protocols import Prepares
from pshead_core.specs import AnalyzerSpec, CheckpointSpec, MetricSpec
from pshead_core.testing.scenes import tiny_context, tiny_photo, tiny_portrait, tiny_step
from pshead_core.testing.subject import (
    Subject,
    built,
    contribution,
    no_network,
    reference_for,
    require,
    select,
    views_for,
)

LIMIT_S = 2.0  # what `tiny` promises; the heavy import of the first build does not count
TRIES = 5  # builds after the first, of which the quickest counts: the machine may be busy


def check_builds_quickly(subject: Subject) -> None:
    """`tiny()` builds on a CPU within 2 s: the whole conformance list stays a matter of seconds."""
    quickest = float("inf")
    with built(subject):
        pass
    for _ in range(TRIES):
        start = time.perf_counter()
        with built(subject):
            quickest = min(quickest, time.perf_counter() - start)
        if quickest <= LIMIT_S:
            return
    require(False, f"building from tiny() takes {quickest:.1f} s, allowed are {LIMIT_S:.0f} s", fix="make tiny smaller")


def check_builds_offline(subject: Subject) -> None:
    """`tiny()` builds and works without a network."""
    with no_network(), built(subject) as thing:
        _use(subject, thing)


def check_builds_independent(subject: Subject) -> None:
    """Two builds share no state: two instances of one plugin in one schedule are normal."""
    views = views_for(subject, 2)
    with built(subject) as alone:
        wanted = [contribution(subject, alone, views, tiny_step(i)) for i in range(2)]
    with built(subject) as first, built(subject) as second:
        require(first is not second, "build() returns the same object twice", fix="return a new object for each call")
        got = [contribution(subject, first, views, tiny_step(0))]
        contribution(subject, second, select(views, slice(0, 1)), tiny_step(7, seed=3))
        got.append(contribution(subject, first, views, tiny_step(1)))
    for one, other in zip(wanted, got, strict=True):
        require(
            all(torch.equal(one[name], other[name]) for name in one),
            f"a second instance of '{subject.spec.name}' changes what the first one contributes",
            fix="keep state in the built object, not in the module",
        )


def check_builds_without_prompt(subject: Subject) -> None:
    """A portrait without a prompt either works or gives a PsheadError that says so."""
    try:
        with built(subject, portrait=tiny_portrait(prompt="")) as thing:
            _use(subject, thing)
    except Exception as error:
        # a defect of the plugin is this check's finding, whatever its class
        require(
            isinstance(error, PsheadError) and "prompt" in str(error),
            f"without a prompt '{subject.spec.name}' fails with {type(error).__name__}: {error}",
            fix="raise a PsheadError that names the missing prompt and the option that sets it",
        )


def check_released(subject: Subject) -> None:
    """A dropped prior is freed: memory is the largest prior, not the sum of all that ever ran."""
    with built(subject) as thing:
        _use(subject, thing)
        watch = weakref.ref(thing)
        del thing
    gc.collect()
    require(
        watch() is None,
        f"something keeps '{subject.spec.name}' alive after its last use",
        fix="keep no reference to the prior in module globals, caches or closures",
    )


def check_weights_declared(subject: Subject) -> None:
    """`checkpoints()` names what the plugin loads: a run looks for it, and says its licence, before it builds anything.

    Folders that the plugin made itself, such as personalised weights in its cache folder, need not be declared.
    """
    spec = subject.spec
    if isinstance(spec, CheckpointSpec | AnalyzerSpec):
        raise TypeError(f"{subject.kind} are not built with a model pool")
    config = spec.tiny()
    with tempfile.TemporaryDirectory(prefix="pshead-check-") as folder:
        context = tiny_context(Path(folder))
        thing = spec.build(config, context)
        if isinstance(thing, Prepares):
            thing.prepare()
        undeclared = [name for name in context.models.asked if not Path(name).is_absolute()]
    declared = config.checkpoints()
    undeclared = [name for name in undeclared if name not in declared]
    require(
        not undeclared,
        f"'{spec.name}' loads {', '.join(undeclared)}, but its configuration's checkpoints() names"
        f" {', '.join(declared) or 'nothing'}",
        fix="override checkpoints() in the configuration and return the names of all weights that build loads",
    )


def _use(subject: Subject, thing: Any) -> None:
    """Call the built thing once in the way of its kind."""
    if subject.kind == "analyzers":
        thing.analyze(tiny_photo())
    elif isinstance(subject.spec, MetricSpec):
        views = views_for(subject)
        thing.measure(views, reference_for(subject.spec, views))
    else:
        contribution(subject, thing, views_for(subject), tiny_step())
