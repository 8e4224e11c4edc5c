"""The shipped miniature in the guidance: ground-truth heads as the photo's owner and as strangers."""

import pytest
import torch
from attrs import evolve
from pshead_guidance_identity.config import IdentityConfig
from pshead_guidance_identity.weights import load_pooled

from pshead_core.api import PsheadError
from pshead_core.testing import tiny_context


@pytest.fixture
def recogniser(tmp_path):
    pytest.importorskip("pshead_checkpoints_mini")
    try:
        return load_pooled(IdentityConfig(checkpoint="mini/identity"), tiny_context(tmp_path / "cache")).get()
    except PsheadError as error:
        if "are not there" not in error.what:
            raise
        pytest.skip(error.why)


def test_own_views_are_nearer_than_every_stranger(recogniser, heads, make_identity, step_for, front_views):
    """Three photos, six subjects each; found, aligned and embedded by the guidance itself."""
    chosen = [heads[place] for place in (0, 1, 4, 7, 9, 11)]
    for one in chosen[::2]:
        prior = make_identity(recogniser, one)
        cosine = {}
        for other in chosen:
            views = evolve(front_views(one), rgb=front_views(other).rgb)
            cosine[other.seed, other.source] = prior.similarity(views, step_for(one)).cosine
        own = cosine.pop((one.seed, one.source))
        assert float(own.min()) > 0.6
        assert all(bool((own > strange).all()) for strange in cosine.values())


def test_descent_turns_a_stranger_into_the_subject(recogniser, heads, make_identity, step_for, front_views):
    """The gradient is one that can be followed: free pixels of a stranger become like the photo."""
    one, other = heads[1], heads[8]
    prior = make_identity(recogniser, one)
    views = evolve(front_views(one), rgb=front_views(other).rgb)
    before = prior.similarity(views, step_for(one)).cosine
    for index in range(15):
        gradient = prior.contribute(views, step_for(one, index)).rgb
        views = evolve(views, rgb=(views.rgb - 0.01 * gradient / gradient.square().mean().sqrt()).clamp(0, 1))
    after = prior.similarity(views, step_for(one)).cosine
    assert float(before.mean()) < 0.5
    assert float(after.mean()) > 0.8
    assert bool(torch.isfinite(views.rgb).all())
