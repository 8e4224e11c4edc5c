"""Held-out views with drawings: the near-frontal views of the ground-truth set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from attrs import frozen
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from torch import Tensor

from pshead_core.cameras.view_sets import contains
from pshead_core.errors import PsheadError
from training.common.data import plain_batch, truth_pictures
from training.common.shards import read_shard
from training.controlnet.model import DRAWING_FACTOR, LandmarkControl, TextToImage, embed_texts, predict
from training.controlnet.views import drawings, picture_points, ring_cameras
from training.diffusion.sampling import encode
from training.ground_truth import load_ground_truth
from training.heads import caption, view_word

TIMESTEPS = (980, 800, 500)
"""From almost nothing but noise, where the drawing is most of what is known, to the middle of the schedule."""
NOISE_SEED = 7
FACE_SIDES = (234, 454)
"""Landmarks at the widest part of the face's oval, right and left."""


@frozen(kw_only=True, eq=False)
class TruthViews:
    """True pictures with drawings and captions."""

    image: Tensor
    """`[view, 3, side, side]` in -1..1, over white."""
    points: NDArray[np.float32]
    """`[view, 478, 2]`, parts of the picture."""
    azimuth_deg: Tensor
    """`[view]`."""
    face_frac: Tensor
    """`[view]`: width of the head's face seen from the front, as a part of the picture."""
    captions: tuple[str, ...]
    """With view words."""
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.image)

    def take(self, index: list[int]) -> TruthViews:
        """Return some of the views, in this order."""
        return TruthViews(
            image=self.image[index],
            points=self.points[index],
            azimuth_deg=self.azimuth_deg[index],
            face_frac=self.face_frac[index],
            captions=tuple(self.captions[place] for place in index),
            sources=tuple(self.sources[place] for place in index),
        )


def ground_truth_views(side_px: int) -> TruthViews:
    """Return the views of the set `front` of all ground-truth heads, reduced to `side_px`."""
    pictures = {source: iter(part.rgba) for source, part in truth_pictures(side_px).items()}  # one tensor a head
    return _join(
        [
            _head_views(
                next(pictures[head.source]),
                head.cameras.azimuth_deg,
                torch.from_numpy(head.landmarks),
                caption(head.attributes),
                head.source,
            )
            for head in load_ground_truth()
        ]
    )


def held_out_views(folder: Path) -> TruthViews:
    """Return the views of the set `front` of a data folder made with `--held-out`.

    Raises:
        PsheadError: the folder holds none, or heads of the training range.
    """
    heads = []
    for path in sorted(folder.glob("*.safetensors")):
        tensors, facts = read_shard(path)
        if not facts["settings"]["held_out"]:
            raise PsheadError(f"{path} holds training heads", why="held-out heads are wanted", fix="name that folder")
        columns = (tensors["rgba"], tensors["azimuth_deg"], tensors["landmarks"], facts["captions"])
        heads += [
            _head_views(*columns_of_head, facts["job"]["source"]) for columns_of_head in zip(*columns, strict=True)
        ]
    if not heads:
        raise PsheadError(f"no shards in {folder}", fix="python -m training.common.make_data --held-out --data FOLDER")
    return _join(heads)


def _head_views(rgba: Tensor, azimuth_deg: Tensor, landmarks: Tensor, words: str, source: str) -> TruthViews:
    """Return the views of one head: uint8 `[view, side, side, 4]`, `[view]`, `[478, 3]`, caption without view word."""
    front = contains("front", azimuth_deg)
    angles = azimuth_deg[front]
    sides = picture_points(landmarks, ring_cameras(torch.zeros(1)))[0, FACE_SIDES]
    width = float(np.linalg.norm(sides[1] - sides[0]))
    return TruthViews(
        image=plain_batch(rgba[front].permute(0, 3, 1, 2).float() / 255).image,
        points=picture_points(landmarks, ring_cameras(angles)),
        azimuth_deg=angles,
        face_frac=torch.full((len(angles),), width),
        captions=tuple(f"{words}, {view_word(angle)}" for angle in angles.tolist()),
        sources=(source,) * len(angles),
    )


def _join(parts: list[TruthViews]) -> TruthViews:
    return TruthViews(
        image=torch.cat([part.image for part in parts]),
        points=np.concatenate([part.points for part in parts]),
        azimuth_deg=torch.cat([part.azimuth_deg for part in parts]),
        face_frac=torch.cat([part.face_frac for part in parts]),
        captions=tuple(words for part in parts for words in part.captions),
        sources=tuple(source for part in parts for source in part.sources),
    )


@frozen(kw_only=True, eq=False)
class HeldOutBatch:
    """Held-out views as the networks see them, on one device."""

    clean: Tensor
    """`[view, channel, side, side]`, scaled."""
    text: Tensor
    """`[view, token, width]`."""
    drawing: Tensor
    """`[view, 3, 8 * side, 8 * side]`, RGB in 0..1."""


def held_out_batch(truth: TruthViews, base: TextToImage, vae: AutoencoderKL, device: str) -> HeldOutBatch:
    """Return the views encoded, with text tokens and drawings."""
    clean = encode(vae, truth.image) * vae.config.scaling_factor
    return HeldOutBatch(
        clean=clean.to(device),
        text=embed_texts(base, list(truth.captions)),
        drawing=drawings(truth.points, DRAWING_FACTOR * clean.shape[-1]).to(device),
    )


def clean_errors(
    base: TextToImage, model: LandmarkControl | None, batch: HeldOutBatch, views_at_once: int = 64
) -> dict[str, float]:
    """Return the mean squared error of one-step clean latents (scaled) at the time steps of `TIMESTEPS`.

    The noise is the same in every call, with a ControlNet or without one (`model` None).
    """
    noise = torch.randn(batch.clean.shape, generator=torch.Generator().manual_seed(NOISE_SEED)).to(batch.clean)
    errors = {}
    for step in TIMESTEPS:
        squares = []
        for part in torch.arange(len(noise)).split(views_at_once):
            timestep = torch.full((len(part),), step, device=batch.clean.device)
            noisy = base.schedule.add_noise(batch.clean[part], noise[part], timestep)
            with torch.no_grad(), torch.autocast(noisy.device.type, torch.bfloat16):
                found = predict(base, model, noisy, timestep, batch.text[part], batch.drawing[part])
            squares.append((found.float() - batch.clean[part]).square().flatten(1).mean(1))
        errors[f"t{step}"] = float(torch.cat(squares).mean())
    return errors
