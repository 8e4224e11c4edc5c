"""Plugin objects for the tests of the configuration: nothing here is installed."""

from types import SimpleNamespace
from typing import Literal

from attrs import field, frozen, validators

from pshead_core.api import (
    AnalyzerSpec,
    Figure,
    GuidanceSpec,
    MetricSpec,
    PluginConfig,
    RefinerSpec,
    ViewNeeds,
    hookimpl,
)
from pshead_core.registry.host import PluginHost

FIGURES = (Figure(name="number", summary="a number", best=1.0, range=(0.0, 1.0)),)


@frozen(kw_only=True)
class Range:
    low: float = field(default=0.02, validator=validators.ge(0))
    high: float = field(default=0.98, validator=validators.le(1))


@frozen(kw_only=True)
class SdsConfig(PluginConfig):
    guidance_scale: float = field(default=100.0, validator=validators.ge(0))
    """Strength."""
    negative_prompts: tuple[str, ...] = ("blurry",)
    """Texts."""
    dtype: Literal["fp32", "fp16"] = "fp32"
    """Type of the network."""
    timesteps: Range = Range()
    """Range."""
    crop: tuple[int, int] = (64, 64)
    """Size."""
    use_cache: bool = True
    """Keep."""
    limit: int | None = None
    """Most."""


@frozen(kw_only=True)
class Zero123Config(PluginConfig):
    elevation_deg: float
    """Required, unlike what plugins should do."""


def spec(kind, name, config=SdsConfig, **more):
    return kind(name=name, summary="s", config=config, build=None, tiny=config, **more)


def plugin(**specs):
    hooks = {f"pshead_{kind}": hookimpl(lambda items=items: items) for kind, items in specs.items()}
    return SimpleNamespace(**hooks)


HOST = PluginHost.of(
    plugin(
        guidance=[
            spec(GuidanceSpec, "sds", needs=ViewNeeds(views="front", max_views=4, min_side_px=256)),
            spec(GuidanceSpec, "zero123", Zero123Config),
            spec(GuidanceSpec, "lonely", PluginConfig, excludes=frozenset({"sds"})),
        ],
        refiners=[spec(RefinerSpec, "restore")],
        metrics=[
            spec(MetricSpec, "likeness", PluginConfig, figures=FIGURES, tags=frozenset({"differentiable"})),
            spec(MetricSpec, "sharpness", PluginConfig, figures=FIGURES),
        ],
        analyzers=[spec(AnalyzerSpec, "mediapipe_face", PluginConfig), spec(AnalyzerSpec, "finder", PluginConfig)],
    ),
)
