"""Image-to-image refinement as plain maths around a codec and a predictor (PSHead, eq. 8; SDEdit, arXiv 2108.01073).

A view is encoded, noise is added up to a timestep, and a deterministic DDIM takes it out again: fine structure comes
from the prior, coarse structure from the view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from pshead_core.priors.distill.codec import LatentCodec, resize
from pshead_core.priors.distill.gradient import Predict
from pshead_core.priors.distill.noise import NoiseSchedule, add_noise
from pshead_core.priors.distill.pull_back import chunks, encode_all
from pshead_core.priors.distill.sampling import ddim

Detail = Literal["change", "keep", "replace"]
Draw = Callable[[torch.Size], Tensor]
"""Returns standard normal numbers of a shape, on the CPU or on the views' device."""


def denoised(
    latents: Tensor, predict: Predict, schedule: NoiseSchedule, timesteps: Sequence[int], draw: Draw
) -> Tensor:
    """Return latents after noise at the first timestep and a DDIM from there, without a graph.

    Args:
        latents: `[view, channel, h, w]`, scaled, clean.
        predict: asks the network.
        schedule: of the network.
        timesteps: falling, as from `ddim_timesteps`.
        draw: gives the noise, in one call.
    """
    noise = draw(latents.shape).to(latents)
    first = torch.full((len(latents),), timesteps[0], device=latents.device)
    return ddim(schedule, predict, add_noise(schedule, latents, noise, first), timesteps)


def refined(
    rgb: Tensor,
    codec: LatentCodec,
    predict: Predict,
    schedule: NoiseSchedule,
    timesteps: Sequence[int],
    draw: Draw,
    detail: Detail,
    chunk_views: int,
) -> Tensor:
    """Return the target of views: `[view, height, width, 3]`, float32, 0..1, of their size, without a graph.

    With `down` and `up` between the views' size and the network's, D the denoising, e and d the autoencoder:
    `replace` is up(d(D(e(view)))), `keep` is view + up(d(D(e(view))) - down(view)), and `change` is
    view + up(d(D(e(view))) - d(e(view))). Only `change` is the view itself where denoising changes nothing.

    Args:
        rgb: `[view, height, width, 3]`, 0..1, of any size; the codec resizes.
        codec: of the model.
        predict: asks the network.
        schedule: of the network.
        timesteps: falling, as from `ddim_timesteps`.
        draw: gives the noise, in one call.
        detail: which of the three.
        chunk_views: views per pass through the autoencoder.
    """
    rgb = rgb.detach()
    latents = encode_all(rgb, codec.encode, chunk_views)
    better = decode_all(denoised(latents, predict, schedule, timesteps, draw), codec, chunk_views)
    height, width = rgb.shape[1:3]
    if detail == "replace":
        return resize(better, height, width).clamp(0.0, 1.0)
    if detail == "keep":
        before = resize(rgb, codec.height_px, codec.width_px)
    else:
        before = decode_all(latents, codec, chunk_views)
    return (rgb + resize(better - before, height, width)).clamp(0.0, 1.0)


def decode_all(latents: Tensor, codec: LatentCodec, chunk_views: int) -> Tensor:
    """Return the pictures of all views, without a graph; shapes as in `LatentCodec.decode`."""
    with torch.no_grad():
        return torch.cat([codec.decode(latents[part]) for part in chunks(len(latents), chunk_views)])
