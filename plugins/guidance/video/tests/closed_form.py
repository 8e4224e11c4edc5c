"""Networks whose answers are known in closed form, and views to show them."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from attrs import evolve
from pshead_guidance_video.prior import Frame, Texts, Video
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from pshead_core.cameras.camera import orbit
from pshead_core.priors.distill.noise import NoiseSchedule, noise_schedule
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.render.base import Views

SCALE = 0.7
SIDE_PX = 16
SETTINGS = DistillSettings(draw="shared", min_t_frac=0.3, max_t_frac=0.8, chunk_views=4)


class LinearVae(nn.Module):
    """Means over 8 x 8 pixels, then a matrix from colour to latent channels."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(4, 3, generator=torch.Generator().manual_seed(5)))

    def encode(self, x: Tensor) -> SimpleNamespace:
        mean = torch.einsum("cd,ndhw->nchw", self.matrix, avg_pool2d(x, 8))
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=mean, std=torch.zeros_like(mean)))

    def latents(self, rgb: Tensor) -> Tensor:
        """Scaled latents of `[view, h, w, 3]`, written a second way."""
        blocks = (2 * rgb - 1).unflatten(1, (-1, 8)).unflatten(3, (-1, 8)).mean((2, 4))
        return SCALE * torch.einsum("cd,nhwd->nchw", self.matrix, blocks)

    def pulled(self, gradient: Tensor) -> Tensor:
        """J^T g in closed form, `[view, h, w, 3]`."""
        small = torch.einsum("cd,nchw->nhwd", self.matrix, gradient) * SCALE * 2 / 64
        return small.repeat_interleave(8, 1).repeat_interleave(8, 2)


class SpyUNet(nn.Module):
    """Remembers what it is shown; predicts the exact noise of Gaussian data N(mean of the frame, spread²)."""

    def __init__(self, schedule: NoiseSchedule, spread: float = 0.5, word_shift: float = 0.0) -> None:
        super().__init__()
        self.schedule, self.spread, self.word_shift = schedule, spread, word_shift
        self.clips: list[Tensor] = []
        self.timesteps: list[Tensor] = []

    def means(self, frames: int) -> Tensor:
        """Of the data, `[1, 4, frame, 1, 1]`: another one for each channel and frame."""
        return torch.sin(torch.arange(4 * frames, dtype=torch.float32)).view(1, 4, frames, 1, 1)

    def predict(self, clip: Tensor, timestep: Tensor, words: Tensor) -> Tensor:
        alpha_bar = self.schedule.alpha_bar[timestep].float().view(-1, 1, 1, 1, 1)
        shift = self.word_shift * words.mean((1, 2)).view(-1, 1, 1, 1, 1)
        away = clip - alpha_bar.sqrt() * (self.means(clip.shape[2]) + shift)
        return (1 - alpha_bar).sqrt() * away / (alpha_bar * self.spread**2 + 1 - alpha_bar)

    def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> SimpleNamespace:
        self.clips.append(sample)
        self.timesteps.append(timestep)
        return SimpleNamespace(sample=self.predict(sample, timestep, encoder_hidden_states))


class Held:
    """What a pool hands out."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def get(self) -> nn.Module:
        return self.module


def schedule_of(prediction: str = "epsilon") -> NoiseSchedule:
    return noise_schedule(
        {
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "num_train_timesteps": 1000,
            "prediction_type": prediction,
        }
    )


def guidance(unet: nn.Module | None = None, **changed: object) -> Video:
    """The guidance around the known networks."""
    schedule = schedule_of()
    made = Video(
        unet=Held(SpyUNet(schedule) if unet is None else unet),
        vae=Held(LinearVae()),
        schedule=schedule,
        texts=Texts(conditional=torch.ones(1, 2, 3), unconditional=None),
        frame=Frame(height_px=SIDE_PX, width_px=SIDE_PX, scaling_factor=SCALE),
        settings=SETTINGS,
        dtype=torch.float32,
        portrait=None,
    )
    return evolve(made, **changed)


def views_at(azimuth_deg: Tensor, *, seed: int = 0, background: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Views:
    """Views of random pixels."""
    count = len(azimuth_deg)
    rgb = torch.rand(count, SIDE_PX, SIDE_PX, 3, generator=torch.Generator().manual_seed(seed))
    cameras = orbit(azimuth_deg, torch.zeros(count), distance=2.0, fovy_deg=49.1, side_px=SIDE_PX)
    flat = torch.ones(count, SIDE_PX, SIDE_PX)
    return Views(rgb=rgb, alpha=flat, depth=flat, cameras=cameras, background=torch.tensor(background))


def ring(count: int = 25, phase_deg: float = 0.0) -> Tensor:
    """Azimuths in the core's range (-180, 180]."""
    turned = torch.arange(count) * 360.0 / count - 180.0 + phase_deg
    return torch.where(turned <= -180, turned + 360, turned)
