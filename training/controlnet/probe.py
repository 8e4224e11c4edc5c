"""A landmark probe: ridge regression from small pictures to where some landmarks lie.

It judges pictures on which no detector of real faces works. It is fitted on true training views only, and its own error
on true held-out views stands beside every figure.
"""

from __future__ import annotations

from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional

from pshead_core.cameras.view_sets import contains
from pshead_core.errors import PsheadError
from training.common.data import plain_batch
from training.common.shards import read_shard
from training.controlnet.views import picture_points, ring_cameras

PROBED = (33, 133, 263, 362, 468, 473, 1, 61, 291, 152, 10, 234, 454)
"""Corners of the right and of the left eye, pupils, tip of the nose, corners of the mouth, chin, top and sides."""
MIRRORED = (2, 3, 0, 1, 5, 4, 6, 8, 7, 9, 10, 12, 11)
"""Place in `PROBED` of each landmark's counterpart on the other side."""
GREY_PX, COLOUR_PX = 48, 16
PENALTIES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Tried; the one with the least error on a tenth of the heads, left out of the fit, is taken."""


@frozen(kw_only=True, eq=False)
class Probe:
    """Landmarks = (features - mean) @ weight + offset."""

    mean: Tensor
    """`[feature]`."""
    weight: Tensor
    """`[feature, 2 * landmark]`."""
    offset: Tensor
    """`[2 * landmark]`: the mean landmarks of the training views."""

    def find(self, image: Tensor) -> Tensor:
        """Return `[picture, landmark of PROBED, 2]`, parts of the picture, of `[picture, 3, side, side]` in -1..1."""
        return ((features(image) - self.mean) @ self.weight + self.offset).unflatten(1, (-1, 2))

    def guess(self, count: int) -> Tensor:
        """Return the mean landmarks `[picture, landmark, 2]`: what can be said without a picture."""
        return self.offset.unflatten(0, (-1, 2)).expand(count, -1, -1)


def features(image: Tensor) -> Tensor:
    """Return `[picture, feature]`: brightness on a 48 x 48 and colours on a 16 x 16 grid, of pictures in -1..1."""
    grey = functional.interpolate(image.mean(1, keepdim=True), size=(GREY_PX, GREY_PX), mode="area")
    colour = functional.interpolate(image, size=(COLOUR_PX, COLOUR_PX), mode="area")
    return torch.cat([grey.flatten(1), colour.flatten(1)], 1)


def read_views(data: Path, most_heads: int) -> tuple[Tensor, Tensor]:
    """Return features and landmarks `[view, landmark of PROBED, 2]` of the views of the set `front`, of both sources.

    Every view is there twice, as it is and turned over.

    Args:
        data: folder of training shards.
        most_heads: shards are taken evenly from the folder until about so many heads are there.

    Raises:
        PsheadError: the folder holds no shards.
    """
    paths = sorted(data.glob("*.safetensors"))
    if not paths:
        raise PsheadError(f"no shards in {data}", fix="python -m training.common.make_data --data FOLDER --heads 2000")
    heads = len(read_shard(paths[0])[0]["seed"])
    count = min(max(most_heads // heads, 1), len(paths))
    known, points = [], []
    for place in torch.linspace(0, len(paths) - 1, count).round().long().tolist():
        tensors, _ = read_shard(paths[place])
        for rgba, azimuth, landmarks in zip(tensors["rgba"], tensors["azimuth_deg"], tensors["landmarks"], strict=True):
            front = contains("front", azimuth)
            image = plain_batch(rgba[front].permute(0, 3, 1, 2).float() / 255).image
            where = torch.from_numpy(picture_points(landmarks, ring_cameras(azimuth[front])))[:, PROBED]
            known.append(torch.stack([features(image), features(image.flip(-1))], 1).flatten(0, 1))
            points.append(torch.stack([where, turned_over(where)], 1).flatten(0, 1))
    return torch.cat(known), torch.cat(points)


def turned_over(points: Tensor) -> Tensor:
    """Return where the landmarks of `PROBED` `[view, landmark, 2]` lie in the mirrored picture."""
    other = points[:, MIRRORED]
    return torch.stack([1 - other[..., 0], other[..., 1]], -1)


def fit_probe(known: Tensor, points: Tensor) -> Probe:
    """Return the ridge regression from features `[view, feature]` to landmarks `[view, landmark, 2]`.

    The penalty is chosen on the last tenth of the views (which are in the order of heads), then all are fitted.
    """
    kept = max(len(known) * 9 // 10, 1)
    candidates = _ridge(known[:kept], points[:kept], PENALTIES)
    errors = [
        float(((known[kept:] - probe.mean) @ probe.weight + probe.offset - points[kept:].flatten(1)).square().mean())
        for probe in candidates
    ]
    best = PENALTIES[min(range(len(errors)), key=errors.__getitem__)]
    return _ridge(known, points, (best,))[0]


def _ridge(known: Tensor, points: Tensor, penalties: tuple[float, ...]) -> list[Probe]:
    mean, offset = known.mean(0), points.flatten(1).mean(0)
    centred = known - mean
    square = (centred.T @ centred / len(known)).double()
    cross = (centred.T @ (points.flatten(1) - offset) / len(known)).double()
    identity = torch.eye(len(square), dtype=square.dtype)
    weights = [torch.linalg.solve(square + penalty * identity, cross).float() for penalty in penalties]
    return [Probe(mean=mean, weight=weight, offset=offset) for weight in weights]


def probe_errors(found: Tensor, drawn: Tensor, face_frac: Tensor) -> Tensor:
    """Return `[picture]`: mean distance of found from drawn landmarks in per cent of the face's width.

    Args:
        found: `[picture, landmark, 2]`, parts of the picture.
        drawn: as `found`.
        face_frac: `[picture]`, width of the face seen from the front, as a part of the picture.
    """
    return (found - drawn).norm(dim=-1).mean(1) / face_frac * 100
