"""The perceptual part of a refiner's loss: against the autograd of the summed scalar, in chunks, and at the border."""

import pytest
import torch
from attrs import evolve

from pshead_core.errors import PluginContractError
from pshead_core.priors.contribution import DenoisedTarget
from pshead_core.scheduler.mixer import target_gradient
from pshead_core.scheduler.perceptual import Perceptual, perceptual_gradient
from pshead_core.testing import tiny_views

VIEWS, HEIGHT, WIDTH = 5, 6, 8


class Quadratic:
    """Half the mean squared difference after a mix of the colours, so that a wrong channel order shows."""

    mix = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, -0.5], [0.2, 0.0, 2.0]], dtype=torch.float64)

    def __init__(self):
        self.seen = []

    def measure(self, views, reference):
        raise NotImplementedError

    def distance(self, rgb, target):
        self.seen.append(len(rgb))
        assert not target.requires_grad
        return 0.5 * ((rgb - target) @ self.mix.to(rgb)).square().sum(-1).mean((1, 2))


def _random(*shape, seed):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _case(seed=0):
    rgb = _random(VIEWS, HEIGHT, WIDTH, 3, seed=seed)
    target = DenoisedTarget(
        rgb=_random(VIEWS, HEIGHT, WIDTH, 3, seed=seed + 1), weight=_random(VIEWS, HEIGHT, WIDTH, seed=seed + 2) + 0.1
    )
    return rgb, target


def views_of(rgb):
    return evolve(tiny_views(VIEWS, side_px=8), rgb=rgb)


@pytest.mark.parametrize("loss", ["l2", "l1"])
def test_loss_and_perceptual_equal_the_autograd_of_their_sum(loss):
    rgb, target = _case()
    leaf = rgb.clone().requires_grad_()
    weight = target.weight[..., None]
    difference = leaf - target.rgb
    scalar = (weight * (0.5 * difference.square() if loss == "l2" else difference.abs())).sum() / VIEWS
    for view in range(VIEWS):
        distance = 0.5 * (difference[view] @ Quadratic.mix).square().sum() / (HEIGHT * WIDTH)
        scalar = scalar + 3.0 * distance * HEIGHT * WIDTH * target.weight[view].mean() / VIEWS
    scalar.backward()
    found = target_gradient(views_of(rgb), target, loss).rgb + perceptual_gradient(
        rgb, target, Perceptual(metric=Quadratic(), weight=3.0)
    )
    torch.testing.assert_close(found, leaf.grad, rtol=1e-12, atol=1e-14)


def test_closed_form():
    """The gradient of the quadratic metric is (x - target) M Mᵀ · weight · mean target weight / views."""
    rgb, target = _case()
    found = perceptual_gradient(rgb, target, Perceptual(metric=Quadratic(), weight=0.7))
    mean = target.weight.mean((1, 2))[:, None, None, None]
    wanted = (rgb - target.rgb) @ Quadratic.mix @ Quadratic.mix.T * mean * 0.7 / VIEWS
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("chunk_pixels", "chunks"), [(1, [1] * 5), (2 * 48 + 47, [2, 2, 1]), (5 * 48, [5])])
def test_chunks_are_bounded_and_change_nothing(chunk_pixels, chunks):
    rgb, target = _case()
    metric = Quadratic()
    found = perceptual_gradient(rgb, target, Perceptual(metric=metric, weight=1.0), chunk_pixels=chunk_pixels)
    assert metric.seen == chunks
    assert torch.equal(
        found, perceptual_gradient(rgb, target, Perceptual(metric=Quadratic(), weight=1.0), chunk_pixels=10**9)
    )


def test_views_and_pixels_without_weight_contribute_nothing():
    rgb, target = _case()
    target.weight[1] = 0
    target.weight[3] = 0
    target.weight[4, :3] = 0
    target.rgb[1] = 7.0
    target.rgb[4, :3] = 7.0  # what a target holds where it says nothing is nobody's business
    metric = Quadratic()
    found = perceptual_gradient(rgb, target, Perceptual(metric=metric, weight=1.0))
    assert metric.seen == [3]
    assert float(found[[1, 3]].abs().max()) == 0
    assert float(found[4, :3].abs().max()) == 0
    whole = perceptual_gradient(
        rgb[[0, 2]],
        DenoisedTarget(rgb=target.rgb[[0, 2]], weight=target.weight[[0, 2]]),
        Perceptual(metric=Quadratic(), weight=1.0),
    )
    torch.testing.assert_close(found[[0, 2]], whole * 2 / VIEWS)  # the mean is over all views of the slot
    nothing = DenoisedTarget(rgb=target.rgb, weight=torch.zeros_like(target.weight))
    assert float(perceptual_gradient(rgb, nothing, Perceptual(metric=Quadratic(), weight=1.0)).abs().max()) == 0


def test_the_views_and_the_target_stay_as_they_are():
    rgb, target = _case()
    before = rgb.clone(), target.rgb.clone()

    class Careless(Quadratic):
        def distance(self, rgb, target):
            found = super().distance(rgb, target)
            target.fill_(9.0)
            return found

    perceptual_gradient(rgb, target, Perceptual(metric=Careless(), weight=1.0))
    assert torch.equal(rgb, before[0])
    assert torch.equal(target.rgb, before[1])
    assert not rgb.requires_grad


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x.square().mean(), "shape ()"),
        (lambda x: x.square().mean((1, 2)), "shape (5, 3)"),
        (lambda x: 1.0, "float"),
        (lambda x: x.detach().square().mean((1, 2, 3)), "no graph"),
        (lambda x: x.square().mean((1, 2, 3)) * float("nan"), "distance is not finite"),
        (lambda x: ((x - x).square().sum((1, 2, 3))).sqrt(), "gradient of its distance is not finite"),
    ],
)
def test_a_wrong_distance_is_refused(answer, words):
    class Wrong(Quadratic):
        def distance(self, rgb, target):
            return answer(rgb)

    rgb, target = _case()
    with pytest.raises(PluginContractError) as caught:
        perceptual_gradient(rgb, target, Perceptual(metric=Wrong(), weight=1.0))
    assert words in str(caught.value)
