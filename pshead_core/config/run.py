"""The configuration of a run: one frozen tree, read from TOML layers and flags, written back as `resolved.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen, validators

from pshead_core.config.plugin import PluginConfig
from pshead_core.config.schedule import CurveConfig, SlotConfig

_positive: Any = validators.gt(0)  # Any: used on int and float fields alike
_not_negative: Any = validators.ge(0)


@frozen(kw_only=True)
class PortraitConfig:
    """How the photo becomes the framed portrait."""

    face: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    """Which face, counted from the largest (1); without it the largest is taken and a photo of several says so."""
    side_px: int = field(default=512, validator=validators.ge(128))
    """Height and width of the framed portrait."""
    face_frac: float = field(default=0.30, validator=validators.and_(validators.gt(0.05), validators.lt(0.9)))
    """Height of the face (forehead to chin) as a part of the frame's height."""
    prompt: str | None = None
    """Description for text-conditioned priors; without it the analyzers' words are used."""


@frozen(kw_only=True)
class CameraConfig:
    """The orbit on which all views lie."""

    distance: float = field(default=2.0, validator=_positive)
    """From the origin, world units (PSHead, DreamGaussian: 2.0)."""
    fovy_deg: float = field(default=49.1, validator=_positive)
    """Vertical field of view (PSHead, DreamGaussian: 49.1)."""
    ring_views: int = field(default=25, validator=validators.ge(1))
    """Views of the ring (PSHead, section 4.1: 25)."""
    elevation_deg: float = 0.0
    """Elevation of the ring (PSHead: 0)."""


@frozen(kw_only=True)
class StartConfig:
    """What the Gaussians are at step 0."""

    kind: Literal["landmarks", "ball", "ply"] = "landmarks"
    """`landmarks`: head and bust fitted to the portrait; `ball`: random points (PSHead); `ply`: a file."""
    gaussians: int = field(default=24_000, validator=validators.ge(16))
    """How many Gaussians `landmarks` and `ball` make."""
    ball_radius: float = field(default=0.5, validator=_positive)
    """Radius of the ball, world units."""
    opacity: float = field(default=0.9, validator=validators.and_(validators.gt(0), validators.lt(1)))
    """Opacity of each Gaussian (PSHead: 0.05 with `ball`)."""
    ply: Path | None = None
    """The file for `ply`."""


@frozen(kw_only=True)
class RenderConfig:
    """Which renderer draws, and on which device."""

    renderer: Literal["cpu", "reference", "gsplat"] = "cpu"
    """`cpu`: numba; `gsplat`: CUDA; `reference`: dense torch, slow, for tests."""
    background: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Colour behind the head, 0..1 (the priors were trained on white)."""


@frozen(kw_only=True)
class LearningRatesConfig:
    """Adam's learning rates per parameter."""

    means: float | CurveConfig = 1e-3
    """Centres, world units."""
    log_scales: float | CurveConfig = 5e-3
    """Logarithms of the scales."""
    quaternions: float | CurveConfig = 1e-3
    """Rotations."""
    opacity_logits: float | CurveConfig = 5e-2
    """Opacities."""
    sh_dc: float | CurveConfig = 1e-2
    """Colour, degree 0."""
    sh_rest: float | CurveConfig = 5e-4
    """Colour, higher degrees."""


@frozen(kw_only=True)
class DensityConfig:
    """When Gaussians are cloned, split and pruned (Kerbl et al. 2023, AbsGS)."""

    every: int = field(default=100, validator=_not_negative)
    """Steps between two densifications; 0 means never."""
    from_step: int = field(default=100, validator=_not_negative)
    """First densification."""
    until_step: int | None = None
    """First step without densification; None means the end of the run."""
    grad_threshold: float = field(default=0.01, validator=_not_negative)
    """Mean absolute screen-space gradient of the objective, per half picture width, above which a Gaussian is cloned
    or split (PSHead, DreamGaussian: 0.01)."""
    grow_frac: float = field(default=0.1, validator=_not_negative)
    """Most Gaussians that one densification clones or splits, as a part of all."""
    split_scale: float = field(default=0.02, validator=_positive)
    """Largest standard deviation, world units, up to which a Gaussian is cloned; above it is split."""
    min_opacity: float = field(default=0.005, validator=_not_negative)
    """Gaussians below are pruned."""
    max_scale: float = field(default=0.4, validator=_positive)
    """Gaussians with a larger standard deviation, world units, are pruned."""
    max_gaussians: int = field(default=60_000, validator=validators.ge(1))
    """Densification stops here."""


