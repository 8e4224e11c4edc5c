"""Contextual similarity of two sets of features (Mechrez, Talmi, Zelnik-Manor 2018, arXiv 1803.02077, eq. 1 to 4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

EPSILON = 1e-5
"""Of the paper's equation 2, and inside the logarithm, as in PSHead's script."""


def contextual_distance(found: Tensor, wanted: Tensor, bandwidth: float) -> Tensor:
    """Return -log(CX + 1e-5) of each view's features and the photo's, `[view]`, float64, cut off at 0.

    With both sets less the mean of the wanted one, d_ij = 1 - cosine of found i and wanted j:
    d~_ij = d_ij / (min_k d_ik + 1e-5), w_ij = exp((1 - d~_ij) / h), CX_ij = w_ij / sum_k w_ik, and CX is the mean
    over j of the largest CX_ij. So every feature of the photo asks whether some feature of the view is like it more
    than like the photo's others; where they lie does not count. For equal sets of distinct features CX is 1, and the
    distance would be -1e-5.

    Args:
        found: `[view, place, channel]`.
        wanted: `[place, channel]`.
        bandwidth: h.
    """
    mean = wanted.double().mean(0)
    found, wanted = (functional.normalize(features.double() - mean, dim=-1) for features in (found, wanted))
    distance = 1 - found @ wanted.T
    relative = distance / (distance.amin(2, keepdim=True) + EPSILON)
    similar = torch.softmax((1 - relative) / bandwidth, dim=2)
    return (-(similar.amax(1).mean(1) + EPSILON).log()).clamp_min(0)
