"""Networks of the project's own plugins, loaded as these load them: with exactly the tensors of their layout."""

from __future__ import annotations

from pathlib import Path

from pshead_guidance_identity.weights import load_recogniser
from pshead_refiners_codeformer.mini import load_mini
from torch import nn


class IResNet:
    """The recogniser of the guidance `identity`."""

    @staticmethod
    def from_pretrained(folder: Path, *, local_files_only: bool) -> nn.Module:
        """Return the recogniser in a folder. Raises a PsheadError if it holds another."""
        return load_recogniser(folder)


class MiniRestorer:
    """The small face restorer of the refiner `codeformer`."""

    @staticmethod
    def from_pretrained(folder: Path, *, local_files_only: bool) -> nn.Module:
        """Return the restorer in a folder. Raises a PsheadError if it holds another network."""
        return load_mini(folder)
