"""The maths of the guidance, against autograd and by descent."""

import torch
from attrs import evolve
from pshead_guidance_flat_color.config import FlatColorConfig
from pshead_guidance_flat_color.prior import build

from pshead_core.testing import tiny_context, tiny_step, tiny_views


def test_gradient_is_that_of_the_scalar(tmp_path):
    guidance = build(FlatColorConfig(color=(0.1, 0.7, 0.3), strength=2.5), tiny_context(tmp_path))
    views = tiny_views(3, side_px=8)
    rgb = views.rgb.clone().requires_grad_()
    scalar = 2.5 / 2 * ((rgb - torch.tensor([0.1, 0.7, 0.3])) ** 2).sum((1, 2, 3)).mean()
    scalar.backward()
    torch.testing.assert_close(guidance.contribute(views, tiny_step()).rgb, rgb.grad)


def test_descent_reaches_the_color(tmp_path):
    guidance = build(FlatColorConfig(color=(0.2, 0.4, 0.6)), tiny_context(tmp_path))
    views = tiny_views(2, side_px=8)
    for index in range(20):
        views = evolve(views, rgb=views.rgb - guidance.contribute(views, tiny_step(index)).rgb)
    wanted = torch.tensor([0.2, 0.4, 0.6]).expand_as(views.rgb)
    torch.testing.assert_close(views.rgb, wanted, atol=1e-5, rtol=0)  # the error halves with each step: 2**-20
