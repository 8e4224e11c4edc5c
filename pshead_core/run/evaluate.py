"""`pshead eval`: a finished head beside its photo, and beside the truth where that is known."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from pshead_core.config.resolve import resolve
from pshead_core.config.resolved import Resolved
from pshead_core.config.run import RunConfig
from pshead_core.errors import ConfigError, PsheadError
from pshead_core.evaluation.folder import TrueHead
from pshead_core.evaluation.measure import Measured, MetricInUse, measure
from pshead_core.evaluation.scene import Scene, portrait_of, scene_of_head
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.ply import read_ply
from pshead_core.models.names import CheckpointNames
from pshead_core.models.places import cache_folder
from pshead_core.models.pool import ModelPool
from pshead_core.portrait.load import load_photo
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.protocols import BuildContext
from pshead_core.registry.listing import list_plugins
from pshead_core.registry.nearest import did_you_mean
from pshead_core.render.build import build_renderer
from pshead_core.run import folder as run_folder
from pshead_core.run.assemble import PLUGIN_LOG, network_dtype
from pshead_core.run.metrics import metrics_in_use
from pshead_core.run.offers import build_analyzers
from pshead_core.run.pictures import SHEET_VIEWS, view_images
from pshead_core.run.portraits import portrait_from

Say = Callable[[str], None]
_TABLES = ("metrics", "analyzers")


@frozen(kw_only=True, eq=False)
class Evaluation:
    """A head, what it was compared with, and the numbers."""

    name: str
    head: Path
    """The PLY file."""
    model: GaussianModel
    config: RunConfig
    """Of its run, or the default one: its orbit and background are used."""
    run: Path | None
    """The run folder; None for a head that came as a PLY."""
    scene: Scene
    sheet: NDArray[np.uint8]
    """`[8, side, side, 3]`, on an even ring from azimuth 0°."""
    measured: tuple[Measured, ...]
    seconds: Mapping[str, float]
    """What rendering and each metric took."""
    licences: Mapping[str, tuple[str, ...]]
    """Of each metric and its weights."""
    weights: Mapping[str, tuple[str, ...]] = field(factory=dict)
    """Names of the weights of each metric."""


def default_metrics(names: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the tables `[metrics]` and `[analyzers]` that are used without a configuration file.

    Args:
        names: of the wanted metrics; None takes all that are installed.

    Raises:
        ConfigError: a wanted metric is not installed.
    """
    text = (resources.files("pshead_core") / "evaluation" / "metrics.toml").read_text(encoding="utf-8")
    known = tomllib.loads(text)
    installed = {(item.kind, item.name) for item in list_plugins()}
    found = {kind: {name: one for name, one in known[kind].items() if (kind, name) in installed} for kind in _TABLES}
    if names is None:
        return found
    others = sorted(name for kind, name in installed if kind == "metrics")
    for name in names:
        if ("metrics", name) not in installed:
            raise ConfigError(
                f"no metric is called '{name}'{did_you_mean(name, others)}",
                why=f"installed: {', '.join(others) or 'none'}",
                fix="pshead plugins list",
            )
    return {**found, "metrics": {name: found["metrics"].get(name, {}) for name in names}}


def resolve_metrics(files: Sequence[Path], names: Sequence[str] | None) -> Resolved:
    """Return the configuration of an evaluation: that of the files if they name metrics, or else the default one.

    Raises:
        ConfigError: the files are wrong, or they name metrics and `names` does too.
    """
    resolved = resolve(preset="none", files=files)
    tables = default_metrics(names)
    if resolved.config.metrics and names is None:
        del tables["metrics"]
    elif resolved.config.metrics:
        raise ConfigError("--metrics and a configuration with [metrics] exclude each other", fix="give one of them")
    if resolved.config.analyzers:
        del tables["analyzers"]
    return resolve(preset="none", files=files, overrides=tables)


