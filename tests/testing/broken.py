"""Specs that break one sentence of the contract each: what the checks must catch."""

from __future__ import annotations

import random
import socket
import time
from pathlib import Path

import numpy as np
import torch
from attrs import evolve, field, frozen, validators

from pshead_core.config.plugin import PluginConfig
from pshead_core.errors import PsheadError
from pshead_core.portrait.facts import LANDMARKS, FaceFacts, PortraitFacts
from pshead_core.priors.contribution import DenoisedTarget, ImageGradient
from pshead_core.specs import AnalyzerSpec, CheckpointSpec, Figure, GuidanceSpec, MetricSpec, RefinerSpec, ViewNeeds
from pshead_core.testing.fakes import FakeConfig

TAGS = frozenset({"deterministic", "views_independent"})
ERROR = Figure(name="error", summary="mean absolute difference", best=0.0, range=(0.0, 1.0))
KEPT: list[object] = []
SHARED = {"calls": 0}


class Prior:
    """A sound prior, in which one method is replaced by a function of (self, views, step)."""

    def __init__(self, context=None, **methods):
        self.context = context
        for name, function in methods.items():
            setattr(self, name, function.__get__(self))


def guidance(contribute, config=FakeConfig, tiny=None, build=None, **methods):
    return GuidanceSpec(
        name="broken",
        summary="broken",
        config=config,
        tiny=tiny or config,
        build=build or (lambda _, context: Prior(context, contribute=contribute, **methods)),
        tags=TAGS,
        licences=("Apache-2.0",),
    )


def refiner(refine, config=FakeConfig):
    return RefinerSpec(
        name="broken",
        summary="broken",
        config=config,
        tiny=config,
        build=lambda config, context: Prior(context, refine=lambda _, views, step: refine(views, step, config)),
        tags=TAGS,
        licences=("Apache-2.0",),
    )


def metric(measure, **changes):
    spec = MetricSpec(
        name="broken",
        summary="broken",
        config=FakeConfig,
        tiny=FakeConfig,
        build=lambda _, context: Prior(context, measure=lambda _, views, reference: measure(views, reference)),
        figures=(ERROR,),
        tags=frozenset({"deterministic"}),
        licences=("Apache-2.0",),
    )
    return evolve(spec, **changes)


def needs_truth(views, reference):
    """Wants a reference, whatever its spec says."""
    if reference is None:
        raise PsheadError("there is no reference")
    return {"error": 0.5}


def analyzer(analyze):
    return AnalyzerSpec(
        name="broken",
        summary="broken",
        config=FakeConfig,
        tiny=FakeConfig,
        build=lambda _: Prior(analyze=lambda _, photo: analyze(photo)),
        tags=frozenset({"deterministic"}),
        licences=("Apache-2.0",),
    )


def pull(views):
    return (views.rgb - 0.5) / len(views.rgb)


def gradient(function):
    """Return a guidance that returns `function(views, step)`."""
    return guidance(lambda _, views, step: ImageGradient(rgb=function(views, step)))


def error(views, reference):
    return {"error": float((views.rgb - (views if reference is None else reference).rgb).abs().mean())}


def kept(_, context):
    prior = Prior(context, contribute=lambda _, views, __: ImageGradient(rgb=pull(views)))
    KEPT[:] = [prior]
    return prior


def loads_secretly(_, context):
    context.models.checkpoint("mini/sd")
    return Prior(context, contribute=lambda _, views, __: ImageGradient(rgb=pull(views)))


def phone_home(views, _):
    with socket.socket() as line:
        line.connect(("192.0.2.1", 9))  # an address for documentation, RFC 5737
    return pull(views)


def keep_graph(views, _):
    return pull(views) * torch.ones(1, requires_grad=True)


def in_place(views, _):
    return views.rgb.sub_(0.5)


def counted(views, _):
    SHARED["calls"] += 1
    return pull(views) * SHARED["calls"]


def one_view_only(views, _):
    return pull(views)[:1]


def mask_mean(views, _):
    weight = views.rgb.ne(views.background).any(-1, keepdim=True).float()
    return (views.rgb - (views.rgb * weight).sum((1, 2), True) / weight.sum((1, 2), True)) / len(views.rgb)


def half_flips(self, views, _):
    sign = 1 if self.context.dtype == torch.float32 else -1
    return ImageGradient(rgb=sign * pull(views))


