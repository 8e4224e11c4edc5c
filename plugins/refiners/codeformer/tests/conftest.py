"""A ground-truth head seen from a few cameras, its portrait, and the refiner with the toy in CodeFormer's place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from attrs import evolve
from pshead_refiners_codeformer import TOY
from pshead_refiners_codeformer.config import CodeFormerConfig
from pshead_refiners_codeformer.found import Faces
from pshead_refiners_codeformer.prior import CodeFormerRefiner, build

from pshead_core.api import Portrait, Step, Views
from pshead_core.cameras.camera import orbit, project
from pshead_core.testing import tiny_context, tiny_portrait
from training.heads.make import Head, make_head
from training.render import render_head

SIDE_PX = 192
AZIMUTHS_DEG = (0.0, 30.0, -45.0, 90.0, 180.0)
SEED = 1_000_006  # of the ground-truth set; quick to make


class Placed:
    """A detector that says what a test tells it."""

    def __init__(self, faces: Faces) -> None:
        self.faces = faces

    def find(self, views: Views, step: Step) -> Faces:
        return self.faces


@pytest.fixture(scope="session")
def head() -> Head:
    return make_head("sdf", SEED)


@pytest.fixture(scope="session")
def views(head: Head) -> Views:
    """The head from `AZIMUTHS_DEG`, over white, with its true depth."""
    azimuth = torch.tensor(AZIMUTHS_DEG)
    cameras = orbit(azimuth, torch.zeros_like(azimuth), distance=2.0, fovy_deg=49.1, side_px=SIDE_PX)
    pictures = render_head(head, cameras)
    rgba = torch.from_numpy(pictures.rgba)
    alpha = rgba[..., 3]
    return Views(
        rgb=rgba[..., :3] * alpha[..., None] + 1 - alpha[..., None],
        alpha=alpha.contiguous(),
        depth=torch.from_numpy(pictures.depth),
        cameras=cameras,
        background=torch.ones(3),
    )


@pytest.fixture(scope="session")
def true_points(head: Head, views: Views) -> torch.Tensor:
    """The true landmarks in each view, `[view, 478, 2]`."""
    return project(torch.from_numpy(head.landmarks).float(), views.cameras)[0]


@pytest.fixture(scope="session")
def portrait(head: Head, views: Views, true_points: torch.Tensor) -> Portrait:
    """What a perfect analysis of the front view says."""
    flat = torch.cat([true_points[0], torch.zeros(478, 1)], 1)
    rgba = torch.cat([views.rgb[0], views.alpha[0, ..., None]], -1)
    return evolve(tiny_portrait(SIDE_PX), rgba=rgba, landmarks_px=flat)


@pytest.fixture
def built(tmp_path: Path, portrait: Portrait) -> Callable[..., CodeFormerRefiner]:
    """Build the refiner with a toy of some side and strength, and with options of its configuration."""

    def make(
        config: CodeFormerConfig | None = None, *, side_px: int = 64, amount: float = 1.0, faces: Faces | None = None
    ) -> CodeFormerRefiner:
        said = {**json.loads((TOY / "config.json").read_text()), "side_px": side_px, "amount": amount}
        (tmp_path / "toy").mkdir(exist_ok=True)
        (tmp_path / "toy" / "config.json").write_text(json.dumps(said))
        chosen = config or CodeFormerConfig(detector="landmarks")
        refiner = build(
            evolve(chosen, checkpoint=str(tmp_path / "toy")), tiny_context(tmp_path / "cache", portrait=portrait)
        )
        assert isinstance(refiner, CodeFormerRefiner)
        return refiner if faces is None else evolve(refiner, detector=Placed(faces))

    return make


def part(views: Views, index: slice | list[int]) -> Views:
    """Some of the views."""
    named = {name: getattr(views, name)[index].clone() for name in ("rgb", "alpha", "depth")}
    chosen = index if isinstance(index, slice) else torch.tensor(index)
    return evolve(views, **named, cameras=views.cameras[chosen])
