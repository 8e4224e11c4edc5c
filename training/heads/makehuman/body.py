"""The base mesh as a bust: arms lowered, eyes found, parts below the chest and all helpers left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.heads.makehuman.assets import MakeHumanAssets

Floats = NDArray[np.float32]

ARM_DOWN_DEG = 28.0
"""The base mesh holds its arms 40° from the body; hanging arms are at about 12°."""
EYES = ("helper-r-eye", "helper-l-eye")
"""Subject's right eye first, as in the landmarks (468, then 473)."""


def group_vertices(assets: MakeHumanAssets, name: str) -> NDArray[np.int64]:
    """Return the vertices of a group of the base mesh."""
    return np.unique(assets.base.quads[assets.base.groups[name]])


def lower_arms(assets: MakeHumanAssets, vertices: Floats, angle_deg: float = ARM_DOWN_DEG) -> Floats:
    """Return the base mesh's vertices with both arms turned down about the shoulder joints, smoothly."""
    out = vertices.copy()
    for name, side in (("joint-r-shoulder", -1.0), ("joint-l-shoulder", 1.0)):
        joint = vertices[group_vertices(assets, name)].mean(axis=0)
        elbow = vertices[group_vertices(assets, name.replace("shoulder", "elbow"))].mean(axis=0)
        arm = (elbow - joint)[:2]
        length = float(np.linalg.norm(arm))
        arm /= length
        offset = out[:, :2] - joint[:2]
        along = offset @ arm / length
        across = side * (offset[:, 1] * arm[0] - offset[:, 0] * arm[1])  # positive: outwards and up
        weight = _smooth(along, -0.12, 0.30) * _smooth(across, -0.42 * length, -0.22 * length) * (side * out[:, 0] > 0)
        angle = np.deg2rad(angle_deg) * weight * -side
        cosine, sine = np.cos(angle), np.sin(angle)
        turned = np.stack(
            [cosine * offset[:, 0] - sine * offset[:, 1], sine * offset[:, 0] + cosine * offset[:, 1]], -1
        )
        out[:, :2] = np.where((weight > 0)[:, None], turned + joint[:2], out[:, :2])
    return out


def eye_spheres(assets: MakeHumanAssets, vertices: Floats) -> list[tuple[Floats, float]]:
    """Return centre and radius of both eyeballs, the subject's right one first."""
    spheres = []
    for name in EYES:
        points = vertices[group_vertices(assets, name)]
        low, high = points.min(axis=0), points.max(axis=0)
        radius = float((high - low)[:2].mean() / 2)
        centre = (low + high) / 2
        centre[2] = high[2] - radius
        spheres.append((centre.astype(np.float32), radius))
    return spheres


def _smooth(value: Floats, low: float, high: float) -> Floats:
    share = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)
