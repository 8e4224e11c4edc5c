"""What a user can set of the refiner. The defaults are for `mini/sd`; README.md lists those for full-size weights."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig
from pshead_guidance_personalized_sd.config import CHECKPOINT, TINY, PersonaliseSettings, PromptSettings

_part = validators.and_(validators.ge(0.0), validators.le(1.0))


@frozen(kw_only=True)
class PersonalizedSdRefinerConfig(PluginConfig):
    """Which weights, what they are told, how they are personalised and how far they may change a view."""

    checkpoint: str = field(default=CHECKPOINT, validator=validators.min_len(1))
    """Any Stable Diffusion 1 or 2: an installed or published checkpoint by name, a folder, or owner/name@revision."""
    side_px: int | None = field(default=None, validator=validators.optional(validators.ge(8)))
    """Side of the pictures that the network sees, px; without it, that of its training."""
    prompt: PromptSettings = field(default=PromptSettings())
    """What the prior is told in words."""
    personalise: PersonaliseSettings = field(default=PersonaliseSettings())
    """How it learns the person; where this, prompt and weights are those of a guidance, both share one model."""
    strength: float = field(default=0.2, validator=_part)
    """Timestep up to which noise is added before it is removed, as a part of the noise schedule; 0 changes nothing."""
    steps: int = field(default=50, validator=validators.ge(1))
    """DDIM steps of the whole noise schedule, of which a part `strength` is gone."""
    guidance_scale: float = field(default=1.0, validator=validators.ge(1.0))
    """Classifier-free guidance in the standard form, 1 is off (usual for full-size weights: 7.5)."""
    guidance_rescale: float = field(default=0.0, validator=_part)
    """Share of the guided prediction that gets the condition's standard deviation (arXiv 2305.08891, eq. 15, 16)."""
    detail: Literal["change", "keep", "replace"] = "change"
    """How the refined picture becomes the target. `change`: the view plus what denoising changed, which leaves alone
    what the network is too small to see and what its autoencoder loses; `keep`: the view plus the difference at the
    network's size; `replace`: the refined picture, resized."""
    chunk_views: int = field(default=8, validator=validators.ge(1))
    """Views per pass through the networks: bounds the memory, does not change the result."""

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that this configuration loads."""
        return (self.checkpoint,)


def tiny_refiner_config() -> PersonalizedSdRefinerConfig:
    """Return a configuration for tests: one step of training on the miniature weights, few of denoising."""
    return PersonalizedSdRefinerConfig(personalise=TINY, steps=10)
