"""How long the paper's priors take with full-size networks: `python -m tests.bench.full_size --work FOLDER`.

Weights are random, because the speed of a network does not depend on their values; architectures, guidances and
settings are the real ones, in bfloat16. Each row of the table is the median of a few calls of `contribute` with random
views, after one call that is not counted. `--channels-last` and `--compile` measure all rows again with that speed-up
(with both: first the one, then both). Weights are written below `--work` once, about 8.5 GB in half precision.

`--tiny` runs the same code with tiny networks in seconds, on a CPU unless `--device` says otherwise.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import diffusers
import pshead_guidance_personalized_sd
import pshead_guidance_video
import pshead_guidance_zero123
import torch
import transformers
from attrs import asdict, frozen
from pshead_guidance_personalized_sd.config import PersonaliseSettings, PersonalizedSdConfig
from pshead_guidance_video.config import VideoConfig
from pshead_guidance_zero123.config import Zero123Config

from pshead_core.cameras.camera import Cameras, orbit
from pshead_core.config.plugin import PluginConfig
from pshead_core.gaussians.model import GaussianModel
from pshead_core.portrait.facts import LANDMARKS
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.priors.protocols import BuildContext, Guidance, Prepares, Step
from pshead_core.render.base import Views
from pshead_core.specs import GuidanceSpec

from .random_weights import layouts, write_weights
from .watched import CallTimes, WatchedPool, medians

DTYPE = torch.bfloat16  # that of a run on CUDA
RUN_STEPS = 2000  # PSHead, as all figures down to LATE
I2I_PART, T2V_PART = 0.25, 0.25  # of the steps; the rest sees the reference view only
T2I_STEPS, T2I_CHANCE = (300, 1000), 0.7  # in steps of novel views between these
T2I_VIEWS = 8
LATE = {"min_t_frac": 0.3, "max_t_frac": 0.8}  # I2I and T2V from step 200 on
PAPER_HOURS = 1.5  # on an A100, the whole run
LEFT_OUT = "the renderer, reference losses, density control, the refinement and the personalisation"
GAUSSIANS = 100_000
PORTRAIT_SIDE_PX = 512

I2I, T2V, T2I = "I2I zero123", "T2V video, square", "T2I sd"
T2V_PUBLISHED, T2I_ALL = "T2V video, published", "T2I sd, all views"
WEIGHTS = ("zero123", "video", "sd")
PLAIN, CHANNELS_LAST, COMPILED = "plain", "channels last", "compiled"


@frozen(kw_only=True)
class Branch:
    """One line of the table: a guidance with its settings."""

    name: str
    weights: str
    """Name of the layout."""
    spec: GuidanceSpec
    config: Callable[[str], PluginConfig]
    """Takes the checkpoint's name."""
    views: int


@frozen(kw_only=True)
class Row:
    """A measured line."""

    variant: str
    branch: str
    views: int
    times: CallTimes
    first_call: float
    """Seconds of the call that is not counted: moving the networks to the device, choosing kernels, compiling."""
    peak_gib: float | None
    """Most memory that torch had given out, with the networks; None on a CPU."""


def branches(views: int, *, tiny: bool) -> tuple[Branch, ...]:
    """Return the lines of the table in the order in which they are measured: the cheap ones first."""
    few = min(T2I_VIEWS, views)
    small = {"side_px": 64} if tiny else {}
    wide = {"frame": "published", **({"height_px": 64, "width_px": 128} if tiny else {})}
    novel = DistillSettings(guidance_scale=3.0, **LATE)
    clip = DistillSettings(draw="shared", **LATE)
    text = DistillSettings(guidance_scale=25.0, guidance_form="from_condition", max_t_frac=0.5)

    def zero123(name: str) -> PluginConfig:
        return Zero123Config(checkpoint=name, distill=novel)

    def square(name: str) -> PluginConfig:
        return VideoConfig(checkpoint=name, distill=clip, **small)

    def published(name: str) -> PluginConfig:
        return VideoConfig(checkpoint=name, distill=clip, **wide)

    def sd(name: str) -> PluginConfig:
        return PersonalizedSdConfig(
            checkpoint=name, personalise=PersonaliseSettings(method="none"), distill=text, **small
        )

    specs = {
        "zero123": pshead_guidance_zero123.pshead_guidance()[0],
        "video": pshead_guidance_video.pshead_guidance()[0],
        "sd": pshead_guidance_personalized_sd.pshead_guidance()[0],
    }
    lines = (
        (I2I, "zero123", zero123, views),
        (T2V, "video", square, views),
        (T2I, "sd", sd, few),
        (T2V_PUBLISHED, "video", published, views),
        (T2I_ALL, "sd", sd, views),
    )
    return tuple(
        Branch(name=name, weights=weights, spec=specs[weights], config=config, views=count)
        for name, weights, config, count in lines
    )


