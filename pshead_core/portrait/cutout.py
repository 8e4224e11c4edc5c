"""From a soft matte to a clean cut-out: one person, no holes, no background colour left at the edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SOLID = 0.5
"""Matte from which a pixel belongs to the person."""
HAZE = 0.1
"""Matte below which a pixel is background: networks leave a faint veil there."""
RIM_FRAC = 0.02
"""Width of the soft rim to either side of the outline, as a part of the picture's side."""
OWN_RIM_FRAC = 0.1
"""The same for a photo's own alpha, which may know single hairs."""
SURE = 0.98
"""Matte from which a pixel shows nothing but the person; 1 - SURE: nothing but the background."""


def one_person(matte: NDArray[np.float32], face: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return `[height, width]`: the connected part of the matte that holds the face, without other people.

    Where people touch, a pixel belongs to the face that is nearest in units of the faces' heights.

    Args:
        matte: `[height, width]` in 0..1.
        face: x, y, height of the face, pixels.
        others: `[face, 3]`, the same of the other faces.
    """
    solid = matte >= SOLID
    if len(others):
        solid &= ~_nearer_to_another(solid.shape, face, others)
    labels, count = ndimage.label(solid)
    if count == 0:
        return solid
    height, width = solid.shape
    y, x = np.mgrid[:height, :width]
    near = (x + 0.5 - face[0]) ** 2 + (y + 0.5 - face[1]) ** 2 <= (0.35 * face[2]) ** 2
    votes = np.bincount(labels[near], minlength=count + 1)
    votes[0] = 0
    return np.asarray(labels == votes.argmax()) if votes.any() else np.zeros_like(solid)


def _nearer_to_another(
    shape: tuple[int, ...], face: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.bool_]:
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    own = np.hypot(x - face[0], y - face[1]) / face[2]
    nearest = np.min([np.hypot(x - other[0], y - other[1]) / other[2] for other in others], axis=0)
    return np.asarray(nearest < own)


def clean_matte(matte: NDArray[np.float32], person: NDArray[np.bool_], *, trusted: bool) -> NDArray[np.float32]:
    """Return the matte of the person alone: `[height, width]` in 0..1.

    The soft rim around the person stays; everything else vanishes. In a matte that is not trusted, holes and weak
    places inside the person become opaque and the veil around it goes.

    Args:
        matte: `[height, width]` in 0..1.
        person: `[height, width]`, from `one_person`.
        trusted: the matte is the photo's own alpha, where holes and veils are meant.
    """
    side = max(matte.shape)
    if trusted:
        solid, out, rim_px = person, matte, OWN_RIM_FRAC * side
    else:
        solid, rim_px = ndimage.binary_fill_holes(person), RIM_FRAC * side
        inner = ndimage.distance_transform_edt(solid) > rim_px
        opaque = np.where(inner | (solid & ~person), np.float32(1), matte)
        out = np.clip((opaque - HAZE) / (1 - 2 * HAZE), 0, 1)
    near = ndimage.distance_transform_edt(~solid) <= rim_px
    # The rim must hang together with the person: specks beyond it are background.
    connected, _ = ndimage.label((out > 0) & near)
    kept = np.isin(connected, np.unique(connected[solid])) & (connected > 0)
    kept &= solid | (matte < SOLID)
    return np.where(kept, out, 0).astype(np.float32)


def foreground_colour(rgb: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `[height, width, 3]`: the person's own colour, freed of the background and extended beyond the person.

    A photo shows `alpha * F + (1 - alpha) * B`. F and B are spread from where the matte is sure, then F takes the
    remainder of the equation (the refinement step of Forte 2021, "Approximate fast foreground colour estimation").

    Args:
        rgb: `[height, width, 3]` in 0..1, the photo.
        alpha: `[height, width]` in 0..1.
    """
    a = alpha[..., None]
    inner = spread(rgb, (alpha >= SURE).astype(np.float32))
    outer = spread(rgb, (alpha <= 1 - SURE).astype(np.float32))
    estimate = np.clip(inner + a * (rgb - a * inner - (1 - a) * outer), 0, 1)
    return np.where(a >= SURE, rgb, estimate).astype(np.float32)


def spread(rgb: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `rgb` where `weight` is 1 and a smooth continuation elsewhere (pull-push, Gortler et al. 1996).

    Args:
        rgb: `[height, width, 3]`.
        weight: `[height, width]`, 0 or more; if it is 0 everywhere, the result is 0.
    """
    if weight.shape[0] <= 1 or weight.shape[1] <= 1 or float(weight.min()) >= 1:
        total = float(weight.sum())
        mean = (rgb * weight[..., None]).sum((0, 1)) / max(total, 1e-6)
        return rgb if float(weight.min()) >= 1 else np.broadcast_to(mean, rgb.shape).astype(np.float32)
    height, width = weight.shape
    padding = ((0, height % 2), (0, width % 2))
    weights = np.pad(weight, padding)
    colours = np.pad(rgb * weight[..., None], (*padding, (0, 0)))
    pooled_weight = _pool(weights[..., None])
    pooled = (_pool(colours) / np.maximum(pooled_weight, 1e-6)).astype(np.float32)
    coarse = spread(pooled, np.minimum(pooled_weight[..., 0] * 4, 1))
    fine = ndimage.zoom(coarse, (2, 2, 1), order=1, mode="nearest", grid_mode=True)[:height, :width]
    share = np.minimum(weight, 1)[..., None]
    return np.asarray(share * rgb + (1 - share) * fine, dtype=np.float32)


def _pool(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width, channels = picture.shape
    return np.asarray(picture.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3)), dtype=np.float32)
