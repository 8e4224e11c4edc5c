"""What the benchmarks of heads share: what a prior would rather see, and the table."""

import pytest
import torch

from pshead_core.config.resolve import resolve
from tests.bench.estimates import at_timestep, wanted
from tests.bench.fine_stage import with_refiner
from tests.bench.ladder import SIDE_PX, compared, new_loop, novel_cameras, shown, table, truth, with_priors
from training.common.colour import psnr
from training.ground_truth import load_ground_truth

LPIPS = {"metrics": {"lpips": {"backbone": "random-untrained", "side_px": 64}}}


@pytest.fixture(scope="module")
def head():
    return load_ground_truth()[0]


def views_of(head, resolved):
    """A loop with the truth's pictures in the place of rendered views."""
    loop, _ = new_loop(head, resolved)
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


def test_a_configured_metric_is_measured_against_the_truth(head):
    loop, metrics = new_loop(head, with_priors(resolve(preset="mini", overrides=LPIPS), ()))
    assert list(metrics) == ["lpips"]
    views = shown(loop, novel_cameras(head))
    assert views.rgb.shape == (24, SIDE_PX, SIDE_PX, 3)
    found = compared(head, views, metrics)
    views.rgb[:] = truth(head)[0].permute(0, 2, 3, 1)
    perfect = compared(head, views, metrics)
    assert perfect["untrained_alex"] == pytest.approx(0, abs=1e-6)
    assert found["untrained_alex"] > 0.01
    assert perfect["ssim"] == pytest.approx(1)
    assert perfect["psnr_db"] > found["psnr_db"]


def test_table_has_a_column_for_each_metric_and_dashes_where_a_row_lacks_it():
    full = {"psnr_db": 20.0, "ssim": 0.5, "sharpness": 1.0, "iou": 0.25, "seconds": 9.0, "lpips_alex": 0.125}
    bare = {name: full[name] for name in ("psnr_db", "ssim", "sharpness")}
    lines = table({"one": [full, {**full, "psnr_db": 22.0}], "two": [bare]}).splitlines()
    assert lines[0] == "| row | heads | PSNR, dB | SSIM | sharpness | silhouette IoU | lpips_alex |"
    assert lines[2] == "| one | 2 | 21.00 ± 1.00 | 0.500 | 1.000 | 0.250 | 0.125 |"
    assert lines[3] == "| two | 1 | 20.00 ± nan | 0.500 | 1.000 | - | - |"
