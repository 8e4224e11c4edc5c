"""The small recogniser: loss, batches, figures, export and resume; and the shipped one against plain pixels."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from attrs import evolve
from pshead_guidance_identity.config import IdentityConfig
from pshead_guidance_identity.find import align, photo_matrix
from pshead_guidance_identity.weights import load_pooled, load_recogniser
from torch.nn import functional

from pshead_core.errors import PsheadError
from pshead_core.priors.faces import ARCFACE_112
from pshead_core.testing import tiny_context
from tests.bench.heads import portrait_of
from training.common.blur import blurred
from training.common.faces import open_faces, truth_faces
from training.common.loop import LoopSettings, train
from training.common.make_data import make_data
from training.common.seeds import step_generator
from training.common.shards import DataSettings
from training.ground_truth import load_ground_truth
from training.identity.faces import (
    MARGIN_PX,
    SIDE_PX,
    WIDEST_DEG,
    Faces,
    open_training_faces,
    plain_faces,
    random_faces,
)
from training.identity.model import Classifier, IdentitySettings, margin_loss, settled
from training.identity.verify import area, pixels_of, probe_views, tell_apart

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of diffusers, which the contact sheets' neighbours import
    from training.identity.__main__ import identity_task
    from training.identity.export import export_recogniser, load_best
    from training.identity.figures import embedded

SMALL = IdentitySettings(widths=(4, 4, 4, 4), features=8, margin_steps=2)
RING = DataSettings(views=25, side_px=32, shard_heads=2, azimuths="ring")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ring")
    assert make_data(folder, 2, RING, sources=("sdf",)) == 1
    return folder


@pytest.fixture(scope="module")
def faces(folder):
    return open_training_faces(folder)


@pytest.fixture(scope="module")
def truth():
    return truth_faces(ARCFACE_112, WIDEST_DEG, side_px=128)


def test_loss_is_the_published_formula():
    """ArcFace, equation 3, in numpy with the angles themselves."""
    cosine = torch.rand(6, 5, generator=torch.Generator().manual_seed(0)) * 1.8 - 0.9
    person = torch.tensor([0, 1, 2, 3, 4, 0])
    angle = np.arccos(cosine.double().numpy())
    rows = np.arange(6)
    for margin in (0.0, 0.3):
        moved = angle.copy()
        moved[rows, person] += margin
        assert float(moved.max()) < math.pi
        scores = np.exp(24 * np.cos(moved))
        wanted = -np.log(scores[rows, person] / scores.sum(1)).mean()
        assert float(margin_loss(cosine, person, scale=24.0, margin_rad=margin)) == pytest.approx(wanted, rel=1e-4)


def test_loss_falls_all_the_way_as_the_own_cosine_rises():
    """Beyond 180 degrees the plain formula would rise again."""
    own = torch.linspace(-1, 1, 201)
    losses = [
        float(margin_loss(torch.tensor([[value, 0.1]]), torch.tensor([0]), scale=4.0, margin_rad=0.5)) for value in own
    ]
    assert all(later < earlier for earlier, later in itertools.pairwise(losses))


def test_area_is_the_part_of_pairs():
    generator = torch.Generator().manual_seed(1)
    higher, lower = (torch.randint(0, 9, (count,), generator=generator).double() for count in (30, 50))
    pairs = [(a > b) + 0.5 * (a == b) for a in higher.tolist() for b in lower.tolist()]
    assert area(higher, lower) == pytest.approx(sum(pairs) / len(pairs))


def test_figures_of_features_that_are_known():
    """Own directions: all right. Two heads with each other's probes: those two wrong, and 4 of 12 pairs of each."""
    right = torch.eye(4)[:, None].expand(4, 3, 4)
    assert tell_apart(right, 1, torch.tensor([0, 2])) == {"auc": 1.0, "rank1": 1.0, "own_wins": 1.0}
    swapped = right.clone()
    swapped[[0, 1], 0], swapped[[0, 1], 2] = right[[1, 0], 0], right[[1, 0], 2]
    found = tell_apart(swapped, 1, torch.tensor([0, 2]))
    assert found["rank1"] == 0.5
    # Of each wrong probe one stranger is nearer, and the two others tie with its own photo: no win.
    assert found["own_wins"] == pytest.approx((2 * 3 + 2 * 0) / (4 * 3))
    own, others = np.array([0, 0, 1, 1]), np.array([1, 0, 0] * 2 + [0, 0, 0] * 2)
    pairs = (own[:, None] > others) + 0.5 * (own[:, None] == others)
    assert found["auc"] == pytest.approx(pairs.mean())


def test_probes_are_those_of_the_ring():
    azimuth = torch.tensor([-57.6, -43.2, -28.8, -14.4, 0.0, 14.4, 28.8, 43.2, 57.6])
    assert probe_views(azimuth).tolist() == [0, 1, 2, 3, 5, 6, 7, 8]


def test_blur_is_scipys():
    scipy = pytest.importorskip("scipy.ndimage")
    image = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    found = blurred(image, torch.tensor([0.7, 2.0]))
    for one, sigma, picture in zip(found, (0.7, 2.0), image, strict=True):
        radius = math.ceil(2.5 * 2.0)
        wanted = scipy.gaussian_filter(
            picture.double().numpy(), (0, sigma, sigma), mode="nearest", radius=(0, radius, radius)
        )
        np.testing.assert_allclose(one.numpy(), wanted, atol=1e-5)


