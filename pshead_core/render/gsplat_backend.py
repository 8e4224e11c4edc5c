"""gsplat on CUDA behind the `Renderer` protocol (Ye et al. 2024, gsplat 1.5). Imported only when it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from pshead_core.cameras.camera import Cameras
from pshead_core.errors import RenderError
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import colours
from pshead_core.render.base import BLUR_PX2, NEAR, Rendering


class GsplatRenderer:
    """Renders with `gsplat.rasterization`; the kernels are compiled by gsplat at its first call on a machine.

    Raises:
        RenderError: when built without a CUDA device or without the package gsplat.
    """

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            raise RenderError(
                "the renderer 'gsplat' cannot run on this machine",
                why="it needs a CUDA device and torch finds none",
                fix='choose the CPU renderer (`render.renderer = "cpu"`, the default), or run on a machine with an '
                "NVIDIA GPU and a CUDA build of torch",
            )
        try:
            module = import_module("gsplat")
        except ImportError as error:
            raise RenderError(
                "the renderer 'gsplat' cannot be imported",
                why=str(error),
                fix="install it with `pip install 'pshead-core[gsplat]'`, or choose `render.renderer = \"cpu\"`",
            ) from error
        self._rasterization: Callable[..., tuple[Tensor, Tensor, dict[str, Any]]] = module.rasterization

    def render(self, model: GaussianModel, cameras: Cameras, background: Tensor) -> Rendering:
        """Render all cameras; see `pshead_core.render.base.Renderer`."""
        device = model.means.device
        if device.type != "cuda":
            raise RenderError(
                f"the renderer 'gsplat' was given a model on '{device}'",
                why="its kernels read CUDA memory only",
                fix="move the model and the cameras to the CUDA device before rendering",
            )
        return self._draw(model, cameras, background)

    def _draw(self, model: GaussianModel, cameras: Cameras, background: Tensor) -> Rendering:
        device = model.means.device
        shades = colours(model.sh, model.means, cameras.positions)
        opacities = model.opacity_logits.sigmoid()
        scales = model.log_scales.exp()
        image, alpha, meta = self._rasterization(
            means=model.means,
            quats=model.quaternions,
            scales=scales,
            opacities=opacities,
            colors=shades,
            viewmats=cameras.T_camera_world,
            Ks=_intrinsics(cameras),
            width=cameras.width_px,
            height=cameras.height_px,
            near_plane=NEAR,
            eps2d=BLUR_PX2,
            packed=False,
            render_mode="RGB+ED",
            absgrad=True,
            backgrounds=background.to(device).expand(len(cameras), 3),
        )
        absolute = torch.zeros(len(cameras), len(model), 2, device=device)
        _collect_absgrad(meta["means2d"], (shades, opacities, scales), absolute)
        return Rendering(
            rgb=image[..., :3],
            alpha=alpha[..., 0],
            depth=image[..., 3],
            radii_px=meta["radii"].amax(-1).to(torch.int32),
            abs_mean_grad_px=absolute,
        )


def _collect_absgrad(means_px: Tensor, inputs: tuple[Tensor, ...], absolute: Tensor) -> None:
    """Add gsplat's `means2d.absgrad` to `absolute` once backward has left the rasteriser.

    The hook sits on an input of the rasteriser and not on `means_px`, because a hook that holds its own tensor is a
    reference cycle through the graph and would keep GPU memory.
    """

    def add(_: Tensor) -> None:
        absolute.add_(means_px.absgrad)  # type: ignore[attr-defined]

    hooked = [tensor for tensor in inputs if tensor.requires_grad]
    if hooked:
        hooked[0].register_hook(add)  # type: ignore[no-untyped-call]


def _intrinsics(cameras: Cameras) -> Tensor:
    """Return `[view, 3, 3]` camera matrices."""
    focal = cameras.focal_px
    matrix = torch.tensor(
        [[focal, 0.0, cameras.width_px / 2], [0.0, focal, cameras.height_px / 2], [0.0, 0.0, 1.0]],
        device=cameras.T_world_camera.device,
    )
    return matrix.expand(len(cameras), 3, 3).contiguous()
