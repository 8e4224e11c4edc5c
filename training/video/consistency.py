"""How well the frames of a clip hang together, and how near they are to the true orbit."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from training.common.colour import psnr
from training.video.clips import FRONT_FRAME

BLOCK_PX, REACH_PX = 16, 12
"""Of the matching: at 128 px a point of the silhouette moves by less than 12 px from frame to frame of 14.4 degrees."""


def neighbour_difference(clip: Tensor) -> float:
    """Return the mean absolute difference of neighbouring frames; the last and the first are no neighbours.

    Args:
        clip: `[clip, frame, 3, side, side]` in 0..1.
    """
    return float(clip.diff(dim=1).abs().mean())


def matched_difference(clip: Tensor, block_px: int = BLOCK_PX, reach_px: int = REACH_PX) -> float:
    """Return the mean absolute difference of neighbouring frames, each block at its best horizontal shift.

    On an orbit points move sideways; what no shift explains is flicker (and what comes into sight).

    Args:
        clip: `[clip, frame, 3, side, side]` in 0..1.
        block_px: side of the blocks; a divisor of `side`.
        reach_px: largest shift.
    """
    before, after = clip[:, :-1].flatten(0, 1), clip[:, 1:].flatten(0, 1)
    wide = functional.pad(after, (reach_px, reach_px, 0, 0), mode="replicate")
    side = clip.shape[-1]
    best = torch.full((), torch.inf)
    for shift in range(2 * reach_px + 1):
        difference = (before - wide[..., shift : shift + side]).abs().mean(1, keepdim=True)
        best = torch.minimum(best, functional.avg_pool2d(difference, block_px))
    return float(best.mean())


def acceleration(clip: Tensor) -> float:
    """Return the mean absolute second difference along the frames: large where a frame does not lie between its two."""
    return float(clip.diff(n=2, dim=1).abs().mean())


def gradient_mean(clip: Tensor) -> float:
    """Return the mean gradient magnitude of the pictures: blurred clips are smooth in time for nothing."""
    right, down = clip.diff(dim=-1)[..., :-1, :], clip.diff(dim=-2)[..., :-1]
    return float((right.square() + down.square()).sqrt().mean())


def clip_figures(clip: Tensor, truth: Tensor, *, same_heads: bool) -> dict[str, float]:
    """Return all figures of some clips.

    Args:
        clip: `[clip, 25, 3, side, side]` in 0..1.
        truth: true orbits, as `clip`.
        same_heads: whether each clip means to show the head of its true orbit. Then also: `psnr_db` (front frame left
            out) and `change_error`, the mean absolute error of the change from frame to frame.
    """
    figures = {
        "neighbour_difference": neighbour_difference(clip),
        "matched_difference": matched_difference(clip),
        "acceleration": acceleration(clip),
        "sharpness_ratio": gradient_mean(clip) / gradient_mean(truth),
    }
    if same_heads:
        novel = [frame for frame in range(clip.shape[1]) if frame != FRONT_FRAME]
        pairs = (part[:, novel].flatten(0, 1) for part in (truth, clip))
        figures["psnr_db"] = float(psnr(*pairs).clamp(max=99.0).mean())
        figures["change_error"] = float((clip.diff(dim=1) - truth.diff(dim=1)).abs().mean())
    return figures
