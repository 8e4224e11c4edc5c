"""The miniature prior, the ground-truth heads, and portraits made of their fronts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from attrs import evolve
from pshead_guidance_zero123.config import Zero123Config
from pshead_guidance_zero123.prior import Zero123, build
from torch import Tensor

from pshead_core.models.pool import ModelPool
from pshead_core.portrait.portrait import Portrait
from pshead_core.testing import tiny_context, tiny_portrait
from training.ground_truth import TruthHead, load_ground_truth


@pytest.fixture(scope="session")
def pool() -> ModelPool:
    """One copy of the miniature for all tests: guidances keep no state in it."""
    return ModelPool(device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture(scope="session")
def heads() -> tuple[TruthHead, ...]:
    return load_ground_truth()


@pytest.fixture
def built(tmp_path: Path, pool: ModelPool) -> Callable[..., Zero123]:
    """Build a guidance from its configuration and, if wanted, a portrait's `[side, side, 4]`."""

    def make(config: Zero123Config | None = None, rgba: Tensor | None = None) -> Zero123:
        guidance = build(
            Zero123Config() if config is None else config,
            evolve(tiny_context(tmp_path, portrait=portrait_of(rgba)), models=pool),
        )
        assert isinstance(guidance, Zero123)
        return guidance

    return make


def portrait_of(rgba: Tensor | None) -> Portrait:
    portrait = tiny_portrait(128)
    return portrait if rgba is None else evolve(portrait, rgba=rgba)
