"""The common frame: where the face lies in every portrait, and how a photo is resampled into it."""

from __future__ import annotations

import math

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from pshead_core.portrait.choose import CHIN, EAR_SIDES, TOP, roll_deg
from pshead_core.portrait.facts import FaceFacts

FACE_Y_FRAC = 0.42
"""Height at which the middle of the face (between forehead and chin) lies, from the top of the frame: leaves room for
the hair above and for the neck and the shoulders below."""
MARGIN_FRAC = 0.04
"""Distance that hair keeps from the frame's edges."""
KEEP_ROLL_DEG = 30.0
"""Up to here the head's tilt is part of the pose and stays; beyond, the photo itself lies on its side."""
SMALLEST_SHARE = 0.5
"""The face becomes no smaller than this share of its usual size, however wide the hair is."""


@frozen(kw_only=True, eq=False)
class Frame:
    """A square window into the photo."""

    photo_to_frame: NDArray[np.float64]
    """`[2, 3]`: similarity from pixels of the photo to pixels of the frame (pixel centres at +0.5)."""
    side_px: int

    @property
    def scale(self) -> float:
        """Pixels of the frame per pixel of the photo."""
        return float(np.hypot(self.photo_to_frame[0, 0], self.photo_to_frame[1, 0]))

    @property
    def frame_to_photo(self) -> NDArray[np.float64]:
        """`[2, 3]`: the inverse map."""
        linear = np.linalg.inv(self.photo_to_frame[:, :2])
        return np.concatenate([linear, -linear @ self.photo_to_frame[:, 2:]], axis=1)

    def map_points(self, points_px: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return landmarks `[point, 3]` of the photo in the frame; z keeps the unit of x and y."""
        xy = points_px[:, :2].astype(np.float64) @ self.photo_to_frame[:, :2].T + self.photo_to_frame[:, 2]
        return np.concatenate([xy, points_px[:, 2:] * self.scale], axis=1).astype(np.float32)

    def inside(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Return `[side, side]`: whose pixel centres lie in a photo of (height, width) `shape`."""
        axis = np.arange(self.side_px) + 0.5
        grid = np.stack(np.broadcast_arrays(axis[None, :], axis[:, None]), axis=-1)
        xy = grid @ self.frame_to_photo[:, :2].T + self.frame_to_photo[:, 2]
        return np.asarray(((xy >= 0) & (xy <= (shape[1], shape[0]))).all(-1))

    def resample(self, picture: NDArray[np.float32] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return `[side, side, channel]` in 0..1 of a photo-sized `[height, width, channel]` picture.

        Bicubic, antialiased where it shrinks (Lanczos would be sharper but rings more at the person's edge); values
        may leave 0..1 by a few hundredths. Beyond the photo its edge pixels go on.
        """
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=np.float64) * self.side_px
        xy = corners @ self.frame_to_photo[:, :2].T + self.frame_to_photo[:, 2]
        apron = math.ceil(3 * _APRON_PX * max(1.0, 1 / self.scale))
        low = np.floor(xy.min(0)).astype(int) - apron
        high = np.ceil(xy.max(0)).astype(int) + apron
        window = _window(picture, low, high)
        upright = abs(self.photo_to_frame[1, 0]) < 1e-12
        layers = []
        for channel in np.moveaxis(window, 2, 0):
            layer = Image.fromarray(np.ascontiguousarray(channel))
            box = (*(xy[0] - low), *(xy[3] - low))
            if not upright:
                layer, box = self._turned(layer, low)
            layers.append(np.asarray(layer.resize((self.side_px, self.side_px), Image.Resampling.BICUBIC, box=box)))
        return np.stack(layers, axis=-1)

    def _turned(self, layer: Image.Image, low: NDArray[np.int_]) -> tuple[Image.Image, tuple[float, ...]]:
        # Turn at about the photo's own scale, so that the resize after it can filter along the frame's axes.
        # scipy's spline, because Pillow's bicubic transform does not keep linear functions.
        factor = max(1, int(1 / self.scale))
        extent = self.side_px / (self.scale * factor)
        step = self.frame_to_photo[:, :2] * self.scale
        shift = (self.frame_to_photo[:, 2] - low) / factor
        swapped = step[::-1, ::-1]
        # scipy counts rows first and from pixel centres.
        offset = (shift + step @ np.full(2, 0.5 - _APRON_PX) - 0.5)[::-1]
        shape = (math.ceil(extent) + 2 * _APRON_PX,) * 2
        pixels = np.asarray(layer.reduce(factor))
        turned = ndimage.affine_transform(pixels, swapped, offset, output_shape=shape, order=3, mode="nearest")
        low_px, high_px = float(_APRON_PX), _APRON_PX + extent
        return Image.fromarray(turned.astype(np.float32)), (low_px, low_px, high_px, high_px)


_APRON_PX = 4
"""Pixels, of the photo or of the frame if these are larger, around what a filter makes: it needs neighbours."""


def _window(
    picture: NDArray[np.float32] | NDArray[np.uint8], low: NDArray[np.int_], high: NDArray[np.int_]
) -> NDArray[np.float32]:
    height, width = picture.shape[:2]
    columns = np.clip(np.arange(low[0], high[0]), 0, width - 1)
    rows = np.clip(np.arange(low[1], high[1]), 0, height - 1)
    window = picture[rows[:, None], columns[None, :]]
    return np.asarray(window / np.float32(255) if window.dtype == np.uint8 else window, dtype=np.float32)


def make_frame(face: FaceFacts, person: NDArray[np.bool_], *, side_px: int, face_frac: float) -> Frame:
    """Return the frame in which the face is `face_frac` of the side high, or smaller if the hair needs the room.

    Args:
        face: what is framed.
        person: `[height, width]` of the photo; where the person is (without a matte: nowhere).
        side_px: height and width of the frame.
        face_frac: height of the face as a part of the side.
    """
    points = face.landmarks_px[:, :2].astype(np.float64)
    roll = roll_deg(face.landmarks_px)
    turn = -math.radians(roll) if abs(roll) > KEEP_ROLL_DEG else 0.0
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    turned = points @ rotation.T
    anchor = np.array([turned[list(EAR_SIDES), 0].mean(), turned[[TOP, CHIN], 1].mean()])
    scale = face_frac * side_px / face.height_px
    scale = max(min(scale, _fitting_scale(person, rotation, anchor, turned[CHIN, 1], side_px)), SMALLEST_SHARE * scale)
    shift = np.array([0.5, FACE_Y_FRAC]) * side_px - scale * anchor
    return Frame(photo_to_frame=np.concatenate([scale * rotation, shift[:, None]], axis=1), side_px=side_px)


def _fitting_scale(
    person: NDArray[np.bool_], rotation: NDArray[np.float64], anchor: NDArray[np.float64], chin_y: float, side_px: int
) -> float:
    rows, columns = np.nonzero(person)
    xy = np.stack([columns + 0.5, rows + 0.5], axis=-1) @ rotation.T
    head = xy[xy[:, 1] < chin_y]
    if not len(head):
        return math.inf
    above = anchor[1] - head[:, 1].min()
    aside = np.abs(head[:, 0] - anchor[0]).max()
    room = side_px * np.array([FACE_Y_FRAC - MARGIN_FRAC, 0.5 - MARGIN_FRAC])
    return float((room / np.maximum([above, aside], 1.0)).min())
