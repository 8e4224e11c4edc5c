"""The loss: equal to autograd, and alive on ground-truth heads."""

import logging

import numpy as np
import pytest
import torch
from attrs import evolve
from pshead_guidance_identity.config import IdentityConfig
from pshead_guidance_identity.find import align, find_faces, photo_matrix
from pshead_guidance_identity.toy import toy_recogniser
from torch import nn

from pshead_core.api import PluginContractError
from pshead_core.testing import tiny_step
from tests.bench.heads import portrait_of


class Discriminant(nn.Module):
    """A closed-form recogniser: linear discriminant analysis on aligned crops (Fisher 1936).

    Directions along which views of one head differ are shrunk, those along which heads differ are kept.
    """

    def __init__(self, crops):
        super().__init__()
        mean = crops.mean((0, 1))
        centred = (crops - mean).flatten(0, 1)
        _, size, basis = torch.linalg.svd(centred, full_matrices=False)
        basis = basis[size > 1e-3 * size[0]]
        within = (crops - crops.mean(1, keepdim=True)).flatten(0, 1) @ basis.T
        spread, axes = torch.linalg.eigh(within.T @ within / len(within))
        white = basis.T @ axes / (spread + 1e-3 * spread[-1]).sqrt()
        heads = (crops.mean(1) - mean) @ white
        _, _, between = torch.linalg.svd(heads, full_matrices=False)
        self.mean = nn.Parameter(mean)
        self.weight = nn.Parameter(white @ between[: len(crops) - 1].T)

    def forward(self, faces):
        return (halved(faces) - self.mean) @ self.weight


def halved(faces):
    """Return aligned faces at half their size, as rows: enough for a discriminant, and quick."""
    return nn.functional.avg_pool2d(faces, 2).flatten(1)


def crops_of(head, views, reference):
    config = IdentityConfig()
    return align(views.rgb, find_faces(portrait_of(head), reference, views, config).matrix, config)


def reference_loss(recogniser, head, views, reference, config):
    """Return the loss and its gradient, by plain autograd in one graph."""
    portrait, matrix = portrait_of(head), find_faces(portrait_of(head), reference, views, config).matrix
    rgba = portrait.rgba
    photo = align(
        (rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:])[None], photo_matrix(portrait, config.crop), config
    )
    rgb = views.rgb.clone().requires_grad_()
    one, other = recogniser(align(rgb, matrix, config)), recogniser(photo)
    cosine = (one * other).sum(1) / one.norm(dim=1) / other.norm(dim=1)
    loss = (1 - cosine).mean()
    loss.backward()
    return cosine.detach(), rgb.grad


@pytest.mark.parametrize("settings", [{}, {"crop": "ffhq"}, {"chunk_views": 4, "samples": 1}])
def test_gradient_is_that_of_the_loss(heads, make_identity, step_for, front_views, reference_view, settings):
    head, recogniser = heads[2], toy_recogniser()
    views = front_views(head)
    prior = make_identity(recogniser, head, **settings)
    found = prior.contribute(views, step_for(head)).rgb
    cosine, wanted = reference_loss(recogniser, head, views, reference_view(head), IdentityConfig(**settings))
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5 * float(wanted.abs().max()))
    torch.testing.assert_close(prior.similarity(views, step_for(head)).cosine, cosine, rtol=1e-4, atol=1e-4)
    assert bool(found.flatten(1).any(1).all())


def test_the_photo_itself_is_the_minimum(heads, make_identity, step_for, front_views):
    head = heads[3]
    views = front_views(head)
    front = int(views.cameras.azimuth_deg.abs().argmin())
    prior = make_identity(toy_recogniser(), head)
    cosine = prior.similarity(views, step_for(head)).cosine
    assert float(cosine[front]) == pytest.approx(1, abs=1e-3)
    assert float(cosine.max()) == float(cosine[front])
    gradient = prior.contribute(views, step_for(head)).rgb.flatten(1).norm(dim=1)
    assert float(gradient[front]) < 0.1 * float(gradient.median())


