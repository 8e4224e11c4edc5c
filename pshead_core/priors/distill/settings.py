"""How a guidance distils, as data. Light: importing this imports no torch."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from pshead_core.config.schedule import CurveConfig, value_at


def _fractions(_: object, attribute: object, value: float | CurveConfig) -> None:
    values = (value.start, value.end) if isinstance(value, CurveConfig) else (value,)
    if not all(0.0 <= item <= 1.0 for item in values):  # comparisons also refuse NaN
        raise ValueError(f"'{getattr(attribute, 'name', 'value')}' must lie in 0..1: {', '.join(map(str, values))}")


@frozen(kw_only=True)
class DistillSettings:
    """How a diffusion model's opinion about noisy views becomes a gradient (DreamFusion, arXiv 2209.14988, eq. 3).

    Only these defaults are common to the papers; each plugin states its own.
    """

    guidance_scale: float = field(default=1.0, validator=validators.ge(0.0))
    """Scale s of classifier-free guidance (arXiv 2207.12598), in the convention of `guidance_form`."""
    guidance_form: Literal["standard", "from_condition"] = "standard"
    """`standard`: uncond + s (cond - uncond), where 1 is the condition alone; `from_condition`: cond +
    s (cond - uncond), which is the standard form with s + 1 (threestudio's text guidance)."""
    guidance_rescale: float = field(default=0.0, validator=validators.and_(validators.ge(0.0), validators.le(1.0)))
    """Share of the guided prediction that gets the condition's standard deviation (arXiv 2305.08891, eq. 15, 16)."""
    weighting: Literal["sds", "uniform", "fantasia3d"] = "sds"
    """w(t): `sds` 1 - alpha_bar (DreamFusion), `uniform` 1, `fantasia3d` sqrt(alpha_bar) (1 - alpha_bar)."""
    min_t_frac: float | CurveConfig = field(default=0.02, validator=_fractions)
    """Least noisy timestep, as a part of the noise schedule; a curve runs over the optimisation steps."""
    max_t_frac: float | CurveConfig = field(default=0.98, validator=_fractions)
    """Noisiest timestep, as a part of the noise schedule; a curve runs over the optimisation steps."""
    draw: Literal["each", "shared", "annealed"] = "each"
    """`each`: every view draws its timestep; `shared`: one draw for all views of the step (a clip needs it);
    `annealed`: no draw, the timestep falls from the maximum to the minimum with the square root of the run's progress
    (HiFA, arXiv 2305.18766)."""
    mode: Literal["sds", "image"] = "sds"
    """`sds`: gradient in the latents, pulled back through the encoder; `image`: the decoded clean estimate is a target
    for the views (HiFA's image term; no gradient through the encoder)."""
    posterior: Literal["mode", "sample"] = "mode"
    """What the encoder's posterior gives: its mode, or a sample whose noise is drawn once per view."""
    clip_norm: float | None = field(default=None, validator=validators.optional(validators.gt(0.0)))
    """Largest L2 norm of a view's latent gradient, after w(t) and before the mean over views; only in mode `sds`."""
    chunk_views: int = field(default=8, validator=validators.ge(1))
    """Views per pass through the autoencoder: bounds the memory, does not change the result. Where all views fit one
    pass, the encoder runs once per step and not twice."""

    @max_t_frac.validator
    def _above(self, _: object, value: float | CurveConfig) -> None:
        both = (self.min_t_frac, value)
        bends = {0} | {
            step for curve in both if isinstance(curve, CurveConfig) for step in (curve.from_step, curve.to_step)
        }
        for step in sorted(bends):
            low, high = (value_at(curve, step) for curve in both)
            if high < low:
                raise ValueError(f"'max_t_frac' must not be below 'min_t_frac', as at step {step}: {high} < {low}")

    @clip_norm.validator
    def _in_latents(self, _: object, value: float | None) -> None:
        if value is not None and self.mode == "image":
            raise ValueError("'clip_norm' bounds the latent gradient, and mode 'image' has none; leave one of them out")