@frozen(kw_only=True)
class ResolutionConfig:
    """Side of the rendered pictures over the run."""

    sides_px: tuple[int, ...] = (128, 256, 512)
    """Sides, in order (PSHead: 128, 256, 512)."""
    from_steps: tuple[int, ...] = field(default=(0, 200, 300))
    """First step of each side."""

    @from_steps.validator
    def _ordered(self, _: object, value: tuple[int, ...]) -> None:
        if len(value) != len(self.sides_px) or value[:1] != (0,) or list(value) != sorted(set(value)):
            raise ValueError("'from_steps' must rise from 0 and have as many entries as 'sides_px'")


@frozen(kw_only=True)
class LossConfig:
    """Losses of the reference view, and weight-free regularisers."""

    rgb: float | CurveConfig = 500.0
    """Mean absolute plus mean squared colour error inside the mask (PSHead, eq. 3)."""
    alpha: float | CurveConfig = 50.0
    """Mean squared error of alpha against the mask."""
    depth: float | CurveConfig = 50.0
    """Mean squared distance of the face's depth from the landmark surface, relative to the face's size."""
    opacity: float | CurveConfig = 0.1
    """Binary entropy of the opacities: a Gaussian is there or not."""
    scale: float | CurveConfig = 1.0
    """Scales beyond `max_aspect` and `max_scale`."""
    max_scale: float = field(default=0.03, validator=_positive)
    """Standard deviation, world units, from which `scale` acts."""
    max_aspect: float = field(default=10.0, validator=validators.ge(1.0))
    """Longest by second-longest axis from which `scale` acts."""


@frozen(kw_only=True)
class ModelsConfig:
    """How the networks of the priors are held, and on which terms."""

    offload: Literal["never", "auto", "always"] = "auto"
    """On CUDA: `auto` moves the least recently used networks to the CPU when the device is full, `always` keeps only
    those of the prior that is asked, `never` moves nothing. A run on a CPU moves nothing."""
    reserve_gib: float = field(default=6.0, validator=_not_negative)
    """Memory of the device, GiB, that networks leave free for activations and the renderer (`auto`)."""
    offline: bool = False
    """Keep the libraries of the plugins from asking the model hub (sets HF_HUB_OFFLINE for the run). The core itself
    downloads nothing in a run."""
    commercial_use: bool = False
    """Refuse plugins and weights whose licence excludes commercial use."""


@frozen(kw_only=True)
class RunConfig:
    """A whole run."""

    seed: int = field(default=0, validator=_not_negative)
    """Seed of every random stream."""
    steps: int = field(default=600, validator=validators.ge(1))
    """Optimisation steps."""
    portrait: PortraitConfig = PortraitConfig()
    cameras: CameraConfig = CameraConfig()
    start: StartConfig = StartConfig()
    render: RenderConfig = RenderConfig()
    learning_rates: LearningRatesConfig = LearningRatesConfig()
    density: DensityConfig = DensityConfig()
    resolution: ResolutionConfig = ResolutionConfig()
    losses: LossConfig = LossConfig()
    models: ModelsConfig = ModelsConfig()
    analyzers: dict[str, PluginConfig] = field(factory=dict)
    """Analyzers by instance name, asked in order."""
    guidance: dict[str, PluginConfig] = field(factory=dict)
    """Guidances by instance name."""
    refiners: dict[str, PluginConfig] = field(factory=dict)
    """Refiners by instance name."""
    metrics: dict[str, PluginConfig] = field(factory=dict)
    """Metrics by instance name."""
    schedule: tuple[SlotConfig, ...] = ()
    """The slots, in the order in which their contributions are added."""
