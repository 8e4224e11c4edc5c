"""Folders of other systems made from heads that are known, and who looks at them."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pshead_core.bench.rival import read_rivals
from pshead_core.bench.rival_scene import place_rival
from pshead_core.config.run import CameraConfig, RenderConfig
from pshead_core.evaluation.folder import read_views
from pshead_core.evaluation.scene import portrait_of
from pshead_core.portrait.facts import FaceFacts, PortraitFacts
from pshead_core.render.build import build_renderer
from training.ground_truth import DATA

SIDE_PX = 64
CAMERAS = CameraConfig()
WHITE = torch.ones(3)


@functools.cache
def truth(name="makehuman-1000000"):
    return read_views(DATA / name)


@functools.cache
def portrait():
    return portrait_of(truth())


@functools.cache
def renderer():
    return build_renderer(RenderConfig(), torch.device("cpu"))


class Answers:
    """An analyzer that knows what to say: landmarks as parts of the picture's side, or None for no face; in turn."""

    def __init__(self, *answers):
        self._answers = list(answers)

    def analyze(self, photo):
        points = self._answers.pop(0)
        if points is None:
            return PortraitFacts(faces=())
        side = photo.rgb.shape[0]
        return PortraitFacts(
            faces=(FaceFacts(landmarks_px=(points * side).astype(np.float32), box_px=(0.0, 0.0, 1.0, 1.0)),)
        )


def one_rival(folder: Path):
    (rival,) = read_rivals(folder)
    return rival


def place(folder, analyzers=(), truth_head=None, side_px=SIDE_PX, background=WHITE):
    head = truth() if truth_head is None else truth_head
    return place_rival(one_rival(folder), portrait(), head, CAMERAS, background, renderer(), analyzers, side_px)


def save(folder: Path, pictures, names, mode="RGBA"):
    """Write pictures `[view, side, side, 4]`, uint8."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture, name in zip(pictures, names, strict=True):
        Image.fromarray(picture).convert(mode).save(folder / f"{name}.png")


def numbered(count, first=0):
    return [f"{index:03d}" for index in range(first, first + count)]


def settings(folder: Path, text: str):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rival.toml").write_text(text, encoding="utf-8")


def zoomed(rgba, factor, right_px, down_px, azimuth_deg):
    """The views as another camera would crop them, by Pillow: enlarged about the centre, then moved."""
    side = rgba.shape[1]
    out = []
    for view, azimuth in zip(rgba, azimuth_deg, strict=True):
        right = right_px * np.cos(np.deg2rad(azimuth))
        # Pillow asks from where each pixel comes; its positions count pixel centres at +0.5
        a = 1 / factor
        matrix = (a, 0, side / 2 - a * (side / 2 + right), 0, a, side / 2 - a * (side / 2 + down_px))
        light = view[..., :3].astype(float) * view[..., 3:] / 255
        layers = [*np.moveaxis(light, 2, 0), view[..., 3].astype(float)]
        moved = [
            np.asarray(
                Image.fromarray(layer.astype(np.float32)).transform(
                    (side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
                )
            )
            for layer in layers
        ]
        alpha = moved[3][..., None]
        colour = np.stack(moved[:3], -1) / np.maximum(alpha / 255, 1e-4)
        out.append(np.concatenate([colour, alpha], -1).round().clip(0, 255).astype(np.uint8))
    return np.stack(out)


def psnr_db(one, other):
    return float((-10 * (one - other).square().mean((1, 2, 3)).clamp(min=1e-12).log10()).mean())


def overlap(one, other):
    a, b = one > 0.5, other > 0.5
    return float(((a & b).sum((1, 2)) / (a | b).sum((1, 2))).mean())
