"""How the Gaussians start: from the portrait, from a ball of random points, or from a file."""

from __future__ import annotations

import torch

from pshead_core.config.run import CameraConfig, StartConfig
from pshead_core.errors import ConfigError
from pshead_core.gaussians.ply import read_ply
from pshead_core.gaussians.start_ball import start_ball
from pshead_core.gaussians.start_head import start_head
from pshead_core.gaussians.start_record import Start
from pshead_core.portrait.portrait import Portrait

__all__ = ["Start", "start_gaussians"]


def start_gaussians(
    config: StartConfig, portrait: Portrait, cameras: CameraConfig, generator: torch.Generator
) -> Start:
    """Return the Gaussians of step 0, on the CPU.

    Args:
        config: kind and size of the start.
        portrait: only read by `landmarks`.
        cameras: distance and field of view of the reference camera, in which `portrait` is seen.
        generator: the only source of randomness, on the CPU.

    Raises:
        ConfigError: `ply` is chosen and no file is named.
        PsheadError: the file cannot be read.
    """
    if config.kind == "landmarks":
        return start_head(config, portrait, cameras, generator)
    if config.kind == "ball":
        return Start(model=start_ball(config, generator))
    if config.ply is None:
        raise ConfigError(
            "start.kind is 'ply', but start.ply names no file",
            fix="name a PLY file with --start.ply FILE, or choose --start.kind landmarks",
        )
    return Start(model=read_ply(config.ply))
