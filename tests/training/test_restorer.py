"""The small face restorer: loss, degradation, resume and export; and the shipped one on ground-truth heads."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from attrs import evolve
from pshead_refiners_codeformer.config import CodeFormerConfig
from pshead_refiners_codeformer.found import USED
from pshead_refiners_codeformer.mini import MiniConfig, MiniRestorer
from pshead_refiners_codeformer.prior import build
from pshead_refiners_codeformer.restorer import load_network

from pshead_core.api import PsheadError, Views
from pshead_core.cameras.camera import project
from pshead_core.testing import tiny_context, tiny_step
from tests.bench.heads import portrait_of
from training.common.faces import crops_of, truth_faces
from training.common.loop import LoopSettings, train
from training.common.seeds import step_generator
from training.ground_truth import load_ground_truth
from training.restorer.degrade import NOTHING, Degradation, blobs, degraded, strokes
from training.restorer.views import SIDE_PX, TEMPLATE, WIDEST_DEG, random_pairs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of diffusers and what it imports
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers (training/requirements.txt)")
    from training.restorer.__main__ import restorer_task
    from training.restorer.export import load_best
    from training.restorer.figures import before_and_after, pairs_of
    from training.restorer.model import export_restorer, restorer_loss

SMALL = MiniConfig(side_px=128, widths=(4, 4, 4))


def untouched(image):
    """In the autoencoder's place."""
    return image


@pytest.fixture(scope="module")
def views():
    """Two ground-truth heads at 128 px."""
    every = truth_faces(TEMPLATE, WIDEST_DEG, side_px=128)
    return evolve(
        every, rgba=every.rgba[[0, 7]], matrix=every.matrix[[0, 7]], source=(every.source[0], every.source[7])
    )


@pytest.fixture(scope="module")
def layers():
    """A grey disc, premultiplied."""
    grid = torch.linspace(-1, 1, 64)
    inside = (grid[:, None].square() + grid.square() < 0.5).float().expand(3, 1, 64, 64)
    return torch.cat([0.5 * inside.expand(-1, 3, -1, -1), inside], 1)


def test_loss_is_the_mean_error_and_that_of_the_slopes():
    found, truth = torch.rand(2, 2, 3, 9, 9, generator=torch.Generator().manual_seed(0)).numpy()
    error = np.abs(found - truth).mean()
    slopes = sum(np.abs(np.diff(found, axis=axis) - np.diff(truth, axis=axis)).mean() for axis in (2, 3))
    loss, parts = restorer_loss(torch.from_numpy(found), torch.from_numpy(truth))
    assert float(loss) == pytest.approx(error + slopes, rel=1e-5)
    assert parts == {"pixel": pytest.approx(error, rel=1e-5), "gradient": pytest.approx(slopes, rel=1e-5)}


