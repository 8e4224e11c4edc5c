"""A small run without photo, plugins or files: a ball of Gaussians, the reference renderer, and analytic priors."""

import logging
from pathlib import Path

import pytest
import torch
from attrs import frozen

from pshead_core.config.plugin import PluginConfig
from pshead_core.config.run import DensityConfig, ResolutionConfig, RunConfig, StartConfig
from pshead_core.config.schedule import SlotConfig
from pshead_core.gaussians.start_ball import start_ball
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.contribution import DenoisedTarget, ImageGradient
from pshead_core.priors.protocols import BuildContext
from pshead_core.render.reference import ReferenceRenderer
from pshead_core.run.loop import Loop
from pshead_core.run.offers import MetricOffer, Offer
from pshead_core.run.priors import build_priors
from pshead_core.specs import Figure, GuidanceSpec, MetricSpec, RefinerSpec, ViewNeeds


@frozen(kw_only=True)
class NoConfig(PluginConfig):
    pass


class NoisyPull:
    """Pulls towards a colour, with noise from its own stream, and remembers how often it was asked."""

    def __init__(self):
        self.calls = torch.zeros(1)

    def contribute(self, views, step):
        self.calls += 1
        noise = torch.randn(views.rgb.shape, generator=step.generator)
        return ImageGradient(rgb=(views.rgb - 0.2 + 0.1 * noise + 0.01 * self.calls) / len(views.rgb))

    def state_dict(self):
        return {"calls": self.calls.clone()}

    def load_state_dict(self, state):
        self.calls = state["calls"].clone()


class Brighten:
    """Wants a brighter picture of something thinner."""

    def __init__(self):
        self.calls = 0

    def refine(self, views, step):
        self.calls += 1
        weight = torch.ones_like(views.alpha)
        return DenoisedTarget(rgb=(views.rgb + 0.1).clamp(0, 1), weight=weight, alpha=0.5 * views.alpha)


class SquaredDistance:
    """The simplest differentiable metric."""

    def measure(self, views, reference):
        return {"squared": self.distance(views.rgb, reference.rgb).mean().item()}

    def distance(self, rgb, target):
        return (rgb - target).square().mean((1, 2, 3))


def offer(use, prior):
    spec_type = GuidanceSpec if use.startswith("guidance.") else RefinerSpec
    name = use.split(".")[1]
    spec = spec_type(
        name=name,
        summary="test",
        config=NoConfig,
        build=lambda config, context: prior,
        tiny=NoConfig,
        needs=ViewNeeds(reference=getattr(prior, "reads_reference", False)),
    )
    return Offer(use=use, spec=spec, config=NoConfig(), who=f"{use} ({name}, test-dist 1.2.3)")


def metric_offer(use, build):
    name = use.split(".")[1]
    spec = MetricSpec(
        name=name,
        summary="test",
        config=NoConfig,
        build=lambda config, context: build(),
        tiny=NoConfig,
        figures=(Figure(name="number", summary="a number", best=0.0, range=(0.0, float("inf"))),),
        tags=frozenset({"differentiable"}),
    )
    return MetricOffer(use=use, spec=spec, config=NoConfig(), who=f"{use} ({name}, test-dist 4.5.6)")


@pytest.fixture
def portrait():
    side = 32
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    inside = ((x - 15.5) ** 2 + (y - 15.5) ** 2 < 100).float()
    rgb = torch.stack([x / side, y / side, torch.full((side, side), 0.5)], -1)
    return Portrait(
        rgba=torch.cat([rgb, inside[..., None]], -1),
        landmarks_px=torch.zeros(478, 3),
        prompt="test",
        photo_to_frame=torch.eye(2, 3, dtype=torch.float64),
        photo_inside=torch.ones(side, side, dtype=torch.bool),
        sha256="0",
    )


@pytest.fixture
def make_loop(portrait):
    """Return a function that makes a loop of `slots` with the given priors, and builders of metrics, by `use`."""

    def make(slots, priors, *, steps=6, metrics=None, renderer=None):
        config = RunConfig(
            steps=steps,
            schedule=tuple(slots),
            start=StartConfig(kind="ball", gaussians=40, opacity=0.5),
            resolution=ResolutionConfig(sides_px=(16, 32), from_steps=(0, 3)),
            density=DensityConfig(every=2, from_step=2, grad_threshold=0.0, grow_frac=0.1),
        )
        context = BuildContext(
            portrait=portrait,
            device=torch.device("cpu"),
            dtype=torch.float32,
            cache_folder=Path("unused"),
            logger=logging.getLogger("test"),
        )
        offers = {use: offer(use, prior) for use, prior in priors.items()}
        offered = {use: metric_offer(use, build) for use, build in (metrics or {}).items()}
        built = build_priors(offers, {}, config.schedule, config.seed, context, offered)
        start = start_ball(config.start, torch.Generator().manual_seed(0))
        return Loop(config, portrait, renderer or ReferenceRenderer(), built, start, torch.zeros(32, 32))

    return make


REFERENCE = SlotConfig(use="reference")
EVERYTHING = (
    REFERENCE,
    SlotConfig(use="guidance.pull", weight=0.1, max_views=3),
    SlotConfig(use="refiners.bright", weight=0.1, max_views=2, hold_steps=3),
)


@pytest.fixture
def everything(make_loop):
    """Return a function that makes a loop with a reference slot, a stateful guidance and a holding refiner."""
    return lambda **more: make_loop(EVERYTHING, {"guidance.pull": NoisyPull(), "refiners.bright": Brighten()}, **more)
