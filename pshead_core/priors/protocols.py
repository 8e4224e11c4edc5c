"""The protocols that plugins implement, and what they are given when they are built and called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from attrs import Factory, field, frozen

if TYPE_CHECKING:
    import logging
    from pathlib import Path

    import torch
    from torch import Tensor

    from pshead_core.models.pool import ModelPool
    from pshead_core.portrait.facts import Photo, PortraitFacts
    from pshead_core.portrait.portrait import Portrait
    from pshead_core.priors.contribution import DenoisedTarget, ImageGradient
    from pshead_core.render.base import Views


@frozen(kw_only=True)
class Step:
    """Where in the run a prior is called."""

    index: int
    """Optimisation step, from 0."""
    total: int
    """Number of optimisation steps of the run."""
    slot: str
    """Name of the slot that is due."""
    generator: torch.Generator
    """The slot's own random stream, on the CPU, seeded by (run seed, slot, step). Use no other randomness."""
    reference: Views | None = None
    """The head as it now looks from the photo's camera: one view of this step's side, a copy of the prior's own without
    a graph. None unless the prior's spec says `needs.reference`."""

    @property
    def done_frac(self) -> float:
        """Part of the run that lies behind, 0..1."""
        return self.index / max(self.total, 1)


def _own_pool(context: BuildContext) -> ModelPool:
    """Return a pool that knows what is installed, for a context that was made without one."""
    from pshead_core.models.pool import ModelPool  # noqa: PLC0415 - imports torch

    return ModelPool(device=context.device, dtype=context.dtype)


@frozen(kw_only=True)
class BuildContext:
    """What a prior is built from."""

    portrait: Portrait
    device: torch.device
    dtype: torch.dtype
    """Floating type of networks; images and gradients are always float32."""
    cache_folder: Path
    """Folder that outlives the run, for what is expensive to compute again."""
    logger: logging.Logger
    models: ModelPool = field(default=Factory(_own_pool, takes_self=True))
    """Finds checkpoints and holds their networks, one copy for all priors of the run."""
    analyzers: tuple[Analyzer, ...] = ()
    """Those of the configuration, for metrics that look for faces in views (`pshead_core.priors.detect`)."""


class Guidance(Protocol):
    """A prior that returns an image gradient."""

    def contribute(self, views: Views, step: Step) -> ImageGradient:
        """Return the gradient of the prior's scalar with respect to `views.rgb` (sum over pixels, mean over views)."""
        ...


class Refiner(Protocol):
    """A prior that returns a denoised target image."""

    def refine(self, views: Views, step: Step) -> DenoisedTarget:
        """Return the images that the prior wants to see in place of `views.rgb`."""
        ...


class Metric(Protocol):
    """Numbers about views."""

    def measure(self, views: Views, reference: Views | None) -> Mapping[str, float]:
        """Return the figures of the spec by name, each a mean over the views and finite.

        Args:
            views: those of the spec's view set.
            reference: as the spec's `compares` says: a true view for each view, the photo as one view, or None.

        Raises:
            PsheadError: the reference is missing, of another size, or not finite (see `priors.compared`).
        """
        ...


@runtime_checkable
class DifferentiableMetric(Metric, Protocol):
    """What a metric tagged `differentiable` also does: a distance that a refiner's slot can descend (`perceptual`)."""

    def distance(self, rgb: Tensor, target: Tensor) -> Tensor:
        """Return the distance of each view from its target, `[view]`, floating, differentiable in `rgb`.

        It is 0 for equal pictures, smaller for better ones, a mean over the pixels (so that it does not grow with the
        side), and that of a view does not depend on the other views.

        Args:
            rgb: `[view, height, width, 3]`, rendered, about 0..1.
            target: `[view, height, width, 3]`, 0..1, without a graph.
        """
        ...


class Analyzer(Protocol):
    """Reads the photo once."""

    def analyze(self, photo: Photo) -> PortraitFacts:
        """Return what the analyzer sees: any of matte, faces, prompt words."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A prior that works before the first step (personalisation, reference latents)."""

    def prepare(self) -> None:
        """Do the work; may take minutes, must be resumable through its own files in `cache_folder`."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """A prior whose next contribution depends on former ones; its state takes part in checkpoints."""

    def state_dict(self) -> Mapping[str, Tensor]:
        """Return the state as named tensors."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        ...


@runtime_checkable
class Offloadable(Protocol):
    """A prior that can leave the device while it is not due."""

    def to(self, device: torch.device) -> None:
        """Move all weights."""
        ...
