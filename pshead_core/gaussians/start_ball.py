"""The `ball` start: random grey points in a ball (DreamGaussian, PSHead)."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from pshead_core.config.run import StartConfig
from pshead_core.gaussians.model import GaussianModel

MIN_SQUARED_DISTANCE = 1e-7  # lower limit of the squared distance to neighbours; Kerbl et al. 2023
NEIGHBOURS = 3  # neighbours whose mean squared distance gives the scale; Kerbl et al. 2023


def neighbour_spacing(points: Tensor) -> Tensor:
    """Return the root mean squared distance to the three nearest other points, `[point]`.

    Args:
        points: `[point, 3]`, at least four.
    """
    array = points.detach().cpu().numpy().astype(np.float64)
    distances, _ = cKDTree(array).query(array, k=NEIGHBOURS + 1)
    squared = (distances[:, 1:] ** 2).mean(axis=1).clip(MIN_SQUARED_DISTANCE)
    return torch.from_numpy(np.sqrt(squared).astype(np.float32))


def start_ball(config: StartConfig, generator: torch.Generator) -> GaussianModel:
    """Return isotropic mid-grey Gaussians, uniform in a ball around the origin.

    Args:
        config: `gaussians`, `ball_radius` and `opacity` are read.
        generator: the only source of randomness, on the CPU.
    """
    n = config.gaussians
    direction = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    radius = config.ball_radius * torch.rand(n, 1, generator=generator) ** (1.0 / 3.0)
    means = direction * radius
    quaternions = torch.zeros(n, 4)
    quaternions[:, 0] = 1.0
    return GaussianModel(
        means=means,
        quaternions=quaternions,
        log_scales=neighbour_spacing(means).log()[:, None].repeat(1, 3),
        opacity_logits=torch.full((n,), config.opacity).logit(),
        sh=torch.zeros(n, 1, 3),
    )
