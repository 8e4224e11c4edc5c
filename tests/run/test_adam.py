"""Adam with a changing number of Gaussians."""

import torch
from attrs import evolve

from pshead_core.config.run import LearningRatesConfig
from pshead_core.gaussians.density import DensityChange
from pshead_core.gaussians.model import GaussianModel
from pshead_core.run.adam import GaussianAdam, model_of

RATES = LearningRatesConfig()


def _model(n=4, coefficients=4):
    generator = torch.Generator().manual_seed(0)
    return GaussianModel(
        means=torch.randn(n, 3, generator=generator),
        quaternions=torch.randn(n, 4, generator=generator),
        log_scales=torch.randn(n, 3, generator=generator),
        opacity_logits=torch.randn(n, generator=generator),
        sh=torch.randn(n, coefficients, 3, generator=generator),
    )


def _descend(adam, steps, first=0):
    for step in range(first, first + steps):
        sum((tensor**2 * (1 + step)).sum() for tensor in adam.model.tensors().values()).backward()
        adam.step(step)


def test_first_step_moves_each_parameter_by_its_learning_rate():
    before = _model()
    adam = GaussianAdam(before, RATES)
    _descend(adam, 1)
    after = adam.model
    for name, rate in (
        ("means", RATES.means),
        ("log_scales", RATES.log_scales),
        ("opacity_logits", RATES.opacity_logits),
    ):
        moved = (after.tensors()[name] - before.tensors()[name]).abs()
        torch.testing.assert_close(moved, torch.full_like(moved, rate), rtol=1e-3, atol=0)
    moved = (after.sh - before.sh).abs()
    torch.testing.assert_close(moved[:, 1:], torch.full_like(moved[:, 1:], RATES.sh_rest), rtol=1e-3, atol=0)
    torch.testing.assert_close(moved[:, :1], torch.full_like(moved[:, :1], RATES.sh_dc), rtol=1e-3, atol=0)


def test_kept_gaussians_go_on_as_if_nothing_had_been_born():
    adam, undisturbed = GaussianAdam(_model(), RATES), GaussianAdam(_model(), RATES)
    _descend(adam, 5)
    _descend(undisturbed, 5)
    keep = torch.tensor([2, 0])
    model = adam.model.detach()
    adam.rearrange(DensityChange(keep=keep, born=_model(3), faded=model.opacity_logits[keep]))
    _descend(adam, 5, first=5)
    _descend(undisturbed, 5, first=5)
    for name, tensor in adam.model.tensors().items():
        assert len(tensor) == 5
        torch.testing.assert_close(tensor[:2], undisturbed.model.tensors()[name][keep], rtol=0, atol=0)


def test_state_restores_exactly_also_for_another_number_of_gaussians():
    adam = GaussianAdam(_model(7), RATES)
    _descend(adam, 3)
    state = {name: tensor.clone() for name, tensor in adam.state_dict().items()}
    other = GaussianAdam(_model(2), RATES)
    other.load_state_dict(state)
    _descend(adam, 3, first=3)
    _descend(other, 3, first=3)
    for name, tensor in adam.model.tensors().items():
        assert torch.equal(tensor, other.model.tensors()[name])
    assert torch.equal(model_of(state).means, state["parameter.means"])


def test_degree_0_has_no_rest_to_learn():
    model = evolve(_model(), sh=_model().sh[:, :1])
    adam = GaussianAdam(model, RATES)
    _descend(adam, 2)
    assert adam.model.sh.shape == (4, 1, 3)
