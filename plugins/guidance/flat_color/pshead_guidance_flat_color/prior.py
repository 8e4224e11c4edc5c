"""The maths of the guidance.

Its scalar is S = strength / 2 · mean over views of the sum over pixels and channels of (x - color)², so the gradient of
view v is strength · (x_v - color) / number of views. Every guidance returns such a gradient, with this reduction: sum
over pixels, mean over views. Weights and schedules are the core's business.
"""

from __future__ import annotations

import torch
from attrs import frozen

from pshead_core.api import BuildContext, Guidance, ImageGradient, PluginConfig, PluginContractError, Step, Views
from pshead_guidance_flat_color.config import FlatColorConfig


@frozen
class FlatColor:
    """Pulls every pixel towards one colour."""

    color: torch.Tensor
    """`[3]`, on the run's device."""
    strength: float

    def contribute(self, views: Views, step: Step) -> ImageGradient:
        """Return the gradient. `step` (progress, slot, random stream) is not needed here: nothing is drawn."""
        with torch.no_grad():  # the core wants numbers, no graph
            gradient = self.strength * (views.rgb - self.color) / len(views.rgb)
        return ImageGradient(rgb=gradient)


def build(config: PluginConfig, context: BuildContext) -> Guidance:
    """Build the guidance from its configuration on the run's device."""
    if not isinstance(config, FlatColorConfig):  # for the type checker, and for callers that mix specs up
        raise PluginContractError(f"flat_color was given a {type(config).__name__}")
    return FlatColor(torch.tensor(config.color, device=context.device), config.strength)
