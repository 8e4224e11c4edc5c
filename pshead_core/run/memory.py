"""The built-in prior `start`: views as they were at step 0.

The photo says nothing about the back of the head, and Gaussians that no loss sees drift through what little light
reaches them. Until a diffusion prior knows better, the target of an unseen view is the start's own rendering of it.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.config.plugin import PluginConfig
from pshead_core.config.schedule import START
from pshead_core.gaussians.model import GaussianModel
from pshead_core.priors.contribution import DenoisedTarget
from pshead_core.priors.protocols import Step
from pshead_core.render.base import Renderer, Views
from pshead_core.run.offers import Offer
from pshead_core.run.priors import BuiltPrior
from pshead_core.specs import RefinerSpec, ViewNeeds


@frozen(kw_only=True, eq=False)
class StartMemory:
    """A refiner that wants to see the start."""

    model: GaussianModel
    renderer: Renderer
    background: Tensor

    def refine(self, views: Views, step: Step) -> DenoisedTarget:
        """Return the start's renderings of the views, with weight 1 everywhere."""
        cameras = views.cameras.to(self.background.device)
        with torch.no_grad():
            rendering = self.renderer.render(self.model, cameras, self.background)
        return DenoisedTarget(rgb=rendering.rgb, weight=torch.ones_like(rendering.alpha))


def start_memory(model: GaussianModel, renderer: Renderer, background: Tensor) -> BuiltPrior:
    """Return the built-in prior `start`.

    Args:
        model: the Gaussians of step 0.
        renderer: of the run.
        background: `[3]` of the run.
    """
    memory = StartMemory(model=model.detach(), renderer=renderer, background=background)
    spec = RefinerSpec(
        name=START,
        summary="views as they were at step 0",
        config=PluginConfig,
        build=lambda _config, _context: memory,
        tiny=PluginConfig,
        needs=ViewNeeds(views="ring"),
    )
    return BuiltPrior(offer=Offer(use=START, spec=spec, config=PluginConfig(), who="built-in"), prior=memory)
