"""One subject of a benchmark: each row is reconstructed and measured, unless its files say that it is done."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from attrs import frozen

from pshead_core.bench.grid import write_strips
from pshead_core.bench.rows import Row, Settings, coarse_key, resolve_row
from pshead_core.bench.subjects import Subject
from pshead_core.config.resolved import Resolved
from pshead_core.errors import PsheadError
from pshead_core.evaluation.folder import TrueHead
from pshead_core.evaluation.measure import MetricInUse, measure, summary
from pshead_core.evaluation.scene import scene_of_head
from pshead_core.gaussians.ply import read_ply, write_ply
from pshead_core.portrait.portrait import Portrait
from pshead_core.render.build import build_renderer
from pshead_core.run.assemble import device_of, make_priors
from pshead_core.run.atomic import write_bytes, write_with
from pshead_core.run.checkpoint import FILE_NAME, has_checkpoint, read_checkpoint, write_checkpoint
from pshead_core.run.evaluate import metrics_for, resolve_metrics
from pshead_core.run.folder import PORTRAIT, read_portrait, write_portrait
from pshead_core.run.loop import Loop
from pshead_core.run.start import make_start
from pshead_core.run.weights import find_weights

HEAD, FACTS, DONE = "head.ply", "run.json", "metrics.json"
"""Of a row, in the order in which they are written."""
FAILED = "failed.txt"
"""Why a subject could not be done, in its folder."""
CHECKPOINT_EVERY = 100  # steps


@frozen(kw_only=True)
class Task:
    """What a process does: all rows of one subject."""

    subject: Subject
    rows: tuple[Row, ...]
    settings: Settings
    metric_files: tuple[Path, ...]
    metric_names: tuple[str, ...] | None
    fine_from: int | None
    """First step of the fine stage; rows that agree until there share the state."""
    out: Path
    metrics_key: str
    """Stands for the configuration of the metrics: heads that were measured by others are measured again."""

    @property
    def folder(self) -> Path:
        """Of the subject."""
        return self.out / self.subject.name

    def done(self, row: Row) -> bool:
        """Whether a row is reconstructed and measured by the present metrics."""
        try:
            told = json.loads((self.folder / row.slug / DONE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(told.get("metrics") == self.metrics_key)


def run_task(task: Task) -> None:
    """Do the rows that are missing. An error that the user can mend is written to the subject's folder.

    One thread: subjects run beside each other. The process ends itself when its parent is gone.
    """
    torch.set_num_threads(1)
    parent = os.getppid()
    missing = [row for row in task.rows if not task.done(row)]
    if not missing:
        return
    task.folder.mkdir(parents=True, exist_ok=True)
    (task.folder / FAILED).unlink(missing_ok=True)
    try:
        metrics = resolve_metrics(task.metric_files, task.metric_names)
        portrait, truth = _portrait(task, metrics), task.subject.truth()
        used = metrics_for(metrics, portrait, device_of(resolve_row(task.settings, missing[0])))
        for row in missing:
            resolved = resolve_row(task.settings, row)
            if not (task.folder / row.slug / HEAD).is_file():
                _reconstruct(task, row, resolved, portrait, parent)
            _measure(task, row, resolved, portrait, truth, used)
    except PsheadError as error:
        write_bytes(task.folder / FAILED, f"{error}\n".encode())


def _portrait(task: Task, metrics: Resolved) -> Portrait:
    """Return the subject's portrait, made once: every row starts from the same."""
    cpu = torch.device("cpu")
    if not (task.folder / PORTRAIT).is_file():
        write_portrait(task.folder, task.subject.portrait(metrics, lambda _: None))
    return read_portrait(task.folder, cpu)


def new_loop(resolved: Resolved, portrait: Portrait) -> Loop:
    """Return a run before its first step."""
    config, device = resolved.config, device_of(resolved)
    portrait = portrait.to(device)
    renderer = build_renderer(config.render, device, lambda _: None)
    start = make_start(config, portrait, renderer, device)
    _, priors = make_priors(resolved, portrait, renderer, start, find_weights(resolved))
    return Loop(config, portrait, renderer, priors, start.model, start.surface_depth)


def _reconstruct(task: Task, row: Row, resolved: Resolved, portrait: Portrait, parent: int) -> None:
    """Write the row's head; the run goes on from its own checkpoint, or from one that rows share."""
    folder, fine_from = task.folder / row.slug, task.fine_from
    folder.mkdir(exist_ok=True)
    loop = new_loop(resolved, portrait)
    shared = None if fine_from is None else task.folder / f"coarse-{coarse_key(resolved, row, fine_from)}"
    for source in (folder, shared):
        if source is not None and has_checkpoint(source):
            loop.restore(read_checkpoint(source, loop.background.device))
            break
    for _ in loop.steps():
        if os.getppid() != parent:
            sys.exit("the benchmark was stopped")
        if loop.next_step == fine_from and shared is not None:
            shared.mkdir(exist_ok=True)
            write_checkpoint(shared, loop.checkpoint())
        elif loop.next_step % CHECKPOINT_EVERY == 0:
            write_checkpoint(folder, loop.checkpoint())
    facts = {"steps": resolved.config.steps, "seconds": round(loop.seconds, 3), "gaussians": len(loop.model)}
    write_bytes(folder / FACTS, (json.dumps(facts) + "\n").encode())
    write_with(folder / HEAD, lambda path: write_ply(loop.model, path))
    (folder / FILE_NAME).unlink(missing_ok=True)


def _measure(
    task: Task,
    row: Row,
    resolved: Resolved,
    portrait: Portrait,
    truth: TrueHead | None,
    metrics: Sequence[MetricInUse],
) -> None:
    """Write the row's pictures and numbers."""
    folder, config, device = task.folder / row.slug, resolved.config, device_of(resolved)
    side_px = config.resolution.sides_px[-1]
    side_px = side_px if truth is None else min(side_px, truth.cameras.height_px)
    scene = scene_of_head(
        read_ply(folder / HEAD).to(device),
        build_renderer(config.render, device, lambda _: None),
        config.cameras,
        torch.tensor(config.render.background, device=device),
        portrait=portrait,
        truth=truth,
        side_px=side_px,
    )
    write_strips(task.folder, folder, scene)
    told = {
        "subject": task.subject.name,
        "row": row.name,
        **json.loads((folder / FACTS).read_text(encoding="utf-8")),
        "side_px": side_px,
        "metrics": task.metrics_key,
        "measured": summary(measure(metrics, scene)),
    }
    write_bytes(folder / DONE, (json.dumps(told, indent=1) + "\n").encode())
