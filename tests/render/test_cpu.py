"""The CPU renderer's own promises: same bits for any number of threads, odd sizes, odd parameters, clear errors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
import torch
from attrs import evolve

from pshead_core.errors import RenderError
from pshead_core.render.cpu import COMPILING, CpuRenderer
from pshead_core.render.reference import ReferenceRenderer

from .scenes import PICTURES, Scene, backgrounds, cloud, differentiate, scenes, views


def _assert_same_bits(one, other) -> None:
    for picture in (*PICTURES, "radii_px"):
        assert torch.equal(getattr(one.rendering, picture), getattr(other.rendering, picture)), picture
    for name, gradient in one.gradients.items():
        assert torch.equal(gradient, other.gradients[name]), name


@pytest.mark.parametrize("name", ["plain", "two odd views", "opaque"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_results_do_not_depend_on_threads_or_on_the_run(name: str, threads: int) -> None:
    scene = scenes()[name]
    _assert_same_bits(
        differentiate(CpuRenderer(threads=1), scene, torch.float32),
        differentiate(CpuRenderer(threads=threads), scene, torch.float32),
    )


def test_renderers_may_be_used_from_several_threads() -> None:
    scene, renderer, results = scenes()["plain"], CpuRenderer(threads=2), {}

    def work(number: int) -> None:
        results[number] = differentiate(renderer, scene, torch.float32)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for number in (1, 2):
        _assert_same_bits(results[0], results[number])


@pytest.mark.parametrize(("height_px", "width_px"), [(1, 1), (16, 16), (17, 15), (1, 40), (33, 2), (48, 31)])
def test_any_size(height_px: int, width_px: int) -> None:
    scene = Scene(
        model=cloud(60, 9, log_scale=-2.0),
        cameras=views(10.0, height_px=height_px, width_px=width_px),
        background=backgrounds(),
    )
    expected = differentiate(ReferenceRenderer(), scene, torch.float64)
    got = differentiate(CpuRenderer(threads=2), scene, torch.float32)
    for picture in PICTURES:
        assert (getattr(expected.rendering, picture) - getattr(got.rendering, picture)).abs().max() <= 1e-5
    for name, gradient in expected.gradients.items():
        assert (got.gradients[name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-6, name


def test_one_gaussian() -> None:
    scene = Scene(
        model=cloud(1, 0, spread=0.01, log_scale=-2), cameras=scenes()["plain"].cameras, background=backgrounds()
    )
    expected = differentiate(ReferenceRenderer(), scene, torch.float64)
    got = differentiate(CpuRenderer(), scene, torch.float32)
    for name, gradient in expected.gradients.items():
        assert (got.gradients[name] - gradient).norm() <= 1e-4 * gradient.norm(), name


@pytest.mark.parametrize("why", ["behind", "transparent", "none"])
def test_nothing_to_see(why: str) -> None:
    model, cameras = cloud(20, 0, spread=0.1), views(0.0, height_px=20, width_px=30)
    if why == "behind":
        model = evolve(model, means=model.means + 2 * cameras.positions.double())
    elif why == "transparent":
        model = evolve(model, opacity_logits=torch.full_like(model.opacity_logits, -5.6))  # below 1/255
    else:
        model = type(model)(**{name: tensor[:0] for name, tensor in model.tensors().items()})
    got = differentiate(CpuRenderer(), Scene(model=model, cameras=cameras, background=backgrounds()), torch.float32)
    assert torch.equal(got.rendering.rgb, backgrounds().expand(1, 20, 30, 3))
    assert (got.rendering.alpha == 0).all()
    assert (got.rendering.depth == 0).all()
    assert (got.rendering.radii_px == 0).all()
    assert all((gradient == 0).all() for gradient in got.gradients.values())


@pytest.mark.parametrize("field", ["means", "quaternions", "log_scales", "opacity_logits"])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-6, 50.0, 1e6, 1e30])
@pytest.mark.parametrize("sign", [-1, 1])
def test_extreme_parameters_give_finite_pictures_and_gradients(field: str, size: float, sign: int) -> None:
    model = cloud(40, 6, log_scale=-2.5)
    tensor = model.tensors()[field].clone()
    tensor[::2] = sign * size
    scene = Scene(
        model=evolve(model, **{field: tensor}),
        cameras=views(0.0, 90.0, height_px=24, width_px=24),
        background=backgrounds(),
    )
    got = differentiate(CpuRenderer(), scene, torch.float32)
    for picture in PICTURES:
        assert getattr(got.rendering, picture).isfinite().all()
    for name, gradient in got.gradients.items():
        assert gradient.isfinite().all(), name


def test_views_of_one_call_equal_single_calls() -> None:
    scene = scenes()["two odd views"]
    model, renderer = scene.model.to(torch.float32), CpuRenderer(threads=2)
    together = renderer.render(model, scene.cameras, scene.background)
    for view in range(2):
        alone = renderer.render(model, scene.cameras[view : view + 1], scene.background)
        assert torch.equal(alone.rgb[0], together.rgb[view])


def test_parameters_and_cotangents_need_not_be_contiguous() -> None:
    scene = scenes()["plain"]
    plain = differentiate(CpuRenderer(), scene, torch.float32)
    strided = scene.model.to(torch.float32)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in strided.tensors().items()}
    twisted = {name: leaf.mT.contiguous().mT if leaf.ndim > 1 else leaf for name, leaf in leaves.items()}
    rendering = CpuRenderer().render(type(strided)(**twisted), scene.cameras, scene.background)
    random = torch.Generator().manual_seed(7)
    cotangents = [torch.randn(getattr(rendering, name).shape, generator=random) for name in PICTURES]
    cotangents = [c.transpose(1, 2).contiguous().transpose(1, 2) for c in cotangents]
    torch.autograd.backward([getattr(rendering, name) for name in PICTURES], cotangents)
    for name, leaf in leaves.items():
        # not the same bits: torch's own colours add up in the order of the memory
        torch.testing.assert_close(leaf.grad, plain.gradients[name], rtol=1e-5, atol=1e-5)


def test_wrong_type_is_refused() -> None:
    scene = scenes()["plain"]
    with pytest.raises(RenderError, match=r"GaussianModel\.means.*float64"):
        CpuRenderer().render(scene.model, scene.cameras, scene.background)


_START = """
import time
from pshead_core.render.cpu import CpuRenderer
begin = time.process_time()
CpuRenderer(report=print)
print(time.process_time() - begin)
"""


@pytest.mark.slow
def test_only_the_first_start_on_a_machine_compiles(tmp_path) -> None:
    def start() -> list[str]:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", _START], env=environment, capture_output=True, text=True, check=True, timeout=110
        )
        return done.stdout.split("\n")[:-1]

    first, second = start(), start()
    assert first[:-1] == [COMPILING]
    assert second[:-1] == []
    assert float(second[-1]) < 2  # CPU seconds; measured 0.4
