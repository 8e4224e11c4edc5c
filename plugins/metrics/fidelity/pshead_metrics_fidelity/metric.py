"""PSNR and SSIM (Wang et al. 2004) of views and true views, as the project's tables have them."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from skimage.metrics import structural_similarity
from torch import Tensor

from pshead_core.api import BuildContext, Metric, PluginConfig, PluginContractError, Views
from pshead_core.priors.compared import true_views
from pshead_core.priors.landmarks import SOLID
from pshead_core.priors.measures import check_finite, psnr_db
from pshead_metrics_fidelity.config import FidelityConfig

EDGE_PX = 3
"""Pixels at the picture's edge that SSIM leaves out: there its window of 7 px would reach beyond the picture."""


@frozen(kw_only=True)
class Fidelity:
    """Compares pixels."""

    def measure(self, views: Views, reference: Views | None) -> dict[str, float]:
        """Return means over the views; the masked ones over those views whose true head is not empty, if there are any.

        Raises:
            PsheadError: there is no reference, or it does not fit the views.
        """
        true = true_views("fidelity", views, reference)
        check_finite("fidelity", "reference views' alpha", true.alpha)
        shown, wanted = (part.rgb.detach().float().clamp(0, 1) for part in (views, true))
        mask = true.alpha > SOLID
        error = (shown.double() - wanted.double()).square().mean(3)
        here = mask.flatten(1).any(1)
        inside = (error * mask).sum((1, 2))[here] / mask.sum((1, 2))[here]
        similar, similar_inside = _similarities(shown, wanted, mask)
        each = {
            "psnr_db": psnr_db(error.mean((1, 2))).tolist(),
            "ssim": similar,
            "psnr_masked_db": psnr_db(inside).tolist(),
            "ssim_masked": similar_inside,
        }
        return {name: float(np.mean(values)) for name, values in each.items() if values}


def _similarities(shown: Tensor, wanted: Tensor, mask: Tensor) -> tuple[list[float], list[float]]:
    """Return SSIM of each view, and inside the mask of each view in which that is not empty."""
    whole, inside = [], []
    for one, other, part in zip(*(given.cpu().numpy() for given in (shown, wanted, mask)), strict=True):
        found: tuple[float, NDArray[np.float32]] = structural_similarity(
            other, one, channel_axis=-1, data_range=1.0, full=True
        )
        whole.append(float(found[0]))
        kept = (slice(EDGE_PX, -EDGE_PX),) * 2
        if part[kept].any():
            inside.append(float(found[1][kept][part[kept]].mean(dtype=np.float64)))
    return whole, inside


def build(config: PluginConfig, _: BuildContext) -> Metric:
    """Build the metric from its configuration."""
    if not isinstance(config, FidelityConfig):
        raise PluginContractError(f"fidelity was given a {type(config).__name__}")
    return Fidelity()
