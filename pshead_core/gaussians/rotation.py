"""Rotations of Gaussians."""

from __future__ import annotations

import torch
from torch import Tensor


def rotation_matrices(quaternions: Tensor) -> Tensor:
    """Return the rotations `[..., 3, 3]` of quaternions `[..., 4]`, wxyz, of any length but 0."""
    w, x, y, z = torch.nn.functional.normalize(quaternions, dim=-1).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)
