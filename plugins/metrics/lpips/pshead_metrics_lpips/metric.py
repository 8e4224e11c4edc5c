"""LPIPS (arXiv 1801.03924): weighted squared distance of channel-normalised features, a mean over pixels, v0.1."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional

from pshead_core.api import BuildContext, Metric, PluginConfig, PluginContractError, Views
from pshead_core.priors.compared import true_views
from pshead_metrics_lpips.config import RANDOM, LpipsConfig
from pshead_metrics_lpips.network import load_network, random_network

_TOGETHER = 4
"""Views that are measured at once; memory, not numbers, depends on it."""


@frozen(kw_only=True, eq=False)
class Lpips:
    """Compares views by the features of a network, in float32."""

    network: Callable[[], nn.Module]
    """Returns the network on the run's device."""
    label: str
    """Name of the number."""
    side_px: int | None

    def measure(self, views: Views, reference: Views | None) -> dict[str, float]:
        """Return the mean distance between the views and the reference views; 0 is best.

        Raises:
            PsheadError: there is no reference, or it does not fit the views.
        """
        true = true_views("lpips", views, reference)
        with torch.no_grad():
            pairs = zip(views.rgb.split(_TOGETHER), true.rgb.split(_TOGETHER), strict=True)
            each = torch.cat([self.distance(shown, wanted) for shown, wanted in pairs])
        return {self.label: float(each.mean())}

    def distance(self, rgb: Tensor, target: Tensor) -> Tensor:
        """Return the distance of each view from its target, `[view]`, differentiable in `rgb`.

        Args:
            rgb: `[view, height, width, 3]`, 0..1.
            target: the same.
        """
        found: Tensor = self.network()(self._input(rgb), self._input(target), normalize=True)  # 0..1 to -1..1
        return found[:, 0, 0, 0]

    def _input(self, rgb: Tensor) -> Tensor:
        pictures = rgb.permute(0, 3, 1, 2).float()
        if self.side_px is None or self.side_px >= pictures.shape[-1]:
            return pictures
        return functional.interpolate(pictures, size=(self.side_px, self.side_px), mode="area")


def build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric from its configuration."""
    if not isinstance(config, LpipsConfig):
        raise PluginContractError(f"lpips was given a {type(config).__name__}")
    if config.backbone == RANDOM:
        context.logger.warning("lpips: the backbone is random and untrained, so its distances mean nothing")
        network = random_network(config.net).to(context.device)
        return Lpips(network=lambda: network, label=f"untrained_{config.net}", side_px=config.side_px)
    checkpoint = context.models.checkpoint(config.checkpoint)
    pooled = context.models.load(checkpoint, "model", partial(load_network, config.net), dtype=torch.float32)
    return Lpips(network=pooled.get, label=f"lpips_{config.net}", side_px=config.side_px)
