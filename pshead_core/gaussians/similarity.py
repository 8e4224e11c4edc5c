"""A model turned, scaled and moved as a whole: what brings a head of another system into our axes."""

from __future__ import annotations

import math

import torch
from attrs import evolve
from torch import Tensor

from pshead_core.errors import PsheadError
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import basis

_DIRECTIONS = 64
"""At which spherical harmonics are compared to turn them: four times the 16 coefficients of degree 3."""


def transformed(
    model: GaussianModel,
    *,
    rotation: Tensor | None = None,
    scale: float = 1.0,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> GaussianModel:
    """Return the model after `x -> scale * rotation x + shift`: centres, extents, orientations and colours.

    Args:
        model: any degree of spherical harmonics.
        rotation: `[3, 3]`, proper; None leaves the axes as they are.
        scale: greater than 0.
        shift: world units.

    Raises:
        PsheadError: the matrix is no proper rotation, or the scale is not positive.
    """
    if scale <= 0:
        raise PsheadError(f"a head cannot be scaled by {scale:g}", fix="give a scale greater than 0")
    turned = model if rotation is None else _turned(model, rotation)
    return evolve(
        turned,
        means=turned.means * scale + turned.means.new_tensor(shift),
        log_scales=turned.log_scales + math.log(scale),
    )


def sh_rotation(rotation: Tensor, degree: int) -> Tensor:
    """Return the matrix `[k, k]`, float64, that turns coefficients of spherical harmonics with the head.

    The turned head shows towards d what the head showed towards R^-1 d. The functions of one degree are closed under
    rotations, so a linear solve over more directions than coefficients is exact.

    Args:
        rotation: `[3, 3]`, proper.
        degree: 0 to 3.
    """
    index = torch.arange(_DIRECTIONS, dtype=torch.float64)
    height = 1 - (2 * index + 1) / _DIRECTIONS
    angle = index * math.pi * (3 - math.sqrt(5))  # Fibonacci's lattice: even, and without symmetry
    ring = (1 - height.square()).sqrt()
    directions = torch.stack([ring * angle.cos(), ring * angle.sin(), height], -1)
    before = basis(directions @ rotation.to(torch.float64), degree)  # rows: R^T d
    found: Tensor = torch.linalg.lstsq(basis(directions, degree), before).solution
    return found


def quaternion_of(rotation: Tensor) -> Tensor:
    """Return the unit quaternion `[4]`, wxyz, float64, of a proper rotation `[3, 3]`.

    Of the four products that a rotation determines, the largest diagonal one is divided by: never by a small number.
    """
    r = rotation.to(torch.float64)
    (a, b, c), (d, e, f), (g, h, i) = r.unbind()[0], r.unbind()[1], r.unbind()[2]
    products = torch.stack(  # 4 q q^T
        [
            torch.stack([1 + a + e + i, h - f, c - g, d - b]),
            torch.stack([h - f, 1 + a - e - i, b + d, c + g]),
            torch.stack([c - g, b + d, 1 - a + e - i, f + h]),
            torch.stack([d - b, c + g, f + h, 1 - a - e + i]),
        ]
    )
    row = products[int(products.diagonal().argmax())]
    unit: Tensor = row / row.norm()
    return unit


def _turned(model: GaussianModel, rotation: Tensor) -> GaussianModel:
    r = rotation.to(torch.float64).cpu()
    proper = torch.allclose(r @ r.T, torch.eye(3, dtype=torch.float64), atol=1e-6) and float(torch.linalg.det(r)) > 0
    if not proper:
        raise PsheadError("a head is turned by a proper rotation only", why=f"the matrix is {r.tolist()}")
    w, x, y, z = quaternion_of(r).to(model.quaternions).unbind()
    left = torch.stack(
        [
            torch.stack([w, -x, -y, -z]),
            torch.stack([x, w, -z, y]),
            torch.stack([y, z, w, -x]),
            torch.stack([z, -y, x, w]),
        ]
    )
    return evolve(
        model,
        means=model.means @ r.to(model.means).T,
        quaternions=model.quaternions @ left.T,
        sh=torch.einsum("jk,nkc->njc", sh_rotation(r, model.sh_degree).to(model.sh), model.sh),
    )
