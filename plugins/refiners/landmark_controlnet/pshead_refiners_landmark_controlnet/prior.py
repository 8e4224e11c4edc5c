"""The refiner: noise on the views' latents, taken out again by a model that sees where the face is (PSHead, 3.2.2).

Image-to-image by noise and DDIM is SDEdit, arXiv 2108.01073. A view that shows too little of the face says nothing.
"""

from __future__ import annotations

import logging
import math
from functools import partial

import torch
from attrs import define
from torch import Tensor

from pshead_core.api import (
    BuildContext,
    DenoisedTarget,
    PluginConfig,
    PluginContractError,
    Portrait,
    Refiner,
    Step,
    Views,
)
from pshead_core.priors.distill.codec import LatentCodec
from pshead_core.priors.distill.guide import guide
from pshead_core.priors.distill.pull_back import chunks
from pshead_core.priors.distill.refine import refined
from pshead_core.priors.distill.sampling import ddim_timesteps
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.priors.landmarks import portrait_landmarks
from pshead_refiners_landmark_controlnet.config import LandmarkControlnetConfig
from pshead_refiners_landmark_controlnet.control import control_pictures
from pshead_refiners_landmark_controlnet.networks import ControlledModel, cut_words, load_model
from pshead_refiners_landmark_controlnet.prompts import plain_prompt, view_prompts, views_of


@define(eq=False)
class LandmarkControlnet:
    """Shows each view as the model would rather see it, with the face where the landmarks are."""

    config: LandmarkControlnetConfig
    portrait: Portrait
    model: ControlledModel
    tokens: Tensor
    """`[4, token, width]`: the prompts of front, side and back, and the negative prompt."""
    timesteps: list[int]
    """Of the DDIM, falling; none at strength 0, which leaves the views alone."""
    logger: logging.Logger
    asked_views: int = 0
    """Views that were asked about so far."""
    silent_views: int = 0
    """Of these, views that showed too little of the face and got weight 0."""

    def refine(self, views: Views, step: Step) -> DenoisedTarget:
        """Return the targets. From `step.generator` is drawn the noise of all views, in their order.

        Raises:
            PluginContractError: the step brings no reference view.
        """
        if step.reference is None:
            raise PluginContractError(
                "landmark_controlnet was given no reference view", fix="render one where `spec.needs.reference` is set"
            )
        side_px = self.model.side_px
        control = control_pictures(self.portrait, step.reference, views, side_px, self.config.drawing)
        usable = control.visible_frac >= self.config.drawing.min_visible_frac
        self._count(usable, step)
        codec = self.model.codec()
        noise = self._noise(views, codec, step)
        target = views.rgb.detach().clone()
        places = usable.nonzero()[:, 0] if self.timesteps else usable.new_zeros(0, dtype=torch.long)
        tokens = self._tokens(views)
        for part in chunks(len(places), self.config.chunk_views):
            some = places[part]
            predict = partial(self._predicted, tokens=tokens[some.to(tokens.device)], drawing=control.drawing[some])
            target[some] = refined(
                target[some],
                codec,
                predict,
                self.model.schedule,
                self.timesteps,
                partial(_given, noise[some.cpu()]),
                self.config.detail,
                self.config.chunk_views,
            )
        weight = usable.to(target.dtype)[:, None, None].expand(target.shape[:3]).clone()
        return DenoisedTarget(rgb=target, weight=weight)

    def _predicted(self, noisy: Tensor, timestep: Tensor, tokens: Tensor, drawing: Tensor) -> Tensor:
        """Return the guided prediction: one pass of twice the views, or of the views where guidance changes nothing."""
        scale, strength = self.config.guidance_scale, self.config.control_scale
        negative = self.tokens[-1:].expand_as(tokens)
        if scale == 1.0 or torch.equal(tokens, negative):
            return self.model.predict(noisy, timestep, tokens, drawing, strength)
        both = self.model.predict(
            noisy.repeat(2, 1, 1, 1),
            timestep.repeat(2),
            torch.cat([tokens, negative]),
            drawing.repeat(2, 1, 1, 1),
            strength,
        )
        wanted, unwanted = both.chunk(2)
        return guide(wanted, unwanted, DistillSettings(guidance_scale=scale))

    def _tokens(self, views: Views) -> Tensor:
        self.tokens = self.tokens.to(views.rgb.device)
        return self.tokens[views_of(views.cameras.azimuth_deg.tolist(), self.config.prompt)]

    def _noise(self, views: Views, codec: LatentCodec, step: Step) -> Tensor:
        """Return noise for every view, usable or not, so that none's noise depends on what another shows."""
        factor = self.model.latent_factor
        size = (codec.height_px // factor, codec.width_px // factor)
        return torch.randn(len(views.rgb), self.model.channels, *size, generator=step.generator)

    def _count(self, usable: Tensor, step: Step) -> None:
        """Count views; tell at the first silent one and whenever their number has doubled."""
        before = self.silent_views
        self.asked_views += len(usable)
        self.silent_views += int((~usable).sum())
        if self.silent_views and (not before or int(math.log2(self.silent_views)) > int(math.log2(before))):
            self.logger.info(
                "%s: %d of %d views showed less than %.0f %% of the face's landmarks and were left alone",
                step.slot,
                self.silent_views,
                self.asked_views,
                100 * self.config.drawing.min_visible_frac,
            )


def _given(noise: Tensor, _: torch.Size) -> Tensor:
    return noise


def build(config: PluginConfig, context: BuildContext) -> Refiner:
    """Build the refiner: networks loaded, prompts encoded.

    Raises:
        PsheadError: weights are missing or do not fit one another, or the portrait has no landmarks.
    """
    if not isinstance(config, LandmarkControlnetConfig):
        raise PluginContractError(f"landmark_controlnet was given a {type(config).__name__}")
    portrait_landmarks(context.portrait, context.portrait.side_px)  # complains early
    pool = context.models
    model = load_model(pool.checkpoint(config.controlnet), pool.checkpoint(config.base), config.side_px, context)
    prompts = view_prompts(plain_prompt(context.portrait.prompt, config.prompt), config.prompt)
    cut = cut_words(model.tokenizer, max(prompts, key=len))
    if cut:
        context.logger.warning("the prompt is too long for %s; left out: %s", config.base, cut)
    return LandmarkControlnet(
        config=config,
        portrait=context.portrait,
        model=model,
        tokens=model.embed([*prompts, config.prompt.negative]),
        timesteps=ddim_timesteps(model.schedule, config.steps, config.strength) if config.strength > 0 else [],
        logger=context.logger,
    )
