"""`pshead bench rivals`: what other systems made, measured as our own heads are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from pshead_core.bench.results import Results, gather, write_results
from pshead_core.bench.rival import Rival, read_rivals
from pshead_core.bench.rival_scene import ScoredRival, score_rival
from pshead_core.bench.subjects import Subject
from pshead_core.bench.table import table
from pshead_core.config.resolved import Resolved
from pshead_core.config.run import CameraConfig
from pshead_core.errors import PsheadError
from pshead_core.evaluation.measure import summary
from pshead_core.render.build import build_renderer
from pshead_core.run.atomic import naming_disk_errors, write_bytes
from pshead_core.run.evaluate import metrics_for, resolve_metrics
from pshead_core.run.offers import build_analyzers

Say = Callable[[str], None]
Measured = dict[str, dict[str, list[Mapping[str, object]]]]
"""System, subject, and what `evaluation.measure.summary` says."""


def score_rivals(
    folder: Path,
    subjects: Sequence[Subject],
    *,
    metric_files: Sequence[Path],
    metric_names: Sequence[str] | None,
    side_px: int,
    out: Path,
    say: Say,
) -> Results:
    """Measure everything in a folder of systems, and write `results.json`, `results.csv` and `table.md`.

    Args:
        folder: `<system>/<subject>/` (`rival`).
        subjects: whose photos and true views are known.
        metric_files: TOML with `[metrics]`.
        metric_names: of the wanted metrics; None takes those of the files, or the default ones.
        side_px: of each view.
        out: where the results go.
        say: receives progress.

    Raises:
        PsheadError: the folder is not understood, or is about nobody known.
    """
    with naming_disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    resolved = resolve_metrics(metric_files, metric_names)
    results = gather(scores(folder, subjects, resolved, side_px, say), {}, weights_of_metrics(resolved))
    write_results(out, results)
    write_bytes(out / "table.md", (table(results) + "\n").encode())
    return results


def scores(folder: Path, subjects: Sequence[Subject], resolved: Resolved, side_px: int, say: Say) -> Measured:
    """Return the numbers of every system for the subjects that are known; the arguments are those of `score_rivals`.

    A head that cannot be brought into the photo's frame is told, and has no numbers.
    """
    known = {subject.name: subject for subject in subjects}
    rivals = [rival for rival in read_rivals(folder) if rival.subject in known]
    if not rivals:
        raise PsheadError(
            f"{folder} is about nobody known",
            why=f"known are {', '.join(known)}",
            fix="call the folders FOLDER/<system>/<subject> as the heads or photos are called",
        )
    found: Measured = {system: {} for system in dict.fromkeys(rival.system for rival in rivals)}
    by_subject = sorted(rivals, key=lambda rival: (rival.subject, rival.system))
    for number, rival in enumerate(by_subject, 1):
        say(f"{number}/{len(rivals)} {rival.system}: {rival.subject}")
        scored = _score(rival, known[rival.subject], resolved, side_px, say)
        if scored.missing:
            say(f"missing: {rival.system}: {rival.subject}: {scored.missing}")
        found[rival.system][rival.subject] = list(summary(scored.measured))
    return found


def weights_of_metrics(resolved: Resolved) -> dict[str, tuple[str, ...]]:
    """Return the names of the weights of each metric."""
    return {name: config.checkpoints() for name, config in resolved.config.metrics.items()}


def _score(rival: Rival, subject: Subject, resolved: Resolved, side_px: int, say: Say) -> ScoredRival:
    cpu = torch.device("cpu")
    config, truth = resolved.config, subject.truth()
    portrait = subject.portrait(resolved, say)
    return score_rival(
        rival,
        metrics_for(resolved, portrait, cpu),
        portrait,
        truth,
        CameraConfig(),
        torch.tensor(config.render.background),
        build_renderer(config.render, cpu, lambda _: None),
        tuple(build_analyzers(resolved)),
        side_px if truth is None else min(side_px, truth.cameras.height_px),
    )
