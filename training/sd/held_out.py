"""The committed ground-truth set as views with captions, and the error of predicted clean latents on it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from attrs import frozen
from diffusers import AutoencoderKL
from torch import Tensor

from training.common.data import plain_batch, truth_pictures
from training.diffusion.network import TRAIN_STEPS, build_schedule
from training.diffusion.sampling import encode
from training.ground_truth import load_ground_truth
from training.heads.attributes import VIEW_WORDS, view_word

TIMESTEPS = (980, 500, 200)
NOISE_SEED = 20_240_601
"""Any number: the noise of the figures is always the same."""
Predict = Callable[[Tensor, Tensor, list[str]], Tensor]
"""(noisy latents, time steps `[sample]`, prompts) to predicted clean latents; scaled latents both."""


@frozen(kw_only=True, eq=False)
class TruthViews:
    """Views of the 12 held-out heads."""

    rgba: Tensor
    """`[view, 4, side, side]` in 0..1."""
    azimuth_deg: Tensor
    """`[view]`."""
    captions: tuple[str, ...]
    """Of each view's head, without the view word."""

    @property
    def words(self) -> list[str]:
        """View word of each view."""
        return [view_word(angle) for angle in self.azimuth_deg.tolist()]

    @property
    def image(self) -> Tensor:
        """`[view, 3, side, side]` in 0..1, over white."""
        return plain_batch(self.rgba).image / 2 + 0.5


def truth_views(side_px: int, every: int = 1) -> TruthViews:
    """Return every so-manieth view of the ring of each head of the ground-truth set."""
    captions: dict[str, list[str]] = {}
    for head in load_ground_truth():
        captions.setdefault(head.source, []).append(head.caption)
    rgba, azimuths, words = [], [], []
    for source, pictures in truth_pictures(side_px).items():
        views = len(pictures) // len(captions[source])
        ring = torch.arange(0, views, every)
        for number, caption in enumerate(captions[source]):
            rgba.append(pictures.take(number * views + ring))
            azimuths.append(ring * (360 / views))
            words += [caption] * len(ring)
    return TruthViews(rgba=torch.cat(rgba), azimuth_deg=torch.cat(azimuths), captions=tuple(words))


def scaled_latents(vae: AutoencoderKL, views: TruthViews) -> Tensor:
    """Return scaled latents `[view, channel, side / 8, side / 8]` of the views over white."""
    return encode(vae, plain_batch(views.rgba).image) * vae.config.scaling_factor


def x0_errors(predict: Predict, truth: Tensor, views: TruthViews, batch: int = 64) -> dict[str, float]:
    """Return the mean square error of predicted clean latents at three noise levels, fixed noise.

    `x0_error_980_wrong_view`: with the next view word instead of the right one; the gap to `x0_error_980` shows whether
    the words count.

    Args:
        predict: the prior.
        truth: `[view, channel, height, width]`, scaled latents of the views.
        views: for the captions.
        batch: samples at a time.
    """
    right = [f"{caption}, {word}" for caption, word in zip(views.captions, views.words, strict=True)]
    turned = [VIEW_WORDS[(VIEW_WORDS.index(word) + 1) % len(VIEW_WORDS)] for word in views.words]
    wrong = [f"{caption}, {word}" for caption, word in zip(views.captions, turned, strict=True)]
    figures = {f"x0_error_{step}": _x0_error(predict, truth, right, step, batch) for step in TIMESTEPS}
    figures["x0_error_980_wrong_view"] = _x0_error(predict, truth, wrong, TIMESTEPS[0], batch)
    return figures


def _x0_error(predict: Predict, truth: Tensor, prompts: list[str], step: int, batch: int) -> float:
    schedule = build_schedule()
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(NOISE_SEED + step))
    timestep = torch.full((len(truth),), min(step, TRAIN_STEPS - 1))
    noisy = schedule.add_noise(truth, noise, timestep)
    parts = [
        predict(noisy[some], timestep[some], prompts[some])
        for some in (slice(start, start + batch) for start in range(0, len(truth), batch))
    ]
    return float((torch.cat(parts).float() - truth).square().mean())


def mean_view_error(latent: Tensor, azimuth_deg: Tensor, truth: Tensor, views: TruthViews) -> float:
    """Return the error of the best constant answers: the mean training latent of each view word.

    Args:
        latent: `[sample, channel, height, width]`, scaled latents of training views.
        azimuth_deg: `[sample]`.
        truth: scaled latents of the held-out views.
        views: the held-out views.
    """
    words = [view_word(angle) for angle in azimuth_deg.tolist()]
    means = {
        word: latent[torch.tensor([found == word for found in words])].float().mean(0) for word in sorted(set(words))
    }
    answers = torch.stack([means[word] for word in views.words])
    return float((answers - truth).square().mean())
