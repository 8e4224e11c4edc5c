"""Baselines of novel views, printed beside every figure of the prior: copy, mean view and ridge regression."""

from __future__ import annotations

from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional

from training.common.shards import read_shard
from training.zero123.truth import RING_VIEWS, Orbits

FEATURE_PX = 32
"""Side of the front pictures that the regression sees; finer ones were no better (see the command's output)."""
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Candidates, in units of the mean diagonal of the kernel."""
HELD_BACK = 0.1
"""Of the training heads, to choose the penalty."""
TRIAL_VIEWS = (4, 12, 20)
"""On which the penalties are compared."""


@frozen(kw_only=True, eq=False)
class RingHeads:
    """Training heads on an even ring, uint8 to save memory; each also turned over."""

    image: Tensor
    """`[head, 25, side, side, 3]`, uint8, over white; view i stands at azimuth i * 14.4 degrees."""
    source: tuple[str, ...]


def open_ring(folder: Path) -> RingHeads:
    """Return all heads of a data folder made with `--azimuths ring --views 25`."""
    images, sources = [], []
    for path in sorted(folder.glob("*.safetensors")):
        tensors, facts = read_shard(path)
        rgba = tensors["rgba"].float()
        over_white = 255 + (rgba[..., :3] - 255) * (rgba[..., 3:] / 255)
        images.append(over_white.round().to(torch.uint8))
        sources += [facts["job"]["source"]] * len(rgba)
    return RingHeads(image=torch.cat(images), source=tuple(sources))


def turned_over(ring: RingHeads) -> RingHeads:
    """Return the heads and their mirror images: view i turned over is view -i."""
    backwards = (-torch.arange(RING_VIEWS)) % RING_VIEWS
    other = ring.image[:, backwards].flip(-2)
    return RingHeads(image=torch.cat([ring.image, other]), source=ring.source * 2)


def mean_views(ring: RingHeads) -> Tensor:
    """Return `[24, 3, side, side]` in 0..1: the mean of all heads at each novel azimuth."""
    views = [ring.image[:, view].float().mean(0) / 255 for view in range(1, RING_VIEWS)]
    return torch.stack(views).permute(0, 3, 1, 2)


def _features(front: Tensor) -> Tensor:
    small = functional.interpolate(front, size=(FEATURE_PX, FEATURE_PX), mode="area").flatten(1).double()
    return torch.cat([small, torch.ones(len(small), 1, dtype=torch.float64)], 1)


def ridge_views(ring: RingHeads, front: Tensor) -> tuple[Tensor, float]:
    """Return every novel view of new heads by ridge regression from the front, and the penalty chosen.

    Solved in its dual form: each predicted view is a weighted sum of the training heads' views. The penalty is the
    one that is best on a tenth of the training heads.

    Args:
        ring: training heads.
        front: `[head, 3, side, side]` in 0..1, of the new heads.

    Returns:
        `[head, 24, 3, side, side]` in 0..1, and the penalty.
    """
    fronts = ring.image[:, 0].permute(0, 3, 1, 2).float() / 255
    known = _features(fronts)
    centre = known[:, :-1].mean(0)
    known[:, :-1] -= centre
    new = _features(front)
    new[:, :-1] -= centre
    penalty = _choose_penalty(ring, known)
    return _predict(ring, _weights(known, new, penalty)), penalty


def _weights(known: Tensor, new: Tensor, penalty: float) -> Tensor:
    kernel = known @ known.T
    scale = float(kernel.diagonal().mean())
    kernel.diagonal().add_(penalty * scale)
    return torch.linalg.solve(kernel, known @ new.T).T.float()


def _predict(ring: RingHeads, weights: Tensor) -> Tensor:
    found = []
    for view in range(1, RING_VIEWS):
        rows = ring.image[:, view].flatten(1).float().div_(255)
        centre = rows.mean(0)
        rows -= centre
        image = (centre + weights @ rows).clamp(0, 1)
        found.append(image.unflatten(1, (*ring.image.shape[2:4], 3)).permute(0, 3, 1, 2))
    return torch.stack(found, 1)


def _choose_penalty(ring: RingHeads, known: Tensor) -> float:
    """Return the penalty that is best on a few views of every tenth head, on pictures reduced to a quarter the side."""
    held = torch.arange(len(known)) % round(1 / HELD_BACK) == 0
    pictures = torch.cat(
        [functional.avg_pool2d(ring.image[:, view].permute(0, 3, 1, 2).float(), 4).flatten(1) for view in TRIAL_VIEWS],
        1,
    ).div_(255)
    mean = pictures[~held].mean(0)

    def error(penalty: float) -> float:
        weights = _weights(known[~held], known[held], penalty)
        found = (mean + weights @ (pictures[~held] - mean)).clamp(0, 1)
        return float((found - pictures[held]).square().mean())

    return min(PENALTIES, key=error)


def baselines(ring: RingHeads, orbits: Orbits) -> tuple[dict[str, Tensor], float]:
    """Return pictures `[head, 24, 3, side, side]` of each baseline, and the ridge's penalty."""
    heads, views = orbits.azimuth_deg.shape
    ridge, penalty = ridge_views(ring, orbits.front_image)
    return {
        "copy of the front": orbits.front_image[:, None].expand(-1, views, -1, -1, -1),
        "mean view": mean_views(ring).expand(heads, -1, -1, -1, -1),
        "ridge regression": ridge,
    }, penalty
