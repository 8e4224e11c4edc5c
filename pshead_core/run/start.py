"""The start of a run and the depth that its reference view should keep."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.cameras.sampler import reference_camera
from pshead_core.config.run import RunConfig
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.start import start_gaussians
from pshead_core.portrait.portrait import Portrait
from pshead_core.render.base import Renderer
from pshead_core.scheduler.streams import stream

SOLID = 0.95  # alpha above which a rendered depth is that of a surface, not of a mixture with the background


@frozen(kw_only=True, eq=False)
class RunStart:
    """Step 0."""

    model: GaussianModel
    surface_depth: Tensor
    """`[side, side]` at the portrait's side: depth along +z of the reference camera, the landmark surface on the face
    and the start's own surface elsewhere; 0 where nothing is known."""
    seen: Tensor
    """`[gaussian]`, bool: the colour comes from the photo."""


def make_start(config: RunConfig, portrait: Portrait, renderer: Renderer, device: torch.device) -> RunStart:
    """Return the Gaussians of step 0 and their surface. A ball of random points has no surface worth keeping.

    Args:
        config: of the run.
        portrait: the framed photo.
        renderer: draws the surface.
        device: where the Gaussians shall lie.
    """
    on_cpu = portrait.to(torch.device("cpu"))
    start = start_gaussians(config.start, on_cpu, config.cameras, stream(config.seed, "start", 0))
    model = start.model.to(device)
    seen = torch.zeros(len(model), dtype=torch.bool, device=device) if start.seen is None else start.seen.to(device)
    if start.surface_depth is None:
        nothing = torch.zeros(portrait.side_px, portrait.side_px, device=device)
        return RunStart(model=model, surface_depth=nothing, seen=seen)
    background = torch.tensor(config.render.background, device=device)
    with torch.no_grad():
        rendering = renderer.render(model, reference_camera(config.cameras, portrait.side_px).to(device), background)
    own = torch.where(rendering.alpha[0] > SOLID, rendering.depth[0], 0.0)
    face = start.surface_depth.to(own)
    return RunStart(model=model, surface_depth=torch.where(face > 0, face, own), seen=seen)
