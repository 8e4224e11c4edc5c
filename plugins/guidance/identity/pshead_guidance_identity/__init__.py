"""A guidance that asks a face recogniser whether the rendered face is still that of the photo (ArcFace, eq. 11)."""

from __future__ import annotations

from pshead_core.api import BuildContext, Guidance, GuidanceSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_guidance_identity.config import IdentityConfig


def _build(config: PluginConfig, context: BuildContext) -> Guidance:
    """Build the prior; the heavy module is imported here."""
    from pshead_guidance_identity.prior import build  # noqa: PLC0415

    return build(config, context)


def _tiny() -> PluginConfig:
    """Return a small random recogniser of the published layout, written on the spot; it knows nothing of faces."""
    from pshead_guidance_identity.toy import toy_folder  # noqa: PLC0415 - imports torch

    return IdentityConfig(checkpoint=str(toy_folder()), min_face_px=1.0)


@hookimpl
def pshead_guidance() -> list[GuidanceSpec]:
    """Offer the guidance `identity`."""
    return [
        GuidanceSpec(
            name="identity",
            summary="identity loss: cosine between the recogniser's embeddings of the rendered face and the photo's",
            config=IdentityConfig,
            build=_build,
            tiny=_tiny,
            needs=ViewNeeds(outputs=frozenset({"rgb", "depth", "alpha"}), views="front", reference=True),
            tags=frozenset({"deterministic", "views_independent"}),
            sources=("arXiv:1801.07698",),
            licences=("Apache-2.0", "the recogniser's own licence, see the README"),
        )
    ]
