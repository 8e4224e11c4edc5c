"""DreamBooth (Ruiz et al., arXiv 2208.12242): a diffusion model learns one person, and keeps what it knew of the class.

The loss is the mean squared error of the prediction, in the model's own form, on pictures of the person under the
prompt with the token, plus `prior_weight` times the same on class pictures under the prompt without it. Pictures are
latents that were encoded once, as the autoencoder is not trained. Every step has a random stream of its own, so a
training that was killed ends with the same weights as one that was not.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from diffusers import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from pshead_core.api import PsheadError
from pshead_core.priors.distill.noise import NoiseSchedule, add_noise
from pshead_guidance_personalized_sd import lora
from pshead_guidance_personalized_sd.config import PersonaliseSettings
from pshead_guidance_personalized_sd.lessons import Lessons, generator_for
from pshead_guidance_personalized_sd.networks import ask_unet, encode_text
from pshead_guidance_personalized_sd.progress import Progress
from pshead_guidance_personalized_sd.store import read_tensors, write_tensors

MOMENTS = ("exp_avg", "exp_avg_sq")
"""What AdamW keeps of each weight."""
STEP = "step"


@frozen(kw_only=True, eq=False)
class Pupil:
    """The networks in training, float32, on one device."""

    unet: UNet2DConditionModel
    text_encoder: CLIPTextModel
    schedule: NoiseSchedule
    device: torch.device
    bf16: bool
    """Compute in bfloat16 where torch holds it safe; the weights stay float32."""


def train(
    pupil: Pupil, lessons: Lessons, ids: Tensor, settings: PersonaliseSettings, state: Path, logger: logging.Logger
) -> dict[str, Tensor]:
    """Train, or go on from the saved state, and return the trained weights by name, on the CPU, as `apply` takes them.

    Args:
        pupil: the untrained networks; they change.
        lessons: pictures.
        ids: `[prompt, token]`, of `lessons.teaching.all`.
        settings: method, steps, rates.
        state: file of the saved state; the caller deletes it when it has saved the result.
        logger: hears of the progress.

    Raises:
        PsheadError: the loss became infinite, or the state cannot be written or read.
    """
    weights = trainable(pupil, settings)
    optimizer = torch.optim.AdamW(_groups(weights, settings), weight_decay=settings.weight_decay)
    first = _restore(state, weights, optimizer)
    progress = Progress("personalising", settings.steps, logger, first)
    ids = ids.to(pupil.device)
    for step in range(first, settings.steps):
        optimizer.zero_grad(set_to_none=True)
        loss = step_loss(pupil, lessons, ids, settings, step)
        if not bool(loss.isfinite()):
            raise PsheadError(
                f"personalisation failed: the loss is {float(loss.detach())} at step {step}",
                why=f"too large steps: {settings.learning_rate:g}, text encoder {settings.text_learning_rate:g}",
                fix="lower learning_rate or text_learning_rate",
            )
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        done = step + 1
        if done % settings.save_every_steps == 0 and done < settings.steps:
            write_tensors(state, _saved(done, weights, optimizer))
        progress.at(done)
    stored = torch.float16 if settings.method == "full" else torch.float32  # as published weights; factors are small
    return {name: weight.detach().to("cpu", stored) for name, weight in weights.items()}


def trained_part(trained: Mapping[str, Tensor], component: str) -> dict[str, Tensor]:
    """Return what `train` returned for one component, under the component's own names; empty if it was not trained."""
    prefix = f"{component}."
    return {name.removeprefix(prefix): value for name, value in trained.items() if name.startswith(prefix)}


def apply(own: Mapping[str, Tensor], network: nn.Module, method: str) -> None:
    """Give an untrained network its part of the weights that `train` returned for a method."""
    if method == "lora":
        lora.bake(network, own)
    else:
        network.load_state_dict(dict(own), strict=False)  # buffers are not trained, and stay


def trainable(pupil: Pupil, settings: PersonaliseSettings) -> dict[str, nn.Parameter]:
    """Return the weights to train by name, and make the networks ready for it."""
    networks: dict[str, nn.Module] = {"unet": pupil.unet, "text_encoder": pupil.text_encoder}
    weights: dict[str, nn.Parameter] = {}
    for prefix, network in networks.items():
        network.train().requires_grad_(False)
        if prefix == "text_encoder" and not settings.train_text_encoder:
            continue
        if settings.method == "lora":
            own = lora.attach(network, settings.lora_rank, generator_for(settings.seed, "lora", prefix))
        else:
            network.requires_grad_(True)
            own = dict(network.named_parameters())
        weights |= {f"{prefix}.{name}": weight for name, weight in own.items()}
    if settings.gradient_checkpointing:
        pupil.unet.enable_gradient_checkpointing()  # the text encoder's 77 tokens take little memory
    return weights


def _groups(weights: Mapping[str, nn.Parameter], settings: PersonaliseSettings) -> list[dict[str, Any]]:
    rates = (("unet.", settings.learning_rate), ("text_encoder.", settings.text_learning_rate))
    groups = [([w for name, w in weights.items() if name.startswith(prefix)], rate) for prefix, rate in rates]
    return [{"params": params, "lr": rate} for params, rate in groups if params]


def step_loss(pupil: Pupil, lessons: Lessons, ids: Tensor, settings: PersonaliseSettings, step: int) -> Tensor:
    """Return the loss of one step's random pictures, timesteps and noise."""
    generator = generator_for(settings.seed, "step", step)
    clean, prompt = lessons.draw(settings.batch, generator)
    timestep = torch.randint(pupil.schedule.timesteps, (len(clean),), generator=generator)
    noise = torch.randn(clean.shape, generator=generator)
    if settings.prior_weight == 0:
        clean, prompt, timestep, noise = (part[: settings.batch] for part in (clean, prompt, timestep, noise))
    noisy = add_noise(pupil.schedule, clean, noise, timestep).to(pupil.device)
    with torch.autocast(pupil.device.type, torch.bfloat16, enabled=pupil.bf16):
        tokens = encode_text(pupil.text_encoder, ids)[prompt.to(pupil.device)]
        found = ask_unet(pupil.unet, noisy, timestep.to(pupil.device), tokens)
    wanted = target(pupil.schedule, clean, noise, timestep).to(pupil.device)
    error = (found - wanted).square().flatten(1).mean(1)
    loss = error[: settings.batch].mean()
    return loss if settings.prior_weight == 0 else loss + settings.prior_weight * error[settings.batch :].mean()


def target(schedule: NoiseSchedule, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
    """Return what a perfect network would predict: the noise, the clean latent, or v (arXiv 2202.00512, appendix D)."""
    if schedule.prediction == "epsilon":
        return noise
    if schedule.prediction == "sample":
        return clean
    return add_noise(schedule, noise, -clean, timestep)  # v = sqrt(a) eps - sqrt(1 - a) x_0


def _saved(step: int, weights: Mapping[str, Tensor], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    saved = {STEP: torch.tensor(step)}
    for name, weight in weights.items():
        saved[f"weight.{name}"] = weight
        saved |= {f"{moment}.{name}": optimizer.state[weight][moment] for moment in MOMENTS}
    return saved


def _restore(state: Path, weights: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> int:
    """Restore weights and moments from the saved state, if there is one, and return the next step."""
    saved = read_tensors(state)
    if saved is None:
        return 0
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(saved[f"weight.{name}"])
            optimizer.state[weight] = {
                STEP: saved[STEP].float(),
                **{moment: saved[f"{moment}.{name}"].to(weight.device) for moment in MOMENTS},
            }
    return int(saved[STEP])
