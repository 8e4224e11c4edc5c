"""What each prior adds, on heads whose novel views are known: `python -m tests.bench.ladder [--ring FOLDER]`.

Every head of the ground-truth set is reconstructed from its front picture, once per row of the table: from the
reference view alone, then with one prior more in each row. The 24 novel views of its ring are compared with the truth
at 128 px. Baselines stand below: mean view and ridge regression, fitted on training heads, if `--ring` names such a
folder (`python -m training.common.make_data --azimuths ring --views 25`).

A metric of the configuration, such as `[metrics.lpips]` where its backbone is present, gets a column.

A row that is done is kept in `--out` and not done again, so a stopped benchmark goes on.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from attrs import evolve, frozen
from PIL import Image
from skimage.metrics import structural_similarity
from torch import Tensor

from pshead_core.cameras.camera import Cameras, project
from pshead_core.config.resolve import recheck, resolve
from pshead_core.config.resolved import Resolved
from pshead_core.config.run import ResolutionConfig
from pshead_core.config.schedule import SlotConfig
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.protocols import Metric
from pshead_core.render.base import Views
from pshead_core.render.build import build_renderer
from pshead_core.run.assemble import make_priors
from pshead_core.run.loop import Loop
from pshead_core.run.offers import build_metrics
from pshead_core.run.start import make_start
from pshead_core.run.weights import find_weights
from training.common.colour import psnr
from training.diffusion.figures import gradient_magnitude
from training.ground_truth import TruthHead, load_ground_truth

SIDE_PX = 128
SOLID = 0.5
"""Alpha from which a pixel counts as the head's, for the silhouettes."""
ROWS: dict[str, tuple[str, ...]] = {
    "reference only": (),
    "+ T2I": ("guidance.personalized_sd",),
    "+ I2I": ("guidance.personalized_sd", "guidance.zero123"),
    "+ T2V": ("guidance.personalized_sd", "guidance.zero123", "guidance.video"),
}
"""Row of the table to the priors of its schedule, as in the paper's table 3."""
COLUMNS = ("psnr_db", "ssim", "sharpness", "iou")


@frozen(kw_only=True)
class Job:
    """One head, one row."""

    head: int
    row: str
    preset: str
    files: tuple[Path, ...]
    out: Path

    @property
    def file(self) -> Path:
        """Figures of a job that is done."""
        return self.out / f"{self.head:02d}-{self.row.replace(' ', '_')}.json"


def portrait_of(head: TruthHead) -> Portrait:
    """Return the portrait that a perfect analysis of the head's front picture would give."""
    front = evolve(head.cameras, **_first(head.cameras))
    points = torch.from_numpy(head.landmarks)
    pixels, depth = project(points, front)
    z_px = (depth[0] - depth[0].mean()) * front.focal_px / depth[0].mean()
    side = front.height_px
    return Portrait(
        rgba=torch.from_numpy(head.images[0]),
        landmarks_px=torch.cat([pixels[0], z_px[:, None]], 1).float(),
        prompt=head.caption,
        photo_to_frame=torch.eye(2, 3, dtype=torch.float64),
        photo_inside=torch.ones(side, side, dtype=torch.bool),
        sha256=f"{head.source}-{head.seed}",
    )


def _first(cameras: Cameras) -> dict[str, Tensor]:
    return {name: getattr(cameras, name)[:1] for name in ("T_world_camera", "azimuth_deg", "elevation_deg")}


def with_priors(resolved: Resolved, uses: tuple[str, ...]) -> Resolved:
    """Return the configuration with only these priors, at the side of the comparison.

    A slot that rides on others goes on riding; if none of those is left, it is due by itself, as in the paper's rows.
    """
    kept = [slot for slot in resolved.config.schedule if "." not in slot.use or slot.use in uses]
    labels = {slot.label for slot in kept}
    alone = tuple(_unharnessed(slot, labels) for slot in kept)
    config = evolve(resolved.config, schedule=alone, resolution=ResolutionConfig(sides_px=(SIDE_PX,), from_steps=(0,)))
    return recheck(evolve(resolved, config=config))


