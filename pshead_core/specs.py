"""The frozen records that plugins hand to the core, one per kind of plugin. Light: importing this imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from attrs import field, frozen, validators

from pshead_core.config.plugin import PluginConfig

if TYPE_CHECKING:
    from pathlib import Path

    from pshead_core.priors.protocols import Analyzer, BuildContext, Guidance, Metric, Refiner

API_VERSION = "1.0"
"""Version of the plugin contract, "major.minor": a plugin runs when the major is equal and the minor not newer."""

Kind = Literal["guidance", "refiners", "metrics", "analyzers", "checkpoints"]
KINDS: tuple[Kind, ...] = ("guidance", "refiners", "metrics", "analyzers", "checkpoints")
"""Kinds of plugin; the entry-point group of a kind is `pshead.<kind>`."""

TAGS = frozenset({"deterministic", "views_independent", "differentiable", "needs_gpu", "needs_weights", "trains"})
"""Words that a spec may carry in `tags`; the conformance checks choose by them."""

OUTPUTS = frozenset({"rgb", "alpha", "depth"})
"""Images that a renderer produces and a plugin may read."""


def _known(allowed: frozenset[str]) -> Callable[[object, object, frozenset[str]], None]:
    def check(_: object, attribute: object, value: frozenset[str]) -> None:
        unknown = sorted(value - allowed)
        if unknown:
            name = getattr(attribute, "name", "value")
            raise ValueError(f"{name}: unknown {unknown}, allowed are {sorted(allowed)}")

    return check


@frozen(kw_only=True)
class ViewNeeds:
    """What a prior reads of the rendered views."""

    outputs: frozenset[str] = field(default=frozenset({"rgb"}), validator=_known(OUTPUTS))
    """Images that the prior reads; reading any other raises."""
    min_side_px: int = field(default=1, validator=validators.ge(1))
    """Smallest side of a view that makes sense for the prior."""
    views: str = "ring"
    """Default view set of the prior's slot."""
    max_views: int | None = None
    """Most views per call; None means all."""
    reference: bool = False
    """Whether the prior reads `Step.reference`, the head as it now looks from the photo's camera."""


@frozen(kw_only=True)
class GuidanceSpec:
    """A guidance: a prior that returns an image gradient (SDS, identity loss)."""

    name: str
    summary: str
    config: type[PluginConfig]
    build: Callable[[PluginConfig, BuildContext], Guidance]
    tiny: Callable[[], PluginConfig]
    """Returns a configuration that builds on a CPU within 2 s and without a download."""
    needs: ViewNeeds = ViewNeeds()
    api: str = API_VERSION
    tags: frozenset[str] = field(default=frozenset(), validator=_known(TAGS))
    excludes: frozenset[str] = frozenset()
    """Names of plugins that must not run beside this one."""
    sources: tuple[str, ...] = ()
    """Papers, as arXiv ids or titles."""
    licences: tuple[str, ...] = ()
    """SPDX identifiers or names, of code and weights."""


@frozen(kw_only=True)
class RefinerSpec:
    """A refiner: a prior that returns a denoised target image."""

    name: str
    summary: str
    config: type[PluginConfig]
    build: Callable[[PluginConfig, BuildContext], Refiner]
    tiny: Callable[[], PluginConfig]
    needs: ViewNeeds = ViewNeeds()
    api: str = API_VERSION
    tags: frozenset[str] = field(default=frozenset(), validator=_known(TAGS))
    excludes: frozenset[str] = frozenset()
    sources: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()


@frozen(kw_only=True)
class Figure:
    """One of a metric's numbers."""

    name: str
    """The key that `measure` returns."""
    summary: str
    best: float
    """Its value for a perfect head: the nearer, the better. Infinity: higher is better, without end."""
    range: tuple[float, float]
    """Smallest and largest value; all values are finite."""
    unit: str = ""

    @property
    def direction(self) -> str:
        """`higher`, `lower`, or `nearer to <best>` is better."""
        if self.best >= self.range[1]:
            return "higher"
        return "lower" if self.best <= self.range[0] else f"nearer to {self.best:g}"

    def error(self, value: float) -> float:
        """Return how far a value is from the best one; of two values, that with the smaller error is better."""
        return -value if self.best == float("inf") else abs(value - self.best)


@frozen(kw_only=True)
class MetricSpec:
    """A metric: numbers about views, by themselves or beside true views or the photo."""

    name: str
    summary: str
    config: type[PluginConfig]
    build: Callable[[PluginConfig, BuildContext], Metric]
    tiny: Callable[[], PluginConfig]
    figures: tuple[Figure, ...] = field(validator=validators.min_len(1))
    """Every number that the metric can return; a call may leave some out."""
    compares: Literal["truth", "photo", "nothing"] = "truth"
    """What `reference` is: `truth`, one true view for each view; `photo`, one view, the photo as its camera sees it,
    with which every view is compared; `nothing`, None."""
    needs: ViewNeeds = ViewNeeds()
    """What is read of the views, and which views are measured (`views`)."""
    reference_outputs: frozenset[str] = field(default=frozenset({"rgb"}), validator=_known(OUTPUTS))
    """What is read of the reference."""
    penalty_frac: float = field(default=0.0, validator=[validators.ge(0.0), validators.lt(1.0)])
    """By which part the figures of metrics that compare with the photo become worse where a figure of this one is not
    at its best (PSHead, section 4.1: 0.2 where a face is seen at the back)."""
    api: str = API_VERSION
    tags: frozenset[str] = field(default=frozenset(), validator=_known(TAGS))
    sources: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    """SPDX identifiers or names, of code and weights."""


@frozen(kw_only=True)
class AnalyzerSpec:
    """An analyzer: reads the photo once and states facts about it (matte, landmarks, prompt words)."""

    name: str
    summary: str
    config: type[PluginConfig]
    build: Callable[[PluginConfig], Analyzer]
    tiny: Callable[[], PluginConfig]
    api: str = API_VERSION
    tags: frozenset[str] = field(default=frozenset(), validator=_known(TAGS))
    sources: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()


@frozen(kw_only=True)
class CheckpointSpec:
    """A named set of weights that lies in a folder of an installed distribution.

    A checkpoint is a set of component folders, each of which a stock class loads (`unet`, `vae`, `text_encoder`).
    """

    name: str
    """Equal to the entry point's name; a distribution of several checkpoints writes `family/checkpoint`."""
    summary: str
    folder: Callable[[], Path]
    """Returns the folder; called only when the checkpoint is wanted. May raise a PsheadError: it is not there."""
    components: tuple[tuple[str, str], ...] = ()
    """Name of each component and its place below `folder`, such as `("unet", "sd/unet")`, where checkpoints share some.
    Empty: every component lies under its own name in `folder`."""
    api: str = API_VERSION
    licences: tuple[str, ...] = ()


Spec = GuidanceSpec | RefinerSpec | MetricSpec | AnalyzerSpec | CheckpointSpec
