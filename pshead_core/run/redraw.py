"""Pictures and page of a head that is a file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from attrs import evolve

from pshead_core.config.run import RunConfig
from pshead_core.gaussians.ply import read_ply
from pshead_core.render.build import build_renderer
from pshead_core.run.atomic import naming_disk_errors, write_bytes
from pshead_core.run.finish import write_pictures
from pshead_core.run.page import page


def redraw(
    ply: Path,
    folder: Path,
    config: RunConfig,
    *,
    renderer: Literal["cpu", "gsplat", "reference"],
    side_px: int,
) -> None:
    """Write `views.png`, `turntable.mp4` and `head.html` of a head.

    Args:
        ply: the head.
        folder: where to; made if it does not exist.
        config: its cameras and background are used.
        renderer: which one draws.
        side_px: of each view, even.
    """
    device = torch.device("cuda" if renderer == "gsplat" else "cpu")
    drawer = build_renderer(evolve(config.render, renderer=renderer), device)
    model = read_ply(ply).to(device)
    background = torch.tensor(config.render.background, device=device)
    with naming_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_pictures(folder, model, drawer, config.cameras, background, photo=None, side_px=side_px)
    write_bytes(folder / "head.html", page(model, config.cameras).encode())
