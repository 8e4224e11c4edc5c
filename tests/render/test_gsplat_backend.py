"""What can be checked of the gsplat renderer without CUDA: the call fits gsplat's signature, the results are unpacked.

The kernels themselves are compared in `tests/parity/test_gsplat_math.py` where there is a CUDA device.
"""

from __future__ import annotations

import inspect

import pytest
import torch

from pshead_core.errors import RenderError
from pshead_core.render.gsplat_backend import GsplatRenderer

from .scenes import backgrounds, cloud, views

gsplat = pytest.importorskip("gsplat", reason="the extra 'gsplat' is not installed")


@pytest.fixture
def renderer(monkeypatch: pytest.MonkeyPatch) -> GsplatRenderer:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    return GsplatRenderer()


def test_model_on_the_cpu_is_refused(renderer: GsplatRenderer) -> None:
    with pytest.raises(RenderError, match="a model on 'cpu'"):
        renderer.render(cloud(3, 0), views(0.0, height_px=4, width_px=4), backgrounds())


def test_call_and_results(renderer: GsplatRenderer) -> None:
    signature = inspect.signature(gsplat.rasterization)
    seen = {}

    class Rasterise(torch.autograd.Function):
        """Like gsplat's, leaves `absgrad` on the projected means in backward."""

        @staticmethod
        def forward(ctx, means2d, colors):
            ctx.save_for_backward(means2d)
            return colors.sum(1)[:, None, None].expand(2, 5, 6, 3).clone()

        @staticmethod
        def backward(ctx, gradient):
            (means2d,) = ctx.saved_tensors
            means2d.absgrad = torch.full_like(means2d, 3.0)
            return torch.ones_like(means2d), gradient.sum((1, 2))[:, None].expand(2, 7, 3)

    def rasterization(**arguments):
        seen.update(signature.bind(**arguments).arguments)
        means2d = torch.matmul(arguments["Ks"][:, None, :2, :], arguments["means"][None, :, :, None])[..., 0]
        rgb = Rasterise.apply(means2d, arguments["colors"])
        image = torch.cat([rgb, torch.full((2, 5, 6, 1), 4.0)], -1)
        radii = torch.tensor([[2, 5]]).expand(2, 7, 2)
        return image, torch.ones(2, 5, 6, 1), {"means2d": means2d, "radii": radii}

    renderer._rasterization = rasterization
    model = cloud(7, 0).to(torch.float32).requires_grad()
    cameras = views(0.0, 90.0, height_px=5, width_px=6)
    drawn = renderer._draw(model, cameras, backgrounds())

    assert (seen["eps2d"], seen["near_plane"], seen["render_mode"], seen["absgrad"]) == (0.3, 0.01, "RGB+ED", True)
    assert (seen["width"], seen["height"]) == (6, 5)
    assert seen["backgrounds"].shape == (2, 3)
    assert seen["colors"].shape == (2, 7, 3)
    torch.testing.assert_close(seen["scales"], model.log_scales.exp())
    torch.testing.assert_close(seen["opacities"], model.opacity_logits.sigmoid())
    assert drawn.rgb.shape == (2, 5, 6, 3)
    assert (drawn.depth == 4).all()
    assert drawn.alpha.shape == (2, 5, 6)
    assert (drawn.radii_px == 5).all()
    assert drawn.radii_px.dtype == torch.int32
    assert (drawn.abs_mean_grad_px == 0).all()
    drawn.rgb.sum().backward()
    assert (drawn.abs_mean_grad_px == 3).all()
