"""The guidance: score distillation from the personal model, with each view's own prompt."""

from __future__ import annotations

from attrs import frozen

from pshead_core.api import BuildContext, Guidance, ImageGradient, PluginConfig, PluginContractError, Step, Views
from pshead_core.priors.distill.gradient import distill
from pshead_core.priors.distill.settings import DistillSettings
from pshead_guidance_personalized_sd.config import PersonalizedSdConfig
from pshead_guidance_personalized_sd.model import PersonalModel


@frozen(eq=False)
class PersonalizedSd:
    """Pulls every view towards pictures of the person (PSHead, eq. 4)."""

    personal: PersonalModel
    settings: DistillSettings

    def prepare(self) -> None:
        """Personalise the model, or find it in the cache."""
        self.personal.prepare()

    def contribute(self, views: Views, step: Step) -> ImageGradient:
        """Return the gradient of the views; draws from `step.generator` as `distill` does."""
        model = self.personal.model
        predict = self.personal.predictor(views.cameras.azimuth_deg, self.settings)
        return distill(views, model.codec(), predict, model.schedule, self.settings, step)


def build(config: PluginConfig, context: BuildContext) -> Guidance:
    """Build the guidance. The weights are found and their sizes read; they are loaded by `prepare`."""
    if not isinstance(config, PersonalizedSdConfig):
        raise PluginContractError(f"personalized_sd was given a {type(config).__name__}")
    return PersonalizedSd(PersonalModel(config, context), config.distill)
