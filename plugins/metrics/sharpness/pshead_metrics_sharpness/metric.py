"""How steep the brightness of views is, beside that of the truth."""

from __future__ import annotations

from attrs import frozen
from torch import Tensor

from pshead_core.api import BuildContext, Metric, PluginConfig, PluginContractError, PsheadError, Views
from pshead_core.priors.compared import true_views
from pshead_metrics_sharpness.config import SharpnessConfig

FLAT = 1e-6
"""Mean gradient per pixel below which pictures count as flat: one grey level in 4000 pixels, or rounding."""


@frozen(kw_only=True)
class Sharpness:
    """Compares gradient magnitudes."""

    def measure(self, views: Views, reference: Views | None) -> dict[str, float]:
        """Return the mean gradient magnitude over all views, divided by that of the true views; 1 is best.

        Raises:
            PsheadError: there is no reference, it does not fit the views, or it is flat.
        """
        true = true_views("sharpness", views, reference)
        wanted = float(gradient_magnitude(true.rgb).mean())
        if wanted < FLAT:
            raise PsheadError(
                "the sharpness cannot be measured beside reference views of one colour",
                why=f"their mean gradient is {wanted:.2g} per pixel, and it would be divided by",
                fix="give reference views that show a head, or leave the metric out",
            )
        return {"sharpness": float(gradient_magnitude(views.rgb).mean()) / wanted}


def gradient_magnitude(rgb: Tensor) -> Tensor:
    """Return `[view]`: mean magnitude of the gradient of brightness (mean of the colours, forward differences).

    Args:
        rgb: `[view, height, width, 3]`, clipped to 0..1.
    """
    grey = rgb.detach().float().clamp(0, 1).mean(3)
    across, down = grey.diff(dim=2)[:, :-1], grey.diff(dim=1)[:, :, :-1]
    return (across.square() + down.square()).sqrt().mean((1, 2))


def build(config: PluginConfig, _: BuildContext) -> Metric:
    """Build the metric from its configuration."""
    if not isinstance(config, SharpnessConfig):
        raise PluginContractError(f"sharpness was given a {type(config).__name__}")
    return Sharpness()
