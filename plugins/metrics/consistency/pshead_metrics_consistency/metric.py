"""Neighbouring views, compared point by point through the head's depth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from attrs import frozen
from torch import Tensor

from pshead_core.api import BuildContext, Metric, PluginConfig, PluginContractError, Views
from pshead_core.priors.measures import check_finite, psnr_db
from pshead_core.priors.reproject import reproject
from pshead_metrics_consistency.config import ConsistencyConfig

CLOSED = 1.5
"""The last view and the first are neighbours if they stand apart at most so many times as the others do."""


@frozen(kw_only=True)
class Consistency:
    """Carries the pixels of each view into the next one."""

    tolerance_frac: float

    def measure(self, views: Views, reference: Views | None) -> dict[str, float]:
        """Return the PSNR of points seen twice and the part of the pixels that are, means over pairs of neighbours.

        Where no point is seen twice (no head, one view) there is no PSNR, and the part is 0.

        Raises:
            PsheadError: a picture is not finite.
        """
        for name, values in (("rgb", views.rgb), ("alpha", views.alpha), ("depth", views.depth)):
            check_finite("consistency", f"views' {name}", values)
        distances = views.cameras.positions.norm(dim=1).tolist()
        ratios, parts = [], []
        for one, other in neighbours(views.cameras.azimuth_deg):
            found = reproject(views, one, other, self.tolerance_frac * distances[other])
            if found.pixels:
                parts.append(len(found.here) / found.pixels)
            if len(found.here):
                ratios.append(float(psnr_db((found.here - found.there).square().mean())))
        values = {"reprojected_frac": float(np.mean(parts)) if parts else 0.0}
        return values | ({"reprojection_psnr_db": float(np.mean(ratios))} if ratios else {})


def neighbours(azimuth_deg: Tensor) -> list[tuple[int, int]]:
    """Return pairs of views that stand beside each other, once each, the last beside the first if the ring is closed.

    Args:
        azimuth_deg: `[view]`, in any order.
    """
    angles = azimuth_deg.cpu().double().numpy()
    order = np.argsort(angles, kind="stable")
    pairs = [(int(one), int(other)) for one, other in pairwise(order)]
    gaps = np.diff(angles[order])
    if len(gaps) and 360.0 - gaps.sum() <= CLOSED * np.median(gaps):
        pairs.append((int(order[-1]), int(order[0])))
    return pairs


def build(config: PluginConfig, _: BuildContext) -> Metric:
    """Build the metric from its configuration."""
    if not isinstance(config, ConsistencyConfig):
        raise PluginContractError(f"consistency was given a {type(config).__name__}")
    return Consistency(tolerance_frac=config.tolerance_frac)
