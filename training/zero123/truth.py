"""Held-out orbits: pictures, latents and what the prior may know of them."""

from __future__ import annotations

from pathlib import Path

import torch
from attrs import frozen
from diffusers import AutoencoderKL
from torch import Tensor

from training.common.data import Pictures, held_out_pictures, plain_batch, truth_pictures
from training.diffusion.sampling import encode
from training.zero123.model import front_of

RING_VIEWS = 25
"""Of a held-out head, evenly spaced, the front first."""


@frozen(kw_only=True, eq=False)
class Orbits:
    """Novel views of held-out heads of one source."""

    image: Tensor
    """`[head, view, 3, side, side]` in 0..1, over white; the front is not among them."""
    azimuth_deg: Tensor
    """`[head, view]`."""
    latent: Tensor
    """`[head, view, 8, 16, 16]`, not scaled."""
    front_image: Tensor
    """`[head, 3, side, side]` in 0..1."""
    front_latent: Tensor
    """`[head, 8, 16, 16]`, not scaled."""
    front: Tensor
    """`[head, 3, 64, 64]` in 0..1."""


def as_orbits(pictures: Pictures, vae: AutoencoderKL, every: int, most_heads: int | None) -> Orbits:
    """Return orbits of ring pictures in head-major order.

    Args:
        pictures: 25 of each head.
        vae: encodes them.
        every: takes each so-manieth novel view.
        most_heads: takes the first ones.
    """
    heads = len(pictures) // RING_VIEWS
    heads = heads if most_heads is None else min(heads, most_heads)
    views = torch.arange(0, RING_VIEWS) if every == 1 else torch.cat([torch.zeros(1).long(), _novel(every)])
    index = (torch.arange(heads)[:, None] * RING_VIEWS + views).flatten()
    image = torch.cat([plain_batch(pictures.take(part)).image for part in index.split(256)])
    latent = encode(vae, image).unflatten(0, (heads, len(views)))
    image = (image / 2 + 0.5).unflatten(0, (heads, len(views)))
    return Orbits(
        image=image[:, 1:],
        azimuth_deg=(views[1:] * (360.0 / RING_VIEWS)).expand(heads, -1),
        latent=latent[:, 1:],
        front_image=image[:, 0],
        front_latent=latent[:, 0],
        front=front_of(image[:, 0]),
    )


def _novel(every: int) -> Tensor:
    return torch.arange(1 + every // 2, RING_VIEWS, every)


def truth_orbits(vae: AutoencoderKL, every: int = 1, side_px: int = 128) -> dict[str, Orbits]:
    """Return the committed ground-truth set by source: 6 heads each."""
    return {name: as_orbits(some, vae, every, None) for name, some in truth_pictures(side_px).items()}


def held_out_orbits(folder: Path, vae: AutoencoderKL, most_heads: int | None = None) -> dict[str, Orbits]:
    """Return a data folder made with `--held-out --azimuths ring --views 25`, by source."""
    return {name: as_orbits(some, vae, 1, most_heads) for name, some in held_out_pictures(folder).items()}