def _unharnessed(slot: SlotConfig, labels: set[str]) -> SlotConfig:
    rides = tuple(name for name in slot.rides_on if name in labels)
    return evolve(slot, rides_on=rides, min_side_px=None)


def new_loop(head: TruthHead, resolved: Resolved) -> tuple[Loop, Mapping[str, Metric]]:
    """Return a run of a head before its first step, and the metrics of its configuration."""
    portrait, config, cpu = portrait_of(head), resolved.config, torch.device("cpu")
    renderer = build_renderer(config.render, cpu, lambda _: None)
    start = make_start(config, portrait, renderer, cpu)
    context, priors = make_priors(resolved, portrait, renderer, start, find_weights(resolved))
    loop = Loop(config, portrait, renderer, priors, start.model, start.surface_depth)
    return loop, build_metrics(resolved, context, priors.metrics)


def shown(loop: Loop, cameras: Cameras) -> Views:
    """Return views of the present head over white."""
    with torch.no_grad():
        found = loop.renderer.render(loop.model, cameras, torch.ones(3))
    return Views(rgb=found.rgb, alpha=found.alpha, depth=found.depth, cameras=cameras, background=torch.ones(3))


def compared(head: TruthHead, views: Views, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Return the figures of a head's 24 novel views, those of the configured metrics last."""
    true_rgb, true_alpha = truth(head)
    found = figures(true_rgb, true_alpha, views.rgb.permute(0, 3, 1, 2).clamp(0, 1), views.alpha)
    reference = evolve(views, rgb=true_rgb.permute(0, 2, 3, 1), alpha=true_alpha)
    for metric in metrics.values():
        found |= metric.measure(views, reference)
    return found


def novel_cameras(head: TruthHead) -> Cameras:
    """Return the cameras of the novel views, at the side of the comparison."""
    names = ("T_world_camera", "azimuth_deg", "elevation_deg")
    return evolve(head.cameras, **{name: getattr(head.cameras, name)[1:] for name in names}).resized(SIDE_PX, SIDE_PX)


def truth(head: TruthHead) -> tuple[Tensor, Tensor]:
    """Return novel views over white `[view, 3, side, side]` and alpha `[view, side, side]`, reduced by areas."""
    rgba = torch.from_numpy(head.images[1:]).permute(0, 3, 1, 2)
    over_white = rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:]
    small = torch.nn.functional.interpolate(torch.cat([over_white, rgba[:, 3:]], 1), size=(SIDE_PX,) * 2, mode="area")
    return small[:, :3], small[:, 3]


def figures(true_rgb: Tensor, true_alpha: Tensor | None, rgb: Tensor, alpha: Tensor | None) -> dict[str, float]:
    """Return the means over views of PSNR, SSIM, gradient magnitude as a ratio to the truth's, silhouette IoU.

    Args:
        true_rgb: `[view, 3, side, side]` in 0..1.
        true_alpha: `[view, side, side]`; None leaves the silhouettes out.
        rgb: as `true_rgb`.
        alpha: as `true_alpha`.
    """
    pairs = zip(true_rgb.permute(0, 2, 3, 1).numpy(), rgb.permute(0, 2, 3, 1).numpy(), strict=True)
    similar = [structural_similarity(one, other, channel_axis=-1, data_range=1.0) for one, other in pairs]
    found = {
        "psnr_db": float(psnr(true_rgb, rgb).mean()),
        "ssim": float(np.mean(similar)),
        "sharpness": float(gradient_magnitude(rgb).mean() / gradient_magnitude(true_rgb).mean()),
    }
    if true_alpha is not None and alpha is not None:
        one, other = true_alpha > SOLID, alpha > SOLID
        found["iou"] = float(((one & other).sum((1, 2)) / (one | other).sum((1, 2))).mean())
    return found


