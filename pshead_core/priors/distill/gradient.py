"""Score distillation: what a diffusion model thinks of noisy views, as a gradient of the views.

DreamFusion (arXiv 2209.14988, eq. 3): grad = w(t) (eps_hat(x_t; y, t) - eps) dx/d(view), with the network's own
Jacobian left out. Here x is the encoder's latent, so dx/d(view) is the encoder's Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pshead_core.errors import PluginContractError
from pshead_core.priors.contribution import ImageGradient
from pshead_core.priors.distill.codec import LatentCodec, resize
from pshead_core.priors.distill.noise import NoiseSchedule, add_noise, per_view, to_clean, to_epsilon
from pshead_core.priors.distill.pull_back import chunks, pull, pull_back
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.priors.distill.timesteps import draw_timesteps
from pshead_core.priors.protocols import Step
from pshead_core.render.base import Views

Predict = Callable[[Tensor, Tensor], Tensor]
"""Takes noisy latents `[view, channel, h, w]`, float32, and timesteps `[view]`, int64, both on the views' device;
returns the guided prediction in the schedule's own form, shaped as the latents."""
PullBack = Callable[[Tensor], Tensor]
"""Takes a gradient of the latents, returns that of the views."""


def distill(
    views: Views, codec: LatentCodec, predict: Predict, schedule: NoiseSchedule, settings: DistillSettings, step: Step
) -> ImageGradient:
    """Return the gradient of the views: a sum over pixels, a mean over views. Values that are not finite are kept.

    Drawn from `step.generator`, in this order: timesteps, noise of the posterior (only with `sample`), noise.

    Args:
        views: of any size; the codec resizes.
        codec: of the model.
        predict: asks the network; called once, without a graph, with all views.
        schedule: of the model.
        settings: everything else.
        step: where in the run.

    Raises:
        PluginContractError: `predict` returned another shape.
        PsheadError: the settings' range of timesteps is empty at this step.
    """
    rgb = views.rgb.detach()
    timestep = draw_timesteps(schedule, settings, step, len(rgb))
    latents, back = _encoded(rgb, codec, settings, step)
    noise = _normal(latents, step)
    noisy = add_noise(schedule, latents, noise, timestep)
    predicted = _predicted(predict, noisy, timestep)
    weight = weights(schedule, settings, timestep) / len(rgb)
    if settings.mode == "image":
        clean = to_clean(schedule, predicted, noisy, timestep)
        return ImageGradient(rgb=per_view(weight, rgb) * _towards(rgb, _decoded(clean, codec, settings.chunk_views)))
    gradient = per_view(weight, noisy) * (to_epsilon(schedule, predicted, noisy, timestep) - noise)
    if settings.clip_norm is not None:
        gradient = clipped(gradient, settings.clip_norm / len(rgb))
    return ImageGradient(rgb=back(gradient))


def _towards(rgb: Tensor, target: Tensor) -> Tensor:
    """Return the gradient of half the squared distance between the views and their target, a sum over pixels.

    They are compared at the smaller of their sizes, so that a prior of small pictures does not blur large views: what
    it cannot see it leaves alone. A pixel of the smaller size counts as many as it covers in the views.
    """
    height, width = rgb.shape[1:3]
    size = (min(height, target.shape[1]), min(width, target.shape[2]))
    if height % size[0] == 0 and width % size[1] == 0:  # area averages blocks of pixels: each gets the block's own
        difference = resize(rgb, *size) - resize(target, *size)
        return difference.repeat_interleave(width // size[1], 2).repeat_interleave(height // size[0], 1)
    seen = height * width / (size[0] * size[1])
    leaf = rgb.clone().requires_grad_()
    with torch.enable_grad():
        small = resize(leaf, *size)
    return torch.autograd.grad(small, leaf, seen * (small.detach() - resize(target, *size)))[0]


def weights(schedule: NoiseSchedule, settings: DistillSettings, timestep: Tensor) -> Tensor:
    """Return w(t) `[view]`, float64, on the CPU.

    1 - alpha_bar (DreamFusion's sigma_t²), 1, or sqrt(alpha_bar) (1 - alpha_bar) (Fantasia3D, arXiv 2303.13873).
    """
    alpha_bar = schedule.alpha_bar[timestep.cpu()]
    match settings.weighting:
        case "sds":
            return 1.0 - alpha_bar
        case "uniform":
            return torch.ones_like(alpha_bar)
        case "fantasia3d":
            return alpha_bar.sqrt() * (1.0 - alpha_bar)


def clipped(gradient: Tensor, norm: float) -> Tensor:
    """Return `[view, ...]` with each view's L2 norm brought down to `norm` where it is larger."""
    norms = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return gradient * per_view((norm / norms).clamp(max=1.0), gradient)


def _encoded(rgb: Tensor, codec: LatentCodec, settings: DistillSettings, step: Step) -> tuple[Tensor, PullBack]:
    """Return the latents without a graph, and the function that pulls a gradient of theirs back to the pixels.

    Where all views fit one pass, that pass keeps its graph, so that the encoder runs forward once and not twice.
    """
    size = settings.chunk_views
    held = settings.mode == "sds" and len(rgb) <= size
    leaf = rgb.clone().requires_grad_(held)
    with torch.set_grad_enabled(held):
        parts = [codec.posterior(leaf[part]) for part in chunks(len(rgb), size)]
        mean, std = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        noise = _normal(mean, step) if settings.posterior == "sample" else None
        latents = mean if noise is None else mean + std * noise
    if held:
        return latents.detach(), lambda gradient: pull(latents, leaf, gradient)
    return latents, lambda gradient: pull_back(rgb, codec.encode, gradient, size, noise)


def _normal(like: Tensor, step: Step) -> Tensor:
    return torch.randn(like.shape, generator=step.generator).to(like.device)


def _predicted(predict: Predict, noisy: Tensor, timestep: Tensor) -> Tensor:
    with torch.no_grad():
        predicted = predict(noisy, timestep.to(noisy.device))
    if predicted.shape != noisy.shape:
        raise PluginContractError(
            f"a prediction has the shape {tuple(predicted.shape)}, its latents {tuple(noisy.shape)}",
            fix="return one prediction per view, in the shape of the noisy latents",
        )
    return predicted.float()


def _decoded(latents: Tensor, codec: LatentCodec, chunk_views: int) -> Tensor:
    with torch.no_grad():
        return torch.cat([codec.decode(latents[part]) for part in chunks(len(latents), chunk_views)])