def test_same_head_scores_higher_than_another(heads, make_identity, step_for, front_views, reference_view):
    """A discriminant fitted on 8 heads tells the 4 others apart, seen from the side, and better than pixels do.

    It shows that alignment, crop and cosine carry identity; a recogniser of real faces is another matter.
    """
    faces = torch.stack([crops_of(head, front_views(head), reference_view(head)) for head in heads])
    crops = torch.stack([halved(of_head) for of_head in faces])
    front = int(front_views(heads[0]).cameras.azimuth_deg.abs().argmin())
    side = [place for place in range(crops.shape[1]) if place != front]
    better = {"discriminant": [], "pixels": []}
    for fold in range(3):
        held = list(range(fold, 12, 3))
        learned = crops[[place for place in range(12) if place not in held]]
        recogniser = Discriminant(learned)
        plain = crops[held] - learned.mean((0, 1))
        for name, seen in (("discriminant", recogniser(faces[held].flatten(0, 1))), ("pixels", plain.flatten(0, 1))):
            unit = nn.functional.normalize(seen.detach(), dim=1).reshape(4, crops.shape[1], -1)
            cosine = torch.einsum("hvd,kd->hvk", unit[:, side], unit[:, front])
            own = cosine[torch.arange(4), :, torch.arange(4)]
            others = ~torch.eye(4, dtype=torch.bool)
            better[name].append(float((own[..., None] > cosine).transpose(1, 2)[others].float().mean()))
    found = {name: float(np.mean(values)) for name, values in better.items()}
    assert found["discriminant"] > 0.93, found
    assert found["pixels"] < 0.85, found
    one, other = heads[9], heads[6]  # neither is among those of the fit
    recogniser = Discriminant(crops[[0, 1, 2, 3, 4, 5, 7, 8]])
    prior = make_identity(recogniser, one)
    mine = prior.similarity(front_views(one), step_for(one))
    foreign = prior.similarity(evolve(front_views(one), rgb=front_views(other).rgb), step_for(one))
    assert bool(mine.usable.all())
    assert float((mine.cosine - foreign.cosine).min()) > 0.2


def test_descent_turns_a_stranger_into_the_subject(heads, make_identity, step_for, front_views, reference_view):
    """Free pixels that begin as another head become like the photo to a discriminant that was fitted on neither."""
    fitted = [heads[place] for place in (0, 2, 3, 4, 5, 7, 8, 10)]
    recogniser = Discriminant(
        torch.stack([halved(crops_of(head, front_views(head), reference_view(head))) for head in fitted])
    )
    one, other = heads[1], heads[6]
    prior = make_identity(recogniser, one)
    views = evolve(front_views(one), rgb=front_views(other).rgb)
    before = prior.similarity(views, step_for(one)).cosine
    for index in range(25):
        gradient = prior.contribute(views, step_for(one, index)).rgb
        views = evolve(views, rgb=views.rgb - 0.01 * gradient / gradient.square().mean().sqrt())
    after = prior.similarity(views, step_for(one)).cosine
    assert float(before.mean()) < 0.5
    assert float(after.min()) > 0.9


def test_views_without_a_face_add_nothing_and_are_counted(heads, make_identity, step_for, front_views, caplog):
    head = heads[0]
    views = front_views(head)
    depth, alpha = views.depth.clone(), views.alpha.clone()
    depth[2:4], alpha[2:4] = 0.5, 1.0  # something stands before the face
    hidden = evolve(views, depth=depth, alpha=alpha)
    prior = make_identity(toy_recogniser(), head)
    with caplog.at_level(logging.INFO, logger="identity.test"):
        whole = prior.contribute(views, step_for(head)).rgb
        found = prior.contribute(hidden, step_for(head)).rgb
        for index in range(3):
            prior.contribute(hidden, step_for(head, index))
    seen = [0, 1, 4, 5, 6, 7, 8]
    assert not found[2:4].any()
    torch.testing.assert_close(found[seen], whole[seen], rtol=1e-3, atol=1e-5 * float(whole.abs().max()))
    assert prior.counts == (9 * 5, 2 * 4)
    assert [record.message for record in caplog.records] == ["identity: 2 of 18 views had no usable face"]
    scores = prior.similarity(hidden, step_for(head))
    assert scores.usable.tolist() == [place in seen for place in range(9)]
    assert scores.cosine[2:4].tolist() == [0, 0]


def test_another_background_is_the_photos_too(heads, make_identity, step_for, front_views):
    head = heads[0]
    views = front_views(head)
    alpha = views.alpha[..., None]
    front = int(views.cameras.azimuth_deg.abs().argmin())
    black = evolve(views, background=torch.zeros(3), rgb=(views.rgb - (1 - alpha)).clamp(0, 1))
    prior = make_identity(toy_recogniser(), head)
    on_white, on_black = (prior.similarity(some, step_for(head)).cosine[front] for some in (views, black))
    assert float(on_white) == pytest.approx(1, abs=1e-3)
    assert float(on_black) == pytest.approx(1, abs=1e-3)


def test_a_step_without_the_reference_is_a_fault_of_the_caller(heads, make_identity, front_views):
    prior = make_identity(toy_recogniser(), heads[0])
    with pytest.raises(PluginContractError, match="without a rendered reference"):
        prior.contribute(front_views(heads[0]), tiny_step())
