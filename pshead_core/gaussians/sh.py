"""Real spherical harmonics as 3D Gaussian Splatting uses them, degree 0 to 3."""

from __future__ import annotations

import torch
from torch import Tensor

C0 = 0.28209479177387814  # 1 / (2 sqrt(pi))
C1 = 0.4886025119029199  # sqrt(3 / (4 pi))
C2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)  # sqrt(15/(4pi)), sqrt(5/(16pi)), sqrt(15/(16pi))
C3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)


def basis(directions: Tensor, degree: int) -> Tensor:
    """Return the basis values of unit `directions` `[..., 3]` as `[..., (degree + 1) ** 2]`.

    Signs follow the Inria layout (Condon-Shortley phase), so that exported heads look the same in every viewer.
    """
    x, y, z = directions.unbind(-1)
    values = [torch.full_like(x, C0)]
    if degree >= 1:
        values += [-C1 * y, C1 * z, -C1 * x]
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        values += [
            C2[0] * x * y,
            -C2[0] * y * z,
            C2[1] * (2 * zz - xx - yy),
            -C2[0] * x * z,
            C2[2] * (xx - yy),
        ]
    if degree >= 3:
        values += [
            -C3[0] * y * (3 * xx - yy),
            C3[1] * x * y * z,
            -C3[2] * y * (4 * zz - xx - yy),
            C3[3] * z * (2 * zz - 3 * xx - 3 * yy),
            -C3[2] * x * (4 * zz - xx - yy),
            C3[4] * z * (xx - yy),
            -C3[0] * x * (xx - 3 * yy),
        ]
    return torch.stack(values, -1)


def rgb_to_dc(rgb: Tensor) -> Tensor:
    """Return the degree-0 coefficient of a colour in 0..1."""
    return (rgb - 0.5) / C0


def colours(sh: Tensor, means: Tensor, camera_positions: Tensor) -> Tensor:
    """Return the colour of each Gaussian seen from each camera, `[view, gaussian, 3]`, not below 0.

    Args:
        sh: `[gaussian, coefficient, 3]`.
        means: `[gaussian, 3]`, world.
        camera_positions: `[view, 3]`, world.
    """
    degree = {1: 0, 4: 1, 9: 2, 16: 3}[int(sh.shape[1])]
    if degree == 0:  # the same from everywhere
        return (sh[:, 0] * C0 + 0.5).clamp_min(0.0).expand(len(camera_positions), -1, -1)
    away = torch.nn.functional.normalize(means[None] - camera_positions[:, None], dim=-1)
    return (torch.einsum("vnk,nkc->vnc", basis(away, degree), sh) + 0.5).clamp_min(0.0)
