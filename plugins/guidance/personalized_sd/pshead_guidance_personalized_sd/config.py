"""What a user can set. The defaults are those of `mini/sd`; README.md lists the authors' for full-size weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig
from pshead_core.priors.distill.settings import DistillSettings

_positive = validators.gt(0)
_not_negative = validators.ge(0)
_half_turn = validators.and_(validators.ge(0.0), validators.le(180.0))
_one_word = validators.matches_re(r"[^\s,]+")


@frozen(kw_only=True)
class PromptSettings:
    """What the prior is told in words."""

    text: str | None = None
    """Description in place of the portrait's, such as "photo of a woman, short brown hair, green shirt"."""
    negative: str = ""
    """What is not wanted: the other side of guidance."""
    front: str = "front view"
    """Words that end the prompt of a front view."""
    side: str = "side view"
    """Words that end the prompt of a side view."""
    back: str = "back view"
    """Words that end the prompt of a back view."""
    front_deg: float = field(default=60.0, validator=_half_turn)
    """Below this |azimuth| a view is a front view (mini: 60, as it was trained; PSHead: 30)."""
    back_deg: float = field(default=120.0, validator=_half_turn)
    """Above this |azimuth| a view is a back view (mini: 120; PSHead: 150)."""


@frozen(kw_only=True)
class PersonaliseSettings:
    """How DreamBooth trains (Ruiz et al., arXiv 2208.12242)."""

    method: Literal["none", "full", "lora"] = "full"
    """`full`: all weights of UNet and text encoder; `lora`: low-rank factors of the attentions; `none`: no training,
    and no token in the prompt."""
    token: str = field(default="sks", validator=_one_word)
    """The word that comes to mean the person."""
    steps: int = field(default=60, validator=validators.ge(1))
    """Training steps (PSHead: 800)."""
    batch: int = field(default=4, validator=validators.ge(1))
    """Pictures of the person per step, and as many of the class (PSHead: 1)."""
    learning_rate: float = field(default=5e-5, validator=_positive)
    """Of AdamW for the UNet (PSHead: 1e-6; `lora` with full-size weights: 1e-4)."""
    text_learning_rate: float = field(default=2e-3, validator=_positive)
    """Of AdamW for the text encoder, which has to learn a new word (PSHead: 1e-6, as the UNet)."""
    weight_decay: float = field(default=1e-2, validator=_not_negative)
    """Of AdamW."""
    prior_weight: float = field(default=1.0, validator=_not_negative)
    """Weight of the class pictures' loss, which keeps what the model knew (PSHead: 1); 0 trains without them."""
    train_text_encoder: bool = True
    """Train the text encoder too (PSHead: yes)."""
    words: Literal["noun", "all", "both"] = "both"
    """Which words the training prompts have beside token and view: only the noun (PSHead), the whole description, or
    now this and now that."""
    hold_views: bool = True
    """Learn side and back pictures of the class under the prompt with the token too. The one photo is frontal: without
    this, the token soon means "seen from the front" as well, and the head grows faces all round (PSHead: no)."""
    lora_rank: int = field(default=8, validator=validators.ge(1))
    """Rank of the factors, for `lora`."""
    class_images: int = field(default=24, validator=validators.ge(1))
    """Class pictures that the model itself draws before it is trained (usual for full-size weights: 200)."""
    class_sampling_steps: int = field(default=25, validator=validators.ge(1))
    """DDIM steps of a class picture."""
    class_guidance_scale: float = field(default=1.0, validator=validators.ge(1.0))
    """Classifier-free guidance of a class picture, 1 is off (usual for full-size weights: 7.5)."""
    backgrounds: Literal["white", "five", "folder"] = "white"
    """What the person stands before: `white` (all that the minis know), `five` (white, grey, a colour, a ramp, noise;
    PSHead: five), or white and the pictures of `background_folder`."""
    background_folder: Path | None = None
    """Pictures for `folder`."""
    flip: bool = False
    """Also show the person mirrored (PSHead: yes). It blurs partings and other asymmetries."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: for large networks on small GPUs."""
    save_every_steps: int = field(default=50, validator=validators.ge(1))
    """Steps between two saved states, from which a killed training goes on."""
    seed: int = field(default=0, validator=_not_negative)
    """Of backgrounds, class pictures and training."""


class ModelConfig(Protocol):
    """What the configurations of guidance and refiner both say: which model, what it is told, how it is personalised.

    Where these agree, the two share one model.
    """

    @property
    def checkpoint(self) -> str:
        """Name of the weights."""
        ...

    @property
    def side_px(self) -> int | None:
        """Side of the pictures that the network sees, px."""
        ...

    @property
    def prompt(self) -> PromptSettings:
        """What it is told in words."""
        ...

    @property
    def personalise(self) -> PersonaliseSettings:
        """How it learns the person."""
        ...


CHECKPOINT = "mini/sd"
"""Weights that come with the project."""
TINY = PersonaliseSettings(steps=1, batch=1, class_images=3, class_sampling_steps=1, save_every_steps=9)
"""For tests: one step of training."""


@frozen(kw_only=True)
class PersonalizedSdConfig(PluginConfig):
    """Which weights, what they are told, how they are personalised and how they pull."""

    checkpoint: str = field(default=CHECKPOINT, validator=validators.min_len(1))
    """Any Stable Diffusion 1 or 2: an installed or published checkpoint by name, a folder, or owner/name@revision."""
    side_px: int | None = field(default=None, validator=validators.optional(validators.ge(8)))
    """Side of the pictures that the network sees, px; without it, that of its training."""
    prompt: PromptSettings = PromptSettings()
    """What the prior is told in words."""
    personalise: PersonaliseSettings = PersonaliseSettings()
    """How it learns the person."""
    distill: DistillSettings = field(default=DistillSettings(guidance_scale=7.5))
    """Score distillation."""

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that this configuration loads."""
        return (self.checkpoint,)


def tiny_config() -> PersonalizedSdConfig:
    """Return a configuration for tests: one step of training on the miniature weights."""
    return PersonalizedSdConfig(personalise=TINY)
