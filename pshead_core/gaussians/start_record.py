"""What a start hands to the run."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor

from pshead_core.gaussians.model import GaussianModel


@frozen(kw_only=True, eq=False)
class Start:
    """The Gaussians of step 0 and what is known about them."""

    model: GaussianModel
    """Float32, on the CPU."""
    surface_depth: Tensor | None = None
    """`[side, side]`, float32: depth along +z of the reference camera of the surface through the face's landmarks, at
    the portrait's side; 0 outside the face. None if the start does not know the face."""
    seen: Tensor | None = None
    """`[gaussian]`, bool: lies on the surface that the reference camera sees, so its colour comes from the photo. The
    colours of the others are guesses. None if unknown."""
