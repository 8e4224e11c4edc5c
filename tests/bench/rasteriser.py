"""How fast the CPU renderer is, as ratios to what the machine can do.

Run from the repository's root:

    python -m tests.bench.rasteriser            # all sizes, about two minutes
    python -m tests.bench.rasteriser --quick    # 5k and 20k Gaussians only, without the dense reference

Times are CPU time of one thread, medians; a busy neighbour on the same core (hyper-threading) still slows the kernels
by up to a third, which the best time beside the median shows. The row-FLOP limit is the time in which one core would do
32 (forward) or 63 (backward) floating-point operations for each lane of each 16-pixel row that a Gaussian touches, at
the peak of fused multiply-adds that is measured in the same run. Bars: raster kernels at most 2.5
(forward) and 2.2 (backward) times the limit with 20k Gaussians at 256 px; at least 100 times faster than the dense
torch reference with 5k at 128 px.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from attrs import frozen
from numba import njit

from pshead_core.cameras.camera import Cameras, orbit
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import colours
from pshead_core.render.cpu import CpuRenderer
from pshead_core.render.kernels_backward import rasterise_backward
from pshead_core.render.kernels_forward import rasterise_forward
from pshead_core.render.reference import ReferenceRenderer
from pshead_core.render.simd import LANES, fma, load, splat, store
from pshead_core.render.threads import Workers
from pshead_core.render.tile_lists import TileLists, list_view, scene_of

FORWARD_FLOP, BACKWARD_FLOP = 32, 63  # per lane and touched row: the arithmetic of the two inner loops
FORWARD_BAR, BACKWARD_BAR, REFERENCE_BAR = 2.5, 2.2, 100.0
SEMI_AXES = (0.36, 0.48, 0.42)  # world units; the shell fills 44 % of the picture's height


def shell(n: int, *, seed: int = 0) -> GaussianModel:
    """Return `n` Gaussians on the jittered surface of a head-sized ellipsoid."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=random)

    axes = torch.tensor(SEMI_AXES)
    means = torch.nn.functional.normalize(normal(n, 3), dim=1) * axes * (1 + 0.02 * normal(n, 1))
    a, b, c = ((SEMI_AXES[i] * SEMI_AXES[j]) ** 1.6 for i, j in ((0, 1), (0, 2), (1, 2)))
    spacing = math.sqrt(4 * math.pi * ((a + b + c) / 3) ** (1 / 1.6) / n)  # Thomsen's area of an ellipsoid
    opacities = torch.sigmoid(0.5 + 1.5 * normal(n)).clamp(0.02, 0.95)
    return GaussianModel(
        means=means,
        quaternions=normal(n, 4),
        log_scales=math.log(0.9 * spacing) + 0.35 * normal(n, 3),
        opacity_logits=torch.logit(opacities),
        sh=0.3 * normal(n, 1, 3),
    )


def camera(side_px: int) -> Cameras:
    """Return the one view of the workload."""
    return orbit(torch.tensor([20.0]), torch.tensor([10.0]), distance=2.25, fovy_deg=49.1, side_px=side_px)