def run_job(job: Job) -> Job:
    """Reconstruct one head and write figures and a strip of its views."""
    torch.set_num_threads(1)
    head = load_ground_truth()[job.head]
    resolved = with_priors(resolve(preset=job.preset, files=list(job.files)), ROWS[job.row])
    loop, metrics = new_loop(head, resolved)
    for _ in loop.steps():
        pass
    views = shown(loop, novel_cameras(head))
    found = {**compared(head, views, metrics), "seconds": round(loop.seconds, 1)}
    pictures = (truth(head)[0], views.rgb.permute(0, 3, 1, 2).clamp(0, 1))
    strip = torch.cat([torch.cat(list(part[::3]), 2) for part in pictures], 1)
    pixels = (strip.permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(pixels).save(job.file.with_suffix(".png"))
    job.file.write_text(json.dumps({**found, "source": head.source}) + "\n", encoding="utf-8")
    return job


def run_all(jobs: list[Job], workers: int) -> Iterator[Job]:
    """Run jobs in processes, one thread each, and yield them as they end."""
    if workers == 1:
        yield from map(run_job, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(run_job, jobs)


def baseline_rows(ring: Path, heads: list[TruthHead]) -> dict[str, list[dict[str, float]]]:
    """Return figures per head of mean view and ridge regression, fitted on the training heads of a ring folder."""
    from training.zero123.baselines import mean_views, open_ring, ridge_views, turned_over

    known = turned_over(open_ring(ring))
    fronts = torch.stack([_front(head) for head in heads])
    mean = mean_views(known)
    ridge, _ = ridge_views(known, fronts)
    found: dict[str, list[dict[str, float]]] = {"mean view": [], "ridge regression": []}
    for head, guess in zip(heads, ridge, strict=True):
        true_rgb, _ = truth(head)
        found["mean view"].append(figures(true_rgb, None, mean, None))
        found["ridge regression"].append(figures(true_rgb, None, guess, None))
    return found


def _front(head: TruthHead) -> Tensor:
    rgba = torch.from_numpy(head.images[:1]).permute(0, 3, 1, 2)
    over_white = rgba[:, :3] * rgba[:, 3:] + 1 - rgba[:, 3:]
    return torch.nn.functional.interpolate(over_white, size=(SIDE_PX,) * 2, mode="area")[0]


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """Return the means over heads as a Markdown table; PSNR with its standard error over heads.

    Configured metrics have columns too; a row that lacks a figure has a dash there.
    """
    measured = dict.fromkeys(name for found in rows.values() for name in found[0])
    more = [name for name in measured if name not in (*COLUMNS, "seconds")]
    titles = ["row", "heads", "PSNR, dB", "SSIM", "sharpness", "silhouette IoU", *more]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row, found in rows.items():
        error = np.std([one["psnr_db"] for one in found], ddof=1) / len(found) ** 0.5 if len(found) > 1 else np.nan
        means = [np.mean([one[name] for one in found]) if name in found[0] else None for name in (*COLUMNS, *more)]
        cells = ["-" if mean is None else f"{mean:.3f}" for mean in means[1:]]
        lines.append(f"| {' | '.join([row, str(len(found)), f'{means[0]:.2f} ± {error:.2f}', *cells])} |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, reconstruct what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of figures and pictures; goes on from what is there"
    )
    parser.add_argument("--preset", default="mini")
    parser.add_argument("--config", type=Path, action="append", default=[], help="TOML on top of the preset")
    parser.add_argument("--heads", type=int, default=12, help="of the ground-truth set, both sources in turn")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread")
    parser.add_argument("--ring", type=Path, help="training heads for the baselines")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    heads, rows = load_ground_truth(), arguments.rows
    order = sorted(range(len(heads)), key=lambda number: (number % (len(heads) // 2), number))[: arguments.heads]
    files, out = tuple(arguments.config), arguments.out
    jobs = [Job(head=head, row=row, preset=arguments.preset, files=files, out=out) for head in order for row in rows]
    missing, begun = [job for job in jobs if not job.file.exists()], time.monotonic()
    for number, job in enumerate(run_all(missing, arguments.workers), 1):
        left = (time.monotonic() - begun) / number * (len(missing) - number)
        print(f"{number}/{len(missing)} {job.file.stem}, {left / 60:.1f} min left", flush=True)
    read = {row: [json.loads(job.file.read_text()) for job in jobs if job.row == row] for row in rows}
    if arguments.ring is not None:
        read |= baseline_rows(arguments.ring, [heads[number] for number in order])
    text = table(read)
    (out / "table.md").write_text(text + "\n", encoding="utf-8")
    (out / "table.json").write_text(json.dumps(read, indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
