"""Cutting at the image changes nothing: mixed image gradients and one backward equal the naive sum of losses."""

import pytest
import torch

from pshead_core.cameras.sampler import even_ring
from pshead_core.config.run import CameraConfig
from pshead_core.gaussians.model import GaussianModel
from pshead_core.priors.contribution import DenoisedTarget, ImageGradient
from pshead_core.render.base import Views
from pshead_core.render.reference import ReferenceRenderer
from pshead_core.scheduler.mixer import HUBER_DELTA, add, part_of, target_gradient, zero_gradient

SIDE_PX, VIEWS = 24, 5


def _model():
    generator = torch.Generator().manual_seed(0)
    n = 12

    def randn(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return GaussianModel(
        means=0.3 * randn(n, 3),
        quaternions=randn(n, 4),
        log_scales=-2.0 + 0.3 * randn(n, 3),
        opacity_logits=randn(n),
        sh=0.5 * randn(n, 4, 3),
    ).requires_grad()


def _sine_energy(rgb):
    """A guidance's scalar: sum over pixels, mean over views."""
    return torch.sin(3 * rgb).sum() / len(rgb)


def _alpha_depth_energy(alpha, depth):
    return (alpha.square() + 0.1 * depth * alpha).sum() / len(alpha)


def _distance(rgb, target, weight, loss):
    difference = (rgb - target).abs()
    match loss:
        case "l2":
            each = 0.5 * difference.square()
        case "l1":
            each = difference
        case "huber":
            each = torch.where(
                difference <= HUBER_DELTA, 0.5 * difference.square(), HUBER_DELTA * (difference - 0.5 * HUBER_DELTA)
            )
    return (each * weight).sum() / len(rgb)


@pytest.mark.parametrize("loss", ["l2", "l1", "huber"])
def test_mixed_image_gradient_equals_sum_of_losses(loss):
    cameras = even_ring(CameraConfig(), VIEWS, SIDE_PX).to(torch.float64)
    background = torch.ones(3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(3, SIDE_PX, SIDE_PX, 3, generator=generator, dtype=torch.float64)
    weight, silhouette = torch.rand(2, 3, SIDE_PX, SIDE_PX, generator=generator, dtype=torch.float64)
    ring, front, some = torch.arange(VIEWS), torch.tensor([0, 1, 4]), torch.tensor([2, 3])

    naive = _model()
    shown = ReferenceRenderer().render(naive, cameras, background)
    total = 0.7 * _sine_energy(shown.rgb)
    total = total + 2.5 * _distance(shown.rgb[front], target, weight[..., None], loss)
    total = total + 2.5 * _distance(shown.alpha[front], silhouette, weight, loss)
    total = total + 0.3 * _alpha_depth_energy(shown.alpha[some], shown.depth[some])
    total.backward()

    cut = _model()
    rendering = ReferenceRenderer().render(cut, cameras, background)
    batch = Views(
        rgb=rendering.rgb.detach(),
        alpha=rendering.alpha.detach(),
        depth=rendering.depth.detach(),
        cameras=cameras,
        background=background,
    )
    mixed = zero_gradient(batch)
    leaf = part_of(batch, ring).rgb.requires_grad_()
    (gradient,) = torch.autograd.grad(_sine_energy(leaf), leaf)
    add(mixed, ImageGradient(rgb=gradient), views=ring, weight=0.7)
    wanted = DenoisedTarget(rgb=target, weight=weight, alpha=silhouette)
    add(mixed, target_gradient(part_of(batch, front), wanted, loss), views=front, weight=2.5)
    part = part_of(batch, some)
    alpha, depth = part.alpha.requires_grad_(), part.depth.requires_grad_()
    by_alpha, by_depth = torch.autograd.grad(_alpha_depth_energy(alpha, depth), (alpha, depth))
    add(mixed, ImageGradient(rgb=torch.zeros_like(part.rgb), alpha=by_alpha, depth=by_depth), views=some, weight=0.3)
    torch.autograd.backward([rendering.rgb, rendering.alpha, rendering.depth], [mixed.rgb, mixed.alpha, mixed.depth])

    for name, wanted in naive.tensors().items():
        got = cut.tensors()[name].grad
        assert wanted.grad.norm() > 0, name
        assert (got - wanted.grad).norm() <= 1e-6 * wanted.grad.norm(), name


def test_norm_is_that_of_the_weighted_contribution():
    batch = Views(
        rgb=torch.zeros(2, 3, 3, 3),
        alpha=torch.zeros(2, 3, 3),
        depth=torch.zeros(2, 3, 3),
        cameras=even_ring(CameraConfig(), 2, 3),
        background=torch.ones(3),
    )
    norm = add(zero_gradient(batch), ImageGradient(rgb=torch.ones(1, 3, 3, 3)), views=torch.tensor([1]), weight=2.0)
    assert norm == pytest.approx(2.0 * 27**0.5)


def test_a_prior_cannot_disturb_another_priors_views():
    batch = Views(
        rgb=torch.zeros(2, 3, 3, 3),
        alpha=torch.zeros(2, 3, 3),
        depth=torch.zeros(2, 3, 3),
        cameras=even_ring(CameraConfig(), 2, 3),
        background=torch.ones(3),
    )
    part = part_of(batch, torch.arange(2))
    for image in (part.rgb, part.alpha, part.depth, part.background):
        image.fill_(9.0)
    assert batch.rgb.max() == 0
    assert batch.background.max() == 1
