"""Portraits with known outlines for the tests of the start: the astronaut, and painted heads with its landmarks."""

from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import affine_transform, gaussian_filter
from skimage.data import astronaut

from pshead_core.portrait.portrait import Portrait

DATA = Path(__file__).parent / "data" / "astronaut.npz"
STYLES = ("bald", "short", "long", "hat", "floating")
SKIN, HAIR, CLOTH, HAT = (0.87, 0.68, 0.58), (0.25, 0.16, 0.10), (0.15, 0.35, 0.55), (0.55, 0.10, 0.12)


def _portrait(rgb, matte, landmarks_px, inside):
    rgba = np.concatenate([rgb, matte[..., None]], axis=-1).clip(0, 1).astype(np.float32)
    return Portrait(
        rgba=torch.from_numpy(rgba),
        landmarks_px=torch.from_numpy(landmarks_px.astype(np.float32)),
        prompt="a portrait",
        photo_to_frame=torch.eye(2, 3, dtype=torch.float64),
        photo_inside=torch.from_numpy(inside),
        sha256="0" * 64,
    )


def astronaut_portrait() -> Portrait:
    """scikit-image's astronaut, framed; matte and landmarks were taken with MediaPipe and stored."""
    with np.load(DATA) as data:
        (scale, _, left), (_, _, top) = data["frame_to_photo"]
        landmarks, matte = data["landmarks_px"], data["matte"] / 255.0
        r0, r1, c0, c1 = data["inside"]
    photo = astronaut() / 255.0
    channels = [
        affine_transform(photo[..., k], (scale, scale), (top, left), output_shape=(512, 512), order=1, mode="nearest")
        for k in range(3)
    ]
    inside = np.zeros((512, 512), dtype=bool)
    inside[r0:r1, c0:c1] = True
    return _portrait(np.stack(channels, axis=-1), matte * inside, landmarks, inside)


def mirrored(portrait: Portrait) -> Portrait:
    """The portrait as in a mirror (the landmarks swap sides with it, so their numbers no longer name the sides)."""
    landmarks = portrait.landmarks_px.numpy().copy()
    landmarks[:, 0] = portrait.side_px - landmarks[:, 0]
    swapped = landmarks[_mirror_pairs(portrait.landmarks_px.numpy())]
    rgba = portrait.rgba.numpy()[:, ::-1]
    return _portrait(rgba[..., :3], rgba[..., 3], swapped, portrait.photo_inside.numpy()[:, ::-1].copy())


def _mirror_pairs(landmarks):
    """Index of each landmark's partner on the other side: the nearest to its mirror image about the face's middle."""
    points = landmarks.astype(np.float64).copy()
    points[:, 0] -= points[[10, 152, 1, 168], 0].mean()
    reflected = points * (-1, 1, 1)
    return np.linalg.norm(reflected[:, None] - points[None], axis=2).argmin(axis=1)


def cropped(portrait: Portrait, bottom_px: int, top_px: int = 0) -> Portrait:
    """The portrait of a photo that shows only the rows from `top_px` to `bottom_px` of the frame."""
    inside = portrait.photo_inside.numpy().copy()
    inside[bottom_px:] = False
    inside[:top_px] = False
    rgba = portrait.rgba.numpy()
    return _portrait(rgba[..., :3], rgba[..., 3] * inside, portrait.landmarks_px.numpy(), inside)


def zoomed(portrait: Portrait, factor: float) -> Portrait:
    """The portrait enlarged about the face, so that the frame cuts the head."""
    landmarks, side = portrait.landmarks_px.numpy().copy(), portrait.side_px
    centre = landmarks[[10, 152], :2].mean(axis=0)
    landmarks[:, :2] = (landmarks[:, :2] - centre) * factor + side / 2
    landmarks[:, 2] *= factor
    offset = (centre - side / 2 / factor)[::-1] + 0.5 / factor - 0.5
    planes = [
        affine_transform(plane, (1 / factor, 1 / factor), offset, output_shape=(side, side), order=1)
        for plane in np.concatenate([portrait.rgba.numpy(), portrait.photo_inside.numpy()[..., None]], 2).transpose(
            2, 0, 1
        )
    ]
    return _portrait(np.stack(planes[:3], axis=-1), planes[3], landmarks, planes[4] > 0.99)


