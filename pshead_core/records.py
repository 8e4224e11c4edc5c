"""Records that observers receive: what one step did, and what a run made. Plain numbers, no tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen


@frozen(kw_only=True)
class SlotReport:
    """What one slot contributed at one step."""

    slot: str
    weight: float
    grad_norm: float
    """L2 norm of the weighted image gradient, over all views and pixels."""
    views: int
    seconds: float


@frozen(kw_only=True)
class StepReport:
    """What one optimisation step did; one line of `report.jsonl`."""

    step: int
    side_px: int
    gaussians: int
    seconds: float
    losses: Mapping[str, float] = field(factory=dict)
    """Weighted value of each loss on the reference view and each regulariser."""
    slots: tuple[SlotReport, ...] = ()


@frozen(kw_only=True)
class RunSummary:
    """What a finished run made."""

    folder: Path
    steps: int
    seconds: float
    gaussians: int
    reference_psnr_db: float
    """PSNR of the reference view inside the portrait's mask at the final resolution."""
