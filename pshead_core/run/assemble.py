"""Before the first step: where the Gaussians live, and the priors, built and prepared."""

from __future__ import annotations

import logging

import torch

from pshead_core.config.resolved import Resolved
from pshead_core.config.schedule import SEEN, START
from pshead_core.models.places import cache_folder
from pshead_core.models.pool import ModelPool
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.protocols import BuildContext
from pshead_core.render.base import Renderer
from pshead_core.run.memory import start_memory
from pshead_core.run.offers import build_analyzers, metric_offers, prior_offers
from pshead_core.run.priors import Priors, build_priors
from pshead_core.run.start import RunStart
from pshead_core.run.weights import Weights

PLUGIN_LOG = logging.getLogger("pshead")
"""Where priors tell what they do."""


def device_of(resolved: Resolved) -> torch.device:
    """Return where the Gaussians live: gsplat needs CUDA, the other renderers are at home on the CPU."""
    return torch.device("cuda" if resolved.config.render.renderer == "gsplat" else "cpu")


def network_dtype(device: torch.device) -> torch.dtype:
    """Return the floating type of the priors' networks: bfloat16 where the device computes in it, else float32.

    On a CPU with bfloat16 instructions the miniatures were up to twice as quick in it in trials, and the gradients of
    zero123 and video pointed the same way (cosine to those of float32 above 0.99). Another kind of CPU therefore gives
    other numbers.
    """
    has_bf16 = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if has_bf16 else torch.float32


def make_priors(
    resolved: Resolved, portrait: Portrait, renderer: Renderer, start: RunStart, weights: Weights
) -> tuple[BuildContext, Priors]:
    """Build the priors of a run, let those that work before the first step do so, and return them with their context.

    Args:
        resolved: the configuration and its plugins.
        portrait: on the run's device.
        renderer: draws what the start looks like.
        start: step 0.
        weights: that the configuration names.
    """
    config, device = resolved.config, start.model.means.device
    dtype = network_dtype(device)
    context = BuildContext(
        portrait=portrait,
        device=device,
        dtype=dtype,
        cache_folder=cache_folder(),
        logger=PLUGIN_LOG,
        analyzers=tuple(build_analyzers(resolved)),
        models=ModelPool(
            device=device,
            dtype=dtype,
            names=weights.names,
            offload=config.models.offload,
            reserve_bytes=int(config.models.reserve_gib * 2**30),
        ),
    )
    background = torch.tensor(config.render.background, device=device)
    built_in = {
        START: start_memory(start.model, None, renderer, background),
        SEEN: start_memory(start.model, start.seen, renderer, background),
    }
    priors = build_priors(
        prior_offers(resolved), built_in, config.schedule, config.seed, context, metrics=metric_offers(resolved)
    )
    priors.prepare()
    return context, priors
