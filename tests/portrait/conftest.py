"""A face that is known exactly: landmarks on an ellipsoid, a disc of hair, a plain background."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pshead_core.portrait.choose import CHIN, LEFT_SIDE, RIGHT_SIDE, TOP
from pshead_core.portrait.facts import LANDMARKS, FaceFacts, Photo


def landmarks(x: float, y: float, height: float, *, yaw_deg: float = 0.0, roll_deg: float = 0.0) -> np.ndarray:
    """Landmarks of a face about (x, y); yaw turns the nose to the picture's right, roll clockwise."""
    rng = np.random.default_rng(7)
    points = rng.uniform([-0.35, -0.45, -0.2], [0.35, 0.45, 0.1], (LANDMARKS, 3))
    points[TOP], points[CHIN] = (0.0, -0.5, 0.0), (0.0, 0.5, 0.0)
    for number, (right, left) in enumerate(zip(RIGHT_SIDE, LEFT_SIDE, strict=True)):
        side = np.array([0.2 + 0.02 * number, -0.3 + 0.08 * number, 0.1 - 0.03 * number])
        points[left], points[right] = side, side * (-1, 1, 1)
    yaw, roll = np.radians([yaw_deg, roll_deg])
    # z grows away from the camera, y downwards: turning the nose (-z) to +x carries +x to +z.
    turn = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    tilt = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    return (points @ turn.T @ tilt.T * height + (x, y, 0)).astype(np.float32)


def face(x: float, y: float, height: float, **turned: float) -> FaceFacts:
    """Facts of such a face."""
    points = landmarks(x, y, height, **turned)
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    return FaceFacts(landmarks_px=points, box_px=(float(low[0]), float(low[1]), float(high[0]), float(high[1])))


def disc(shape: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    """A disc with an edge one pixel wide: [height, width] in 0..1."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.clip(radius - np.hypot(columns - x, rows - y) + 0.5, 0, 1).astype(np.float32)


@pytest.fixture
def make_face() -> Callable[..., FaceFacts]:
    return face


@pytest.fixture
def make_disc() -> Callable[..., np.ndarray]:
    return disc


@pytest.fixture
def make_photo() -> Callable[..., Photo]:
    def build(rgb: np.ndarray, alpha: np.ndarray | None = None) -> Photo:
        return Photo(rgb=rgb, alpha=alpha, source="somebody.png", sha256="0" * 64)

    return build
