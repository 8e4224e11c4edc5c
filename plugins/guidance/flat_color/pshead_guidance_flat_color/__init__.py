"""A guidance that pulls the views towards one colour. Read this file, then config.py, then prior.py."""

from __future__ import annotations

from pshead_core.api import BuildContext, Guidance, GuidanceSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_guidance_flat_color.config import FlatColorConfig


def _build(config: PluginConfig, context: BuildContext) -> Guidance:
    """Build the prior. The heavy module is imported here, so that listing and configuring plugins stays quick."""
    from pshead_guidance_flat_color.prior import build  # noqa: PLC0415

    return build(config, context)


@hookimpl  # the core finds this function by its name: pshead_<kind>
def pshead_guidance() -> list[GuidanceSpec]:
    """Offer the guidance `flat_color`."""
    return [
        GuidanceSpec(
            name="flat_color",  # equal to the entry point's name in pyproject.toml
            summary="pulls every pixel towards one colour",
            config=FlatColorConfig,
            build=_build,
            tiny=FlatColorConfig,  # the defaults are already small
            needs=ViewNeeds(outputs=frozenset({"rgb"})),  # reading views.alpha or views.depth would raise in the tests
            tags=frozenset({"deterministic", "views_independent"}),  # promises that the conformance checks hold us to
            licences=("Apache-2.0",),
        )
    ]
