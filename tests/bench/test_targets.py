"""What the benchmarks of heads share: what a prior would rather see."""

import pytest
import torch

from pshead_core.config.resolve import resolve
from tests.bench.estimates import at_timestep, wanted
from tests.bench.heads import new_loop, novel_cameras, shown, truth
from tests.bench.targets import with_refiner
from training.common.colour import psnr
from training.ground_truth import load_ground_truth


@pytest.fixture(scope="module")
def head():
    return load_ground_truth()[0]


def views_of(head, resolved):
    """A loop with the truth's pictures in the place of rendered views."""
    loop = new_loop(head, resolved)
    views = shown(loop, novel_cameras(head))
    views.rgb[:] = truth(head)[0].permute(0, 2, 3, 1)
    return loop, views


def test_a_refiner_without_strength_wants_what_it_is_shown(head):
    loop, views = views_of(head, with_refiner(resolve(preset="mini"), "landmark_controlnet", 0.0))
    places = torch.tensor([0, 2, 23])
    assert torch.equal(wanted(loop, views, places), views.rgb[places])


def test_an_estimate_is_closer_to_the_truth_the_less_noise_it_is_shown(head):
    places, loss_db = torch.tensor([5, 11, 17]), []
    for t_frac in (0.05, 0.5, 0.95):
        loop, views = views_of(head, at_timestep(resolve(preset="mini"), "zero123", t_frac))
        seen = wanted(loop, views, places)
        loss_db.append(float(psnr(*(one[...].permute(0, 3, 1, 2) for one in (views.rgb[places], seen))).mean()))
    assert loss_db == sorted(loss_db, reverse=True)
    assert loss_db[0] > 25
