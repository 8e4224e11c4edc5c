"""What a prior returns at one step. All gradients are with respect to the rendered images, display-referred, 0..1.

The reduction is fixed: a contribution stands for a scalar that is a **sum over pixels and a mean over views**. So the
gradient of a view does not change when more views are rendered, except for the factor 1 / number of views.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from torch import Tensor


@frozen(kw_only=True)
class ImageGradient:
    """The gradient of a guidance's own scalar with respect to the images of its views."""

    rgb: Tensor
    """`[view, height, width, 3]`, float32, same device as the views, without a graph."""
    alpha: Tensor | None = None
    """`[view, height, width]` or None."""
    depth: Tensor | None = None
    """`[view, height, width]` or None."""


@frozen(kw_only=True)
class DenoisedTarget:
    """The images that a refiner wants to see.

    With squared loss the mixer adds `weight * (rgb - target.rgb)` per pixel, divided by the number of views; and the
    same of alpha, if the target has one.
    """

    rgb: Tensor
    """`[view, height, width, 3]`, float32, 0..1, without a graph."""
    weight: Tensor
    """`[view, height, width]`, float32, not negative. All zero on a view means "nothing to say" about it."""
    alpha: Tensor | None = None
    """`[view, height, width]`, float32, 0..1: the silhouette that goes with it, which over a background of one colour
    the image alone cannot tell; compared as the image is. None says nothing."""
