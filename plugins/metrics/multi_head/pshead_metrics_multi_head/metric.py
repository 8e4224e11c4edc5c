"""Faces that the run's analyzers see in views from behind."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.api import Analyzer, BuildContext, Metric, PluginConfig, PluginContractError, Views
from pshead_core.priors.detect import faces_in
from pshead_core.priors.measures import check_finite
from pshead_metrics_multi_head.config import MultiHeadConfig


@frozen(kw_only=True)
class MultiHead:
    """Looks for faces."""

    analyzers: Sequence[Analyzer]
    max_views: int

    def measure(self, views: Views, reference: Views | None) -> dict[str, float]:
        """Return the part of the views in which there is a face; 0 is best.

        Raises:
            PsheadError: no analyzer looks for faces, or a view is not finite.
        """
        check_finite("multi_head", "views' rgb", views.rgb)
        faces = faces_in(views.rgb[spread(views.cameras.azimuth_deg, self.max_views)], self.analyzers)
        return {"faces_at_back_frac": sum(bool(found) for found in faces) / len(faces)}


def spread(azimuth_deg: Tensor, most: int) -> Tensor:
    """Return indices `[view]` of at most so many views, evenly spread in the order of their azimuths from 0 to 360°.

    Args:
        azimuth_deg: `[view]`; those from behind lie around 180°, which is the middle of that order.
        most: at least 1.
    """
    order = (azimuth_deg % 360).argsort(stable=True)
    count = min(most, len(order))
    # the middles of `count` equal parts, so that one view alone is the one straight from behind
    places = (torch.arange(count, device=order.device) + 0.5) * len(order) / count
    return order[places.long()]


def build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric from its configuration."""
    if not isinstance(config, MultiHeadConfig):
        raise PluginContractError(f"multi_head was given a {type(config).__name__}")
    return MultiHead(analyzers=context.analyzers, max_views=config.max_views)
