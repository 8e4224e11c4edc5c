"""Encoding many views, and pulling a latent gradient back to their pixels, in chunks that bound the memory.

The encoder sees every view by itself, so its Jacobian is block-diagonal over views: chunks give the same gradient as
one pass, up to the order of float operations. The price is a second forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

Encode = Callable[..., Tensor]
"""Maps pictures `[view, height, width, 3]` to latents, view by view. Called with the pictures, and where there is noise
with that too, as `LatentCodec.encode` is."""


def encode_all(rgb: Tensor, encode: Encode, chunk_views: int, noise: Tensor | None = None) -> Tensor:
    """Return the latents of all views, without a graph.

    Args:
        rgb: `[view, height, width, 3]`.
        encode: called with at most `chunk_views` views.
        chunk_views: at least 1.
        noise: of the posterior, `[view, ...]`; None: its mode.
    """
    with torch.no_grad():
        return torch.cat([_encoded(rgb[part], encode, noise, part) for part in chunks(len(rgb), chunk_views)])


def pull_back(
    rgb: Tensor, encode: Encode, latent_gradient: Tensor, chunk_views: int, noise: Tensor | None = None
) -> Tensor:
    """Return J^T g, with J the Jacobian of `encode` at `rgb` and g the latent gradient.

    Args:
        rgb: `[view, height, width, 3]`; its own graph, if any, is not touched.
        encode: must map each view by itself.
        latent_gradient: `[view, ...]`, shaped as the latents.
        chunk_views: at least 1.
        noise: of the posterior, the same as in `encode_all`.

    Returns:
        `[view, height, width, 3]`, float32, without a graph.
    """
    pulled = []
    for part in chunks(len(rgb), chunk_views):
        leaf = rgb[part].detach().requires_grad_()
        with torch.enable_grad():
            latents = _encoded(leaf, encode, noise, part)
        pulled.append(pull(latents, leaf, latent_gradient[part]))
    return torch.cat(pulled)


def pull(latents: Tensor, leaf: Tensor, latent_gradient: Tensor) -> Tensor:
    """Return J^T g through the graph from `leaf` to `latents`, which is freed.

    The gradient is brought to about 1 by a power of two per view and back afterwards: exact, and small gradients do not
    vanish in a float16 network.
    """
    size = _power_of_two(latent_gradient)
    scaled = latent_gradient / size.reshape(-1, *(1,) * (latents.ndim - 1))
    (pulled,) = torch.autograd.grad(latents, leaf, scaled.to(latents.dtype))
    return pulled.float() * size.reshape(-1, *(1,) * (leaf.ndim - 1))


def chunks(count: int, size: int) -> Iterator[slice]:
    """Return the slices of at most `size` that cover `range(count)`."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _encoded(rgb: Tensor, encode: Encode, noise: Tensor | None, part: slice) -> Tensor:
    return encode(rgb) if noise is None else encode(rgb, noise[part])


def _power_of_two(gradient: Tensor) -> Tensor:
    """Return, per view, the power of two at or above its largest magnitude; 1 for zeros and for what is not finite."""
    largest = gradient.flatten(1).abs().amax(dim=1)
    _, exponent = torch.frexp(largest)
    usable = torch.isfinite(largest) & (largest > 0)
    return torch.where(usable, torch.ldexp(torch.ones_like(largest), exponent), torch.ones_like(largest))
