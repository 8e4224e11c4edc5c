"""What every renderer takes and returns.

Rules shared by all renderers (those of gsplat): a blur of 0.3 px² on the 2D covariance, pixel centres at +0.5,
contributions with alpha below 1/255 are skipped, alpha is at most 0.999, a pixel stops when its transmittance would
fall to 1e-4 or below. Colours are composited front to back by depth of the mean; depth is along +z of the camera and
**divided by alpha** (0 where nothing was hit).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import frozen
from torch import Tensor

if TYPE_CHECKING:
    from pshead_core.cameras.camera import Cameras
    from pshead_core.gaussians.model import GaussianModel

BLUR_PX2 = 0.3  # added to the diagonal of the 2D covariance; gsplat's eps2d
MIN_ALPHA = 1.0 / 255.0  # contributions below are skipped; Kerbl et al. 2023
MAX_ALPHA = 0.999  # gsplat 1.5
MIN_TRANSMITTANCE = 1e-4  # a pixel is finished at this transmittance; Kerbl et al. 2023
NEAR = 0.01  # world units; Gaussians whose mean is nearer are skipped; gsplat's near_plane


@frozen(kw_only=True, eq=False)
class Views:
    """Rendered views as priors see them: leaf copies without a graph."""

    rgb: Tensor
    """`[view, height, width, 3]`, 0..1, display-referred sRGB over `background`."""
    alpha: Tensor
    """`[view, height, width]`, 0..1."""
    depth: Tensor
    """`[view, height, width]`, along +z, divided by alpha, 0 where nothing was hit."""
    cameras: Cameras
    background: Tensor
    """`[3]`, the colour behind the head."""


@frozen(kw_only=True, eq=False)
class Rendering:
    """Differentiable images of a model, and what density control needs."""

    rgb: Tensor
    """`[view, height, width, 3]`, composited over the background."""
    alpha: Tensor
    """`[view, height, width]`."""
    depth: Tensor
    """`[view, height, width]`, along +z, divided by alpha, 0 where nothing was hit."""
    radii_px: Tensor
    """`[view, gaussian]`, int32, 0 for Gaussians that touch no pixel."""
    abs_mean_grad_px: Tensor
    """`[view, gaussian, 2]`, zeros until backward has run; then, per Gaussian, the sum over pixels of the absolute
    gradient of the objective with respect to its projected mean, in 1/pixel (AbsGS; gsplat's `absgrad`)."""


class Renderer(Protocol):
    """Turns a Gaussian model into images."""

    def render(self, model: GaussianModel, cameras: Cameras, background: Tensor) -> Rendering:
        """Render all cameras.

        Args:
            model: float32 (the reference also takes float64).
            cameras: on the model's device.
            background: `[3]` in 0..1, not differentiated.

        Raises:
            RenderError: if the renderer cannot run on this machine.
        """
        ...
