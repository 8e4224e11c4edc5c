"""Classifier-free guidance (arXiv 2207.12598), in the two conventions that are in use, and its rescaling."""

from __future__ import annotations

from torch import Tensor

from pshead_core.priors.distill.settings import DistillSettings


def standard_scale(settings: DistillSettings) -> float:
    """Return the scale in the standard form, where 1 means the condition alone and needs no second pass."""
    return settings.guidance_scale + (1.0 if settings.guidance_form == "from_condition" else 0.0)


def guide(conditional: Tensor, unconditional: Tensor, settings: DistillSettings) -> Tensor:
    """Return the guided prediction: uncond + s (cond - uncond), or cond + s (cond - uncond) in `from_condition`.

    With `guidance_rescale` r, a part r of the result is scaled to the standard deviation that the conditional
    prediction has over all but the first dimension (arXiv 2305.08891, eq. 15 and 16).

    Args:
        conditional: `[batch, ...]`, in any form of prediction; a clip is one element of the batch.
        unconditional: same form and shape.
        settings: scale, form and rescaling.
    """
    scale = settings.guidance_scale
    start = conditional if settings.guidance_form == "from_condition" else unconditional
    guided = start + scale * (conditional - unconditional)
    if settings.guidance_rescale == 0.0:
        return guided
    share = settings.guidance_rescale
    return guided * (share * _deviation(conditional) / _deviation(guided) + (1.0 - share))


def _deviation(prediction: Tensor) -> Tensor:
    return prediction.std(dim=tuple(range(1, prediction.ndim)), keepdim=True)