def make_context(pool: WatchedPool, work: Path) -> BuildContext:
    """Return what the guidances are built from, with a portrait of noise."""
    random = torch.Generator().manual_seed(0)
    portrait = Portrait(
        rgba=torch.rand(PORTRAIT_SIDE_PX, PORTRAIT_SIDE_PX, 4, generator=random),
        landmarks_px=torch.zeros(LANDMARKS, 3),
        prompt="photo of a woman, short brown hair, green shirt",
        photo_to_frame=torch.eye(2, 3, dtype=torch.float64),
        photo_inside=torch.ones(PORTRAIT_SIDE_PX, PORTRAIT_SIDE_PX, dtype=torch.bool),
        sha256="0" * 64,
    )
    return BuildContext(
        portrait=portrait.to(pool.device),
        device=pool.device,
        dtype=DTYPE,
        cache_folder=work / "cache",
        logger=logging.getLogger("pshead.bench"),
        models=pool,
    )


def ring(count: int, side_px: int, device: torch.device) -> Cameras:
    """Return the paper's cameras: all round, at eye level."""
    azimuth_deg = (torch.arange(count) + 0.5) / count * 360.0 - 180.0
    return orbit(azimuth_deg, torch.zeros(count), distance=2.0, fovy_deg=49.1, side_px=side_px).to(device)


def random_views(count: int, side_px: int, device: torch.device) -> Views:
    """Return views of noise."""
    shape = (count, side_px, side_px)
    random = torch.Generator().manual_seed(1)
    return Views(
        rgb=torch.rand(*shape, 3, generator=random).to(device),
        alpha=torch.ones(shape, device=device),
        depth=torch.full(shape, 2.0, device=device),
        cameras=ring(count, side_px, device),
        background=torch.ones(3, device=device),
    )


def built(branch: Branch, folder: Path, context: BuildContext) -> Guidance:
    """Build a guidance from a written checkpoint, ready for its first call."""
    context.models.begin_use()
    guidance = branch.spec.build(branch.config(str(folder)), context)
    if isinstance(guidance, Prepares):
        guidance.prepare()
    return guidance


def measured(variant: str, branch: Branch, guidance: Guidance, views: Views, pool: WatchedPool, repeats: int) -> Row:
    """Return the line of a built guidance; other networks leave the device before.

    Raises:
        RuntimeError: a contribution is not finite, or zero: then something else was timed than the real work.
    """
    on_cuda = pool.device.type == "cuda"

    def contribute(repeat: int) -> None:
        at = Step(index=500, total=RUN_STEPS, slot=branch.name, generator=torch.Generator().manual_seed(repeat))
        found.append(guidance.contribute(views, at).rgb)

    found: list[torch.Tensor] = []
    pool.offload_all()
    pool.begin_use()
    if on_cuda:
        torch.cuda.reset_peak_memory_stats()
    first = pool.clock.time(lambda: contribute(0))
    if not bool(found[0].isfinite().all()) or not bool(found[0].any()):
        raise RuntimeError(f"{branch.name} ({variant}) contributes zeros or values that are not finite")
    times = []
    for repeat in range(1, repeats + 1):
        found.clear()
        times.append(pool.clock.time(lambda repeat=repeat: contribute(repeat)))  # type: ignore[misc]
    return Row(
        variant=variant,
        branch=branch.name,
        views=branch.views,
        times=medians(times),
        first_call=first.seconds,
        peak_gib=torch.cuda.max_memory_allocated() / 2**30 if on_cuda else None,
    )


