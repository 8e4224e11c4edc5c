"""Autoencoders and denoisers whose answers are known in closed form, and views to show them."""

from types import SimpleNamespace

import torch
from torch import nn

from pshead_core.priors.distill.codec import LatentCodec
from pshead_core.render.base import Views
from pshead_core.testing.scenes import empty_views

SCALE = 0.5
"""Scaling factor of the identity codec: its latents are SCALE (2 rgb - 1)."""


class Identity:
    """An autoencoder that changes nothing; its posterior has one standard deviation."""

    def __init__(self, std=0.0):
        self.std = std
        self.seen = []

    def encode(self, x):
        self.seen.append(len(x))
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=x, std=torch.full_like(x, self.std)))

    def decode(self, z):
        self.seen.append(len(z))
        return SimpleNamespace(sample=z)


class Convolutions(nn.Module):
    """A random encoder of stride 4, whose posterior's standard deviation depends on the picture too."""

    def __init__(self, channels=4, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.first = nn.Conv2d(3, 8, 4, stride=2, padding=1)
        self.second = nn.Conv2d(8, 2 * channels, 4, stride=2, padding=1)
        for parameter in self.parameters():
            parameter.requires_grad_(False)
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
        self.seen = []

    def encode(self, x):
        self.seen.append(len(x))
        mean, log_std = self.second(torch.tanh(self.first(x))).chunk(2, dim=1)
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=mean, std=log_std.exp()))

    def decode(self, z):
        raise AssertionError("not asked for here")


def codec(autoencoder=None, height_px=4, width_px=4, scaling_factor=SCALE, dtype=torch.float32):
    return LatentCodec(
        autoencoder or Identity(), height_px=height_px, width_px=width_px, scaling_factor=scaling_factor, dtype=dtype
    )


def views_of(rgb):
    """Return views that show `rgb` `[view, height, width, 3]`."""
    empty = empty_views(len(rgb), side_px=8)
    return Views(
        rgb=rgb,
        alpha=torch.ones(rgb.shape[:3]),
        depth=torch.ones(rgb.shape[:3]),
        cameras=empty.cameras,
        background=empty.background,
    )


def random_rgb(views, height=4, width=4, seed=0):
    return torch.rand(views, height, width, 3, generator=torch.Generator().manual_seed(seed))


def exact_denoiser(schedule, mean, variance):
    """Return the posterior mean of latents that are independent Gaussians, in the form that `schedule` wants.

    For x_t = sqrt(a) x_0 + sqrt(1-a) eps with x_0 ~ N(mean, variance):
    E[eps | x_t] = sqrt(1-a) (x_t - sqrt(a) mean) / (a variance + 1 - a), from which the other forms follow.
    """

    def predict(noisy, timestep):
        a = schedule.alpha_bar[timestep].reshape(-1, 1, 1, 1)
        x = noisy.double()
        epsilon = (1 - a).sqrt() * (x - a.sqrt() * mean) / (a * variance + 1 - a)
        clean = mean + a.sqrt() * variance * (x - a.sqrt() * mean) / (a * variance + 1 - a)
        forms = {"epsilon": epsilon, "sample": clean, "v_prediction": a.sqrt() * epsilon - (1 - a).sqrt() * clean}
        return forms[schedule.prediction].float()

    return predict
