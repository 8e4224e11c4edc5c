"""The built-in priors `start` and `seen`: views as they were at step 0.

The photo says nothing about the back of the head, and Gaussians that no loss sees drift through what little light
reaches them. Until a diffusion prior knows better, the target of an unseen view is the start's own rendering of it.
And what the photo shows it shows to neighbouring views too: where a view looks on a surface whose colour came from the
photo, the start knows more than a prior.
"""

from __future__ import annotations

import torch
from attrs import evolve, frozen
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from pshead_core.config.plugin import PluginConfig
from pshead_core.config.schedule import SEEN, START
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import rgb_to_dc
from pshead_core.priors.contribution import DenoisedTarget
from pshead_core.priors.protocols import Step
from pshead_core.render.base import Renderer, Views
from pshead_core.run.offers import Offer
from pshead_core.run.priors import BuiltPrior
from pshead_core.specs import RefinerSpec, ViewNeeds

HALO_FRAC = 0.08
"""Part of the picture's height up to which nothing beside a seen surface is known too; less left a haze farther off."""

HALO_SIDE_PX = 128
"""Side at which that is found."""


@frozen(kw_only=True, eq=False)
class StartMemory:
    """A refiner that wants to see the start."""

    model: GaussianModel
    seen: GaussianModel | None
    """The same Gaussians, white where their colour came from the photo and else black; None to remember all."""
    renderer: Renderer
    background: Tensor

    def refine(self, views: Views, step: Step) -> DenoisedTarget:
        """Return the start's renderings of the views.

        The weight is 1 everywhere, or with `seen` the share of a pixel's light that comes from what the photo shows;
        and 1 where nothing is, close beside that, so that nothing grows out of the surface.
        """
        cameras = views.cameras.to(self.background.device)
        with torch.no_grad():
            rendering = self.renderer.render(self.model, cameras, self.background)
            if self.seen is None:
                return DenoisedTarget(rgb=rendering.rgb, weight=torch.ones_like(rendering.alpha))
            shown = self.renderer.render(self.seen, cameras, torch.zeros_like(self.background)).rgb[..., 0]
        beside = grown(shown, HALO_FRAC) * (1.0 - rendering.alpha)
        weight = torch.maximum(shown, beside).clamp(0.0, 1.0)
        return DenoisedTarget(rgb=rendering.rgb, weight=weight, alpha=rendering.alpha)


def grown(mask: Tensor, frac: float) -> Tensor:
    """Return masks `[view, height, width]` that reach a part of the height further, in a square around each pixel.

    Large pictures are grown on blocks of pixels: to the pixel it does not matter, and a wide maximum is slow.
    """
    height, width = mask.shape[1:]
    block = max(height // HALO_SIDE_PX, 1)
    coarse = _blocks(mask, block)
    reach = round(frac * coarse.shape[2])
    rows = max_pool2d(coarse, (2 * reach + 1, 1), stride=1, padding=(reach, 0))
    wide = max_pool2d(rows, (1, 2 * reach + 1), stride=1, padding=(0, reach))
    return wide.repeat_interleave(block, 2).repeat_interleave(block, 3)[:, 0, :height, :width]


def _blocks(mask: Tensor, side_px: int) -> Tensor:
    """Return the maxima of blocks, `[view, 1, row, column]`; those at the lower and right edges may be smaller."""
    height, width = mask.shape[1:]
    padded = pad(mask, (0, -width % side_px, 0, -height % side_px))
    rows = padded.reshape(len(mask), -1, side_px, padded.shape[2]).amax(2)
    return rows.reshape(len(mask), rows.shape[1], -1, side_px).amax(3)[:, None]


def start_memory(model: GaussianModel, seen: Tensor | None, renderer: Renderer, background: Tensor) -> BuiltPrior:
    """Return the built-in prior `start`, or with `seen` the one of that name.

    Args:
        model: the Gaussians of step 0.
        seen: `[gaussian]`, bool: the colour comes from the photo. None to remember all.
        renderer: of the run.
        background: `[3]` of the run.
    """
    white = None
    if seen is not None:
        white = evolve(model.detach(), sh=rgb_to_dc(seen.to(model.means)[:, None].expand(-1, 3))[:, None])
    memory = StartMemory(model=model.detach(), seen=white, renderer=renderer, background=background)
    name, summary = (START, "views as they were at step 0") if seen is None else (SEEN, "what the photo shows of views")
    spec = RefinerSpec(
        name=name,
        summary=summary,
        config=PluginConfig,
        build=lambda _config, _context: memory,
        tiny=PluginConfig,
        needs=ViewNeeds(views="ring"),
    )
    return BuiltPrior(offer=Offer(use=name, spec=spec, config=PluginConfig(), who="built-in"), prior=memory)
