"""The matte: a coarse segmentation network, asked at several scales and sharpened on the photo's own edges."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pshead_analyzers_mediapipe_face.crop import Crop
from pshead_analyzers_mediapipe_face.guided import sharpened
from pshead_analyzers_mediapipe_face.networks import Networks
from pshead_core.api import FaceFacts

SEGMENT_PX = 512
"""Side of the crops that are segmented and refined."""
WINDOWS = ((7.0, 0.15, 1.0), (4.8, 0.15, 1.0), (3.4, 0.15, 0.5), (2.4, -0.15, 1.0))
"""Crops from coarse to fine: side in heights of the face, shift downwards in sides, share that they override.

The first sees the person, the next two head and shoulders, the last the head: the less the network sees at once, the
more detail it resolves, and the more easily it mistakes clothes for background."""
LARGEST = 0.9
"""Crops whose side comes closer to the photo's than this show nothing that the whole photo does not."""
FEATHER_FRAC = 0.15
"""Width over which a crop fades into the one below it, of its side."""


def person_matte(rgb: NDArray[np.uint8], faces: Sequence[FaceFacts], networks: Networks) -> NDArray[np.float32]:
    """Return the people of the photo who own these faces (one at least), `[height, width]` in 0..1."""
    height, width = rgb.shape[:2]
    # People on their side are no people to the network: turn the whole photo as its largest face is turned.
    roll = 90.0 * round(_crop(faces[0], 1.0, 0.0).roll_deg / 90)
    whole = Crop(centre_px=(width / 2, height / 2), side_px=float(max(height, width)), roll_deg=roll, pixels=SEGMENT_PX)
    everything = (slice(0, height), slice(0, width))
    matte = whole.paste(_segment(whole.cut(rgb), networks), everything).copy()
    for sides, shift, weight in WINDOWS:
        for face in faces:
            crop = _crop(face, sides, shift)
            region = crop.region((height, width))
            if crop.side_px < LARGEST * max(height, width) and matte[region].size:
                fine = crop.paste(_segment(crop.cut(rgb), networks), region)
                share = crop.paste(weight * _feather(crop.pixels), region)
                matte[region] += share * (fine - matte[region])
    return np.clip(matte, 0, 1)


def _crop(face: FaceFacts, sides: float, shift: float) -> Crop:
    top, chin = face.landmarks_px[[10, 152], :2].astype(np.float64)
    down = (chin - top) / face.height_px
    side = sides * face.height_px
    centre = (top + chin) / 2 + down * side * shift
    roll = math.degrees(math.atan2(-down[0], down[1]))
    return Crop(centre_px=(float(centre[0]), float(centre[1])), side_px=side, roll_deg=roll, pixels=SEGMENT_PX)


def _segment(rgb: NDArray[np.uint8], networks: Networks) -> NDArray[np.float32]:
    # The mean over the picture and its mirror image halves the network's caprice.
    mirrored = networks.person(np.ascontiguousarray(rgb[:, ::-1]))[:, ::-1]
    return sharpened(rgb, (networks.person(rgb) + mirrored) / 2)


def _feather(pixels: int) -> NDArray[np.float32]:
    axis = np.arange(pixels) + 0.5
    ramp = np.clip(np.minimum(axis, pixels - axis) / (FEATHER_FRAC * pixels), 0, 1)
    smooth = ramp * ramp * (3 - 2 * ramp)
    return np.minimum(smooth[:, None], smooth[None, :]).astype(np.float32)
