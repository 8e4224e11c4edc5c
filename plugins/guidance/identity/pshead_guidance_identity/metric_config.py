"""What a user can set of the metric."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig
from pshead_guidance_identity.config import local_weights


@frozen(kw_only=True)
class IdentitySimilarityConfig(PluginConfig):
    """Which recogniser judges, and who finds the faces."""

    checkpoint: str = "auraface"
    """The recogniser, as in the guidance `identity`; with `detector = "insightface"` the folder of a whole pack
    (buffalo_l, antelopev2, AuraFace). Judge with another recogniser than the one that a run was guided by."""
    detector: Literal["landmarks", "insightface"] = "landmarks"
    """`landmarks`: the run's analyzers find faces and their points. `insightface`: the pack's own detector and
    recogniser, as PSHead's authors measure; needs the extra `insightface`."""
    max_azimuth_deg: float = field(default=45.0, validator=validators.and_(validators.ge(0), validators.le(180)))
    """Views farther round than this are left out."""
    samples: int = field(default=1, validator=validators.and_(validators.ge(1), validators.le(8)))
    """Of `landmarks`: samples per crop pixel and axis, averaged. 1 is the recogniser's own alignment."""
    detection_side_px: int = field(default=640, validator=validators.ge(32))
    """Of `insightface`: side of the square in which faces are looked for."""

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that the core finds; none if the plugin reads a file or a pack itself."""
        return () if local_weights(self.checkpoint) else (self.checkpoint,)
