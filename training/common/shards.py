"""Shards: some heads of one source with all their views, as one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import asdict, frozen
from safetensors import safe_open
from torch import Tensor

from pshead_core.cameras.camera import Cameras, orbit
from pshead_core.config.run import CameraConfig
from pshead_core.errors import PsheadError
from training.common.files import write_json, write_tensors
from training.heads import HELD_OUT_SEED, SOURCES, caption, make_head
from training.heads.makehuman import MakeHumanAssets
from training.render import DEFAULT_LIGHTS, apply_jitter, render_head, sample_jitter

LAST_TRAINING_SEED = 499_999
"""Training takes seeds up to here; seeds between this and `HELD_OUT_SEED` stay free."""
SETTINGS_FILE = "data.json"


@frozen(kw_only=True)
class DataSettings:
    """What all shards of a data folder have in common."""

    views: int = 12
    side_px: int = 128
    azimuths: str = "random"
    """`ring`: evenly spaced, the front first. `random`: the front, then one at random in each of the other sectors."""
    shard_heads: int = 16
    held_out: bool = False
    """Heads of seeds from `HELD_OUT_SEED` on, without jitter: for figures, never for training."""


@frozen(kw_only=True)
class ShardJob:
    """One shard: `count` heads of a source from a seed on."""

    source: str
    first_seed: int
    count: int

    @property
    def name(self) -> str:
        """File name."""
        return f"{self.source}-{self.first_seed:07d}-{self.count:03d}.safetensors"


def plan_shards(heads: int, sources: tuple[str, ...], settings: DataSettings, first_seed: int = 0) -> list[ShardJob]:
    """Return the shards for so many heads, shared evenly, sources in turn.

    Raises:
        PsheadError: the seeds would leave the range of training.
    """
    per_source = -(-heads // len(sources))
    begin = first_seed + (HELD_OUT_SEED if settings.held_out else 0)
    if not settings.held_out and begin + per_source - 1 > LAST_TRAINING_SEED:
        raise PsheadError(
            f"seeds up to {begin + per_source - 1} were asked for",
            why=f"training takes seeds up to {LAST_TRAINING_SEED}",
            fix="ask for fewer heads or an earlier --first-seed",
        )
    return [
        ShardJob(source=source, first_seed=seed, count=min(settings.shard_heads, begin + per_source - seed))
        for seed in range(begin, begin + per_source, settings.shard_heads)
        for source in sources
    ]


def claim_folder(folder: Path, settings: DataSettings) -> None:
    """Write the settings into a new data folder, or check that an old one has the same.

    Raises:
        PsheadError: the folder's shards were made with other settings.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        write_json(path, asdict(settings))
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if found != asdict(settings):
        raise PsheadError(
            f"{folder} holds shards of other settings",
            why=f"there: {found}; wanted: {asdict(settings)}",
            fix="name another --data folder, or the same settings",
        )


def view_cameras(settings: DataSettings, rng: np.random.Generator) -> Cameras:
    """Return a head's cameras at the core's distance, elevation and field of view; view 0 is the front."""
    if settings.azimuths == "ring":
        azimuth = np.arange(settings.views) * (360.0 / settings.views)
    elif settings.azimuths == "random":
        sectors = max(settings.views - 1, 1)
        inside = (np.arange(settings.views - 1) + rng.uniform(0, 1, settings.views - 1)) * (360.0 / sectors)
        azimuth = np.concatenate([[0.0], inside])
    else:
        raise PsheadError(f"there is no way '{settings.azimuths}' to choose azimuths", fix="use ring or random")
    config = CameraConfig()
    angles = torch.from_numpy(azimuth)
    elevation = torch.full_like(angles, config.elevation_deg)
    return orbit(angles, elevation, distance=config.distance, fovy_deg=config.fovy_deg, side_px=settings.side_px)


def draw_shard(
    job: ShardJob, settings: DataSettings, assets: MakeHumanAssets | None
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the shard's tensors and a caption per head (without view words).

    The tensors: rgba `[head, view, side, side, 4]` (uint8, straight colour), azimuth_deg `[head, view]`, landmarks
    `[head, 478, 3]` (world, after the jitter) and seed `[head]`.
    """
    pictures, azimuths, landmarks, words = [], [], [], []
    for seed in range(job.first_seed, job.first_seed + job.count):
        rng = np.random.default_rng([seed, SOURCES.index(job.source)])
        cameras = view_cameras(settings, rng)
        head = make_head(job.source, seed, assets)
        lights = DEFAULT_LIGHTS
        if not settings.held_out:
            jitter = sample_jitter(rng)
            head, lights = apply_jitter(head, jitter), jitter.lights
        drawn = render_head(head, cameras, lights)
        pictures.append(torch.from_numpy((drawn.rgba * 255).round().astype(np.uint8)))
        azimuths.append(cameras.azimuth_deg)
        landmarks.append(torch.from_numpy(head.landmarks))
        words.append(caption(head.attributes))
    tensors = {
        "rgba": torch.stack(pictures),
        "azimuth_deg": torch.stack(azimuths).float(),
        "landmarks": torch.stack(landmarks),
        "seed": torch.arange(job.first_seed, job.first_seed + job.count),
    }
    return tensors, words


def make_shard(folder: Path, job: ShardJob, settings: DataSettings, assets: MakeHumanAssets | None) -> bool:
    """Write the shard unless it is there; return whether it was written."""
    path = folder / job.name
    if path.exists():
        return False
    tensors, words = draw_shard(job, settings, assets)
    write_tensors(path, tensors, {"job": asdict(job), "settings": asdict(settings), "captions": words})
    return True


def read_shard(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return a shard's tensors (mapped from the file: pages are read when used) and its facts."""
    with safe_open(path, framework="pt") as handle:
        facts = json.loads(handle.metadata()["facts"])
        return {name: handle.get_tensor(name) for name in handle.keys()}, facts  # noqa: SIM118 (not a mapping)
