"""Sharpening of a matte on the edges of a picture: the guided filter of He, Sun and Tang (2013)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float32]

RADIUS_PX = 3
"""Radius of the filter's window at half of the picture's resolution, which is about the network's own."""
SMOOTHNESS = 1e-3
"""Regulariser, variance of colour in 0..1: smaller texture does not make edges."""
CONTRAST = 0.2
"""After the first pass, values below become 0 and values above 1 - CONTRAST become 1: the filter leaves the mean of its
window on either side of an edge, which is neither."""


class GuidedFilter:
    """The filter for one guide: its statistics serve several mattes."""

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        """Take the guide `[height, width, 3]`, even sides."""
        self._guide = rgb.astype(np.float32) / np.float32(255)
        self._half = _halved(self._guide)
        self._mean = _mean(self._half)
        self._inverse = _inverse(self._half, self._mean)

    def apply(self, matte: Array) -> Array:
        """Return, in each window, the affine function of the colour that fits the matte best, `[height, width]`.

        Equations 19 to 21 of the paper, with the coefficients at half resolution (He and Sun 2015, "Fast guided
        filter").
        """
        half = _halved(matte)
        mean = _mean(half)
        cross = _mean(self._half * half[..., None]) - self._mean * mean[..., None]
        slope = np.einsum("yxij,yxj->yxi", self._inverse, cross)
        offset = mean - (slope * self._mean).sum(-1)
        smooth = _mean(np.concatenate([slope, offset[..., None]], axis=-1))
        full = ndimage.zoom(smooth, (2, 2, 1), order=1, mode="nearest", grid_mode=True)
        return np.clip((full[..., :3] * self._guide).sum(-1) + full[..., 3], 0, 1)


def sharpened(rgb: NDArray[np.uint8], coarse: Array) -> Array:
    """Return the matte with its edges moved onto the picture's, `[height, width]` in 0..1.

    Args:
        rgb: `[height, width, 3]`, even sides.
        coarse: `[height, width]` in 0..1, smooth over a few pixels.
    """
    guided = GuidedFilter(rgb)
    share = np.clip((guided.apply(coarse) - CONTRAST) / (1 - 2 * CONTRAST), 0, 1)
    return guided.apply(share * share * (3 - 2 * share))


def _halved(picture: Array) -> Array:
    height, width = picture.shape[:2]
    return np.asarray(picture.reshape(height // 2, 2, width // 2, 2, *picture.shape[2:]).mean((1, 3)))


def _mean(picture: Array) -> Array:
    return np.asarray(ndimage.uniform_filter(picture, size=2 * RADIUS_PX + 1, mode="nearest", axes=(0, 1)))


def _inverse(guide: Array, mean: Array) -> Array:
    """Return the inverse of the regularised colour covariance of each window, `[height, width, 3, 3]` (adjugate)."""
    rows, columns = np.triu_indices(3)
    covariance = _mean(guide[..., rows] * guide[..., columns]) - mean[..., rows] * mean[..., columns]
    rr, rg, rb, gg, gb, bb = np.moveaxis(covariance, -1, 0)
    rr, gg, bb = rr + SMOOTHNESS, gg + SMOOTHNESS, bb + SMOOTHNESS
    first, second, third = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    entries = [first, second, third, second, rr * bb - rb * rb, rg * rb - rr * gb]
    entries += [third, rg * rb - rr * gb, rr * gg - rg * rg]
    determinant = rr * first + rg * second + rb * third
    return np.asarray((np.stack(entries, axis=-1) / determinant[..., None]).reshape(*mean.shape, 3))
