"""Aligned faces of rendered heads: where the true landmarks are in every view, and the crops of chosen views."""

from __future__ import annotations

from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional

from pshead_core.cameras.camera import orbit, project
from pshead_core.config.run import CameraConfig
from pshead_core.errors import PsheadError
from pshead_core.priors.faces import crop, five_points, similarity
from training.common.data import check_range
from training.common.shards import read_shard
from training.ground_truth import load_ground_truth


@frozen(kw_only=True, eq=False)
class FaceViews:
    """Views of many heads that show the face, and the similarity from each view to an aligned crop.

    All heads have the same views: data with even rings (`--azimuths ring`).
    """

    rgba: Tensor
    """`[head, view, side, side, 4]`, uint8, straight colour."""
    matrix: Tensor
    """`[head, view, 2, 3]`, from pixels of the view to pixels of the crop."""
    azimuth_deg: Tensor
    """`[view]`, in -180..180, sorted."""
    source: tuple[str, ...]
    """Of each head."""

    @property
    def front(self) -> int:
        """Index of the front view."""
        return int(self.azimuth_deg.abs().argmin())


def open_faces(folder: Path, template: Tensor, widest_deg: float, *, held_out: bool = False) -> FaceViews:
    """Return the views up to an azimuth of all heads of a data folder made with `--azimuths ring`.

    Args:
        folder: of the data.
        template: `[5, 2]`, where the five points lie in the crop.
        widest_deg: azimuth to both sides.
        held_out: whether the folder must hold held-out heads; training heads else.

    Raises:
        PsheadError: the folder is empty, of the other range, or its heads have different views.
    """
    check_range(folder, held_out=held_out)
    parts, sources = [], []
    for path in sorted(folder.glob("*.safetensors")):
        tensors, facts = read_shard(path)
        azimuth = tensors["azimuth_deg"]
        if not torch.equal(azimuth, azimuth[:1].expand_as(azimuth)):
            raise PsheadError(
                f"the heads of {path} have different views",
                why="recognisers are compared view by view",
                fix="python -m training.common.make_data --azimuths ring --views 25",
            )
        parts.append(_chosen(tensors["rgba"], tensors["landmarks"], azimuth[0], template, widest_deg))
        sources += [facts["job"]["source"]] * len(azimuth)
    return _joined(parts, sources)


def truth_faces(template: Tensor, widest_deg: float, side_px: int) -> FaceViews:
    """Return the same of the twelve ground-truth heads, their pictures reduced by areas to `side_px`."""
    parts, sources = [], []
    for head in load_ground_truth():
        rgba = _reduced(torch.from_numpy(head.rgba), side_px)
        landmarks = torch.from_numpy(head.landmarks)[None]
        parts.append(_chosen(rgba[None], landmarks, head.cameras.azimuth_deg, template, widest_deg))
        sources.append(head.source)
    return _joined(parts, sources)


def over(layers: Tensor, background: Tensor | float = 1.0) -> Tensor:
    """Return premultiplied pictures `[picture, 4, side, side]` over a background, `[picture, 3, side, side]`."""
    return layers[:, :3] + background * (1 - layers[:, 3:])


def premultiplied(rgba: Tensor) -> Tensor:
    """Return uint8 pictures `[picture, side, side, 4]` with straight colour as `[picture, side, side, 4]` in 0..1."""
    values = rgba.float() / 255
    return torch.cat([values[..., :3] * values[..., 3:], values[..., 3:]], -1)


def crops_of(rgba: Tensor, matrix: Tensor, side_px: int, samples: int = 1) -> Tensor:
    """Return aligned crops, premultiplied, `[picture, 4, side_px, side_px]` in 0..1; nothing beyond the picture.

    Args:
        rgba: `[picture, side, side, 4]`, uint8.
        matrix: `[picture, 2, 3]`.
        side_px: of the crops.
        samples: per pixel and axis; they are averaged.
    """
    found = crop(premultiplied(rgba), matrix * samples, side_px * samples).permute(0, 3, 1, 2)
    return functional.avg_pool2d(found, samples) if samples > 1 else found


def _chosen(
    rgba: Tensor, landmarks: Tensor, azimuth_deg: Tensor, template: Tensor, widest_deg: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return views, matrices and azimuths of the views up to `widest_deg`, sorted by azimuth."""
    config = CameraConfig()
    turned = (azimuth_deg + 180) % 360 - 180
    places = (turned.abs() <= widest_deg).nonzero()[:, 0]
    places = places[turned[places].argsort()]
    azimuth = turned[places].double()
    elevation = torch.full_like(azimuth, config.elevation_deg)
    cameras = orbit(azimuth, elevation, distance=config.distance, fovy_deg=config.fovy_deg, side_px=rgba.shape[2])
    points = [five_points(project(one.double(), cameras)[0]) for one in landmarks]
    matrices = torch.stack([similarity(of_head, template) for of_head in points]).float()
    return rgba[:, places], matrices, azimuth.float()


def _joined(parts: list[tuple[Tensor, Tensor, Tensor]], sources: list[str]) -> FaceViews:
    views, matrices, azimuths = zip(*parts, strict=True)
    return FaceViews(rgba=torch.cat(views), matrix=torch.cat(matrices), azimuth_deg=azimuths[0], source=tuple(sources))


def _reduced(rgba: Tensor, side_px: int) -> Tensor:
    """Return `[view, side_px, side_px, 4]`, uint8, straight colour."""
    small = functional.interpolate(premultiplied(rgba).permute(0, 3, 1, 2), size=(side_px, side_px), mode="area")
    straight = torch.cat([small[:, :3] / small[:, 3:].clamp_min(1e-6), small[:, 3:]], 1)
    return (straight.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