def all_rows(args: argparse.Namespace, pool: WatchedPool) -> Iterator[Row]:
    """Measure everything, yielding each line as soon as it is known."""
    todo = [branch for branch in branches(args.views, tiny=args.tiny) if branch.weights in args.only]
    context, written = make_context(pool, args.work), layouts(tiny=args.tiny)
    guidances: dict[str, Guidance] = {}
    for variant in variants(args):
        if variant != PLAIN:
            (pool.use_compiled if variant == COMPILED else pool.use_channels_last)()
        for branch in todo:
            if branch.name not in guidances:
                folder = (args.work / ("tiny" if args.tiny else "full") / branch.weights).resolve()
                began = time.perf_counter()
                size = write_weights(folder, written[branch.weights], pool.device)
                wrote = time.perf_counter()
                guidances[branch.name] = built(branch, folder, context)
                say(
                    f"{branch.name}: {size / 1e9:.2f} GB of weights written or found in {wrote - began:.1f} s,"
                    f" guidance built in {time.perf_counter() - wrote:.1f} s"
                )
            views = random_views(branch.views, args.side_px, pool.device)
            yield measured(variant, branch, guidances[branch.name], views, pool, args.repeats)


def variants(args: argparse.Namespace) -> list[str]:
    """Return the names of the passes over the table; each keeps what the one before has changed."""
    return [PLAIN, *([CHANNELS_LAST] if args.channels_last else []), *([COMPILED] if args.compile else [])]


def say(text: str) -> None:
    """Print a line that is no part of the report."""
    print(f"# {text}", file=sys.stderr, flush=True)


HEADER = (
    "| variant | branch | views | s per call | encoder | network | pull-back | first call | peak GiB | times plain |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def line_of(row: Row, plain: Row) -> str:
    """Return a line of the Markdown table; the last figure is how many times as fast as plain it is."""
    times = row.times
    figures = [f"{value:.4f}" for value in (times.seconds, times.encoder, times.network, times.pull_back)]
    peak = "-" if row.peak_gib is None else f"{row.peak_gib:.1f}"
    ratio = f"{plain.times.seconds / times.seconds:.2f}"
    cells = [row.variant, row.branch, str(row.views), *figures, f"{row.first_call:.2f}", peak, ratio]
    return f"| {' | '.join(cells)} |"


def projected_seconds(i2i: float, t2v: float, t2i: float) -> float:
    """Return the seconds that the priors take in the paper's run before its refinement, from seconds per call."""
    begin, end = T2I_STEPS
    t2i_calls = (end - begin) * (I2I_PART + T2V_PART) * T2I_CHANCE
    return RUN_STEPS * (I2I_PART * i2i + T2V_PART * t2v) + t2i_calls * t2i


def projections(rows: Sequence[Row]) -> list[str]:
    """Return one sentence per variant and shape of the clip that was measured whole."""
    seconds = {(row.variant, row.branch): row.times.seconds for row in rows}
    sentences = []
    for variant in dict.fromkeys(row.variant for row in rows):
        for clip in (T2V, T2V_PUBLISHED):
            parts = [seconds.get((variant, name)) for name in (I2I, clip, T2I)]
            if None not in parts:
                total = projected_seconds(*parts)  # type: ignore[arg-type]
                share = total / (PAPER_HOURS * 3600)
                sentences.append(
                    f"{variant}, {clip}: the priors of {RUN_STEPS} steps take {total:.0f} s = {total / 60:.1f} min,"
                    f" {share:.1%} of the {PAPER_HOURS} h that the paper states for its whole run on an A100."
                )
    return sentences


def time_render(views: int, side_px: int, repeats: int) -> float:
    """Return the median seconds of drawing the novel views with gsplat, and of the gradient; the first call is extra.

    Args:
        views: number of cameras.
        side_px: of the pictures.
        repeats: at least 1.
    """
    from pshead_core.render.gsplat_backend import GsplatRenderer

    device = torch.device("cuda")
    model = cloud(GAUSSIANS).to(device)
    renderer, cameras, white = GsplatRenderer(), ring(views, side_px, device), torch.ones(3, device=device)
    seconds = []
    for _ in range(repeats + 1):
        leaf = model.requires_grad()
        torch.cuda.synchronize()
        began = time.perf_counter()
        rgb = renderer.render(leaf, cameras, white).rgb
        rgb.backward(torch.ones_like(rgb))
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:])