@frozen(kw_only=True)
class Middle(PluginConfig):
    """A base class in between."""


@frozen(kw_only=True)
class Inherits(Middle):
    """Not derived from PluginConfig directly."""


@frozen(kw_only=True)
class NoDefault(PluginConfig):
    """One field without a default."""

    size: int
    """Its doc."""


@frozen(kw_only=True)
class WrongType(PluginConfig):
    """A field of a type that TOML does not have."""

    values: frozenset[int] = frozenset()
    """Its doc."""


@frozen(kw_only=True)
class Silent(PluginConfig):
    """A field without a docstring."""

    count: int = 1


@frozen(kw_only=True)
class NoUnit(PluginConfig):
    """An angle without a unit."""

    max_azimuth: float = field(default=1.0, validator=validators.ge(0))
    """Its doc."""


@frozen(kw_only=True)
class TakesNan(PluginConfig):
    """A float without a range."""

    strength: float = 1.0
    """Its doc."""


@frozen(kw_only=True)
class NoneIsLost(PluginConfig):
    """None is not the default, and TOML has no null."""

    count: int | None = 3
    """Its doc."""


@frozen(kw_only=True)
class Rounds(PluginConfig):
    """A converter changes what a flag says."""

    count: int = field(default=3, converter=lambda value: int(value) + 1)
    """Its doc."""


@frozen(kw_only=True)
class Strength(PluginConfig):
    """A strength that the refiner ignores."""

    strength: float = field(default=1.0, validator=validators.ge(0))
    """Its doc."""


def with_config(config, tiny=None):
    return guidance(lambda _, views, __: ImageGradient(rgb=pull(views)), config, tiny)


def target(rgb, weight=1.0):
    return refiner(lambda views, _, __: DenoisedTarget(rgb=rgb(views), weight=torch.full_like(views.alpha, weight)))


class Counter:
    """Stateful, but its state leaves out the count."""

    def __init__(self, state):
        self.count, self.state = 0, state

    def contribute(self, views, _):
        self.count += 1
        return ImageGradient(rgb=pull(views) * self.count)

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        pass


class Moves:
    """Offloadable, but changed by the journey."""

    factor = 1.0

    def contribute(self, views, _):
        return ImageGradient(rgb=pull(views) * self.factor)

    def to(self, _):
        self.factor = self.factor * 0.5


class PreparesTwice(Moves):
    """Prepares, and does it again."""

    to = None

    def prepare(self):
        self.factor += 1


def draws(name):
    functions = {
        "torch": lambda: torch.rand(1),
        "numpy": lambda: np.random.rand(1),
        "random": random.random,
    }

    def contribute(views, _):
        functions[name]()
        return pull(views)

    return gradient(contribute)


def face(photo, height):
    points = np.zeros((LANDMARKS, 3), np.float32)
    points[152, 1] = height
    return FaceFacts(landmarks_px=points, box_px=(0.0, 0.0, 1.0, height))


def scribble(photo):
    photo.rgb[0, 0] = 1
    return PortraitFacts(prompt_words=("x",))


def needs_prompt(_, context):
    return {"photo": 1}[context.portrait.prompt[:5]] and Prior(
        context, contribute=lambda _, views, __: ImageGradient(rgb=pull(views))
    )


def slow_build(_, context):
    time.sleep(0.3)  # the test lowers the limit
    return Prior(context, contribute=lambda _, views, __: ImageGradient(rgb=pull(views)))


def pickled(folder):
    (Path(folder) / "weights.bin").write_bytes(b"x")
    return CheckpointSpec(name="broken", summary="broken", folder=lambda: Path(folder), licences=("MIT",))


