"""The guidance: the identity loss of PSHead (eq. 11) with a recogniser in the manner of ArcFace (arXiv 1801.07698).

Its scalar is the mean over views of 1 - cos(embedding of the view's face, embedding of the photo's face). The gradient
is pulled back through the recogniser and the crop; where the face lies is held fixed. A view without a usable face adds
nothing, but counts in the mean, as the reduction of all contributions demands.
"""

from __future__ import annotations

import logging

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional

from pshead_core.api import (
    BuildContext,
    Guidance,
    ImageGradient,
    PluginConfig,
    PluginContractError,
    PooledModel,
    Portrait,
    Step,
    Views,
)
from pshead_core.priors.distill.pull_back import chunks, pull
from pshead_guidance_identity.config import IdentityConfig
from pshead_guidance_identity.find import FoundFaces, align, find_faces, photo_matrix
from pshead_guidance_identity.weights import load_pooled

LOG_EVERY_CALLS = 50
"""How often the count of views without a usable face is logged."""


@frozen(kw_only=True, eq=False)
class Similarity:
    """How like the photo each view is."""

    cosine: Tensor
    """`[view]`, -1..1; 0 where there is no usable face, as in the paper's metric."""
    usable: Tensor
    """`[view]`, bool."""


class Identity:
    """Pulls each view's face towards the photo's in the eyes of a recogniser.

    Args:
        config: of the guidance.
        portrait: with landmarks, on the run's device.
        recogniser: from the run's pool.
        dtype: of the recogniser.
        logger: of the run.
    """

    def __init__(
        self,
        config: IdentityConfig,
        portrait: Portrait,
        recogniser: PooledModel,
        dtype: torch.dtype,
        logger: logging.Logger,
    ) -> None:
        self._config = config
        self._portrait = portrait
        self._recogniser = recogniser
        self._dtype = dtype
        self._logger = logger
        self._photo_matrix = photo_matrix(portrait, config.crop)
        self._wanted: tuple[Tensor, Tensor] | None = None  # background and embedding of the photo before it
        self._calls = self._seen = self._without_face = 0

    def contribute(self, views: Views, step: Step) -> ImageGradient:
        """Return the gradient of the identity loss with respect to all views.

        Raises:
            PluginContractError: the step carries no reference view.
        """
        faces = self._faces(views, step)
        self._count(faces)
        wanted = self._embedding_of_photo(views.background)
        gradient = torch.zeros_like(views.rgb)
        places = faces.usable.nonzero()[:, 0]
        for part in chunks(len(places), self._config.chunk_views or max(len(places), 1)):
            some = places[part]
            gradient[some] = self._gradient(views.rgb[some], faces.matrix[some], wanted) / len(views.rgb)
        return ImageGradient(rgb=gradient)

    def similarity(self, views: Views, step: Step) -> Similarity:
        """Return how like the photo each view is; nothing is counted."""
        faces = self._faces(views, step)
        cosine = views.rgb.new_zeros(len(views.rgb))
        with torch.no_grad():
            wanted = self._embedding_of_photo(views.background)
            places = faces.usable.nonzero()[:, 0]
            for part in chunks(len(places), self._config.chunk_views or max(len(places), 1)):
                some = places[part]
                embedded = self._embed(align(views.rgb[some], faces.matrix[some], self._config)).float()
                cosine[some] = functional.cosine_similarity(embedded, wanted)
        return Similarity(cosine=cosine, usable=faces.usable)

    @property
    def counts(self) -> tuple[int, int]:
        """How many views were asked about so far, and how many of them had no usable face."""
        return self._seen, self._without_face

    def _faces(self, views: Views, step: Step) -> FoundFaces:
        if step.reference is None:
            raise PluginContractError(
                "identity was asked without a rendered reference view",
                why="the photo's landmarks are lifted with its depth",
                fix="call it from a run; its spec says needs.reference",
            )
        return find_faces(self._portrait, step.reference, views, self._config)

    def _gradient(self, rgb: Tensor, matrix: Tensor, wanted: Tensor) -> Tensor:
        """Return the gradient of the sum over views of 1 - cosine, `[view, height, width, 3]`."""
        with torch.enable_grad():
            leaf = rgb.detach().clone().requires_grad_()
            embedded = self._embed(align(leaf, matrix, self._config))
            ends = embedded.detach().float().requires_grad_()
            loss = (1 - functional.cosine_similarity(ends, wanted)).sum()
            (gradient,) = torch.autograd.grad(loss, ends)
        return pull(embedded, leaf, gradient)  # in two parts, so that small gradients survive a float16 network

    def _embed(self, faces: Tensor) -> Tensor:
        """Return embeddings `[view, feature]` in the recogniser's own type."""
        found: Tensor = self._recogniser.get()(faces.to(self._dtype))
        return found

    def _embedding_of_photo(self, background: Tensor) -> Tensor:
        """Return `[1, feature]`, float32; computed once per background, since the crop shows some of it."""
        if self._wanted is None or not torch.equal(self._wanted[0], background):
            rgba = self._portrait.rgba.to(background)
            picture = rgba[..., :3] * rgba[..., 3:] + background * (1 - rgba[..., 3:])
            with torch.no_grad():
                matrix = self._photo_matrix.to(background)
                embedded = self._embed(align(picture[None], matrix, self._config)).float()
            self._wanted = (background.clone(), embedded)
        return self._wanted[1]

    def _count(self, faces: FoundFaces) -> None:
        missing = int((~faces.usable).sum())
        self._calls += 1
        self._seen += len(faces.usable)
        self._without_face += missing
        if self._without_face and (self._calls % LOG_EVERY_CALLS == 0 or self._without_face == missing):
            self._logger.info("identity: %d of %d views had no usable face", self._without_face, self._seen)


def build(config: PluginConfig, context: BuildContext) -> Guidance:
    """Build the guidance from its configuration on the run's device.

    Raises:
        PsheadError: the weights are not here or are no recogniser, or the portrait has no landmarks.
    """
    if not isinstance(config, IdentityConfig):
        raise PluginContractError(f"identity was given a {type(config).__name__}")
    recogniser = load_pooled(config, context)
    return Identity(config, context.portrait.to(context.device), recogniser, context.dtype, context.logger)
