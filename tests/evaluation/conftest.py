"""A small head of random Gaussians, its views, and metrics that say what they are told."""

import pytest
import torch

from pshead_core.api import Figure, MetricSpec, PluginConfig, ViewNeeds
from pshead_core.cameras.camera import orbit
from pshead_core.config.run import CameraConfig, StartConfig
from pshead_core.evaluation.folder import TrueHead
from pshead_core.evaluation.measure import MetricInUse
from pshead_core.evaluation.scene import scene_of_head
from pshead_core.gaussians.start_ball import start_ball
from pshead_core.render.reference import ReferenceRenderer
from pshead_core.testing import tiny_portrait

SIDE_PX = 32


class Told:
    """Returns what it was told, and keeps what it was shown."""

    def __init__(self, values):
        self.values, self.seen = values, []

    def measure(self, views, reference):
        self.seen.append((views, reference))
        if isinstance(self.values, Exception):
            raise self.values
        return dict(self.values)


@pytest.fixture
def told():
    """Return a function that makes a metric in use with one figure per value, and the metric itself."""

    def make(values, *, name="told", best=1.0, bounds=(0.0, 100.0), **spec):
        names = values if isinstance(values, dict) else {"number": 0.0}
        metric = Told(values)
        made = MetricSpec(
            name=name,
            summary="test",
            config=PluginConfig,
            build=lambda config, context: metric,
            tiny=PluginConfig,
            figures=tuple(Figure(name=key, summary="test", best=best, range=bounds) for key in names),
            needs=spec.pop("needs", ViewNeeds()),
            **spec,
        )
        return MetricInUse(name=name, spec=made, metric=metric), metric

    return make


@pytest.fixture
def model():
    config = StartConfig(kind="ball", gaussians=60, opacity=0.8)
    return start_ball(config, torch.Generator().manual_seed(1))


@pytest.fixture
def truth():
    """Five views of noise with transparency, the front first."""
    generator = torch.Generator().manual_seed(2)
    azimuth = torch.arange(5) * 72.0
    cameras = orbit(azimuth, torch.zeros(5), distance=2.0, fovy_deg=49.1, side_px=2 * SIDE_PX)
    rgba = torch.randint(0, 256, (5, 2 * SIDE_PX, 2 * SIDE_PX, 4), generator=generator, dtype=torch.uint8)
    return TrueHead(name="noise", rgba=rgba.numpy(), has_alpha=True, cameras=cameras)


@pytest.fixture
def make_scene(model, truth):
    """Return a function that makes the scene of the small head."""

    def make(*, portrait="tiny", with_truth=True):
        return scene_of_head(
            model,
            ReferenceRenderer(),
            CameraConfig(ring_views=9),
            torch.ones(3),
            portrait=tiny_portrait(SIDE_PX) if portrait == "tiny" else portrait,
            truth=truth if with_truth else None,
            side_px=SIDE_PX,
        )

    return make
