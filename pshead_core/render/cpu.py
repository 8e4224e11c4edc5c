"""The CPU renderer: numba kernels with explicit SIMD types, an analytic backward, and threads over tiles.

Per view: project the Gaussians, sort them by depth, list them by tile, rasterise; backward replays the lists. Results
are the same bits for any number of threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pshead_core.cameras.camera import Cameras, orbit
from pshead_core.errors import RenderError
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import colours
from pshead_core.render.base import Rendering
from pshead_core.render.kernels_backward import rasterise_backward
from pshead_core.render.kernels_bin import depth_order, list_tiles, sort_into_tiles
from pshead_core.render.kernels_forward import rasterise_forward
from pshead_core.render.kernels_project import project_forward
from pshead_core.render.kernels_project_backward import project_backward
from pshead_core.render.threads import Workers
from pshead_core.render.tile_lists import Scene, TileLists, aligned, flat, list_view, scene_of

COMPILING = "compiling the CPU renderer, about 20 s, once per machine"
_KERNELS = (depth_order, list_tiles, sort_into_tiles, project_forward, rasterise_forward, rasterise_backward,
            project_backward)  # fmt: skip
_log = logging.getLogger(__name__)


class CpuRenderer:
    """Renders on the CPU in float32.

    `Rendering.abs_mean_grad_px` adds up over backward passes. There is no second derivative.

    Args:
        threads: how many threads work; without it as many as torch uses. The results do not depend on it.
        report: told when kernels have to be compiled; without it the message is logged as a warning.
    """

    def __init__(self, threads: int | None = None, *, report: Callable[[str], None] | None = None) -> None:
        warm_up(report or _log.warning)
        self._workers = Workers(threads or torch.get_num_threads())

    def render(self, model: GaussianModel, cameras: Cameras, background: Tensor) -> Rendering:
        """Render all cameras; see `pshead_core.render.base.Renderer`."""
        _check(model, cameras)
        return _render(model, cameras, background, self._workers)


def warm_up(report: Callable[[str], None]) -> None:
    """Load the kernels from numba's cache on disk, or compile and cache them.

    Args:
        report: called once with a message if anything has to be compiled.
    """
    if project_backward.signatures:
        return
    offsets = np.zeros(1, np.uint32)
    depth_order(offsets, aligned(16))  # the smallest kernel tells early whether the cache is empty
    told = _report_misses(report)
    model = GaussianModel(
        means=torch.zeros(1, 3),
        quaternions=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        log_scales=torch.full((1, 3), -2.0),
        opacity_logits=torch.zeros(1),
        sh=torch.zeros(1, 1, 3),
    ).requires_grad()
    camera = orbit(torch.zeros(1), torch.zeros(1), distance=2.0, fovy_deg=50.0, side_px=16)
    with torch.enable_grad():
        rendering = _render(model, camera, torch.zeros(3), Workers(1))
        if not told:
            _report_misses(report)
        rendering.alpha.sum().backward()  # type: ignore[no-untyped-call]


def _report_misses(report: Callable[[str], None]) -> bool:
    missed = any(sum(kernel.stats.cache_misses.values()) for kernel in _KERNELS)
    if missed:
        report(COMPILING)
    return missed


def _render(model: GaussianModel, cameras: Cameras, background: Tensor, workers: Workers) -> Rendering:
    shades = colours(model.sh, model.means, cameras.positions)
    absolute = torch.zeros(len(cameras), len(model), 2)
    scene = scene_of(cameras, background, absolute.numpy())
    rgb, alpha, depth, radii = _Rasterise.apply(
        model.means, model.quaternions, model.log_scales, model.opacity_logits, shades, scene, workers
    )
    return Rendering(rgb=rgb, alpha=alpha, depth=depth, radii_px=radii, abs_mean_grad_px=absolute)


class _Rasterise(torch.autograd.Function):
    """From means, quaternions, log scales, opacity logits and colours to rgb, alpha, depth (and radii)."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, ...]:
        *inputs, scene, workers = arguments
        parameters = [flat(tensor) for tensor in inputs[:4]]
        shades = inputs[4].detach().contiguous()
        views, n = shades.shape[:2]
        rgb = torch.empty(views, scene.height_px, scene.width_px, 3)
        alpha = torch.empty(views, scene.height_px, scene.width_px)
        depth = torch.empty_like(alpha)
        radii = torch.zeros(views, n, dtype=torch.int32)

        def list_one(view: int, threads: Workers) -> TileLists:
            return list_view(scene, view, parameters, flat(shades[view]), radii[view].numpy(), workers=threads)

        lists = workers.share(list_one, views)
        for view, found in enumerate(lists):
            workers.run(
                rasterise_forward, found.order, found.starts, found.entries, found.params, *scene.size,
                scene.background, flat(rgb[view]), flat(alpha[view]), flat(depth[view]), found.used,
            )  # fmt: skip
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(radii)
        ctx.save_for_backward(*inputs[:4], rgb, alpha, depth)
        ctx.scene, ctx.workers, ctx.lists = scene, workers, lists
        return rgb, alpha, depth, radii

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor | None, ...]:
        *inputs, rgb, alpha, depth = ctx.saved_tensors
        scene: Scene = ctx.scene
        parameters = [flat(tensor) for tensor in inputs]
        results = [torch.zeros(tensor.shape) for tensor in inputs]
        shades = torch.empty(len(rgb), len(inputs[0]), 3)
        from_above = [
            torch.zeros_like(picture[:1]).expand_as(picture) if gradient is None else gradient.contiguous()
            for gradient, picture in zip(upstream[:3], (rgb, alpha, depth), strict=True)
        ]
        gradients = aligned(16 * max(len(found.entries) for found in ctx.lists))
        for view, found in enumerate(ctx.lists):
            pictures = [flat(tensor[view]) for tensor in (rgb, alpha, depth, *from_above)]
            ctx.workers.run(
                rasterise_backward, found.order, found.starts, found.used, found.entries, found.params, *scene.size,
                *pictures, gradients,
            )  # fmt: skip
            ctx.workers.run(
                project_backward, *parameters, scene.cameras[view], found.offsets, gradients,
                *(flat(tensor) for tensor in results), flat(shades[view]), scene.absolute[view].reshape(-1),
            )  # fmt: skip
        return *results, shades, None, None


def _check(model: GaussianModel, cameras: Cameras) -> None:
    for name, tensor in model.tensors().items():
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise RenderError(
                f"the renderer 'cpu' was given GaussianModel.{name} of type {tensor.dtype} on '{tensor.device}'",
                why="its kernels read float32 in main memory",
                fix="convert the model with `model.to(torch.float32).to(torch.device('cpu'))`",
            )
    if len(cameras) < 1 or cameras.height_px < 1 or cameras.width_px < 1:
        raise RenderError(
            f"the renderer 'cpu' was asked for {len(cameras)} pictures of {cameras.width_px} × {cameras.height_px} px",
            fix="pass at least one camera with at least one pixel",
        )
