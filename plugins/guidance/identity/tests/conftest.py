"""Ground-truth heads as the guidance meets them, and recognisers around any module."""

import functools
import logging

import pytest
import torch
from pshead_guidance_identity.config import IdentityConfig
from pshead_guidance_identity.prior import Identity

from pshead_core.api import Checkpoint, ModelPool, Views
from pshead_core.cameras.camera import project
from pshead_core.testing import tiny_step
from tests.bench.heads import portrait_of
from training.ground_truth import load_ground_truth

FRONT_DEG = 60


def over_white(head, places):
    """Return some views of a head `[view, side, side, 3]`, and their alpha."""
    rgba = torch.from_numpy(head.rgba)[places].float() / 255
    return rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:], rgba[..., 3]


@functools.cache
def _front_views(head):
    """Return which views show the face, sorted by azimuth; no view of a head has another depth than far away."""
    azimuth = head.cameras.azimuth_deg
    places = (azimuth.abs() < FRONT_DEG).nonzero()[:, 0]
    places = places[azimuth[places].argsort()]
    rgb, alpha = over_white(head, places)
    return Views(
        rgb=rgb, alpha=alpha, depth=torch.full_like(alpha, 10.0), cameras=head.cameras[places], background=torch.ones(3)
    )


@functools.cache
def _reference_view(head):
    """Return the reference view; the depth of a pixel is that of the nearest landmark, the truth being known there."""
    camera = head.cameras[:1]
    pixels, depth = project(torch.from_numpy(head.landmarks), camera)
    side = camera.height_px
    centre = torch.arange(side) + 0.5
    grid = torch.stack(torch.meshgrid(centre, centre, indexing="xy"), -1).reshape(-1, 2)
    nearest = torch.cdist(grid, pixels[0].float()).argmin(1)
    rgb, alpha = over_white(head, [0])
    return Views(
        rgb=rgb,
        alpha=alpha,
        depth=depth[0].float()[nearest].reshape(1, side, side),
        cameras=camera,
        background=torch.ones(3),
    )


@pytest.fixture(scope="session")
def heads():
    return load_ground_truth()


@pytest.fixture
def make_identity(tmp_path):
    """Return a function that makes the guidance around a module and the portrait of a head."""

    def make(module, head, dtype=torch.float32, **settings):
        pool = ModelPool(device=torch.device("cpu"), dtype=dtype)
        checkpoint = Checkpoint(name="toy", folders={"model": tmp_path})
        pooled = pool.load(checkpoint, "model", lambda _: module)
        logger = logging.getLogger("identity.test")
        return Identity(IdentityConfig(**settings), portrait_of(head), pooled, dtype, logger)

    return make


@pytest.fixture
def step_for():
    """Return a function that makes a step with the reference view of a head."""
    return lambda head, index=0: tiny_step(index, reference=_reference_view(head))


@pytest.fixture
def front_views():
    """Return the function that gives the front views of a head."""
    return _front_views


@pytest.fixture
def reference_view():
    """Return the function that gives the reference view of a head."""
    return _reference_view
