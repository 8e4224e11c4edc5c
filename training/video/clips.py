"""Orbits as clips: 25 frames in azimuth order, beginning and ending behind the head, the front in the middle."""

from __future__ import annotations

import torch
from attrs import frozen
from diffusers import AutoencoderKL
from torch import Tensor

from pshead_core.errors import PsheadError
from training.common.data import plain_batch, truth_pictures
from training.diffusion.latents import Latents
from training.diffusion.sampling import encode
from training.ground_truth import load_ground_truth

FRAMES = 25
FRONT_FRAME = FRAMES // 2
"""The frame nearest azimuth 0."""
STEP_DEG = 360.0 / FRAMES
SIDE_PX = 128
TOLERANCE_DEG = 0.01


def clip_order(azimuth_deg: Tensor) -> Tensor:
    """Return `[head, 25]`: the view that stands at each frame of a clip, azimuths rising from -180 to 180 degrees.

    Args:
        azimuth_deg: `[head, view]`, any order, any turn; turned-over heads have theirs negated.

    Raises:
        PsheadError: the views of some head are no ring of 25 with the front in the middle.
    """
    wrapped = (azimuth_deg.double() + 180.0) % 360.0 - 180.0
    sorted_deg, order = wrapped.sort(dim=1)
    ring = azimuth_deg.shape[1] == FRAMES and bool(((sorted_deg.diff(dim=1) - STEP_DEG).abs() < TOLERANCE_DEG).all())
    if not ring or bool((sorted_deg[:, FRONT_FRAME].abs() > STEP_DEG / 2 + TOLERANCE_DEG).any()):
        raise PsheadError(
            "these views are no orbit",
            why=f"a clip needs {FRAMES} views, {STEP_DEG} degrees apart, one of them the front",
            fix="make the data with: python -m training.common.make_data --azimuths ring --views 25",
        )
    return order


def take_clips(latents: Latents, order: Tensor, index: Tensor) -> Tensor:
    """Return scaled latents `[clip, channel, frame, side, side]`, fp32, of some heads.

    Args:
        latents: of ring data.
        order: `[head, 25]`, from `clip_order`.
        index: `[clip]`, the heads.
    """
    views = latents.latent[index[:, None], order[index]]
    return views.float().transpose(1, 2) * latents.scaling_factor


def take_focus(latents: Latents, order: Tensor, index: Tensor) -> Tensor:
    """Return `[clip, 1, frame, side, side]` in 0..1, fp32: where the same clips show eyes, nose and mouth."""
    return latents.focus[index[:, None], order[index]].float().transpose(1, 2)


@frozen(kw_only=True, eq=False)
class Orbits:
    """Ground-truth orbits in frame order."""

    picture: Tensor
    """`[head, 25, 3, 128, 128]` in 0..1, over white."""
    clip: Tensor
    """`[head, channel, 25, side, side]`, scaled latents."""
    azimuth_deg: Tensor
    """`[25]`, rising."""
    sources: tuple[str, ...]


def truth_orbits(vae: AutoencoderKL, heads_per_source: int | None = None) -> Orbits:
    """Return the committed ground-truth set (12 held-out heads), encoded.

    Args:
        vae: shared autoencoder.
        heads_per_source: at most so many, for trials.
    """
    azimuth_deg = load_ground_truth()[0].cameras.azimuth_deg[None].float()
    order = clip_order(azimuth_deg)[0]
    pictures, sources = [], []
    for source, some in truth_pictures(SIDE_PX).items():
        heads = min(len(some) // FRAMES, heads_per_source or len(some))
        index = (torch.arange(heads)[:, None] * FRAMES + order).flatten()
        pictures.append(plain_batch(some.take(index)).image.unflatten(0, (heads, FRAMES)))
        sources += [source] * heads
    image = torch.cat(pictures)
    latent = encode(vae, image.flatten(0, 1)).unflatten(0, image.shape[:2])
    wrapped = (azimuth_deg[0][order] + 180.0) % 360.0 - 180.0
    return Orbits(
        picture=image / 2 + 0.5,
        clip=latent.transpose(1, 2) * vae.config.scaling_factor,
        azimuth_deg=wrapped,
        sources=tuple(sources),
    )