def test_crops_are_what_the_guidance_shows_the_recogniser():
    """The front view of a ground-truth head at its own size, through the portrait and the plugin's own code."""
    head = load_ground_truth()[4]
    views = truth_faces(ARCFACE_112, WIDEST_DEG, side_px=head.rgba.shape[1])
    found = plain_faces(evolve(views, rgba=views.rgba[4:5], matrix=views.matrix[4:5]))[0, views.front]
    portrait = portrait_of(head)
    rgb = portrait.rgba[..., :3] * portrait.rgba[..., 3:] + 1 - portrait.rgba[..., 3:]
    wanted = align(rgb[None], photo_matrix(portrait, "arcface"), IdentityConfig())[0]
    assert float((found - wanted).abs().mean()) < 0.02
    assert float((found - wanted.flip(2)).abs().mean()) > 0.05


def test_training_faces_are_all_views_of_all_heads(faces):
    side_px = SIDE_PX + 2 * MARGIN_PX
    assert faces.layers.shape == (18, 4, side_px, side_px)
    assert faces.person.tolist() == [0] * 9 + [1] * 9
    assert faces.persons == 2


def test_batches_are_exact_by_seed_and_vary(faces):
    first, person = random_faces(faces, 6, step_generator(0, 1))
    again, same = random_faces(faces, 6, step_generator(0, 1))
    other, _ = random_faces(faces, 6, step_generator(0, 2))
    assert first.shape == (6, 3, 112, 112)
    assert torch.equal(first, again)
    assert torch.equal(person, same)
    assert not torch.equal(first, other)
    assert -1 <= float(first.min()) < float(first.max()) <= 1


def test_heads_with_different_views_and_held_out_ones_are_refused(folder, tmp_path):
    with pytest.raises(PsheadError, match="held-out heads are wanted"):
        open_faces(folder, ARCFACE_112, WIDEST_DEG, held_out=True)
    make_data(tmp_path, 2, evolve(RING, views=4, azimuths="random"), sources=("sdf",))
    with pytest.raises(PsheadError, match="different views"):
        open_faces(tmp_path, ARCFACE_112, WIDEST_DEG)


def test_settled_norms_have_the_mean_statistics(faces):
    torch.manual_seed(0)
    model = Classifier(SMALL, 2)
    batches = [random_faces(faces, 4, step_generator(0, number))[0] for number in range(3)]
    before = model.recogniser.bn1.running_mean.clone()
    found = settled(model.recogniser, batches)
    with torch.no_grad():
        seen = [model.recogniser.conv1(batch) for batch in batches]
    wanted = torch.stack([values.mean((0, 2, 3)) for values in seen]).mean(0)
    torch.testing.assert_close(found.bn1.running_mean, wanted, atol=1e-5, rtol=1e-4)
    spread = torch.stack([values.var((0, 2, 3)) for values in seen]).mean(0)
    torch.testing.assert_close(found.bn1.running_var, spread, atol=1e-5, rtol=1e-4)
    assert torch.equal(model.recogniser.bn1.running_mean, before)
    assert not found.training


@pytest.fixture(scope="module")
def task(faces, folder):
    held_out = open_faces(folder, ARCFACE_112, WIDEST_DEG)  # enough to have figures
    return identity_task(faces, SMALL, held_out, batch=4, device="cpu")


LOOP = LoopSettings(steps=4, evaluate_every=4, save_every=2, warmup_steps=1, bf16=False)  # slow in tiny networks


def run(task, folder):
    return train(lambda: Classifier(SMALL, 2), task, LOOP, folder)


def test_a_training_stopped_and_gone_on_with_is_the_same(task, tmp_path, monkeypatch):
    """Killed in the fourth step, after the save of two; the statistics of the batch norms are part of the state."""
    from training.common import loop

    whole = run(task, tmp_path / "whole")
    steps = []
    original = loop._step

    def breaking(state, *rest):
        steps.append(state.step)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return original(state, *rest)

    monkeypatch.setattr(loop, "_step", breaking)
    with pytest.raises(KeyboardInterrupt):
        run(task, tmp_path / "broken")
    again = run(task, tmp_path / "broken")
    assert steps[4:] == [2, 3]
    for (name, wanted), found in zip(whole.model.state_dict().items(), again.model.state_dict().values(), strict=True):
        assert torch.equal(wanted, found), name
    assert set(whole.curves[-1]["held_out"]) == {"auc", "rank1", "own_wins"}


def test_the_export_loads_in_the_plugin_and_answers_the_same(task, faces, tmp_path):
    run(task, tmp_path / "state")
    recogniser, facts = load_best(tmp_path / "state", faces)
    assert facts["step"] == 4
    export_recogniser(recogniser, tmp_path / "out")
    loaded = load_recogniser(tmp_path / "out")
    shown = random_faces(faces, 4, step_generator(5, 5))[0]
    with torch.no_grad():
        alike = functional.cosine_similarity(loaded(shown), recogniser(shown))
    assert float(alike.min()) > 0.999  # fp16
    with pytest.raises(PsheadError, match="other data"):
        load_best(tmp_path / "state", Faces(layers=faces.layers, person=torch.arange(len(faces.person))))
    with pytest.raises(PsheadError, match="no recogniser in"):
        load_best(tmp_path, faces)


def test_the_shipped_recogniser_beats_pixels_on_the_ground_truth(truth, tmp_path):
    pytest.importorskip("pshead_checkpoints_mini")
    try:
        pooled = load_pooled(IdentityConfig(checkpoint="mini/identity"), tiny_context(tmp_path))
    except PsheadError as error:
        if "are not there" not in error.what:
            raise
        pytest.skip(error.why)
    shown, probes = plain_faces(truth), probe_views(truth.azimuth_deg)
    found = tell_apart(embedded(pooled.get(), shown), truth.front, probes)
    plain = tell_apart(pixels_of(shown), truth.front, probes)
    assert found["auc"] > 0.97 > plain["auc"], (found, plain)
    assert found["rank1"] > 0.85 > plain["rank1"], (found, plain)
