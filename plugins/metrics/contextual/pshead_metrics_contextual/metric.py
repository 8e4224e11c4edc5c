"""Contextual distance of rendered views from the photo, as PSHead measures it: VGG19 relu5_4 at 224 px, h = 0.5."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.nn import functional

from pshead_core.api import BuildContext, Metric, PluginConfig, PluginContractError, Views
from pshead_core.priors.compared import photo_view
from pshead_metrics_contextual.config import RANDOM, ContextualConfig, layers_until
from pshead_metrics_contextual.distance import contextual_distance
from pshead_metrics_contextual.network import load_network, random_network

_TOGETHER = 4
"""Views that are measured at once; memory, not numbers, depends on it."""
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue, as torchvision's networks expect."""


@frozen(kw_only=True, eq=False)
class Contextual:
    """Compares views with the photo by the features of a network, in float32, and their distances in float64."""

    features: Callable[[Tensor], Tensor]
    """From normalised pictures `[view, 3, side, side]` on the run's device to `[view, channel, h, w]`."""
    label: str
    """Name of the number."""
    side_px: int
    bandwidth: float
    input_range: Literal["imagenet", "authors"]

    def measure(self, views: Views, reference: Views | None) -> dict[str, float]:
        """Return the mean contextual distance of the views from the photo; 0 is best.

        Raises:
            PsheadError: there is no photo, or a picture is not finite.
        """
        photo = photo_view("contextual", views, reference)
        with torch.no_grad():
            wanted = self._places(photo.rgb)[0]
            each = [
                contextual_distance(self._places(some), wanted, self.bandwidth) for some in views.rgb.split(_TOGETHER)
            ]
        return {self.label: float(torch.cat(each).mean())}

    def _places(self, rgb: Tensor) -> Tensor:
        """Return the features of each place, `[view, place, channel]`, of pictures `[view, height, width, 3]`."""
        return self.features(self._input(rgb)).flatten(2).transpose(1, 2)

    def _input(self, rgb: Tensor) -> Tensor:
        """Return what the network is shown, `[view, 3, side, side]`."""
        pictures, size = rgb.permute(0, 3, 1, 2).float(), (self.side_px, self.side_px)
        if pictures.shape[-1] > self.side_px:
            pictures = functional.interpolate(pictures, size=size, mode="area")
        elif pictures.shape[-1] < self.side_px:
            pictures = functional.interpolate(pictures, size=size, mode="bilinear", align_corners=False)
        if self.input_range == "authors":
            pictures = pictures * 2 - 1
        mean, deviation = (pictures.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        return (pictures - mean) / deviation


def build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric from its configuration.

    Raises:
        PsheadError: the weights are not here, or are not those of VGG19.
    """
    if not isinstance(config, ContextualConfig):
        raise PluginContractError(f"contextual was given a {type(config).__name__}")
    layers = layers_until(config.layer)
    features: Callable[[Tensor], Tensor]
    if config.backbone == RANDOM:
        context.logger.warning("contextual: the backbone is random and untrained, so its distances mean nothing")
        features, label = random_network(layers).to(context.device), "untrained_contextual"
    else:
        checkpoint = context.models.checkpoint(config.backbone)
        pooled = context.models.load(checkpoint, "model", load_network, dtype=torch.float32)
        features, label = partial(_first, pooled.get, layers), "contextual_distance"
    return Contextual(
        features=features,
        label=label,
        side_px=config.side_px,
        bandwidth=config.bandwidth,
        input_range=config.input_range,
    )


def _first(network: Callable[[], nn.Module], layers: int, pictures: Tensor) -> Tensor:
    """Return the output of a sequence's first layers; all are kept, for another metric may want more of them."""
    for layer in list(network().children())[:layers]:
        pictures = layer(pictures)
    return pictures
