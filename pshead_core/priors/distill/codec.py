"""Pictures to latents and back, through a diffusion model's own autoencoder."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate


class Posterior(Protocol):
    """The diagonal Gaussian that an encoder returns."""

    @property
    def mean(self) -> Tensor:
        """`[view, channel, height, width]`, also the mode."""
        ...

    @property
    def std(self) -> Tensor:
        """Standard deviation, shaped as `mean`."""
        ...


class Encoded(Protocol):
    """What `Autoencoder.encode` returns."""

    @property
    def latent_dist(self) -> Posterior:
        """The posterior."""
        ...


class Decoded(Protocol):
    """What `Autoencoder.decode` returns."""

    @property
    def sample(self) -> Tensor:
        """`[view, 3, height, width]`, -1..1."""
        ...


class Autoencoder(Protocol):
    """The part of diffusers' `AutoencoderKL` that is used here. Pictures are `[view, 3, height, width]`, -1..1."""

    def encode(self, x: Tensor) -> Any:
        """Return an `Encoded`."""
        ...

    def decode(self, z: Tensor) -> Any:
        """Return a `Decoded`."""
        ...


class LatentCodec:
    """An autoencoder with the size, scale and floating type at which a prior uses it.

    Args:
        autoencoder: on the device of the pictures, weights in `dtype`. A pooled model is asked for anew at each use, so
            a codec is made anew too; that costs nothing.
        height_px: of the pictures that the autoencoder sees; need not equal `width_px`.
        width_px: likewise.
        scaling_factor: of the autoencoder's configuration; the noise schedule applies to latents times this factor.
        dtype: floating type of the network. Everything outside it is float32.
    """

    def __init__(
        self, autoencoder: Autoencoder, *, height_px: int, width_px: int, scaling_factor: float, dtype: torch.dtype
    ) -> None:
        self._autoencoder = autoencoder
        self.height_px = height_px
        self.width_px = width_px
        self.scaling_factor = scaling_factor
        self.dtype = dtype

    def encode(self, rgb: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return scaled latents `[view, channel, h, w]`, float32, differentiable.

        Args:
            rgb: `[view, height, width, 3]`, 0..1, of any size.
            noise: standard normal, shaped as the latents: the sample of the posterior that it picks. None: the mode.
        """
        mean, std = self.posterior(rgb)
        return mean if noise is None else mean + std * noise

    def posterior(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the scaled latents, each `[view, channel, h, w]`, float32."""
        posterior = self._posterior(rgb)
        return posterior.mean.float() * self.scaling_factor, posterior.std.float() * self.scaling_factor

    def encode_unscaled(self, rgb: Tensor) -> Tensor:
        """Return the posterior's mode without the scaling factor, float32: Zero123's reference latent."""
        return self._posterior(rgb).mean.float()

    def decode(self, latents: Tensor) -> Tensor:
        """Return pictures `[view, height_px, width_px, 3]`, float32, clamped to 0..1, of scaled latents."""
        decoded: Decoded = self._autoencoder.decode((latents / self.scaling_factor).to(self.dtype))
        return decoded.sample.float().add(1.0).div(2.0).clamp(0.0, 1.0).permute(0, 2, 3, 1)

    def _posterior(self, rgb: Tensor) -> Posterior:
        sized = resize(rgb, self.height_px, self.width_px).permute(0, 3, 1, 2)
        encoded: Encoded = self._autoencoder.encode((sized * 2.0 - 1.0).to(self.dtype))
        return encoded.latent_dist


def resize(rgb: Tensor, height_px: int, width_px: int) -> Tensor:
    """Resize `[view, height, width, channel]`, differentiable; each axis by area where it shrinks, else bilinearly.

    Area averages every pixel in, so that its gradient reaches every pixel; bilinear shrinking would skip most of them.
    """
    height, width = rgb.shape[1:3]
    if (height, width) == (height_px, width_px):
        return rgb
    planes = rgb.permute(0, 3, 1, 2)
    shrunk = (min(height, height_px), min(width, width_px))
    if shrunk != (height, width):
        planes = interpolate(planes, shrunk, mode="area")
    if shrunk != (height_px, width_px):
        planes = interpolate(planes, (height_px, width_px), mode="bilinear", align_corners=False)
    return planes.permute(0, 2, 3, 1)
