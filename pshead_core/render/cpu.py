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
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from pshead_core.cameras.camera import Cameras
from pshead_core.errors import RenderError
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import colours
from pshead_core.render.base import Rendering
from pshead_core.render.kernels_backward import rasterise_backward
from pshead_core.render.kernels_bin import depth_order, list_tiles, sort_into_tiles
from pshead_core.render.kernels_forward import rasterise_forward
from pshead_core.render.kernels_project import project_forward
from pshead_core.render.kernels_project_backward import project_backward
from pshead_core.render.layout import TILE
from pshead_core.render.projection import JACOBIAN_MARGIN_FRAC
from pshead_core.render.threads import Workers

Floats = NDArray[np.float32]


class CpuRenderer:
    """Renders on the CPU in float32.

    `Rendering.abs_mean_grad_px` adds up over backward passes.

    Args:
        threads: how many threads work; without it as many as torch uses. The results do not depend on it.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._workers = Workers(threads or torch.get_num_threads())

    def render(self, model: GaussianModel, cameras: Cameras, background: Tensor) -> Rendering:
        """Render all cameras; see `pshead_core.render.base.Renderer`."""
        _check(model, cameras)
        shades = colours(model.sh, model.means, cameras.positions)
        absolute = torch.zeros(len(cameras), len(model), 2)
        scene = scene_of(cameras, background, absolute.numpy(), self._workers)
        rgb, alpha, depth, radii = _Rasterise.apply(
            model.means, model.quaternions, model.log_scales, model.opacity_logits, shades, scene
        )
        return Rendering(rgb=rgb, alpha=alpha, depth=depth, radii_px=radii, abs_mean_grad_px=absolute)


@frozen(kw_only=True, eq=False)
class Scene:
    """What is rendered besides the differentiable tensors."""

    cameras: Floats
    """`[view, 17]`, see `kernels_project`."""
    height_px: int
    width_px: int
    background: Floats
    absolute: Floats
    """`[view, gaussian, 2]`, `Rendering.abs_mean_grad_px`."""
    workers: Workers

    @property
    def size(self) -> tuple[np.uint64, np.uint64]:
        """Width and height as the kernels take them."""
        return np.uint64(self.width_px), np.uint64(self.height_px)

    @property
    def tiles(self) -> int:
        """Number of tiles of a picture."""
        return -(-self.width_px // TILE) * -(-self.height_px // TILE)


@frozen(kw_only=True, eq=False)
class TileLists:
    """The sorted lists of one view; see `layout` for the rows."""

    params: Floats
    offsets: NDArray[np.uint32]
    starts: NDArray[np.uint32]
    entries: NDArray[np.uint32]
    order: NDArray[np.uint32]
    """Tiles by falling length of their lists."""
    used: NDArray[np.uint32]


def scene_of(cameras: Cameras, background: Tensor, absolute: Floats, workers: Workers) -> Scene:
    """Return the record of one `render` call; `absolute` `[view, gaussian, 2]` is added to by backward."""
    return Scene(
        cameras=_camera_rows(cameras),
        height_px=cameras.height_px,
        width_px=cameras.width_px,
        background=background.detach().to(torch.float32).contiguous().numpy(),
        absolute=absolute,
        workers=workers,
    )


class _Rasterise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        *inputs, scene = arguments
        flat = [_flat(tensor) for tensor in inputs[:4]]
        shades = inputs[4].detach().contiguous().numpy()
        views, n = shades.shape[:2]
        rgb = torch.empty(views, scene.height_px, scene.width_px, 3)
        alpha = torch.empty(views, scene.height_px, scene.width_px)
        depth = torch.empty_like(alpha)
        radii = torch.zeros(views, n, dtype=torch.int32)
        lists = []
        for view in range(views):
            lists.append(list_view(scene, view, flat, shades[view].reshape(-1), radii[view].numpy()))
            pictures = [_flat(tensor[view]) for tensor in (rgb, alpha, depth)]
            found = lists[-1]
            scene.workers.run(
                rasterise_forward, found.order, found.starts, found.entries, found.params, *scene.size,
                scene.background, *pictures, found.used,
            )  # fmt: skip
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(radii)
        ctx.save_for_backward(*inputs[:4], rgb, alpha, depth)
        ctx.scene, ctx.lists = scene, lists
        return rgb, alpha, depth, radii

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> tuple[Tensor | None, ...]:
        *inputs, rgb, alpha, depth = ctx.saved_tensors
        scene: Scene = ctx.scene
        flat = [_flat(tensor) for tensor in inputs]
        results = [torch.zeros_like(tensor) for tensor in inputs]
        shades = torch.empty(len(rgb), len(inputs[0]), 3)
        from_above = [
            torch.zeros_like(picture) if gradient is None else gradient.contiguous()
            for gradient, picture in zip(upstream[:3], (rgb, alpha, depth), strict=True)
        ]
        for view, found in enumerate(ctx.lists):
            gradients = _aligned(16 * len(found.entries))
            pictures = [_flat(tensor[view]) for tensor in (rgb, alpha, depth, *from_above)]
            scene.workers.run(
                rasterise_backward, found.order, found.starts, found.used, found.entries, found.params, *scene.size,
                *pictures, gradients,
            )  # fmt: skip
            scene.workers.run(
                project_backward, *flat, scene.cameras[view], found.offsets, gradients,
                *(_flat(tensor) for tensor in results), _flat(shades[view]), scene.absolute[view].reshape(-1),
            )  # fmt: skip
        return *results, shades, None


def list_view(scene: Scene, view: int, flat: list[Floats], shades: Floats, radii: NDArray[np.int32]) -> TileLists:
    """Project one view and sort its Gaussians into tile lists."""
    params = _aligned(16 * len(radii))
    counts = np.zeros(len(radii), np.uint32)
    scene.workers.run(project_forward, *flat, shades, scene.cameras[view], *scene.size, params, radii, counts)
    offsets = np.zeros(len(radii) + 1, np.uint32)
    np.cumsum(counts, out=offsets[1:])
    tiles, rows = np.empty((2, offsets[-1]), np.uint32)
    scene.workers.run(list_tiles, params, offsets, *scene.size, tiles, rows)
    starts = np.empty(scene.tiles + 1, np.uint32)
    entries = np.empty((len(tiles), 4), np.uint32)
    sort_into_tiles(depth_order(offsets, params), offsets, tiles, rows, starts, entries)
    lengths = np.diff(starts)
    return TileLists(
        params=params,
        offsets=offsets,
        starts=starts,
        entries=entries,
        order=np.argsort(-lengths.astype(np.int64), kind="stable").astype(np.uint32),
        used=np.zeros(scene.tiles, np.uint32),
    )


def _check(model: GaussianModel, cameras: Cameras) -> None:
    for name, tensor in model.tensors().items():
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
            raise RenderError(
                f"the renderer 'cpu' was given GaussianModel.{name} of type {tensor.dtype} on '{tensor.device}'",
                why="its kernels read float32 in main memory",
                fix="convert the model with `model.to(torch.float32).to(torch.device('cpu'))`",
            )
    if cameras.height_px < 1 or cameras.width_px < 1:
        raise RenderError(f"a picture of {cameras.width_px} × {cameras.height_px} px cannot be rendered")


def _camera_rows(cameras: Cameras) -> Floats:
    """Return `[view, 17]`: rotation, translation, focal length, limits of the slopes, centre."""
    pose = cameras.T_camera_world.detach().to(torch.float32)
    focal = cameras.focal_px
    half = (cameras.width_px / 2, cameras.height_px / 2)
    limits = [(1 + JACOBIAN_MARGIN_FRAC) * side / focal for side in half]
    rest = torch.tensor([focal, *limits, *half]).expand(len(pose), 5)
    rows: Floats = torch.cat([pose[:, :3, :3].reshape(-1, 9), pose[:, :3, 3], rest], 1).contiguous().numpy()
    return rows


def _flat(tensor: Tensor) -> Floats:
    """Return the tensor's memory as one row of floats (a copy if it is not contiguous)."""
    flat: Floats = tensor.detach().contiguous().reshape(-1).numpy()
    return flat


def _aligned(size: int) -> Floats:
    """Return uninitialised floats that start on a cache line (torch aligns to 64 bytes)."""
    fresh: Floats = torch.empty(size).numpy()
    return fresh
