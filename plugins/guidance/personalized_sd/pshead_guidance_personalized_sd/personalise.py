"""Personalisation with a cache: finds the trained weights of a photo, or trains them.

Trained networks are held by the run's pool like any others, as a checkpoint whose folder is that of their cache. So all
instances whose keys agree share one copy, and the pool moves it away when the device is full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from pshead_core.api import BuildContext
from pshead_core.models.checkpoint import Checkpoint
from pshead_guidance_personalized_sd import dreambooth
from pshead_guidance_personalized_sd.config import PersonaliseSettings
from pshead_guidance_personalized_sd.lessons import Lessons, background_facts, class_latents, person_latents
from pshead_guidance_personalized_sd.networks import (
    Held,
    Layout,
    Owned,
    TextToImage,
    assemble,
    load_text_encoder,
    load_unet,
    token_ids,
)
from pshead_guidance_personalized_sd.prompts import Teaching
from pshead_guidance_personalized_sd.store import key_of, read_tensors, tensor_hash, write_tensors

FOLDER = "personalized_sd"
"""In the cache folder."""
WITHOUT_EFFECT = frozenset({"save_every_steps", "gradient_checkpointing", "background_folder"})
"""Settings that keys leave out: they do not change the weights, or the hash of what they name stands for them."""
CLASS_SETTINGS = ("class_images", "class_sampling_steps", "class_guidance_scale", "seed")


def personalised(
    checkpoint: Checkpoint,
    layout: Layout,
    settings: PersonaliseSettings,
    teaching: Teaching,
    context: BuildContext,
) -> TextToImage:
    """Return the model that knows the person of the portrait; the untrained networks in the pool stay as they are.

    A second call with the same pool and equal arguments returns the same networks.

    Args:
        checkpoint: the untrained weights.
        layout: of the checkpoint.
        settings: how to train.
        teaching: the prompts.
        context: portrait, device and cache.

    Raises:
        PsheadError: the training diverged, or the cache cannot be written.
    """
    folder = context.cache_folder / FOLDER
    result = folder / key_of(result_facts(checkpoint, layout, settings, teaching, context)) / "weights.safetensors"
    trained = read_tensors(result)
    if trained is None:
        context.logger.info("personalising %s: %d steps", checkpoint.name, settings.steps)
        state = result.with_name("training.safetensors")
        trained = _trained(checkpoint, layout, settings, teaching, context, state)
        write_tensors(result, trained)
        state.unlink(missing_ok=True)
    unet = _pooled(checkpoint, "unet", load_unet, trained, result.parent, settings.method, context)
    text_encoder = _pooled(
        checkpoint, "text_encoder", load_text_encoder, trained, result.parent, settings.method, context
    )
    return assemble(checkpoint, layout, context, unet, text_encoder)


def _pooled(
    checkpoint: Checkpoint,
    component: str,
    loader: Callable[[Path], nn.Module],
    trained: Mapping[str, Tensor],
    folder: Path,
    method: str,
    context: BuildContext,
) -> Held:
    """Return a component with its trained weights, held by the pool under their folder; untrained if it has none."""
    own = dreambooth.trained_part(trained, component)
    if not own:
        return context.models.load(checkpoint, component, loader)

    def personal(_: Path) -> nn.Module:
        network = loader(checkpoint.folder(component))
        dreambooth.apply(own, network, method)
        return network

    # Both components lie in one file of this folder; the pool tells them apart by their classes.
    cached = Checkpoint(name=f"{checkpoint.name} (personalised)", folders={component: folder})
    return context.models.load(cached, component, personal)


def result_facts(
    checkpoint: Checkpoint,
    layout: Layout,
    settings: PersonaliseSettings,
    teaching: Teaching,
    context: BuildContext,
) -> dict[str, Any]:
    """Return all that the trained weights depend on, as plain values."""
    return {
        "weights": checkpoint.fingerprint(),
        "side_px": layout.side_px,
        "photo": context.portrait.sha256,
        "portrait": tensor_hash(context.portrait.rgba),  # the same photo can be framed in other ways
        "backgrounds": background_facts(settings),
        "settings": attrs.asdict(settings, filter=lambda field, _: field.name not in WITHOUT_EFFECT),
        "prompts": attrs.astuple(teaching),
        "dtype": str(context.dtype),
    }


def class_facts(
    checkpoint: Checkpoint,
    layout: Layout,
    settings: PersonaliseSettings,
    teaching: Teaching,
    context: BuildContext,
) -> dict[str, Any]:
    """Return all that the class pictures depend on: no photo, so that all photos of a class share them."""
    return {
        "weights": checkpoint.fingerprint(),
        "side_px": layout.side_px,
        "settings": {name: getattr(settings, name) for name in CLASS_SETTINGS},
        "prompts": [drawn for drawn, _ in teaching.others],
        "dtype": str(context.dtype),
    }


def _trained(
    checkpoint: Checkpoint,
    layout: Layout,
    settings: PersonaliseSettings,
    teaching: Teaching,
    context: BuildContext,
    state: Path,
) -> dict[str, Tensor]:
    """Draw class pictures with the untrained model, encode the person's pictures, and train."""
    base = assemble(
        checkpoint,
        layout,
        context,
        _ready(load_unet(checkpoint.folder("unet")), context),
        _ready(load_text_encoder(checkpoint.folder("text_encoder")), context),
    )
    person = person_latents(context.portrait.rgba.to(context.device), base.codec(), settings)
    others = torch.zeros_like(person[:1])
    if settings.prior_weight > 0:
        facts = class_facts(checkpoint, layout, settings, teaching, context)
        folder = context.cache_folder / FOLDER / f"class-{key_of(facts)}"
        others = class_latents(base, [drawn for drawn, _ in teaching.others], settings, folder, context.logger)
    lessons = Lessons(person=person, others=others, teaching=teaching)
    ids = token_ids(base.tokenizer, teaching.all)
    schedule = base.schedule
    del base  # its networks make room for the training
    pupil = dreambooth.Pupil(
        unet=load_unet(checkpoint.folder("unet")).to(context.device),
        text_encoder=load_text_encoder(checkpoint.folder("text_encoder")).to(context.device),
        schedule=schedule,
        device=context.device,
        bf16=context.dtype != torch.float32,
    )
    return dreambooth.train(pupil, lessons, ids, settings, state, context.logger)


def _ready(network: nn.Module, context: BuildContext) -> Owned:
    """Return the network for use: on the device, in the run's type, without gradients."""
    nn.Module.to(network, context.device, context.dtype)  # not diffusers' own `to`, which warns of every cast
    return Owned(network.eval().requires_grad_(False))
