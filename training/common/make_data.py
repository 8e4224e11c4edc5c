"""Renders heads into shards: `python -m training.common.make_data --data FOLDER --heads 2000 [--assets FOLDER]`.

A second call goes on where the first stopped; a shard is there as a whole or not at all, and every shard depends only
on its seeds and the settings. Without `--assets` there are only signed-distance heads.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

from training.common.progress import Progress
from training.common.shards import DataSettings, ShardJob, claim_folder, make_shard, plan_shards
from training.heads import SOURCES, open_assets
from training.heads.makehuman import MakeHumanAssets

Task = tuple[Path, ShardJob, DataSettings, Path | None]


def make_data(
    folder: Path,
    heads: int,
    settings: DataSettings,
    *,
    assets: Path | None = None,
    sources: tuple[str, ...] = SOURCES,
    first_seed: int = 0,
    workers: int = 1,
    minutes: float | None = None,
) -> int:
    """Make the missing shards and return how many were made.

    Args:
        folder: of the data; outside the work tree.
        heads: of all sources together, those already there included.
        settings: what the shards have in common.
        assets: MakeHuman's folder.
        sources: of heads, shared evenly.
        first_seed: of each source, counted from the beginning of the range (training or held-out).
        workers: processes.
        minutes: begin no more shards after so long.

    Raises:
        PsheadError: other settings than the folder's, seeds out of range, or missing assets.
    """
    folder.mkdir(parents=True, exist_ok=True)
    claim_folder(folder, settings)
    jobs = plan_shards(heads, sources, settings, first_seed)
    missing = [job for job in jobs if not (folder / job.name).exists()]
    print(f"{len(jobs) - len(missing)} of {len(jobs)} shards are there", flush=True)
    progress = Progress(len(missing), "shard")
    end = time.monotonic() + 60 * minutes if minutes is not None else None
    tasks = ((folder, job, settings, assets) for job in missing if end is None or time.monotonic() < end)
    made = 0
    for written in _map(tasks, workers):
        made += written
        progress.advance(f" ({folder})")
    return made


def _map(tasks: Iterator[Task], workers: int) -> Iterator[bool]:
    if workers == 1:
        yield from map(_run, tasks)
        return
    context = multiprocessing.get_context("spawn")  # threads of torch and numba do not survive a fork
    with context.Pool(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        # A few at a time: the pool would take all tasks at once and a time limit would stop nothing.
        waiting = [pool.apply_async(_run, (task,)) for task in _take(tasks, workers)]
        while waiting:
            yield waiting.pop(0).get()
            waiting += [pool.apply_async(_run, (task,)) for task in _take(tasks, 1)]


def _take(tasks: Iterator[Task], count: int) -> list[Task]:
    return [task for _, task in zip(range(count), tasks, strict=False)]


def _run(task: Task) -> bool:
    folder, job, settings, assets = task
    return make_shard(folder, job, settings, None if assets is None else _assets(assets))


@cache
def _assets(folder: Path) -> MakeHumanAssets:
    """Return a folder's assets; each process opens them once, as they keep what they read."""
    return open_assets(folder)


def main() -> None:
    """Read the command line and make the shards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the shards, outside the work tree")
    parser.add_argument("--heads", type=int, required=True, help="of both sources together")
    parser.add_argument("--views", type=int, default=12, help="pictures of each head, the front first")
    parser.add_argument("--side-px", type=int, default=128)
    parser.add_argument("--azimuths", choices=("random", "ring"), default="random")
    parser.add_argument("--assets", type=Path, help="MakeHuman's folder; without it only signed-distance heads")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--held-out", action="store_true", help="heads never trained on, without jitter")
    parser.add_argument("--shard-heads", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, help="begin no more shards after so long")
    arguments = parser.parse_args()
    settings = DataSettings(
        views=arguments.views,
        side_px=arguments.side_px,
        azimuths=arguments.azimuths,
        shard_heads=arguments.shard_heads,
        held_out=arguments.held_out,
    )
    begun = time.monotonic()
    made = make_data(
        arguments.data,
        arguments.heads,
        settings,
        assets=arguments.assets,
        sources=SOURCES if arguments.assets else ("sdf",),
        first_seed=arguments.first_seed,
        workers=arguments.workers,
        minutes=arguments.minutes,
    )
    print(f"{made} shards made in {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
