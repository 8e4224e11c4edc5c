"""What a user can set."""

from __future__ import annotations

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig


@frozen(kw_only=True)
class ClipSimilarityConfig(PluginConfig):
    """Which CLIP is asked."""

    checkpoint: str = "clip-vit-bigg-14"
    """A published name, a folder in transformers' layout, or `owner/name@<commit>`: `clip-vit-bigg-14` is that of
    PSHead's authors, `clip-vit-large-patch14` that of DreamGaussian's tool. Values of two of them do not compare."""
    chunk_views: int = field(default=8, validator=validators.ge(1))
    """Most views per pass of the encoder: bounds memory, same result."""

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that this configuration loads."""
        return (self.checkpoint,)
