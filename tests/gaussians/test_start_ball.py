"""The random start, and the choice of the start."""

import pytest
import torch

from pshead_core.config.run import CameraConfig, StartConfig
from pshead_core.errors import ConfigError
from pshead_core.gaussians.ply import write_ply
from pshead_core.gaussians.start import start_gaussians
from pshead_core.gaussians.start_ball import start_ball
from tests.gaussians.portraits import painted


def ball(seed: int = 0, n: int = 3000):
    config = StartConfig(kind="ball", gaussians=n, ball_radius=0.5, opacity=0.05)
    return start_ball(config, torch.Generator().manual_seed(seed))


def test_points_are_uniform_in_the_ball():
    model = ball()
    radius = model.means.norm(dim=1)
    assert radius.max() <= 0.5 + 1e-6
    # In a uniform ball the cubed relative radius is uniform: compare its order statistics (Kolmogorov, 0.1 % level).
    cubed = ((radius / 0.5) ** 3).sort().values
    wanted = (torch.arange(len(cubed)) + 0.5) / len(cubed)
    assert (cubed - wanted).abs().max() < 1.95 / len(cubed) ** 0.5
    assert model.means.mean(dim=0).norm() < 0.02


def test_scales_are_the_distances_to_three_neighbours():
    model = ball(n=300)
    squared = torch.cdist(model.means.double(), model.means.double()).square()
    nearest = squared.sort(dim=1).values[:, 1:4].mean(dim=1)
    torch.testing.assert_close(model.log_scales.double(), 0.5 * nearest.log()[:, None].repeat(1, 3), rtol=1e-4, atol=0)


def test_colour_opacity_and_rotation():
    model = ball(n=20)
    assert model.sh.abs().max() == 0  # 0 is mid grey
    torch.testing.assert_close(model.opacity_logits.sigmoid(), torch.full((20,), 0.05))
    assert torch.equal(model.quaternions, torch.eye(4)[:1].repeat(20, 1))


def test_the_generator_alone_decides():
    torch.manual_seed(1)
    first = ball(seed=5)
    torch.manual_seed(2)
    assert torch.equal(first.means, ball(seed=5).means)
    assert not torch.equal(first.means, ball(seed=6).means)


def test_kinds_are_chosen_by_the_configuration(tmp_path):
    portrait, cameras, generator = painted("floating"), CameraConfig(), torch.Generator().manual_seed(0)
    start = start_gaussians(StartConfig(kind="ball", gaussians=50), portrait, cameras, generator)
    assert len(start.model) == 50
    assert start.surface_depth is None
    assert start.seen is None
    write_ply(start.model, tmp_path / "ball.ply")
    again = start_gaussians(StartConfig(kind="ply", ply=tmp_path / "ball.ply"), portrait, cameras, generator)
    assert torch.equal(again.model.means, start.model.means)
    with pytest.raises(ConfigError, match=r"start\.ply"):
        start_gaussians(StartConfig(kind="ply"), portrait, cameras, generator)
