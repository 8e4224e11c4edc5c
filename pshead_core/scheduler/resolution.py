"""The side of the rendered pictures over the run (PSHead: 128, 256, 512)."""

from __future__ import annotations

from bisect import bisect_right

from pshead_core.config.run import ResolutionConfig


def side_at(config: ResolutionConfig, step: int) -> int:
    """Return the side of the pictures at an optimisation step, in pixels."""
    return config.sides_px[bisect_right(config.from_steps, step) - 1]
