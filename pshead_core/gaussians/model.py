"""The Gaussian model: parameters in their stored spaces, as plain tensors in a frozen record."""

from __future__ import annotations

import torch
from attrs import evolve, fields, frozen
from torch import Tensor

from pshead_core.errors import PsheadError


@frozen(kw_only=True, eq=False)
class GaussianModel:
    """N Gaussians with spherical harmonics of degree 0 to 3 (Kerbl et al. 2023). The first dimension is always N."""

    means: Tensor
    """`[gaussian, 3]` centres in world units."""
    quaternions: Tensor
    """`[gaussian, 4]` wxyz, not necessarily of unit length; renderers normalise."""
    log_scales: Tensor
    """`[gaussian, 3]` natural logarithm of the standard deviations, world units."""
    opacity_logits: Tensor
    """`[gaussian]` logit of the opacity."""
    sh: Tensor
    """`[gaussian, coefficient, 3]` spherical harmonics of the colour; 1, 4, 9 or 16 coefficients."""

    def __attrs_post_init__(self) -> None:
        n = self.means.shape[0]
        wanted = {"means": (n, 3), "quaternions": (n, 4), "log_scales": (n, 3), "opacity_logits": (n,)}
        for name, shape in wanted.items():
            got = tuple(getattr(self, name).shape)
            if got != shape:
                raise PsheadError(f"GaussianModel.{name} has shape {got}, expected {shape}")
        if self.sh.shape[0] != n or self.sh.ndim != 3 or self.sh.shape[1] not in (1, 4, 9, 16):
            raise PsheadError(f"GaussianModel.sh has shape {tuple(self.sh.shape)}, expected ({n}, 1|4|9|16, 3)")

    def __len__(self) -> int:
        return int(self.means.shape[0])

    @property
    def sh_degree(self) -> int:
        """Degree of the spherical harmonics, 0 to 3."""
        return {1: 0, 4: 1, 9: 2, 16: 3}[int(self.sh.shape[1])]

    def tensors(self) -> dict[str, Tensor]:
        """Return the parameters by name, in file order."""
        return {a.name: getattr(self, a.name) for a in fields(GaussianModel)}

    def requires_grad(self) -> GaussianModel:
        """Return a model of fresh leaf tensors that collect gradients."""
        return evolve(self, **{k: v.detach().clone().requires_grad_() for k, v in self.tensors().items()})

    def detach(self) -> GaussianModel:
        """Return a model that shares the memory and has no graph."""
        return evolve(self, **{k: v.detach() for k, v in self.tensors().items()})

    def to(self, target: torch.device | torch.dtype) -> GaussianModel:
        """Return a model on another device or of another floating type."""
        return evolve(self, **{k: v.to(target) for k, v in self.tensors().items()})