def test_without_faults_a_view_stays_as_it_is(layers):
    background = torch.full_like(layers[:, :3], 0.8)
    found = degraded(layers, background, NOTHING, untouched, step_generator(0, 0))
    torch.testing.assert_close(found, layers[:, :3] + 0.8 * (1 - layers[:, 3:]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["blur_px", "reduced_frac", "warp_px", "colour", "speckle", "streak"])
def test_every_fault_changes_the_view_and_colours_change_on_the_head_only(layers, name):
    settings = evolve(NOTHING, **{name: getattr(Degradation(), name)})
    background = torch.full_like(layers[:, :3], 0.8)
    clean = layers[:, :3] + background * (1 - layers[:, 3:])
    change = (degraded(layers, background, settings, untouched, step_generator(0, 3)) - clean).abs()
    assert float(change.max()) > 0.02
    assert float(change.mean()) < 0.1
    if name in ("colour", "speckle", "streak"):
        assert float((change * (1 - layers[:, 3:])).max()) < 1e-5


def test_the_autoencoder_is_asked_in_its_own_range_about_some_views(layers):
    asked = []

    def redraw(image):
        asked.append(image)
        return image * 0 - 1

    background = torch.ones_like(layers[:, :3])
    found = degraded(layers, background, evolve(NOTHING, redrawn_frac=1.0), redraw, step_generator(0, 0))
    assert (float(asked[0].min()), float(asked[0].max())) == pytest.approx((0.0, 1.0), abs=1e-5)  # grey on white
    assert float(found.max()) == 0


@pytest.mark.parametrize("make", [blobs, strokes])
def test_noise_has_unit_variance_and_is_mostly_grey(make):
    noise = make(torch.Size([4, 3, 96, 96]), step_generator(0, 0))
    assert float(noise.var()) == pytest.approx(1, abs=0.05)
    assert float(noise.mean(1).var()) == pytest.approx(0.7, abs=0.05)


def test_strokes_are_long_in_one_direction():
    noise = strokes(torch.Size([8, 3, 96, 96]), step_generator(0, 0)).mean(1)
    beside = torch.stack(
        [(noise[:, :, 4:] * noise[:, :, :-4]).mean((1, 2)), (noise[:, 4:] * noise[:, :-4]).mean((1, 2))]
    )
    assert float((beside[0] - beside[1]).abs().max()) > 0.2  # a stroke of 9 px is seen 4 px on, across it is not


def test_pairs_are_exact_by_seed_and_the_clean_one_is_the_aligned_crop(views):
    first = random_pairs(views, 4, Degradation(), untouched, step_generator(0, 1))
    again = random_pairs(views, 4, Degradation(), untouched, step_generator(0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape == first[1].shape == (4, 3, SIDE_PX, SIDE_PX)
    poor, clean = pairs_of(views, NOTHING, untouched)
    crops = crops_of(views.rgba[0], views.matrix[0], SIDE_PX)
    # Layers and background are mixed before the crop here and after it there; outside the view crops are black.
    inside = crops_of(torch.full_like(views.rgba[0], 255), views.matrix[0], SIDE_PX)[:, 3:]
    wanted = (crops[:, :3] + inside - crops[:, 3:]) * 2 - 1
    torch.testing.assert_close(clean[: len(crops)], wanted, atol=1e-5, rtol=0)
    torch.testing.assert_close(poor, clean, atol=1e-4, rtol=0)


LOOP = LoopSettings(steps=4, evaluate_every=4, save_every=2, warmup_steps=1, bf16=False)  # slow in tiny networks


def run(views, folder):
    task = restorer_task(views, views, SMALL, untouched, batch=2, device="cpu")
    return train(lambda: MiniRestorer(SMALL), task, LOOP, folder)


def test_a_training_stopped_and_gone_on_with_is_the_same_and_exports(views, tmp_path, monkeypatch):
    from training.common import loop

    whole = run(views, tmp_path / "whole")
    calls, original = [], loop._step

    def breaking(state, *rest):
        calls.append(state.step)
        if len(calls) == 4:  # in the fourth step, after the save of two
            raise KeyboardInterrupt
        return original(state, *rest)

    monkeypatch.setattr(loop, "_step", breaking)
    with pytest.raises(KeyboardInterrupt):
        run(views, tmp_path / "broken")
    again = run(views, tmp_path / "broken")
    assert calls[4:] == [2, 3]
    for name, wanted in whole.model.state_dict().items():
        assert torch.equal(wanted, again.model.state_dict()[name]), name
    network, _ = load_best(tmp_path / "whole")
    export_restorer(network, tmp_path / "out")
    loaded = load_network(tmp_path / "out")
    crops = random_pairs(views, 2, Degradation(), untouched, step_generator(1, 1))[0]
    with torch.no_grad():
        torch.testing.assert_close(loaded(crops)[0], network(crops)[0], atol=2e-3, rtol=0)
    with pytest.raises(PsheadError, match="no restorer in"):
        load_best(tmp_path)


def test_figures_of_a_network_that_does_nothing(views):
    poor, clean = pairs_of(views, Degradation(), untouched)
    row = before_and_after(MiniRestorer(SMALL), poor, clean)
    assert row["psnr_db_restored"] == pytest.approx(row["psnr_db_degraded"], abs=1e-4)
    error = np.square((poor - clean).double().numpy() / 2).mean()
    assert row["psnr_db_degraded"] == pytest.approx(-10 * np.log10(error), abs=1e-3)
    same = before_and_after(MiniRestorer(SMALL), clean, clean)
    assert same["psnr_db_degraded"] is same["psnr_db_restored"] is None
    assert same["sharpness_restored"] == pytest.approx(1)


@pytest.fixture
def shipped(tmp_path):
    """Return the function that builds the refiner with the shipped restorer for a head's portrait."""
    pytest.importorskip("pshead_checkpoints_mini")

    def make(head, **settings):
        config = CodeFormerConfig(checkpoint="mini/face-restorer", detector="landmarks", **settings)
        try:
            return build(config, tiny_context(tmp_path, portrait=portrait_of(head)))
        except PsheadError as error:
            if "are not there" not in error.what:
                raise
            pytest.skip(error.why)

    return make


def front_view(head):
    """Return the front view of a ground-truth head at 128 px over white; its depth is that of the nearest landmark."""
    camera = evolve(head.cameras[:1], height_px=128, width_px=128)
    every = truth_faces(TEMPLATE, 1.0, side_px=128)
    index = next(
        number
        for number, other in enumerate(load_ground_truth())
        if other.seed == head.seed and other.source == head.source
    )
    rgba = every.rgba[index].float() / 255
    pixels, depth = project(torch.from_numpy(head.landmarks), camera)
    centre = torch.arange(128) + 0.5
    grid = torch.stack(torch.meshgrid(centre, centre, indexing="xy"), -1).reshape(-1, 2)
    nearest = torch.cdist(grid, pixels[0].float()).argmin(1)
    return rgba, camera, depth[0].float()[nearest].reshape(1, 128, 128)


@pytest.mark.parametrize("index", [1, 8])
def test_the_shipped_restorer_betters_degraded_faces(shipped, index):
    """Through the refiner: found, cropped, restored and pasted; the error where the target counts is smaller."""
    head = load_ground_truth()[index]
    refiner = shipped(head, fidelity=0.0)
    rgba, camera, depth = front_view(head)
    layers = torch.cat([rgba[..., :3] * rgba[..., 3:], rgba[..., 3:]], -1).permute(0, 3, 1, 2)
    white = torch.ones_like(layers[:, :3])
    clean = (layers[:, :3] + 1 - layers[:, 3:]).permute(0, 2, 3, 1)
    gains = []
    for seed in range(8):
        poor = degraded(layers, white, evolve(Degradation(), redrawn_frac=0.0), untouched, step_generator(9, seed))
        view = Views(
            rgb=poor.permute(0, 2, 3, 1), alpha=rgba[..., 3], depth=depth, cameras=camera, background=torch.ones(3)
        )
        target = refiner.refine(view, tiny_step(reference=view))
        errors = [float(((some - clean).square().mean(-1) * target.weight).sum()) for some in (view.rgb, target.rgb)]
        gains.append(10 * np.log10(errors[0] / errors[1]))
    assert refiner.tally.counts[USED] == 8
    assert np.mean(gains) > 0.5, gains
