"""Density control: thresholds, budget, and that cloning does not change the picture's coverage."""

import pytest
import torch
from attrs import evolve
from scipy.spatial.transform import Rotation

from pshead_core.config.run import DensityConfig
from pshead_core.gaussians.density import SHRINK, accumulate, densify, fresh_state, is_due
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.rotation import rotation_matrices


def _model(log_scale, opacity_logit):
    n = len(log_scale)
    return GaussianModel(
        means=torch.arange(3.0 * n).view(n, 3),
        quaternions=torch.tensor([1.0, 0, 0, 0]).repeat(n, 1),
        log_scales=torch.tensor(log_scale)[:, None].repeat(1, 3),
        opacity_logits=torch.tensor(opacity_logit),
        sh=torch.arange(3.0 * n).view(n, 1, 3),
    )


def _state(model, grads):
    return evolve(
        fresh_state(len(model), torch.device("cpu")), grad_sum=torch.tensor(grads), seen=torch.ones(len(model))
    )


CONFIG = DensityConfig(grad_threshold=0.5, split_scale=0.02, min_opacity=0.01, max_scale=0.5, grow_frac=1.0)
SMALL, LARGE, HUGE = -6.0, -3.0, 0.0  # standard deviations 0.0025, 0.05, 1


def test_small_is_cloned_large_is_split_transparent_and_huge_are_pruned_quiet_stays():
    model = _model([SMALL, LARGE, SMALL, HUGE, SMALL], [0.5, 0.5, -9.0, 0.5, 0.5])
    change = densify(model, _state(model, [1.0, 1.0, 9.0, 9.0, 0.1]), CONFIG, torch.Generator().manual_seed(0))
    assert change.keep.tolist() == [0, 4]
    parents = (change.born.sh[:, 0, 0] / 3).tolist()  # the colour tells the parent
    assert parents == [1.0, 1.0, 0.0]
    scales = change.born.log_scales[:, 0].exp()
    torch.testing.assert_close(scales[:2], torch.full((2,), LARGE).exp() / SHRINK)
    torch.testing.assert_close(scales[2], torch.tensor(SMALL).exp())


def test_clone_and_copy_cover_as_much_as_the_original():
    model = _model([SMALL], [0.7])
    change = densify(model, _state(model, [1.0]), CONFIG, torch.Generator().manual_seed(0))
    pair = torch.sigmoid(torch.cat([change.faded, change.born.opacity_logits]))
    together = 1 - torch.prod(1 - pair)
    torch.testing.assert_close(together, torch.sigmoid(torch.tensor(0.7)), atol=1e-6, rtol=0)


def test_budget_takes_the_largest_gradients_first():
    model = _model([SMALL] * 10, [0.5] * 10)
    config = evolve(CONFIG, grow_frac=0.3)
    change = densify(model, _state(model, [float(i + 1) for i in range(10)]), config, torch.Generator())
    assert sorted((change.born.sh[:, 0, 0] / 3).tolist()) == [7.0, 8.0, 9.0]
    full = evolve(CONFIG, max_gaussians=10)
    assert len(densify(model, _state(model, [9.0] * 10), full, torch.Generator()).born) == 0


def test_born_gaussians_are_drawn_from_their_parent():
    model = _model([LARGE] * 2000, [0.5] * 2000)
    change = densify(model, _state(model, [1.0] * 2000), CONFIG, torch.Generator().manual_seed(0))
    offset = change.born.means - model.means.repeat(2, 1)
    deviation = torch.tensor(LARGE).exp()
    assert offset.std() == pytest.approx(float(deviation), rel=0.03)
    assert offset.mean().abs() < 4 * deviation / (3 * 4000) ** 0.5


def test_accumulate_counts_only_views_that_see_and_is_free_of_the_resolution():
    state = fresh_state(2, torch.device("cpu"))
    grads = torch.tensor([[[3.0, 4.0], [1.0, 0.0]], [[0.3, 0.4], [5.0, 0.0]]])
    state = accumulate(state, grads, torch.tensor([[1, 1], [1, 0]]), width_px=20)
    torch.testing.assert_close(state.grad_sum, torch.tensor([10 * (5.0 + 0.5), 10.0]))
    assert state.seen.tolist() == [2.0, 1.0]


def test_when_it_is_due():
    config = DensityConfig(every=100, from_step=100)
    assert [step for step in range(500) if is_due(config, step, 500)] == [99, 199, 299, 399]
    assert not is_due(DensityConfig(every=0), 99, 500)


def test_rotations_agree_with_scipy():
    quaternions = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = Rotation.from_quat(quaternions[:, [1, 2, 3, 0]].numpy()).as_matrix()
    torch.testing.assert_close(rotation_matrices(quaternions), torch.from_numpy(theirs))
