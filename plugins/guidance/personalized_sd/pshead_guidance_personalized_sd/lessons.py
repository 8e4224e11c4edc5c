"""What DreamBooth trains on: latents of the person before five backgrounds, and pictures of the class."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.api import PsheadError
from pshead_core.priors.distill.codec import LatentCodec
from pshead_core.priors.distill.guide import guide
from pshead_core.priors.distill.pull_back import encode_all
from pshead_core.priors.distill.sampling import ddim, ddim_timesteps
from pshead_core.priors.distill.settings import DistillSettings
from pshead_guidance_personalized_sd.backgrounds import background_files, before, drawn_backgrounds, read_backgrounds
from pshead_guidance_personalized_sd.config import PersonaliseSettings
from pshead_guidance_personalized_sd.networks import TextToImage
from pshead_guidance_personalized_sd.progress import Progress
from pshead_guidance_personalized_sd.prompts import Teaching
from pshead_guidance_personalized_sd.store import read_tensors, write_tensors

CLASS_CHUNK = 8
"""Class pictures that are drawn together and saved in one file."""


@frozen(kw_only=True, eq=False)
class Lessons:
    """The training set."""

    person: Tensor
    """`[picture, channel, h, w]`, scaled latents, float32, on the CPU."""
    others: Tensor
    """`[picture, channel, h, w]`, of the class, likewise; picture i was drawn with the prompt `teaching.others[i]`,
    modulo their number."""
    teaching: Teaching

    def draw(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return random latents `[2 batch, channel, h, w]`, the person's first, and the places of their prompts.

        The places `[2 batch]` are those in `teaching.all`.
        """
        places = {prompt: place for place, prompt in enumerate(self.teaching.all)}
        mine = torch.randint(len(self.person), (batch,), generator=generator)
        said = torch.randint(len(self.teaching.person), (batch,), generator=generator)
        other = torch.randint(len(self.others), (batch,), generator=generator)
        way = torch.randint(2, (batch,), generator=generator)
        prompts = [self.teaching.person[k] for k in said.tolist()]
        prompts += [
            self.teaching.others[k % len(self.teaching.others)][w]
            for k, w in zip(other.tolist(), way.tolist(), strict=True)
        ]
        prompt = torch.tensor([places[text] for text in prompts])
        return torch.cat([self.person[mine], self.others[other]]), prompt


def generator_for(seed: int, *words: object) -> torch.Generator:
    """Return a random stream of its own for a purpose, so that a resumed training draws what an unbroken one draws."""
    digest = hashlib.sha256(":".join(map(str, (seed, *words))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def person_latents(rgba: Tensor, codec: LatentCodec, settings: PersonaliseSettings) -> Tensor:
    """Return `[picture, channel, h, w]`: the framed photo `[side, side, 4]` before each background, encoded once."""
    pictures = before(rgba, _backgrounds(rgba.shape[0], settings))
    if settings.flip:
        pictures = torch.cat([pictures, pictures.flip(2)])
    return encode_all(pictures, codec.encode, 1).cpu()


def background_facts(settings: PersonaliseSettings) -> list[str]:
    """Return the hashes of the background pictures; none if they are drawn."""
    if settings.backgrounds != "folder":
        return []
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in background_files(_folder(settings))]


def _backgrounds(side_px: int, settings: PersonaliseSettings) -> Tensor:
    if settings.backgrounds == "folder":
        return read_backgrounds(_folder(settings), side_px)
    drawn = drawn_backgrounds(side_px, generator_for(settings.seed, "backgrounds"))
    return drawn[:1] if settings.backgrounds == "white" else drawn


def _folder(settings: PersonaliseSettings) -> Path:
    if settings.background_folder is None:
        raise PsheadError(
            "personalise.backgrounds is 'folder', but no folder is named",
            fix="name one with personalise.background_folder, or choose 'white' or 'five'",
        )
    return settings.background_folder


def class_latents(
    model: TextToImage, prompts: Sequence[str], settings: PersonaliseSettings, folder: Path, logger: logging.Logger
) -> Tensor:
    """Return `[picture, channel, h, w]`: clean latents that the untrained model draws for its class prompts in turn.

    They are drawn in chunks that are saved one by one, so that an interruption costs at most a chunk.

    Args:
        model: before it is trained.
        prompts: of the class, one for each view.
        settings: count, sampling and seed.
        folder: of the chunks, named by all that they depend on.
        logger: hears of the progress.
    """
    starts = range(0, settings.class_images, CLASS_CHUNK)
    progress = Progress("drawing class pictures", settings.class_images, logger)
    tokens: Tensor | None = None
    chunks = []
    for start in starts:
        path = folder / f"{start:05d}.safetensors"
        saved = read_tensors(path)
        if saved is None:
            tokens = model.embed([*prompts, ""]) if tokens is None else tokens
            picture = torch.arange(start, min(start + CLASS_CHUNK, settings.class_images))
            saved = {"latents": _draw(model, tokens[picture % len(prompts)], tokens[-1:], settings, start)}
            write_tensors(path, saved)
        chunks.append(saved["latents"])
        progress.at(min(start + CLASS_CHUNK, settings.class_images))
    return torch.cat(chunks)


def _draw(model: TextToImage, tokens: Tensor, empty: Tensor, settings: PersonaliseSettings, start: int) -> Tensor:
    """Return `[picture, channel, h, w]` for embedded prompts `[picture, token, width]`."""
    layout, scale = model.layout, settings.class_guidance_scale
    shape = (len(tokens), layout.channels, layout.latent_side, layout.latent_side)
    noise = torch.randn(shape, generator=generator_for(settings.seed, "class", start)).to(model.device)

    def predict(noisy: Tensor, timestep: Tensor) -> Tensor:
        if scale == 1.0:
            return model.predict(noisy, timestep, tokens)
        both = model.predict(noisy.repeat(2, 1, 1, 1), timestep.repeat(2), torch.cat([tokens, empty.expand_as(tokens)]))
        return guide(*both.chunk(2), DistillSettings(guidance_scale=scale))

    return ddim(model.schedule, predict, noise, ddim_timesteps(model.schedule, settings.class_sampling_steps)).cpu()