def turned(landmarks_px, yaw_deg: float, axis_z_px: float):
    """Landmarks of the head turned about a vertical axis through the cheeks' middle, to the picture's right."""
    points = landmarks_px.astype(np.float64).copy()
    axis_u = points[[234, 454], 0].mean()
    x, z = points[:, 0] - axis_u, points[:, 2] - axis_z_px
    angle = np.deg2rad(yaw_deg)
    points[:, 0] = axis_u + x * np.cos(angle) - z * np.sin(angle)
    points[:, 2] = axis_z_px + x * np.sin(angle) + z * np.cos(angle)
    return points


def resized(portrait: Portrait, factor: int) -> Portrait:
    """The portrait at a smaller side, by averaging blocks of `factor` pixels."""
    side = portrait.side_px // factor
    rgba = portrait.rgba.numpy().reshape(side, factor, side, factor, 4).mean(axis=(1, 3))
    inside = portrait.photo_inside.numpy().reshape(side, factor, side, factor).all(axis=(1, 3))
    return _portrait(rgba[..., :3], rgba[..., 3], portrait.landmarks_px.numpy() / factor, inside)


def painted(style: str) -> Portrait:
    """A painted head with the astronaut's landmarks: `bald`, `short`, `long`, `hat` or `floating` (a head alone)."""
    with np.load(DATA) as data:
        landmarks = data["landmarks_px"]
    v, u = np.mgrid[0:512, 0:512] + 0.5
    cu, chin = landmarks[152, 0], landmarks[152, 1]
    height = chin - landmarks[10, 1]
    width = landmarks[454, 0] - landmarks[234, 0]

    def ellipse(centre_v, semi_u, semi_v):
        return ((u - cu) / semi_u) ** 2 + ((v - centre_v) / semi_v) ** 2 < 1

    head = ellipse(chin - 0.7 * height, 0.56 * width, 0.7 * height)
    neck = (np.abs(u - cu) < 0.42 * width) & (v > chin - 0.3 * height) & (v < chin + 0.5 * height)
    shoulders = ellipse(chin + 1.9 * height, 1.6 * width, 1.5 * height)
    rgb = np.ones((512, 512, 3)) * 0.5
    matte = np.zeros((512, 512), dtype=bool)

    def paint(mask, colour):
        rgb[mask] = colour
        matte[mask] = True

    face = ellipse(chin - 0.48 * height, 0.52 * width, 0.48 * height)
    if style == "long":
        paint(ellipse(chin - 0.68 * height, 0.75 * width, 0.78 * height), HAIR)
        paint((np.abs(u - cu) < 0.75 * width) & (v > chin - 0.68 * height) & (v < chin + 0.75 * height), HAIR)
    if style != "floating":
        paint(shoulders, CLOTH)
        if style == "long":
            paint((np.abs(u - cu) < 0.75 * width) & (v > chin - 0.5 * height) & (v < chin + 0.7 * height), HAIR)
        paint(neck, SKIN)
    if style == "short":
        paint(ellipse(chin - 0.75 * height, 0.63 * width, 0.74 * height), HAIR)
    if style == "floating":
        paint(head, HAIR)
    paint(face if style != "bald" else head, SKIN)
    if style == "hat":
        paint(head, SKIN)
        paint(ellipse(chin - 1.15 * height, 1.3 * width, 0.13 * height), HAT)
        paint(ellipse(chin - 1.25 * height, 0.65 * width, 0.45 * height) & (v < chin - 1.1 * height), HAT)
    for mark, colour in ((468, (0.1, 0.2, 0.3)), (473, (0.1, 0.2, 0.3)), (13, (0.7, 0.2, 0.25))):
        spot = (u - landmarks[mark, 0]) ** 2 + (v - landmarks[mark, 1]) ** 2 < (0.06 * height) ** 2
        rgb[spot] = colour
    rgb += gaussian_filter(np.random.default_rng(3).standard_normal((512, 512, 1)), (2, 2, 0)) * 0.05
    return _portrait(rgb, gaussian_filter(matte.astype(float), 0.7), landmarks, np.ones((512, 512), dtype=bool))
