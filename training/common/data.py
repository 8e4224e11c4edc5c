"""Batches from shards: pictures over varied backgrounds, recoloured, whole or cropped; exact by seed."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.errors import PsheadError
from training.common.colour import turn_hue
from training.common.shards import SETTINGS_FILE, read_shard
from training.ground_truth import load_ground_truth


@frozen(kw_only=True, eq=False)
class Pictures:
    """All pictures of a data folder."""

    rgba: tuple[Tensor, ...]
    """Per shard `[picture, side, side, 4]`, uint8, straight colour; mapped from the files."""
    starts: Tensor
    """`[shard + 1]`: index of the first picture of each shard, then the number of pictures."""

    def __len__(self) -> int:
        return int(self.starts[-1])

    def take(self, index: Tensor) -> Tensor:
        """Return `[picture, 4, side, side]` in 0..1 of the pictures with these indices."""
        shards = torch.searchsorted(self.starts, index, right=True) - 1
        within = index - self.starts[shards]
        picked = [self.rgba[shard][row] for shard, row in zip(shards.tolist(), within.tolist(), strict=True)]
        return torch.stack(picked).permute(0, 3, 1, 2).float() / 255


@frozen(kw_only=True, eq=False)
class Batch:
    """Pictures as an autoencoder sees them."""

    image: Tensor
    """`[picture, 3, side, side]` in -1..1."""
    mask: Tensor
    """`[picture, 1, side, side]`: alpha of the head, 0..1."""


def open_pictures(folder: Path) -> Pictures:
    """Return the pictures of all shards of a data folder.

    Raises:
        PsheadError: there are none, or they are held out.
    """
    _check_range(folder, held_out=False)
    paths = sorted(folder.glob("*.safetensors"))
    return as_pictures([read_shard(path)[0]["rgba"].flatten(0, 1) for path in paths])


def as_pictures(parts: list[Tensor]) -> Pictures:
    """Return the pictures of some uint8 tensors `[picture, side, side, 4]`."""
    counts = torch.tensor([0] + [len(part) for part in parts])
    return Pictures(rgba=tuple(parts), starts=counts.cumsum(0))


def held_out_pictures(folder: Path) -> dict[str, Pictures]:
    """Return the pictures of a data folder made with `--held-out`, by source.

    Raises:
        PsheadError: the folder holds none, or heads of the training range.
    """
    _check_range(folder, held_out=True)
    parts: dict[str, list[Tensor]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors, facts = read_shard(path)
        parts.setdefault(facts["job"]["source"], []).append(tensors["rgba"].flatten(0, 1))
    return {source: as_pictures(some) for source, some in parts.items()}


def _check_range(folder: Path, held_out: bool) -> None:
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
    for head in load_ground_truth():
        rgba = torch.from_numpy(head.images).permute(0, 3, 1, 2)
        alpha = rgba[:, 3:]
        small = torch.nn.functional.interpolate(
            torch.cat([rgba[:, :3] * alpha, alpha], 1), size=(side_px, side_px), mode="area"
        )
        straight = torch.cat([small[:, :3] / small[:, 3:].clamp_min(1e-6), small[:, 3:]], 1)
        small = (straight.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
        parts.setdefault(head.source, []).append(small)
    return {source: as_pictures(some) for source, some in parts.items()}


def plain_batch(rgba: Tensor, background: float = 1.0) -> Batch:
    """Return pictures `[picture, 4, side, side]` over one grey (the core's background is white), nothing varied."""
    alpha = rgba[:, 3:]
    return Batch(image=(rgba[:, :3] * alpha + background * (1 - alpha)) * 2 - 1, mask=alpha)


def random_batch(pictures: Pictures, count: int, crop_px: int | None, generator: torch.Generator) -> Batch:
    """Return random pictures: hue, background and fringe varied, turned over at random, cropped if wanted.

    Args:
        pictures: to draw from.
        count: of the batch.
        crop_px: side of random crops; None takes whole pictures.
        generator: of the step.
    """
    rgba = pictures.take(torch.randint(len(pictures), (count,), generator=generator))
    mirrored = torch.rand(count, generator=generator) < 0.5
    rgba = torch.where(mirrored[:, None, None, None], rgba.flip(-1), rgba)
    if crop_px is not None:
        rgba = random_crops(rgba, crop_px, generator)
    colour = recolour(rgba[:, :3], generator)
    alpha = vary_fringe(rgba[:, 3:], generator)
    background = random_background(len(rgba), rgba.shape[-1], generator)
    return Batch(image=(colour * alpha + background * (1 - alpha)) * 2 - 1, mask=alpha)


def random_crops(rgba: Tensor, side_px: int, generator: torch.Generator) -> Tensor:
    """Return one crop of each picture; crops that show nothing of the head are rare, as the head fills the frame."""
    room = rgba.shape[-1] - side_px + 1
    corners = torch.randint(room, (len(rgba), 2), generator=generator).tolist()
    return torch.stack([part[:, y : y + side_px, x : x + side_px] for part, (y, x) in zip(rgba, corners, strict=True)])


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
    """Return `[picture, 3, side, side]`: a third white, a third one colour, a third from one colour to another."""
    kind = torch.randint(3, (count,), generator=generator)[:, None, None, None]
    first, second = torch.rand(2, count, 3, 1, 1, generator=generator)
    angle = torch.rand(count, generator=generator)[:, None, None] * 2 * torch.pi
    line = torch.linspace(-1, 1, side_px)
    along = (angle.cos() * line[None, None, :] + angle.sin() * line[None, :, None]) / 2**0.5 * 0.5 + 0.5
    ramp = first + (second - first) * along[:, None]
    plain = torch.where(kind == 0, torch.ones(()), first)
    return torch.where(kind == 2, ramp, plain.expand_as(ramp))
