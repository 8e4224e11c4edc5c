"""From Gaussians and cameras to the sorted tile lists that the CPU rasteriser reads, view by view."""

from __future__ import annotations

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from pshead_core.cameras.camera import Cameras
from pshead_core.render.kernels_bin import depth_order, list_tiles, sort_into_tiles
from pshead_core.render.kernels_project import project_forward
from pshead_core.render.layout import TILE
from pshead_core.render.projection import JACOBIAN_MARGIN_FRAC
from pshead_core.render.threads import Workers

Floats = NDArray[np.float32]


@frozen(kw_only=True, eq=False)
class Scene:
    """What is rendered besides the differentiable tensors."""

    cameras: Floats
    """`[view, 17]`, see `kernels_project`."""
    height_px: int
    width_px: int
    background: Floats
    """`[3]`."""
    absolute: Floats
    """`[view, gaussian, 2]`, `Rendering.abs_mean_grad_px`, added to by backward."""

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
    """`[gaussian * 16]`."""
    offsets: NDArray[np.uint32]
    """`[gaussian + 1]`, the slots of each Gaussian, one for each tile that it touches."""
    starts: NDArray[np.uint32]
    """`[tile + 1]`, where the list of each tile begins."""
    entries: NDArray[np.uint32]
    """`[slot, 4]`."""
    order: NDArray[np.uint32]
    """`[tile]`, tiles by falling length of their lists."""
    used: NDArray[np.uint32]
    """`[tile]`, written by the forward pass: entries looked at before all pixels were finished."""


def scene_of(cameras: Cameras, background: Tensor, absolute: Floats) -> Scene:
    """Return the record of one `render` call."""
    return Scene(
        cameras=_camera_rows(cameras),
        height_px=cameras.height_px,
        width_px=cameras.width_px,
        background=flat(background.to(torch.float32)),
        absolute=absolute,
    )


def list_view(
    scene: Scene, view: int, parameters: list[Floats], shades: Floats, radii: NDArray[np.int32], *, workers: Workers
) -> TileLists:
    """Project one view and sort its Gaussians into tile lists.

    Args:
        scene: the cameras.
        view: which of them.
        parameters: means, quaternions, log scales and opacity logits, each flat.
        shades: `[gaussian * 3]`, the colours in this view.
        radii: `[gaussian]`, written.
        workers: the threads to use.
    """
    params = aligned(16 * len(radii))
    counts = np.zeros(len(radii), np.uint32)
    workers.run(project_forward, *parameters, shades, scene.cameras[view], *scene.size, params, radii, counts)
    offsets = np.zeros(len(radii) + 1, np.uint32)
    np.cumsum(counts, out=offsets[1:])
    tiles, rows = np.empty((2, offsets[-1]), np.uint32)
    workers.run(list_tiles, params, offsets, *scene.size, tiles, rows)
    starts = np.empty(scene.tiles + 1, np.uint32)
    entries = np.empty((len(tiles), 4), np.uint32)
    sort_into_tiles(depth_order(offsets, params), offsets, tiles, rows, starts, entries)
    lengths = np.diff(starts).astype(np.int64)
    return TileLists(
        params=params,
        offsets=offsets,
        starts=starts,
        entries=entries,
        order=np.argsort(-lengths, kind="stable").astype(np.uint32),
        used=np.zeros(scene.tiles, np.uint32),
    )


def flat(tensor: Tensor) -> Floats:
    """Return the tensor's memory as one row of floats (a copy if it is not contiguous)."""
    row: Floats = tensor.detach().contiguous().reshape(-1).numpy()
    return row


def aligned(size: int) -> Floats:
    """Return uninitialised floats that start on a cache line (torch aligns to 64 bytes)."""
    fresh: Floats = torch.empty(size).numpy()
    return fresh


def _camera_rows(cameras: Cameras) -> Floats:
    """Return `[view, 17]`: rotation, translation, focal length, limits of the slopes, centre."""
    pose = cameras.T_camera_world.detach().to(torch.float32)
    focal = cameras.focal_px
    half = (cameras.width_px / 2, cameras.height_px / 2)
    limits = [(1 + JACOBIAN_MARGIN_FRAC) * side / focal for side in half]
    rest = torch.tensor([focal, *limits, *half]).expand(len(pose), 5)
    rows: Floats = torch.cat([pose[:, :3, :3].reshape(-1, 9), pose[:, :3, 3], rest], 1).contiguous().numpy()
    return rows