BROKEN = {
    "check_config_record": with_config(Inherits),
    "check_config_defaults": with_config(NoDefault, lambda: NoDefault(size=1)),
    "check_config_tiny": with_config(FakeConfig, Strength),
    "check_config_field_types": with_config(WrongType),
    "check_config_documented": with_config(Silent),
    "check_config_units": with_config(NoUnit),
    "check_config_refuses_nan": with_config(TakesNan),
    "check_config_toml_round_trip": with_config(NoneIsLost, lambda: NoneIsLost(count=None)),
    "check_config_flags": with_config(Rounds),
    "check_builds_quickly": guidance(None, build=slow_build),
    "check_builds_offline": gradient(phone_home),
    "check_builds_independent": gradient(counted),
    "check_builds_without_prompt": guidance(None, build=needs_prompt),
    "check_released": guidance(None, build=kept),
    "check_weights_declared": guidance(None, build=loads_secretly),
    "check_returns_contribution": guidance(lambda _, views, __: None),
    "check_gradient_shape": gradient(lambda views, _: pull(views).double()),
    "check_gradient_finite": gradient(lambda views, _: pull(views) / 0),
    "check_gradient_detached": gradient(keep_graph),
    "check_target_in_range": target(lambda views: views.rgb * 2),
    "check_inputs_unchanged": gradient(in_place),
    "check_random_state_untouched": draws("torch"),
    "check_reads_only_needs": gradient(lambda views, _: pull(views) * views.alpha[..., None]),
    "check_one_and_many_views": gradient(one_view_only),
    "check_empty_views": gradient(mask_mean),
    "check_views_reach_result": gradient(lambda views, _: torch.ones_like(views.rgb)),
    "check_repeatable": gradient(lambda views, _: pull(views) + torch.randn(1)),
    "check_views_independent": gradient(lambda views, _: pull(views) + views.rgb.mean()),
    "check_one_by_one": gradient(lambda views, _: pull(views) * len(views.rgb)),
    "check_gradient_scales_with_views": gradient(lambda views, _: pull(views) * len(views.rgb) ** 2),
    "check_bfloat16_direction": guidance(half_flips),
    "check_zero_strength": refiner(
        lambda views, _, __: DenoisedTarget(rgb=views.rgb * 0, weight=torch.ones_like(views.alpha)), Strength
    ),
    "check_state_round_trip": guidance(None, build=lambda *_: Counter({})),
    "check_state_plain": guidance(None, build=lambda *_: Counter({"count": 3})),
    "check_offload": guidance(None, build=lambda *_: Moves()),
    "check_prepare_twice": guidance(None, build=lambda *_: PreparesTwice()),
    "check_metric_floats": metric(lambda views, _: {"error": 1}),
    "check_metric_one_view": metric(lambda views, _: {"error": 0.5} if len(views.rgb) > 1 else {}),
    "check_metric_range": metric(error, figures=(evolve(ERROR, range=(0.0, 0.001)),)),
    "check_metric_order": metric(error, figures=(evolve(ERROR, best=1.0),)),
    "check_metric_symmetric": metric(lambda views, _: {"error": float(views.rgb.mean())}),
    "check_metric_without_reference": metric(lambda views, reference: error(views, reference) if reference else {}),
    "check_metric_repeatable": metric(lambda views, _: {"error": random.random()}),
    "check_analyzer_says_something": analyzer(lambda _: PortraitFacts()),
    "check_analyzer_facts": analyzer(lambda photo: PortraitFacts(matte=photo.rgb[..., 0])),
    "check_analyzer_keeps_photo": analyzer(scribble),
    "check_analyzer_blank_photo": analyzer(lambda photo: PortraitFacts(faces=(face(photo, 5.0),))),
    "check_analyzer_repeatable": analyzer(lambda _: PortraitFacts(prompt_words=(str(random.random()),))),
}
"""Name of a check -> a spec that it must refuse. Package checks and the checkpoint check have tests of their own."""

OTHERS = [
    ("check_random_state_untouched", draws("numpy")),
    ("check_random_state_untouched", draws("random")),
    ("check_inputs_unchanged", gradient(lambda views, _: views.rgb)),
    ("check_target_in_range", target(lambda views: views.rgb, weight=-1.0)),
    ("check_analyzer_facts", analyzer(lambda photo: PortraitFacts(faces=(face(photo, 1.0), face(photo, 2.0))))),
    ("check_gradient_shape", gradient(lambda views, _: pull(views)[:, ::8, ::8])),
    ("check_returns_contribution", guidance(lambda _, views, __: views.rgb)),
    ("check_metric_floats", metric(lambda views, _: {"unknown": 0.5})),
    ("check_metric_floats", metric(lambda views, _: {"error": float("inf")})),
    ("check_metric_without_reference", metric(needs_truth, compares="nothing")),
]
"""Further ways to break the same checks."""

assert ViewNeeds().outputs == {"rgb"}  # what check_reads_only_needs relies on
