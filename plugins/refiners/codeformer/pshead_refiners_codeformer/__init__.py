"""A refiner that wants the faces of near-frontal views as CodeFormer restores them (PSHead, section 3.2.2, eq. 10)."""

from __future__ import annotations

from pathlib import Path

from pshead_core.api import BuildContext, PluginConfig, Refiner, RefinerSpec, ViewNeeds, hookimpl
from pshead_refiners_codeformer.config import CodeFormerConfig

TOY = Path(__file__).parent / "toy"
"""Checkpoint without weights: sharpens, and knows nothing of faces. For tests and `tiny` only."""


def _build(config: PluginConfig, context: BuildContext) -> Refiner:
    """Build the prior; the heavy module is imported here."""
    from pshead_refiners_codeformer.prior import build  # noqa: PLC0415

    return build(config, context)


def _tiny() -> PluginConfig:
    """Return the toy in place of CodeFormer, and no detector to load; tiny views have tiny faces."""
    return CodeFormerConfig(checkpoint=str(TOY), detector="landmarks", min_face_px=4.0)


@hookimpl
def pshead_refiners() -> list[RefinerSpec]:
    """Offer the refiner `codeformer`."""
    return [
        RefinerSpec(
            name="codeformer",
            summary="faces as CodeFormer restores them, pasted back into the views",
            config=CodeFormerConfig,
            build=_build,
            tiny=_tiny,
            needs=ViewNeeds(outputs=frozenset({"rgb", "alpha", "depth"}), views="front", reference=True),
            tags=frozenset({"deterministic", "views_independent", "needs_weights"}),
            sources=("arXiv:2206.11253", "arXiv:1905.00641"),
            licences=("Apache-2.0", "S-Lab License 1.0 (CodeFormer: architecture and weights; no commercial use)"),
        )
    ]
