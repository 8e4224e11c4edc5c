"""`pshead bench ablation`: schedules over subjects. What is done is not done again, so a stopped one goes on."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from attrs import frozen

from pshead_core.bench.grid import GRID_SUBJECTS, STRIP, TRUTH, grid
from pshead_core.bench.job import DONE, FAILED, Task, run_task
from pshead_core.bench.results import Results, gather, write_results
from pshead_core.bench.rows import Row, Settings, fine_step, resolve_row
from pshead_core.bench.score import Measured, scores, weights_of_metrics
from pshead_core.bench.subjects import Subject
from pshead_core.bench.table import table
from pshead_core.config.dump import dump_toml
from pshead_core.config.resolved import Resolved
from pshead_core.errors import PsheadError
from pshead_core.run.atomic import naming_disk_errors, write_bytes, write_with
from pshead_core.run.evaluate import resolve_metrics
from pshead_core.run.weights import find_weights

SETTINGS = "settings.json"
_POLL_S = 1.0
Say = Callable[[str], None]


@frozen(kw_only=True)
class Ablation:
    """A whole benchmark."""

    subjects: tuple[Subject, ...]
    rows: tuple[Row, ...]
    settings: Settings
    metric_files: tuple[Path, ...]
    metric_names: tuple[str, ...] | None
    out: Path
    workers: int
    rivals: Path | None = None
    """Folder of other systems, or of baselines, whose rows stand below ours."""


def run_ablation(ablation: Ablation, say: Say) -> Results:
    """Reconstruct and measure what is missing, and write `results.json`, `results.csv`, `table.md`, `grid.jpg`.

    Rows whose weights are not here are named as missing and not run.

    Args:
        ablation: what to do.
        say: receives progress.

    Raises:
        PsheadError: the settings are wrong, the folder holds another benchmark, or a process died.
    """
    metrics = resolve_metrics(ablation.metric_files, ablation.metric_names)
    missing = _missing_rows(ablation)
    for row, reason in missing.items():
        say(f"not run: {row}: {reason}")
    rows = tuple(row for row in ablation.rows if row.name not in missing)
    _check_settings(ablation)
    fine_from = fine_step(ablation.settings)
    metrics_key = hashlib.sha256(dump_toml(metrics).encode()).hexdigest()[:12]
    tasks = [
        Task(
            subject=subject,
            rows=rows,
            settings=ablation.settings,
            metric_files=ablation.metric_files,
            metric_names=ablation.metric_names,
            fine_from=fine_from,
            out=ablation.out,
            metrics_key=metrics_key,
        )
        for subject in ablation.subjects
    ]
    _run(tasks, ablation.workers, say)
    failed = {task.subject.name: (task.folder / FAILED) for task in tasks if (task.folder / FAILED).is_file()}
    for name, path in failed.items():
        say(f"failed: {name}: {path.read_text(encoding='utf-8').strip()}")
    measured = _measured(tasks, rows)
    others = _others(ablation, metrics, say)
    results = gather({**measured, **others}, missing, weights_of_metrics(metrics))
    write_results(ablation.out, results)
    write_bytes(ablation.out / "table.md", (table(results, emphasised=tuple(others)) + "\n").encode())
    _write_grid(ablation.out, tasks, rows)
    return results


def _missing_rows(ablation: Ablation) -> dict[str, str]:
    """Return the rows whose weights are not here, with the reason."""
    found = {}
    for row in ablation.rows:
        resolved = resolve_row(ablation.settings, row)
        try:
            find_weights(resolved)
        except PsheadError as error:
            found[row.name] = "; ".join(part for part in (error.what, error.fix) if part)
    return found


def _check_settings(ablation: Ablation) -> None:
    """Refuse a folder whose heads came from other settings; those of new rows are written down."""
    rows = {row.name: dump_toml(resolve_row(ablation.settings, row)) for row in ablation.rows}
    path = ablation.out / SETTINGS
    with naming_disk_errors(ablation.out):
        ablation.out.mkdir(parents=True, exist_ok=True)
    if not path.is_file() and any(ablation.out.iterdir()):
        raise PsheadError(f"{ablation.out} is not empty and holds no benchmark", fix="name another folder with --out")
    before: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else {}
    changed = [name for name, text in rows.items() if before.get(name, text) != text]
    if changed:
        raise PsheadError(
            f"{ablation.out} holds a benchmark with other settings",
            why=f"the configuration of its row '{changed[0]}' differs",
            fix="name another folder with --out, or the former settings",
        )
    write_bytes(path, (json.dumps({"rows": {**before, **rows}}, indent=1) + "\n").encode())


def _run(tasks: Sequence[Task], workers: int, say: Say) -> None:
    """Run the tasks in processes, one subject each, and tell how far they are."""
    total = sum(len(task.rows) for task in tasks)
    count = done_before = _done(tasks)
    say(f"{done_before} of {total} reconstructions are there")
    begun = time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, max_tasks_per_child=1) as pool:
        open_tasks: dict[Future[None], Task] = {pool.submit(run_task, task): task for task in tasks}
        while open_tasks:
            ended, _ = wait(open_tasks, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            if _done(tasks) > count:
                count = _done(tasks)
                left = (time.monotonic() - begun) / (count - done_before) * (total - count)
                say(f"{count}/{total} done, {left / 60:.0f} min left")
            for future in ended:
                _finish(future, open_tasks.pop(future))


def _finish(future: Future[None], task: Task) -> None:
    try:
        future.result()
    except BrokenProcessPool as error:
        raise PsheadError(
            f"a process of the benchmark died (perhaps that of {task.subject.name})",
            why="it was killed, or memory ran out",
            fix="give the same command again: it goes on; fewer --workers need less memory",
        ) from error


def _done(tasks: Sequence[Task]) -> int:
    return sum(task.done(row) for task in tasks for row in task.rows)


def _measured(tasks: Sequence[Task], rows: Sequence[Row]) -> Measured:
    found: Measured = {row.name: {} for row in rows}
    for task in tasks:
        for row in rows:
            path = task.folder / row.slug / DONE
            if task.done(row):
                found[row.name][task.subject.name] = json.loads(path.read_text(encoding="utf-8"))["measured"]
    return {name: subjects for name, subjects in found.items() if subjects}


def _others(ablation: Ablation, metrics: Resolved, say: Say) -> Measured:
    """Return the numbers of the other systems, at the side at which our rows are measured."""
    if ablation.rivals is None:
        return {}
    side_px = resolve_row(ablation.settings, ablation.rows[0]).config.resolution.sides_px[-1]
    return scores(ablation.rivals, ablation.subjects, metrics, side_px, say)


def _write_grid(out: Path, tasks: Sequence[Task], rows: Sequence[Row]) -> None:
    """Write the grid of some subjects, evenly spaced among those that are done."""
    there = [task for task in tasks if (task.folder / TRUTH).is_file()]
    shown = there[:: -(-len(there) // GRID_SUBJECTS)] if there else []
    if not shown:
        return
    strips = {
        task.subject.name: [task.folder / TRUTH, *(task.folder / row.slug / STRIP for row in rows)] for task in shown
    }
    picture = grid(strips, ["truth", *(row.name for row in rows)])
    write_with(out / "grid.jpg", lambda path: picture.save(path, format="JPEG", quality=90))
