"""Adam over the parameters of the Gaussians: one learning rate per parameter, and a changing number of Gaussians."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from attrs import fields
from torch import Tensor

from pshead_core.config.run import LearningRatesConfig
from pshead_core.config.schedule import value_at
from pshead_core.gaussians.density import DensityChange
from pshead_core.gaussians.model import GaussianModel

EPSILON = 1e-15  # DreamGaussian, Kerbl et al. 2023: gradients of pictures are small


class GaussianAdam:
    """Owns the leaf tensors of the model and Adam's moments (Kingma and Ba, arXiv:1412.6980).

    The spherical harmonics are two parameters here, degree 0 and the rest, since they learn at different rates.
    """

    def __init__(self, model: GaussianModel, rates: LearningRatesConfig) -> None:
        self._rates = rates
        self._start({name: tensor.detach().clone() for name, tensor in _split_sh(model).items()})

    def _start(self, parameters: dict[str, Tensor]) -> None:
        self._parameters = {name: tensor.requires_grad_() for name, tensor in parameters.items()}
        groups = [{"params": [tensor], "name": name} for name, tensor in self._parameters.items()]
        self._adam = torch.optim.Adam(groups, lr=0.0, eps=EPSILON, fused=True)

    @property
    def model(self) -> GaussianModel:
        """The present model; its tensors carry gradients back to the parameters."""
        return _join_sh(self._parameters)

    def step(self, step: int) -> None:
        """Move the parameters along their gradients with the rates of an optimisation step, then drop the gradients."""
        for group in self._adam.param_groups:
            group["lr"] = value_at(getattr(self._rates, group["name"]), step)
        self._adam.step()
        self._adam.zero_grad(set_to_none=True)

    def rearrange(self, change: DensityChange) -> None:
        """Apply a densification: kept Gaussians keep their moments, born ones start with none."""
        old_state = {name: self._adam.state[tensor] for name, tensor in self._parameters.items()}
        born = _split_sh(change.born)
        kept = {name: tensor.detach()[change.keep] for name, tensor in self._parameters.items()}
        kept["opacity_logits"] = change.faded.detach()
        self._start({name: torch.cat([tensor, born[name].detach()]) for name, tensor in kept.items()})
        for name, state in old_state.items():
            moments = {
                key: torch.cat([state[key][change.keep], torch.zeros_like(born[name])])
                for key in ("exp_avg", "exp_avg_sq")
                if key in state
            }
            if moments:
                self._adam.state[self._parameters[name]] = {"step": state["step"], **moments}

    def state_dict(self) -> dict[str, Tensor]:
        """Return parameters and moments as named tensors."""
        out: dict[str, Tensor] = {}
        for name, tensor in self._parameters.items():
            out[f"parameter.{name}"] = tensor.detach()
            for key, value in self._adam.state[tensor].items():
                out[f"{key}.{name}"] = value.detach()
        return out

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned; the number of Gaussians may differ from the present one."""
        self._start({name: state[f"parameter.{name}"].clone() for name in self._parameters})
        for name, tensor in self._parameters.items():
            moments = {
                key: state[f"{key}.{name}"].clone()
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"{key}.{name}" in state
            }
            if moments:
                self._adam.state[tensor] = moments


def model_of(state: Mapping[str, Tensor]) -> GaussianModel:
    """Return the model that lies in what `GaussianAdam.state_dict` returned."""
    prefix = "parameter."
    return _join_sh({name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)})


def _join_sh(parameters: Mapping[str, Tensor]) -> GaussianModel:
    others = {name: tensor for name, tensor in parameters.items() if name not in ("sh_dc", "sh_rest")}
    return GaussianModel(sh=torch.cat([parameters["sh_dc"], parameters["sh_rest"]], 1), **others)


def _split_sh(model: GaussianModel) -> dict[str, Tensor]:
    """Return the parameters by the names of the learning rates."""
    tensors = model.tensors()
    sh = tensors.pop("sh")
    parts = {**tensors, "sh_dc": sh[:, :1], "sh_rest": sh[:, 1:]}
    return {rate.name: parts[rate.name].contiguous() for rate in fields(LearningRatesConfig)}
