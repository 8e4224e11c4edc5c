"""View sets: parts of the ring, named by azimuth; what a name of config.schedule.VIEW_SETS means.

The authors of PSHead refine the face on the nine views nearest to the front, |azimuth| up to about 65°, and leave the
other views to the text-to-image prior; `front` and `back_and_side` are these two.
"""

from __future__ import annotations

from torch import Tensor

from pshead_core.config.schedule import VIEW_SETS
from pshead_core.errors import ConfigError

FRONT_DEG = 65.0  # nine of 25 views: indices 8 to 16 of the authors' ring, -64.8° to +64.8°
BACK_DEG = 135.0  # the rear quadrant


def contains(view_set: str, azimuth_deg: Tensor) -> Tensor:
    """Return which azimuths `[view]` belong to a set of the ring, bool `[view]`.

    Raises:
        ConfigError: if the set is unknown. (`reference` is a camera of its own, not a part of the ring.)
    """
    angle = azimuth_deg.abs()
    match view_set:
        case "ring":
            return angle >= 0
        case "front":
            return angle <= FRONT_DEG
        case "side":
            return (angle > FRONT_DEG) & (angle < BACK_DEG)
        case "back":
            return angle >= BACK_DEG
        case "back_and_side":
            return angle > FRONT_DEG
        case _:
            known = ", ".join(VIEW_SETS)
            raise ConfigError(f"there is no view set '{view_set}' on the ring", fix=f"use one of: {known}")
