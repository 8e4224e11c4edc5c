"""What a run remembers of its start: all of a view, or the surface that the photo shows and the nothing beside it."""

import pytest
import torch

from pshead_core.cameras.camera import orbit
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import rgb_to_dc
from pshead_core.render.base import Views
from pshead_core.render.reference import ReferenceRenderer
from pshead_core.run.memory import HALO_FRAC, grown, start_memory
from pshead_core.testing import tiny_step

SIDE_PX = 128
WHITE = torch.ones(3)
COLOURS = torch.tensor([[0.8, 0.2, 0.1], [0.1, 0.2, 0.8]])


def two_discs():
    """A red disc that faces the front, seen by the photo, and close behind it a blue one that is not; both opaque."""
    return GaussianModel(
        means=torch.tensor([[0.0, 0.0, 0.05], [0.0, 0.0, -0.05]]),
        quaternions=torch.tensor([[1.0, 0.0, 0.0, 0.0]] * 2),
        log_scales=torch.tensor([[0.05, 0.05, 0.005]] * 2).log(),
        opacity_logits=torch.full((2,), 8.0),
        sh=rgb_to_dc(COLOURS)[:, None],
    )


def target(seen, azimuth_deg):
    cameras = orbit(torch.tensor([azimuth_deg]), torch.zeros(1), distance=2.0, fovy_deg=50.0, side_px=SIDE_PX)
    rendering = ReferenceRenderer().render(two_discs(), cameras, WHITE)
    views = Views(
        rgb=torch.zeros_like(rendering.rgb),
        alpha=torch.zeros_like(rendering.alpha),
        depth=rendering.depth,
        cameras=cameras,
        background=WHITE,
    )
    memory = start_memory(two_discs(), seen, ReferenceRenderer(), WHITE).prior
    return memory.refine(views, tiny_step()), rendering


@pytest.mark.parametrize("azimuth_deg", [0.0, 180.0])
def test_all_of_the_start_is_the_start(azimuth_deg):
    found, rendering = target(None, azimuth_deg)
    assert torch.equal(found.rgb, rendering.rgb)
    assert found.alpha is None
    assert bool((found.weight == 1).all())


def test_the_seen_surface_counts_from_the_front_and_not_from_behind():
    seen = torch.tensor([True, False])
    front, rendering = target(seen, 0.0)
    behind, _ = target(seen, 180.0)
    middle = SIDE_PX // 2
    assert torch.equal(front.rgb, rendering.rgb)
    assert torch.equal(front.alpha, rendering.alpha)
    assert float(front.weight[0, middle, middle]) > 0.98
    assert float(behind.weight[0, middle, middle]) < 0.02


def test_close_beside_it_there_is_nothing_and_farther_off_who_knows():
    found, rendering = target(torch.tensor([True, False]), 0.0)
    row = SIDE_PX // 2
    alpha, weight = rendering.alpha[0, row], found.weight[0, row]
    reach = round(HALO_FRAC * SIDE_PX)
    beside = int((alpha > 0.95).nonzero().max()) + reach
    assert float(alpha[beside]) < 0.1
    assert float(weight[beside]) > 0.85
    assert float(found.alpha[0, row, beside]) == float(alpha[beside])
    assert float(weight[int((alpha > 0.01).nonzero().max()) + reach + 1]) < 0.02


def test_a_start_that_saw_nothing_says_nothing():
    found, _ = target(torch.tensor([False, False]), 0.0)
    assert float(found.weight.max()) < 1e-6


@pytest.mark.parametrize(("side_px", "frac"), [(100, 0.05), (128, 0.08), (300, 0.08)])
def test_masks_grow_as_far_as_they_should(side_px, frac):
    mask = torch.zeros(1, side_px, side_px)
    mask[0, side_px // 2, side_px // 3] = 1.0
    rows, columns = grown(mask, frac)[0].nonzero().unbind(1)
    block = max(side_px // 128, 1)
    for place, reached in ((side_px // 2, rows), (side_px // 3, columns)):
        assert abs(place - int(reached.min()) - frac * side_px) <= 1.5 * block
        assert abs(int(reached.max()) - place - frac * side_px) <= 1.5 * block
