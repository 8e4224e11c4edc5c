"""Intersection over union of silhouettes."""

from __future__ import annotations

import torch
from attrs import frozen

from pshead_core.api import BuildContext, Metric, PluginConfig, PluginContractError, Views
from pshead_core.priors.compared import true_views
from pshead_core.priors.landmarks import SOLID
from pshead_core.priors.measures import check_finite
from pshead_metrics_silhouette.config import SilhouetteConfig


@frozen(kw_only=True)
class Silhouette:
    """Compares outlines."""

    def measure(self, views: Views, reference: Views | None) -> dict[str, float]:
        """Return the mean over the views of intersection over union; 1 where both are empty.

        Raises:
            PsheadError: there is no reference, or it does not fit the views.
        """
        true = true_views("silhouette", views, reference)
        check_finite("silhouette", "views' alpha", views.alpha)
        check_finite("silhouette", "reference views' alpha", true.alpha)
        one, other = views.alpha > SOLID, true.alpha > SOLID
        common, either = (part.sum((1, 2)).double() for part in (one & other, one | other))
        each = torch.where(either > 0, common / either.clamp_min(1), torch.ones_like(either))
        return {"silhouette_iou": float(each.mean())}


def build(config: PluginConfig, _: BuildContext) -> Metric:
    """Build the metric from its configuration."""
    if not isinstance(config, SilhouetteConfig):
        raise PluginContractError(f"silhouette was given a {type(config).__name__}")
    return Silhouette()
