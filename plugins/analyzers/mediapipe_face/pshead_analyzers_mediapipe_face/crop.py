"""Upright square crops of a photo, and the way back to the photo's pixels."""

from __future__ import annotations

import math

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from PIL import Image


@frozen(kw_only=True)
class Crop:
    """A square window, possibly turned, possibly reaching beyond the photo."""

    centre_px: tuple[float, float]
    """x, y in the photo."""
    side_px: float
    """Side in the photo."""
    roll_deg: float
    """Rotation of the window's x axis in the photo, positive clockwise."""
    pixels: int
    """Side of the picture that is cut."""

    @property
    def to_photo(self) -> NDArray[np.float64]:
        """`[2, 3]`: from pixels of the crop to pixels of the photo."""
        step = self.side_px / self.pixels
        angle = math.radians(self.roll_deg)
        linear = step * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        shift = np.asarray(self.centre_px) - linear @ np.full(2, self.pixels / 2)
        return np.concatenate([linear, shift[:, None]], axis=1)

    @property
    def from_photo(self) -> NDArray[np.float64]:
        """`[2, 3]`: the inverse of `to_photo`."""
        linear = np.linalg.inv(self.to_photo[:, :2])
        return np.concatenate([linear, -linear @ self.to_photo[:, 2:]], axis=1)

    def cut(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the window as `[pixels, pixels, 3]`; beyond the photo its edge colours go on."""
        matrix = self.to_photo
        low, high = _bounds(matrix, self.pixels)
        image = Image.fromarray(_replicated(rgb, low, high))
        matrix[:, 2] -= low
        factor = max(1, int(self.side_px / self.pixels))
        if factor > 1:
            image = image.reduce(factor)  # a box filter first: the transform below does not antialias
            matrix /= factor
        coefficients = tuple(float(value) for value in matrix.reshape(-1))
        size = (self.pixels, self.pixels)
        return np.asarray(image.transform(size, Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC))

    def points_to_photo(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return `[point, 3]` of the crop in the photo; z keeps the unit of x and y."""
        matrix = self.to_photo
        xy = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        return np.concatenate([xy, points[:, 2:] * (self.side_px / self.pixels)], axis=1).astype(np.float32)

    def region(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """Return the rows and columns of a photo of (height, width) `shape` in which the window lies."""
        low, high = _bounds(self.to_photo, self.pixels)
        left, top = np.maximum(low, 0)
        right, bottom = np.minimum(high, (shape[1], shape[0]))
        return slice(int(top), int(max(bottom, top))), slice(int(left), int(max(right, left)))

    def paste(self, picture: NDArray[np.float32], region: tuple[slice, slice]) -> NDArray[np.float32]:
        """Return a `[pixels, pixels]` picture of the crop in a region of the photo, bilinear, 0 outside the crop."""
        matrix = self.from_photo
        rows, columns = region
        matrix[:, 2] += matrix[:, :2] @ (columns.start, rows.start)
        coefficients = tuple(float(value) for value in matrix.reshape(-1))
        size = (columns.stop - columns.start, rows.stop - rows.start)
        pasted = Image.fromarray(picture).transform(
            size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
        )
        return np.asarray(pasted)


def _bounds(matrix: NDArray[np.float64], pixels: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * pixels
    xy = corners @ matrix[:, :2].T + matrix[:, 2]
    return np.floor(xy.min(0)).astype(int) - 3, np.ceil(xy.max(0)).astype(int) + 3


def _replicated(picture: NDArray[np.uint8], low: NDArray[np.int_], high: NDArray[np.int_]) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    columns = np.clip(np.arange(low[0], high[0]), 0, width - 1)
    rows = np.clip(np.arange(low[1], high[1]), 0, height - 1)
    return np.ascontiguousarray(picture[rows[:, None], columns[None, :]])
