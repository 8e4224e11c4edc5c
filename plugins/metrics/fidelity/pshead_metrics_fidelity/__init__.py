"""A metric that compares pixels with the truth: PSNR and SSIM."""

from __future__ import annotations

from pshead_core.api import BuildContext, Figure, Metric, MetricSpec, PluginConfig, ViewNeeds, hookimpl
from pshead_metrics_fidelity.config import FidelityConfig


def _build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric; the heavy module is imported here."""
    from pshead_metrics_fidelity.metric import build  # noqa: PLC0415

    return build(config, context)


def _psnr(name: str, where: str) -> Figure:
    return Figure(
        name=name,
        summary=f"peak signal-to-noise ratio, {where}",
        best=float("inf"),
        range=(0.0, 120.0),
        unit="dB",
    )


def _ssim(name: str, where: str) -> Figure:
    return Figure(name=name, summary=f"structural similarity (7 x 7 px), {where}", best=1.0, range=(-1.0, 1.0))


@hookimpl
def pshead_metrics() -> list[MetricSpec]:
    """Offer the metric `fidelity`."""
    inside = "inside the true head's outline"
    return [
        MetricSpec(
            name="fidelity",
            summary="PSNR and SSIM of whole pictures and inside the true head's outline",
            config=FidelityConfig,
            build=_build,
            tiny=FidelityConfig,
            figures=(
                _psnr("psnr_db", "whole pictures"),
                _ssim("ssim", "whole pictures"),
                _psnr("psnr_masked_db", inside),
                _ssim("ssim_masked", inside),
            ),
            compares="truth",
            needs=ViewNeeds(outputs=frozenset({"rgb"}), min_side_px=7),
            reference_outputs=frozenset({"rgb", "alpha"}),
            tags=frozenset({"deterministic", "views_independent"}),
            sources=("Wang et al. 2004, Image quality assessment: from error visibility to structural similarity",),
            licences=("Apache-2.0", "BSD-3-Clause (scikit-image)"),
        )
    ]
