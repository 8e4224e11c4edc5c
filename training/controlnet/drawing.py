"""The conditioning picture of the landmark ControlNet: that of the refiner, so that it is trained as it is asked."""

from pshead_refiners_landmark_controlnet.drawing import (
    CONTOUR,
    DRAWING_PX,
    LANDMARKS,
    LEFT_BROW,
    LEFT_EYE,
    LINE_PX,
    LIPS,
    OVAL,
    PARTS,
    PUPIL_HALF_PX,
    PUPILS,
    RIGHT_BROW,
    RIGHT_EYE,
    Part,
    conditioning,
    draw_landmarks,
)

__all__ = [
    "CONTOUR",
    "DRAWING_PX",
    "LANDMARKS",
    "LEFT_BROW",
    "LEFT_EYE",
    "LINE_PX",
    "LIPS",
    "OVAL",
    "PARTS",
    "PUPILS",
    "PUPIL_HALF_PX",
    "RIGHT_BROW",
    "RIGHT_EYE",
    "Part",
    "conditioning",
    "draw_landmarks",
]
