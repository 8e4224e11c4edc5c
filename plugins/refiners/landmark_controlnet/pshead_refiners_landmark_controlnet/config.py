"""What a user can set. The defaults are those of the miniature weights; README.md lists those for full-size ones."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig

_part = validators.and_(validators.ge(0.0), validators.le(1.0))
_half_turn = validators.and_(validators.ge(0.0), validators.le(180.0))


@frozen(kw_only=True)
class PromptSettings:
    """What the networks are told in words."""

    text: str | None = None
    """Description in place of the portrait's, such as "photo of a woman, short brown hair, green shirt"."""
    drop: str = "sks"
    """Word that is taken out of the description: the token of a personalised model, which means nothing here. Empty:
    none."""
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
class DrawingSettings:
    """Which landmarks are drawn, and how much of the face a view must show."""

    hidden: Literal["drop", "draw"] = "draw"
    """What becomes of landmarks that the head hides: `drop` leaves out their edges and pupils, `draw` shows them all,
    as the detector behind the published drawings does."""
    tolerance: float = field(default=0.02, validator=validators.ge(0.0))
    """World units by which a landmark may lie behind a view's depth and still be seen."""
    min_visible_frac: float = field(default=0.5, validator=_part)
    """Least part of the drawn landmarks that a view must show; below it the view gets weight 0 and is counted."""


@frozen(kw_only=True)
class LandmarkControlnetConfig(PluginConfig):
    """Which weights, what they are told, how far they go back into the noise, and what becomes of the answer."""

    controlnet: str = field(default="mini/landmark-controlnet", validator=validators.min_len(1))
    """Checkpoint of the ControlNet: an installed or published one by name, a folder, or owner/name@revision."""
    base: str = field(default="mini/sd", validator=validators.min_len(1))
    """Checkpoint of the text-to-image model that it was trained on."""
    side_px: int | None = field(default=None, validator=validators.optional(validators.ge(8)))
    """Side of the pictures that the networks see, px; without it, that of the text-to-image model's training."""
    prompt: PromptSettings = PromptSettings()
    """What the networks are told in words."""
    drawing: DrawingSettings = DrawingSettings()
    """Which landmarks are drawn."""
    strength: float = field(default=0.2, validator=_part)
    """Timestep up to which noise is added before it is removed, as a part of the noise schedule; 0 changes nothing."""
    steps: int = field(default=50, validator=validators.ge(1))
    """DDIM steps of the whole noise schedule, of which those up to `strength` are taken: 10 of 50 at 0.2."""
    control_scale: float = field(default=1.0, validator=validators.ge(0.0))
    """Factor of what the ControlNet adds; 0 is the text-to-image model alone."""
    guidance_scale: float = field(default=3.0, validator=validators.ge(0.0))
    """Scale of classifier-free guidance, 1 is off (mini: 3; PSHead: 7.5)."""
    detail: Literal["change", "keep", "replace"] = "change"
    """How the refined picture becomes the target. `change`: the view plus what denoising changed, which leaves alone
    what the networks are too small to see and what the autoencoder loses; `keep`: the view plus the difference at the
    networks' size; `replace`: the refined picture, resized."""
    chunk_views: int = field(default=4, validator=validators.ge(1))
    """Views per pass through the networks: bounds the memory, does not change the result."""

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that this configuration loads."""
        return (self.controlnet, self.base)


def tiny_config() -> LandmarkControlnetConfig:
    """Return a configuration for tests: two denoising steps with the miniature weights."""
    return LandmarkControlnetConfig(steps=10)
