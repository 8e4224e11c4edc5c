"""Settings of the analyzer."""

from __future__ import annotations

from attrs import frozen

from pshead_core.api import PluginConfig


@frozen(kw_only=True)
class BlipAnalyzerConfig(PluginConfig):
    """Which weights answer."""

    checkpoint: str = "blip-vqa"
    """Weights of BLIP for visual question answering: `blip-vqa` of the catalogue (Salesforce/blip-vqa-base), a local
    folder in that layout, or `owner/name@revision`."""

    def checkpoints(self) -> tuple[str, ...]:
        """Return the names of the weights that this configuration loads."""
        return (self.checkpoint,)
