"""The personal model: a text-to-image model that knows the person of the portrait, and the prompts about it.

A guidance and a refiner both ask one; `prepare` trains it, or finds it in the cache. Two of the same checkpoint, photo,
prompt and personalisation are trained once and share their networks through the run's pool.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.api import BuildContext, PluginContractError
from pshead_core.priors.distill.gradient import Predict
from pshead_core.priors.distill.guide import guide, standard_scale
from pshead_core.priors.distill.pull_back import chunks
from pshead_core.priors.distill.settings import DistillSettings
from pshead_guidance_personalized_sd import prompts
from pshead_guidance_personalized_sd.config import ModelConfig
from pshead_guidance_personalized_sd.networks import (
    TextToImage,
    assemble,
    cut_words,
    load_text_encoder,
    load_unet,
    read_layout,
)
from pshead_guidance_personalized_sd.personalise import personalised


@frozen(kw_only=True)
class Wording:
    """All prompts, as text."""

    views: tuple[str, ...]
    """Of front, side and back."""
    negative: str
    teaching: prompts.Teaching | None
    """What the training says; None without personalisation."""


def wording(portrait_prompt: str, config: ModelConfig) -> Wording:
    """Return the prompts for a portrait."""
    settings, train = config.prompt, config.personalise
    plain = prompts.plain_prompt(portrait_prompt, settings)
    if train.method == "none":
        return Wording(views=prompts.view_prompts(plain, settings), negative=settings.negative, teaching=None)
    return Wording(
        views=prompts.view_prompts(prompts.with_token(plain, train.token), settings),
        negative=settings.negative,
        teaching=prompts.teaching(plain, train.token, train.words, train.hold_views, settings),
    )


class PersonalModel:
    """A text-to-image model and the embedded prompts of one portrait.

    Args:
        config: which weights, prompts and personalisation.
        context: of the run.

    Raises:
        PsheadError: the weights are not there, or are of another kind.
    """

    def __init__(self, config: ModelConfig, context: BuildContext) -> None:
        self._config = config
        self._context = context
        self._checkpoint = context.models.checkpoint(config.checkpoint)
        self._layout = read_layout(self._checkpoint, config.side_px)
        self._wording = wording(context.portrait.prompt, config)
        self._ready: tuple[TextToImage, Tensor] | None = None

    def prepare(self) -> None:
        """Personalise the model, unless this was done before, and embed the prompts."""
        if self._ready is not None:
            return
        checkpoint, context, teaching = self._checkpoint, self._context, self._wording.teaching
        if teaching is None:
            unet = context.models.load(checkpoint, "unet", load_unet)
            text_encoder = context.models.load(checkpoint, "text_encoder", load_text_encoder)
            model = assemble(checkpoint, self._layout, context, unet, text_encoder)
        else:
            model = personalised(checkpoint, self._layout, self._config.personalise, teaching, context)
        said = (*self._wording.views, self._wording.negative)
        for prompt in said:
            if cut := cut_words(model.tokenizer, prompt):
                context.logger.warning("the prompt is too long for %s; left out: %s", checkpoint.name, cut)
        self._ready = (model, model.embed(said))

    @property
    def model(self) -> TextToImage:
        """The model, after `prepare`."""
        return self._asked()[0]

    def predictor(self, azimuth_deg: Tensor, settings: DistillSettings) -> Predict:
        """Return the function that asks the UNet about views, with guidance and each view's own prompt.

        Guidance takes one pass of twice the views; no second half where it would change nothing: at scale 1, or where
        prompt and negative prompt are the same.

        Args:
            azimuth_deg: `[view]`.
            settings: guidance, and how many views go through the network at once.
        """
        model, tokens = self._asked()
        view = [prompts.view_of(float(angle), self._config.prompt) for angle in azimuth_deg]
        wanted, negative = tokens[view], tokens[-1:].expand(len(view), -1, -1)
        guided = standard_scale(settings) != 1.0 and not torch.equal(wanted, negative)

        def predict(noisy: Tensor, timestep: Tensor) -> Tensor:
            parts = []
            for part in chunks(len(noisy), settings.chunk_views):
                some, at = noisy[part], timestep[part]
                if not guided:
                    parts.append(model.predict(some, at, wanted[part]))
                    continue
                both = torch.cat([wanted[part], negative[part]])
                found = model.predict(some.repeat(2, 1, 1, 1), at.repeat(2), both)
                parts.append(guide(*found.chunk(2), settings))
            return torch.cat(parts)

        return predict

    def _asked(self) -> tuple[TextToImage, Tensor]:
        if self._ready is None:
            raise PluginContractError("personalized_sd was asked before it was prepared", fix="call prepare() first")
        return self._ready
