"""The depth that the reference view should keep: the landmark surface on the face, the start's own surface elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from pshead_core.cameras.sampler import reference_camera
from pshead_core.config.run import RunConfig
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.start_record import Start
from pshead_core.render.base import Renderer

SOLID = 0.95  # alpha above which a rendered depth is that of a surface, not of a mixture with the background


def reference_surface(
    start: Start, model: GaussianModel, renderer: Renderer, config: RunConfig, side_px: int
) -> Tensor:
    """Return the depth along +z of the reference camera, `[side, side]`, 0 where nothing is known.

    A start without a face surface (a ball of random points) knows nothing.

    Args:
        start: of the run.
        model: the start's Gaussians on the renderer's device.
        renderer: draws the start's surface.
        config: cameras and background.
        side_px: side of the portrait.
    """
    background = torch.tensor(config.render.background, device=model.means.device)
    if start.surface_depth is None:
        return torch.zeros(side_px, side_px, device=model.means.device)
    camera = reference_camera(config.cameras, side_px).to(model.means.device)
    with torch.no_grad():
        rendering = renderer.render(model, camera, background)
    own = torch.where(rendering.alpha[0] > SOLID, rendering.depth[0], 0.0)
    face = start.surface_depth.to(own)
    return torch.where(face > 0, face, own)