@njit
def _multiply_add(data, rounds):  # type: ignore[no-untyped-def]
    """Run 12 independent chains of vector multiply-adds, enough to hide their latency."""
    factor, a0 = splat(np.float32(0.999)), load(data, np.uint64(0))
    a1 = a2 = a3 = a4 = a5 = a6 = a7 = a8 = a9 = a10 = a11 = a0
    for _ in range(rounds):
        a0, a1, a2, a3 = fma(a0, factor, factor), fma(a1, factor, a1), fma(a2, factor, a2), fma(a3, a3, factor)
        a4, a5, a6, a7 = fma(a4, factor, factor), fma(a5, factor, a5), fma(a6, a6, a6), fma(a7, a7, factor)
        a8, a9, a10, a11 = fma(a8, a8, a8), fma(a9, factor, a9), fma(factor, factor, a10), fma(factor, a11, a11)
    store(data, np.uint64(0), a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process for one call."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def peak_flop_per_s() -> float:
    """Return the multiply-add rate of one core now: the best of three short runs (0.2 ms each)."""
    data, rounds = np.zeros(16, np.float32), 50_000
    seconds = min(cpu_seconds(lambda: _multiply_add(data, rounds)) for _ in range(3))
    return 12 * rounds * LANES * 2 / seconds


@frozen(kw_only=True)
class KernelTimes:
    """One line of the table; seconds, FLOP/s. A round measures the peak, forward and backward in turn."""

    peak: float
    """Highest of all rounds; both limits come from it."""
    forward: float
    """Median."""
    forward_best: float
    forward_limit: float
    backward: float
    """Median."""
    backward_best: float
    backward_limit: float

    @property
    def forward_ratio(self) -> float:
        """Median forward time divided by its limit."""
        return self.forward / self.forward_limit

    @property
    def backward_ratio(self) -> float:
        """Median backward time divided by its limit."""
        return self.backward / self.backward_limit


def time_kernels(n: int, side_px: int, *, rounds: int = 25) -> KernelTimes:
    """Time the two raster kernels on one thread."""
    model, cameras = shell(n), camera(side_px)
    scene = scene_of(cameras, torch.ones(3), np.zeros((1, n, 2), np.float32))
    shades = colours(model.sh, model.means, cameras.positions)[0].contiguous().numpy().reshape(-1)
    flat = [t.contiguous().numpy().reshape(-1) for t in list(model.tensors().values())[:4]]
    found = list_view(scene, 0, flat, shades, np.zeros(n, np.int32), workers=Workers(1))
    pixels = side_px * side_px
    rgb, alpha, depth = (torch.empty(size * pixels).numpy() for size in (3, 1, 1))
    random = np.random.default_rng(0)
    upstream = [random.normal(size=size * pixels).astype(np.float32) for size in (3, 1, 1)]
    gradients = torch.empty(16 * len(found.entries)).numpy()
    one: Any = (np.uint64(0), np.uint64(1))

    def forward() -> None:
        rasterise_forward(
            *one, found.order, found.starts, found.entries, found.params, *scene.size, scene.background,
            rgb, alpha, depth, found.used,
        )  # fmt: skip

    def backward() -> None:
        rasterise_backward(
            *one, found.order, found.starts, found.used, found.entries, found.params, *scene.size,
            rgb, alpha, depth, *upstream, gradients,
        )  # fmt: skip

    _ = peak_flop_per_s(), forward(), backward()
    flop = touched_rows(found) * LANES  # per operation and lane
    table = np.array([(peak_flop_per_s(), cpu_seconds(forward), cpu_seconds(backward)) for _ in range(rounds)])
    peaks, forward_times, backward_times = table.T
    peak = float(peaks.max())
    return KernelTimes(
        peak=peak,
        forward=float(np.median(forward_times)),
        forward_best=float(forward_times.min()),
        forward_limit=flop * FORWARD_FLOP / peak,
        backward=float(np.median(backward_times)),
        backward_best=float(backward_times.min()),
        backward_limit=flop * BACKWARD_FLOP / peak,
    )


def touched_rows(found: TileLists) -> int:
    """Return how many 16-pixel rows the Gaussians touch, up to where each tile was finished."""
    rows = (found.entries[:, 3] - found.entries[:, 2]).astype(np.int64)
    before = np.concatenate([[0], np.cumsum(rows)])
    starts = found.starts[:-1].astype(np.int64)
    return int((before[starts + found.used] - before[starts]).sum())


def time_renderer(renderer: Any, n: int, side_px: int, *, repeats: int) -> tuple[float, float]:
    """Return median CPU seconds of a whole `render` and of render plus backward (colours, sorting, torch included)."""
    model, cameras, background = shell(n).requires_grad(), camera(side_px), torch.ones(3)
    upstream = torch.randn(1, side_px, side_px, 3, generator=torch.Generator().manual_seed(1))

    def both() -> None:
        renderer.render(model, cameras, background).rgb.backward(upstream)

    both()
    forward = [cpu_seconds(lambda: renderer.render(model, cameras, background)) for _ in range(repeats)]
    return statistics.median(forward), statistics.median(cpu_seconds(both) for _ in range(repeats))


def _line(renderer: CpuRenderer, n: int, side_px: int) -> str:
    times = time_kernels(n, side_px)
    whole, both = time_renderer(renderer, n, side_px, repeats=7)
    cells = [f"{n:9d} {side_px:4d} {times.peak / 1e9:6.1f}"]
    for median, best, limit in (
        (times.forward, times.forward_best, times.forward_limit),
        (times.backward, times.backward_best, times.backward_limit),
    ):
        cells.append(f"{1e3 * median:6.2f} {1e3 * limit:6.2f} {median / limit:4.2f} ({best / limit:4.2f})")
    cells.append(f"{1e3 * whole:6.1f} {1e3 * both:6.1f}")
    return " | ".join(cells)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print("ms of CPU time, one thread; peak: multiply-adds of one core, GFLOP/s; ratio: median / limit (best / limit)")
    print(f"{'Gaussians':>9} {'px':>4} {'peak':>6} | {'fwd':>6} {'limit':>6} {'ratio':>11} | {'bwd':>6} {'limit':>6} "
          f"{'ratio':>11} | {'render':>6} {'+bwd':>6}")  # fmt: skip
    renderer = CpuRenderer(threads=1)
    for n in (5_000, 20_000) if quick else (5_000, 20_000, 100_000):
        for side_px in (128, 256, 512):
            print(_line(renderer, n, side_px))
    print(f"bars at 20000, 256 px: forward {FORWARD_BAR}, backward {BACKWARD_BAR}")
    if not quick:
        _, fast = time_renderer(renderer, 5_000, 128, repeats=7)
        _, slow = time_renderer(ReferenceRenderer(), 5_000, 128, repeats=1)
        print(f"5000, 128 px, forward and backward: dense torch reference {slow:.2f} s, {slow / fast:.0f} times this "
              f"renderer's (bar: {REFERENCE_BAR:.0f})")  # fmt: skip


if __name__ == "__main__":
    main()