def cloud(count: int) -> GaussianModel:
    """Return Gaussians on a head-sized ellipsoid, each about as wide as the distance to its neighbours."""
    random = torch.Generator().manual_seed(2)
    away = torch.nn.functional.normalize(torch.randn(count, 3, generator=random), dim=1)
    return GaussianModel(
        means=away * torch.tensor([0.36, 0.48, 0.42]),
        quaternions=torch.randn(count, 4, generator=random),
        log_scales=torch.full((count, 3), (2.2 / count) ** 0.5).log(),  # 2.2: area of the ellipsoid
        opacity_logits=torch.full((count,), 1.0),
        sh=0.3 * torch.randn(count, 1, 3, generator=random),
    )


def report_render(args: argparse.Namespace, device: torch.device) -> None:
    """Time the renderer where it can run; its kernels may be compiled at the first call, which takes minutes."""
    if device.type != "cuda" or find_spec("gsplat") is None:
        print("\nRenderer: not measured (it needs CUDA and the package gsplat).", flush=True)
        return
    say("gsplat may compile its kernels now")
    seconds = time_render(args.views, args.side_px, args.repeats)
    print(
        f"\nRenderer: {args.views} views of {args.side_px} px with {GAUSSIANS} Gaussians, drawing and gradient:"
        f" {seconds:.4f} s; 1,000 such steps take {1000 * seconds:.0f} s.",
        flush=True,
    )


def read_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; what is not given depends on `--tiny`."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.full_size", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the weights, on a fast disk")
    parser.add_argument("--tiny", action="store_true", help="tiny networks, to try the benchmark itself")
    parser.add_argument("--device", help="cuda, or with --tiny cpu")
    parser.add_argument("--views", type=int, help="novel views of a step: 25, or with --tiny 9")
    parser.add_argument("--side-px", type=int, help="of the views: 512, or with --tiny 64")
    parser.add_argument("--only", nargs="+", choices=WEIGHTS, default=WEIGHTS, help="priors to measure")
    parser.add_argument("--repeats", type=int, default=5, help="counted calls per row")
    parser.add_argument("--channels-last", action="store_true", help="measure all networks with channels last too")
    parser.add_argument("--compile", action="store_true", help="measure compiled UNets too; each takes a minute or so")
    parser.add_argument("--json", type=Path, help="file for the figures, written anew after each row")
    args = parser.parse_args(argv)
    args.device = args.device or ("cpu" if args.tiny else "cuda")
    args.views = args.views or (9 if args.tiny else 25)
    args.side_px = args.side_px or (64 if args.tiny else 512)
    return args


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    args = read_arguments(argv)
    device = torch.device(args.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(
        f"{name}, torch {torch.__version__}, diffusers {diffusers.__version__}, transformers"
        f" {transformers.__version__}, bfloat16, {'tiny' if args.tiny else 'full-size'} networks,"
        f" views of {args.side_px} px, median of {args.repeats}\n\n{HEADER}",
        flush=True,
    )
    rows: list[Row] = []
    plain: dict[str, Row] = {}
    for row in all_rows(args, WatchedPool(device, DTYPE)):
        rows.append(row)
        print(line_of(row, plain.setdefault(row.branch, row)), flush=True)
        if args.json:
            args.json.write_text(json.dumps({"device": name, "rows": [asdict(one) for one in rows]}, indent=1))
    for sentence in projections(rows):
        print(f"\n{sentence}", flush=True)
    trial = " The networks are tiny: these figures say nothing about full-size ones." if args.tiny else ""
    print(f"\nLeft out are {LEFT_OUT}.{trial}", flush=True)
    report_render(args, device)


if __name__ == "__main__":
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()  # here and not in `main`: both hold for the whole process
    main()
