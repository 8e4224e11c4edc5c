"""Batches from shards: pictures over varied backgrounds, recoloured, whole or cropped; exact by seed."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from attrs import evolve, frozen
from torch import Tensor

from pshead_core.errors import PsheadError
from training.common.colour import turn_hue
from training.common.focus import focus_map, focus_points
from training.common.shards import SETTINGS_FILE, read_shard
from training.ground_truth import load_ground_truth


@frozen(kw_only=True, eq=False)
class Pictures:
    """All pictures of a data folder."""

    rgba: tuple[Tensor, ...]
    """Per shard `[picture, side, side, 4]`, uint8, straight colour; mapped from the files."""
    starts: Tensor
    """`[shard + 1]`: index of the first picture of each shard, then the number of pictures."""
    focus_px: Tensor | None = None
    """`[picture, point, 2]`: where eyes, nose and mouth are, far outside where they are not seen."""

    def __len__(self) -> int:
        return int(self.starts[-1])

    def take(self, index: Tensor) -> Tensor:
        """Return `[picture, 4, side, side]` in 0..1 of the pictures with these indices."""
        shards = torch.searchsorted(self.starts, index, right=True) - 1
        within = index - self.starts[shards]
        picked = [self.rgba[shard][row] for shard, row in zip(shards.tolist(), within.tolist(), strict=True)]
        return torch.stack(picked).permute(0, 3, 1, 2).float() / 255

    def focus(self, index: Tensor) -> Tensor:
        """Return `[picture, 1, side, side]` in 0..1: 1 at eyes, nose and mouth; 0 where nothing is known of them."""
        side_px = self.rgba[0].shape[1]
        if self.focus_px is None:
            return torch.zeros(len(index), 1, side_px, side_px)
        return focus_map(self.focus_px[index], side_px)


@frozen(kw_only=True, eq=False)
class Batch:
    """Pictures as an autoencoder sees them."""

    image: Tensor
    """`[picture, 3, side, side]` in -1..1."""
    mask: Tensor
    """`[picture, 1, side, side]`: alpha of the head, 0..1."""
    focus: Tensor
    """`[picture, 1, side, side]` in 0..1: 1 at eyes, nose and mouth."""


def open_pictures(folder: Path) -> Pictures:
    """Return the pictures of all shards of a data folder.

    Raises:
        PsheadError: there are none, or they are held out.
    """
    check_range(folder, held_out=False)
    shards = [read_shard(path)[0] for path in sorted(folder.glob("*.safetensors"))]
    side_px = shards[0]["rgba"].shape[2]
    focus = [focus_points(one["landmarks"], one["azimuth_deg"], side_px).flatten(0, 1) for one in shards]
    return evolve(as_pictures([one["rgba"].flatten(0, 1) for one in shards]), focus_px=torch.cat(focus))


def as_pictures(parts: list[Tensor]) -> Pictures:
    """Return the pictures of some uint8 tensors `[picture, side, side, 4]`."""
    counts = torch.tensor([0] + [len(part) for part in parts])
    return Pictures(rgba=tuple(parts), starts=counts.cumsum(0))


def held_out_pictures(folder: Path) -> dict[str, Pictures]:
    """Return the pictures of a data folder made with `--held-out`, by source.

    Raises:
        PsheadError: the folder holds none, or heads of the training range.
    """
    check_range(folder, held_out=True)
    parts: dict[str, list[Tensor]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors, facts = read_shard(path)
        parts.setdefault(facts["job"]["source"], []).append(tensors["rgba"].flatten(0, 1))
    return {source: as_pictures(some) for source, some in parts.items()}


def check_range(folder: Path, held_out: bool) -> None:
    """Refuse a data folder without shards, and one whose heads are of the other range (training, held out)."""
    path = folder / SETTINGS_FILE
    if not path.exists() or not any(folder.glob("*.safetensors")):
        raise PsheadError(
            f"no shards in {folder}",
            why="nothing was rendered there yet",
            fix="python -m training.common.make_data --data FOLDER --heads 2000",
        )
    if json.loads(path.read_text(encoding="utf-8"))["held_out"] != held_out:
        wanted, found = ("held-out", "training") if held_out else ("training", "held-out")
        raise PsheadError(
            f"{folder} holds {found} heads", why=f"{wanted} heads are wanted here", fix="name the other folder"
        )


def truth_pictures(side_px: int) -> dict[str, Pictures]:
    """Return the committed ground-truth set by source (6 heads, 25 views each), reduced by areas to `side_px`."""
    parts: dict[str, list[Tensor]] = {}
    points: dict[str, list[Tensor]] = {}
    for head in load_ground_truth():
        rgba = torch.from_numpy(head.images).permute(0, 3, 1, 2)
        alpha = rgba[:, 3:]
        small = torch.nn.functional.interpolate(
            torch.cat([rgba[:, :3] * alpha, alpha], 1), size=(side_px, side_px), mode="area"
        )
        straight = torch.cat([small[:, :3] / small[:, 3:].clamp_min(1e-6), small[:, 3:]], 1)
        small = (straight.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        parts.setdefault(head.source, []).append(small)
        landmarks = torch.from_numpy(head.landmarks)[None]
        points.setdefault(head.source, []).append(focus_points(landmarks, head.cameras.azimuth_deg[None], side_px)[0])
    return {source: evolve(as_pictures(some), focus_px=torch.cat(points[source])) for source, some in parts.items()}


def plain_batch(rgba: Tensor, background: float = 1.0, focus: Tensor | None = None) -> Batch:
    """Return pictures `[picture, 4, side, side]` over one grey (the core's background is white), nothing varied."""
    alpha = rgba[:, 3:]
    image = (rgba[:, :3] * alpha + background * (1 - alpha)) * 2 - 1
    return Batch(image=image, mask=alpha, focus=torch.zeros_like(alpha) if focus is None else focus)


def random_batch(pictures: Pictures, count: int, crop_px: int | None, generator: torch.Generator) -> Batch:
    """Return random pictures: hue, background and fringe varied, turned over at random, cropped if wanted.

    Args:
        pictures: to draw from.
        count: of the batch.
        crop_px: side of random crops; None takes whole pictures.
        generator: of the step.
    """
    index = torch.randint(len(pictures), (count,), generator=generator)
    layers = torch.cat([pictures.take(index), pictures.focus(index)], 1)
    mirrored = torch.rand(count, generator=generator) < 0.5
    layers = torch.where(mirrored[:, None, None, None], layers.flip(-1), layers)
    if crop_px is not None:
        layers = random_crops(layers, crop_px, generator)
    rgba, focus = layers[:, :4], layers[:, 4:]
    colour = recolour(rgba[:, :3], generator)
    alpha = vary_fringe(rgba[:, 3:], generator)
    background = random_background(len(rgba), rgba.shape[-1], generator)
    return Batch(image=(colour * alpha + background * (1 - alpha)) * 2 - 1, mask=alpha, focus=focus)


def random_crops(layers: Tensor, side_px: int, generator: torch.Generator) -> Tensor:
    """Return one crop of each picture `[picture, layer, side, side]`, whose last layer is the focus.

    Half of the pictures that show a face are cropped about it. Crops that show nothing of the head are rare, as the
    head fills the frame.
    """
    room = layers.shape[-1] - side_px + 1
    corners = torch.randint(room, (len(layers), 2), generator=generator)
    about = torch.rand(len(layers), generator=generator) < 0.5
    shaken = torch.randint(-side_px // 4, side_px // 4 + 1, (len(layers), 2), generator=generator)
    weight = layers[:, -1]
    sure = weight.sum((1, 2))
    line = torch.arange(layers.shape[-1]).float()
    centre = torch.stack([(weight.sum(2) * line).sum(1), (weight.sum(1) * line).sum(1)], 1) / sure.clamp_min(1)[:, None]
    wanted = (centre.round().long() - side_px // 2 + shaken).clamp(0, room - 1)
    corners = torch.where((about & (sure > 1))[:, None], wanted, corners).tolist()
    return torch.stack(
        [part[:, y : y + side_px, x : x + side_px] for part, (y, x) in zip(layers, corners, strict=True)]
    )


def recolour(colour: Tensor, generator: torch.Generator) -> Tensor:
    """Return half of the pictures as they are, half with another hue, saturation and brightness.

    Colours converge last in an autoencoder, and heads show few blues and greens: every hue must occur.
    """
    count = len(colour)
    chosen = torch.rand(count, generator=generator) < 0.5
    angle = torch.where(chosen, torch.rand(count, generator=generator) * 2 * torch.pi, torch.zeros(()))
    saturation = torch.where(chosen, 0.5 + 1.3 * torch.rand(count, generator=generator), torch.ones(()))
    gain = torch.where(chosen, 0.8 + 0.4 * torch.rand(count, generator=generator), torch.ones(()))
    return (turn_hue(colour, angle, saturation) * gain[:, None, None, None]).clamp(0, 1)


def vary_fringe(alpha: Tensor, generator: torch.Generator) -> Tensor:
    """Return alpha with a fringe a little wider or narrower: mattes of photos are not exact either."""
    power = torch.exp(0.5 * torch.randn(len(alpha), generator=generator))
    return alpha ** power[:, None, None, None]


def random_background(count: int, side_px: int, generator: torch.Generator) -> Tensor:
    """Return `[picture, 3, side, side]`: half white, a quarter one colour, a quarter from one colour to another."""
    kind = torch.randint(4, (count,), generator=generator)[:, None, None, None]
    first, second = torch.rand(2, count, 3, 1, 1, generator=generator)
    angle = torch.rand(count, generator=generator)[:, None, None] * 2 * torch.pi
    line = torch.linspace(-1, 1, side_px)
    along = (angle.cos() * line[None, None, :] + angle.sin() * line[None, :, None]) / 2**0.5 * 0.5 + 0.5
    ramp = first + (second - first) * along[:, None]
    plain = torch.where(kind < 2, torch.ones(()), first)
    return torch.where(kind == 3, ramp, plain.expand_as(ramp))
