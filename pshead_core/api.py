"""All that a plugin imports from pshead. Light: importing this imports neither torch nor numpy.

A plugin's entry module takes the marker and its spec from here::

    from pshead_core.api import GuidanceSpec, hookimpl

and its heavy module, imported inside the spec's `build`, takes the records from here too::

    from pshead_core.api import BuildContext, ImageGradient, Step, Views

The records that hold arrays (`Views`, `Portrait`, `Cameras`, `Photo`, `FaceFacts`, `PortraitFacts`) and the model pool
are resolved on first use, because their modules import torch or numpy. An entry module that names one of them in an
annotation does so under `TYPE_CHECKING`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pshead_core.config.plugin import PluginConfig
from pshead_core.errors import (
    ConfigError,
    PhotoError,
    PluginConflict,
    PluginContractError,
    PluginError,
    PluginLoadError,
    PluginNotFound,
    PsheadError,
    RenderError,
    RunFolderError,
)
from pshead_core.hookspecs import hookimpl
from pshead_core.priors.contribution import DenoisedTarget, ImageGradient
from pshead_core.priors.protocols import (
    Analyzer,
    BuildContext,
    DifferentiableMetric,
    Guidance,
    Metric,
    Offloadable,
    Prepares,
    Refiner,
    Stateful,
    Step,
)
from pshead_core.records import RunSummary, SlotReport, StepReport
from pshead_core.specs import (
    API_VERSION,
    AnalyzerSpec,
    CheckpointSpec,
    Figure,
    GuidanceSpec,
    Kind,
    MetricSpec,
    RefinerSpec,
    Spec,
    ViewNeeds,
)

if TYPE_CHECKING:
    from pshead_core.cameras.camera import Cameras
    from pshead_core.config.run import RunConfig
    from pshead_core.models.checkpoint import Checkpoint
    from pshead_core.models.names import resolve_checkpoint
    from pshead_core.models.pool import ModelPool, PooledModel
    from pshead_core.portrait.facts import FaceFacts, Photo, PortraitFacts
    from pshead_core.portrait.portrait import Portrait
    from pshead_core.render.base import Views

_LAZY = {
    "Cameras": "pshead_core.cameras.camera",
    "Checkpoint": "pshead_core.models.checkpoint",
    "FaceFacts": "pshead_core.portrait.facts",
    "ModelPool": "pshead_core.models.pool",
    "Photo": "pshead_core.portrait.facts",
    "PooledModel": "pshead_core.models.pool",
    "Portrait": "pshead_core.portrait.portrait",
    "PortraitFacts": "pshead_core.portrait.facts",
    "RunConfig": "pshead_core.config.run",
    "Views": "pshead_core.render.base",
    "resolve_checkpoint": "pshead_core.models.names",
}

__all__ = [
    "API_VERSION",
    "Analyzer",
    "AnalyzerSpec",
    "BuildContext",
    "Cameras",
    "Checkpoint",
    "CheckpointSpec",
    "ConfigError",
    "DenoisedTarget",
    "DifferentiableMetric",
    "FaceFacts",
    "Figure",
    "Guidance",
    "GuidanceSpec",
    "ImageGradient",
    "Kind",
    "Metric",
    "MetricSpec",
    "ModelPool",
    "Offloadable",
    "Photo",
    "PhotoError",
    "PluginConfig",
    "PluginConflict",
    "PluginContractError",
    "PluginError",
    "PluginLoadError",
    "PluginNotFound",
    "PooledModel",
    "Portrait",
    "PortraitFacts",
    "Prepares",
    "PsheadError",
    "Refiner",
    "RefinerSpec",
    "RenderError",
    "RunConfig",
    "RunFolderError",
    "RunSummary",
    "SlotReport",
    "Spec",
    "Stateful",
    "Step",
    "StepReport",
    "ViewNeeds",
    "Views",
    "hookimpl",
    "resolve_checkpoint",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'pshead_core.api' has no name {name!r}")


def __dir__() -> list[str]:
    return __all__
