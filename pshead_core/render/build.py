"""Choose a renderer by its configured name; only the chosen one is imported."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pshead_core.config.run import RenderConfig
from pshead_core.errors import RenderError
from pshead_core.render.base import Renderer


def build_renderer(config: RenderConfig, device: torch.device, report: Callable[[str], None] | None = None) -> Renderer:
    """Return the configured renderer.

    Args:
        config: its `renderer` names it.
        device: where the model lies.
        report: told when the renderer has to be compiled first; without it the message is logged.

    Raises:
        RenderError: if that renderer cannot run on this machine or device.
    """
    if config.renderer == "reference":
        from pshead_core.render.reference import ReferenceRenderer  # noqa: PLC0415

        return ReferenceRenderer()
    if config.renderer == "gsplat":
        from pshead_core.render.gsplat_backend import GsplatRenderer  # noqa: PLC0415

        return GsplatRenderer()
    if device.type != "cpu":
        raise RenderError(
            f"the renderer 'cpu' cannot render on the device '{device}'",
            why="its kernels read main memory only",
            fix="use the device 'cpu', or choose `render.renderer = \"gsplat\"`",
        )
    from pshead_core.render.cpu import CpuRenderer  # noqa: PLC0415

    return CpuRenderer(report=report)
