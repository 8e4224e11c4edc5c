"""What a check examines: one spec and, if it came from one, the plugin module; and the steps that all checks share."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from attrs import evolve, frozen
from torch import Tensor

from pshead_core.config.plugin import PluginConfig
from pshead_core.errors import PluginContractError
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.contribution import DenoisedTarget, ImageGradient
from pshead_core.priors.protocols import Prepares, Step
from pshead_core.registry.host import PluginHost
from pshead_core.registry.loading import SPEC_TYPES
from pshead_core.render.base import Views
from pshead_core.specs import KINDS, AnalyzerSpec, CheckpointSpec, GuidanceSpec, Kind, MetricSpec, RefinerSpec, Spec
from pshead_core.testing.scenes import tiny_context, tiny_views

SIDE_PX = 32  # side of the tiny views, unless the spec needs more


@frozen(kw_only=True)
class Subject:
    """One spec under examination."""

    spec: Spec
    kind: Kind
    plugin: ModuleType | None = None
    """The entry module, if the spec came from an installed plugin; the package checks need it."""

    @property
    def tags(self) -> frozenset[str]:
        """Tags of the spec; checkpoints have none."""
        return frozenset() if isinstance(self.spec, CheckpointSpec) else self.spec.tags


def subject_of(spec: Spec, plugin: ModuleType | None = None) -> Subject:
    """Return the subject of one spec; its kind follows from the spec's class."""
    for kind, spec_type in SPEC_TYPES.items():
        if isinstance(spec, spec_type):
            return Subject(spec=spec, kind=kind, plugin=plugin)
    raise PluginContractError(
        f"{spec!r} is not a spec",
        fix="return GuidanceSpec, RefinerSpec, MetricSpec, AnalyzerSpec or CheckpointSpec from the hook",
    )


def subjects_of(plugin: object) -> tuple[Subject, ...]:
    """Return a subject for each spec that a plugin (module or object) registers, in order of kind and name.

    Raises:
        PluginError: if a hook is unknown, has arguments that the core does not pass, returns something else than
            specs, or if nothing is registered.
    """
    host = PluginHost.of(plugin)
    module = plugin if isinstance(plugin, ModuleType) else None
    found = tuple(subject_of(spec, module) for kind in KINDS for spec in host.specs(kind).values())
    if not found:
        raise PluginContractError(
            f"{plugin!r} registers nothing", fix="implement a registration hook, such as pshead_guidance"
        )
    return found


@contextmanager
def built(
    subject: Subject,
    *,
    config: PluginConfig | None = None,
    portrait: Portrait | None = None,
    dtype: torch.dtype = torch.float32,
) -> Iterator[Any]:
    """Build the subject from its tiny configuration (or `config`), prepare it, and clean up after the block.

    Yields:
        A guidance, refiner, metric or analyzer, with a cache folder of its own.
    """
    spec = subject.spec
    if isinstance(spec, CheckpointSpec):
        raise TypeError("a checkpoint is data and cannot be built")
    with tempfile.TemporaryDirectory(prefix="pshead-check-") as folder:
        values = spec.tiny() if config is None else config
        thing: Any
        if isinstance(spec, AnalyzerSpec):
            thing = spec.build(values)
        else:
            thing = spec.build(values, tiny_context(Path(folder), portrait=portrait, dtype=dtype))
        if isinstance(thing, Prepares):
            thing.prepare()
        yield thing


def views_for(subject: Subject, count: int = 2) -> Views:
    """Return tiny views of the size and view set that the spec needs, at most as many as it takes."""
    spec = subject.spec
    if isinstance(spec, AnalyzerSpec | CheckpointSpec):
        raise TypeError(f"{subject.kind} see no views")
    most = count if spec.needs.max_views is None else min(count, spec.needs.max_views)
    return tiny_views(most, side_px=max(SIDE_PX, spec.needs.min_side_px), view_set=spec.needs.views)


def reference_for(spec: MetricSpec, views: Views) -> Views | None:
    """Return what a metric compares these views with: their truth (themselves), the photo (the first), or nothing."""
    if spec.compares == "nothing":
        return None
    return views if spec.compares == "truth" else select(views, slice(0, 1))


def contribution(subject: Subject, prior: Any, views: Views, step: Step) -> dict[str, Tensor]:
    """Return what a guidance or refiner contributes as named tensors: rgb, and alpha, depth or weight if given.

    A prior that needs the reference view is given one of the views' side, unless the step brings its own.

    Raises:
        PluginContractError: if the prior returns another type.
    """
    refines = subject.kind == "refiners"
    if isinstance(subject.spec, GuidanceSpec | RefinerSpec) and subject.spec.needs.reference and step.reference is None:
        step = evolve(step, reference=tiny_views(1, side_px=views.cameras.height_px, view_set="reference"))
    result = prior.refine(views, step) if refines else prior.contribute(views, step)
    if refines and isinstance(result, DenoisedTarget):
        return {"rgb": result.rgb, "weight": result.weight}
    if not refines and isinstance(result, ImageGradient):
        named = {"rgb": result.rgb, "alpha": result.alpha, "depth": result.depth}
        return {name: value for name, value in named.items() if value is not None}
    wanted = "refine() must return a DenoisedTarget" if refines else "contribute() must return an ImageGradient"
    raise PluginContractError(
        f"plugin '{subject.spec.name}' returned {type(result).__name__}; {wanted}",
        fix='return zeros (a refiner: zero weight) for "nothing to say", never None',
    )


def select(views: Views, index: slice | Tensor) -> Views:
    """Return some of the views."""
    return evolve(
        views,
        rgb=views.rgb[index],
        alpha=views.alpha[index],
        depth=views.depth[index],
        cameras=views.cameras[index],
    )


def require(condition: bool, what: str, *, fix: str) -> None:
    """Raise a PluginContractError that says which sentence of the contract was broken, unless `condition` holds."""
    if not condition:
        raise PluginContractError(what, fix=fix)


@contextmanager
def no_network() -> Iterator[None]:
    """Refuse every connection to another machine inside the block."""

    def refuse(*_: object) -> None:
        raise PluginContractError(
            "the plugin opened a network connection",
            why="tests, and runs on machines without a network, must not depend on a download",
            fix="let tiny() name weights that are installed or made on the spot",
        )

    saved = {name: getattr(socket, name) for name in ("getaddrinfo", "create_connection")}
    connect = socket.socket.connect
    for name in saved:
        setattr(socket, name, refuse)
    socket.socket.connect = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        for name, function in saved.items():
            setattr(socket, name, function)
        socket.socket.connect = connect  # type: ignore[method-assign]
