"""Pictures of a head: the labelled sheet of views and the turntable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from pshead_core.cameras.camera import Cameras
from pshead_core.cameras.sampler import even_ring
from pshead_core.config.run import CameraConfig
from pshead_core.gaussians.model import GaussianModel
from pshead_core.render.base import Renderer

SHEET_VIEWS = 8
LABEL_PX = 28
NAMES = {0: "front", 90: "left side", 180: "back", 270: "right side"}
"""What the camera sees at an azimuth: at +90° the subject's left side."""

STAGE_VIEWS = (0, 1, 2, 4)
"""Of the sheet's views: front, half left, left side, back."""
TURNTABLE_FRAMES = 120
FRAMES_PER_SECOND = 30


def view_images(
    model: GaussianModel, renderer: Renderer, cameras: CameraConfig, background: Tensor, *, views: int, side_px: int
) -> NDArray[np.uint8]:
    """Return renderings on an even ring from azimuth 0°, `[view, side, side, 3]`, 8 bit."""
    return _drawn(model, renderer, even_ring(cameras, views, side_px), background)


def _drawn(model: GaussianModel, renderer: Renderer, cameras: Cameras, background: Tensor) -> NDArray[np.uint8]:
    cameras = cameras.to(model.means.device)
    images = []
    with torch.no_grad():
        for index in range(len(cameras)):
            rgb = renderer.render(model, cameras[index : index + 1], background).rgb[0]
            images.append(to_bytes(rgb))
    return np.stack(images)


def to_bytes(image: Tensor) -> NDArray[np.uint8]:
    """Return an image in 0..1 as 8 bit numbers on the CPU."""
    array: NDArray[np.uint8] = (image.detach().clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu().numpy()
    return array


def sheet(images: NDArray[np.uint8], photo: NDArray[np.uint8] | None) -> Image.Image:
    """Return the labelled sheet: the framed photo if there is one, then the views by azimuth.

    Args:
        images: `[view, side, side, 3]` on an even ring from azimuth 0°.
        photo: `[side, side, 3]`, the framed photo over the same background, or None.
    """
    azimuths = [round(360 * index / len(images)) for index in range(len(images))]
    labels = [f"{angle}°  {NAMES.get(angle, '')}".strip() for angle in azimuths]
    if photo is None:
        return tiles(list(images), labels, columns=4)
    return tiles([photo, *images], ["photo", *labels], columns=3)


def stage(
    model: GaussianModel, renderer: Renderer, cameras: CameraConfig, background: Tensor, *, name: str, side_px: int
) -> Image.Image:
    """Return a row of four views, labelled with azimuth and a name of the stage."""
    images = _drawn(model, renderer, even_ring(cameras, SHEET_VIEWS, side_px)[torch.tensor(STAGE_VIEWS)], background)
    labels = [f"{round(360 * index / SHEET_VIEWS)}°  {name}" for index in STAGE_VIEWS]
    return tiles(list(images), labels, columns=len(images))


def below(upper: Image.Image, lower: Image.Image) -> Image.Image:
    """Return two pictures of one width, one above the other."""
    page = Image.new("RGB", (upper.width, upper.height + lower.height), "white")
    page.paste(upper, (0, 0))
    page.paste(lower, (0, upper.height))
    return page


def tiles(images: Sequence[NDArray[np.uint8]], labels: Sequence[str], *, columns: int) -> Image.Image:
    """Return images of one size in rows, each with its label above it."""
    side = images[0].shape[0]
    rows = -(-len(images) // columns)
    page = Image.new("RGB", (columns * side, rows * (side + LABEL_PX)), "white")
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=LABEL_PX * 0.6)
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        left, top = index % columns * side, index // columns * (side + LABEL_PX)
        draw.text((left + 8, top + LABEL_PX / 2), label, fill=(40, 40, 40), font=font, anchor="lm")
        page.paste(Image.fromarray(image), (left, top + LABEL_PX))
    return page


def write_turntable(path: Path, images: NDArray[np.uint8], frames_per_second: int) -> None:
    """Write one turn as H.264 video that every player opens.

    Args:
        path: the `.mp4` file.
        images: `[frame, side, side, 3]`; the side must be even.
        frames_per_second: speed of the video.
    """
    side = images.shape[1]
    writer = imageio_ffmpeg.write_frames(
        str(path), (side, side), fps=frames_per_second, codec="libx264", quality=8, macro_block_size=2
    )
    writer.send(None)
    for image in images:
        writer.send(np.ascontiguousarray(image))
    writer.close()