def portrait_for(
    run: Path | None, photo: Path | None, truth: TrueHead | None, resolved: Resolved, config: RunConfig, say: Say
) -> Portrait | None:
    """Return the framed photo: of the run if it is the same photo, from the file, or the truth's front picture.

    Args:
        run: folder of the head's run, if there is one.
        photo: the file, if one was given.
        truth: of the head, if it is known.
        resolved: with the analyzers.
        config: of the run; a photo is framed as it says.
        say: receives sentences that the user should read.
    """
    own = None if run is None else run_folder.read_portrait(run, torch.device("cpu"))
    if photo is not None and (own is None or load_photo(photo).sha256 != own.sha256):
        framed = evolve(resolved.config.portrait, side_px=config.portrait.side_px, face_frac=config.portrait.face_frac)
        return portrait_from(photo, evolve(resolved, config=evolve(resolved.config, portrait=framed)), say)
    if own is not None:
        return own
    return portrait_of(truth) if truth is not None and truth.landmarks is not None else None


def metrics_for(resolved: Resolved, portrait: Portrait, device: torch.device) -> list[MetricInUse]:
    """Return the metrics of a configuration, built for a portrait."""
    dtype = network_dtype(device)
    names = CheckpointNames(resolved.host.checkpoint_specs(), resolved.listings)
    context = BuildContext(
        portrait=portrait.to(device),
        device=device,
        dtype=dtype,
        cache_folder=cache_folder(),
        logger=PLUGIN_LOG,
        models=ModelPool(device=device, dtype=dtype, names=names),
        analyzers=tuple(build_analyzers(resolved)),
    )
    return metrics_in_use(resolved, context)


def evaluate(
    head: Path,
    *,
    run: Path | None,
    config: RunConfig,
    photo: Path | None,
    truth: TrueHead | None,
    resolved: Resolved,
    side_px: int,
    say: Say,
) -> Evaluation:
    """Measure a head.

    Args:
        head: the PLY file.
        run: folder of its run, if there is one.
        config: of its run, or the default one.
        photo: the file; None takes the run's own.
        truth: true views, if they are known.
        resolved: the metrics and analyzers.
        side_px: of the views that are measured.
        say: receives what is being done.

    Raises:
        PsheadError: for anything that the user can mend.
    """
    portrait = portrait_for(run, photo, truth, resolved, config, say)
    if portrait is None:
        raise PsheadError(
            f"there is nothing to compare {head} with",
            why="it does not lie in a run folder, and neither a photo nor a truth with landmarks was given",
            fix="name the photo with --photo",
        )
    device = torch.device("cuda" if config.render.renderer == "gsplat" else "cpu")
    model, renderer = read_ply(head).to(device), build_renderer(config.render, device, say)
    background = torch.tensor(config.render.background, device=device)
    say(f"render {side_px} px views of {head}")
    begun = time.perf_counter()
    scene = scene_of_head(model, renderer, config.cameras, background, portrait=portrait, truth=truth, side_px=side_px)
    sheet = view_images(model, renderer, config.cameras, background, views=SHEET_VIEWS, side_px=side_px)
    marks = [("rendering", begun)]

    def started(metric: str) -> None:
        say(f"measure {metric}")
        marks.append((metric, time.perf_counter()))

    measured = measure(metrics_for(resolved, portrait, device), scene, started)
    ends = [*(at for _, at in marks[1:]), time.perf_counter()]
    return Evaluation(
        name=head.stem if run is None else run.name,
        head=head,
        model=model,
        config=config,
        run=run,
        scene=scene,
        sheet=sheet,
        measured=measured,
        seconds={name: end - at for (name, at), end in zip(marks, ends, strict=True)},
        weights={name: one.checkpoints() for name, one in resolved.config.metrics.items()},
        licences={name: resolved.host.specs("metrics")[one].licences for name, one in _plugins(resolved).items()},
    )


def _plugins(resolved: Resolved) -> dict[str, str]:
    """Return the plugin of each metric."""
    return {one.name: one.plugin for one in resolved.instances if one.kind == "metrics"}
