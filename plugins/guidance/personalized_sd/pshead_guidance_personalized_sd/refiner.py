"""The refiner: views after noise and denoising by the personal model, with each view's own prompt (PSHead, eq. 8)."""

from __future__ import annotations

from functools import partial

import torch

from pshead_core.api import BuildContext, DenoisedTarget, PluginConfig, PluginContractError, Refiner, Step, Views
from pshead_core.priors.distill.refine import refined
from pshead_core.priors.distill.sampling import ddim_timesteps
from pshead_core.priors.distill.settings import DistillSettings
from pshead_guidance_personalized_sd.model import PersonalModel
from pshead_guidance_personalized_sd.refiner_config import PersonalizedSdRefinerConfig


class PersonalizedSdRefiner:
    """Shows every view as the personal model would rather see it.

    Args:
        config: of the refiner.
        context: of the run.

    Raises:
        PsheadError: the weights are not there, or are of another kind.
    """

    def __init__(self, config: PersonalizedSdRefinerConfig, context: BuildContext) -> None:
        self.personal = PersonalModel(config, context)
        self._config = config
        self._asking = DistillSettings(
            guidance_scale=config.guidance_scale,
            guidance_rescale=config.guidance_rescale,
            chunk_views=config.chunk_views,
        )
        self._timesteps: list[int] = []

    def prepare(self) -> None:
        """Personalise the model, or find it in the pool or the cache.

        Raises:
            PsheadError: the noise schedule has no timestep at or below `strength`; the training diverged; or the cache
                cannot be written.
        """
        self.personal.prepare()
        if self._config.strength > 0:
            schedule = self.personal.model.schedule
            self._timesteps = ddim_timesteps(schedule, self._config.steps, self._config.strength)

    def refine(self, views: Views, step: Step) -> DenoisedTarget:
        """Return the refined views, all of weight 1; draws one noise per view from `step.generator`, in one call."""
        config, weight = self._config, torch.ones(views.rgb.shape[:3], device=views.rgb.device)
        if config.strength == 0:
            return DenoisedTarget(rgb=views.rgb.detach().clone(), weight=weight)
        model = self.personal.model
        predict = self.personal.predictor(views.cameras.azimuth_deg, self._asking)
        target = refined(
            views.rgb,
            model.codec(),
            predict,
            model.schedule,
            self._timesteps,
            partial(torch.randn, generator=step.generator),
            config.detail,
            config.chunk_views,
        )
        return DenoisedTarget(rgb=target, weight=weight)


def build(config: PluginConfig, context: BuildContext) -> Refiner:
    """Build the refiner. The weights are found and their sizes read; they are loaded by `prepare`."""
    if not isinstance(config, PersonalizedSdRefinerConfig):
        raise PluginContractError(f"personalized_sd was given a {type(config).__name__}")
    return PersonalizedSdRefiner(config, context)
