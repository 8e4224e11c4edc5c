"""How well faces are told apart: verification and identification, the photo being the front view."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

PROBE_DEG = (15.0, 58.0)
"""The views that are compared with the photo; those of the ring count from 14.4 degrees, which rounds to 15."""


def probe_views(azimuth_deg: Tensor) -> Tensor:
    """Return the indices of the views `[view]` whose azimuths lie between the limits (half a degree is forgiven)."""
    size = azimuth_deg.abs()
    return ((size >= PROBE_DEG[0] - 0.7) & (size <= PROBE_DEG[1] + 0.7)).nonzero()[:, 0]


def tell_apart(features: Tensor, front: int, probes: Tensor) -> dict[str, float]:
    """Return `auc`, `rank1` and `own_wins`, by the cosine of features `[head, view, feature]`.

    `auc`: how often a pair of probe and photo of one head has the higher cosine than a pair of two heads, over all
    pairs (ties count half). `rank1`: how many probes have the highest cosine with their own head's photo. `own_wins`:
    how often a probe's own photo has a higher cosine than another head's.
    """
    unit = functional.normalize(features.double(), dim=2)
    cosine = torch.einsum("hvf,kf->hvk", unit[:, probes], unit[:, front])
    same = torch.eye(len(features), dtype=torch.bool)[:, None].expand_as(cosine)
    own, others = cosine[same], cosine[~same]
    each = own[:, None] > others.reshape(len(own), -1)
    return {
        "auc": area(own, others),
        "rank1": float(each.all(1).double().mean()),
        "own_wins": float(each.double().mean()),
    }


def area(higher: Tensor, lower: Tensor) -> float:
    """Return the part of pairs (one of each `[n]`, `[m]`) in which `higher` is larger; ties count half.

    That is the area under the receiver's curve (Mann and Whitney 1947).
    """
    ordered = lower.sort().values
    below = torch.searchsorted(ordered, higher, right=False).double()
    not_above = torch.searchsorted(ordered, higher, right=True).double()
    return float((below + not_above).mean() / 2 / len(lower))


def pixels_of(faces: Tensor) -> Tensor:
    """Return the baseline's features of faces `[head, view, 3, side, side]`: their pixels, less the mean face.

    Reduced to half, in which nothing of an enlarged view is lost.
    """
    small = functional.avg_pool2d(faces.flatten(0, 1), 2).flatten(1)
    return (small - small.mean(0)).unflatten(0, faces.shape[:2])
