"""CLIP similarity: the cosine between the embeddings of a view and of the photo (arXiv 2103.00020)."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional

from pshead_core.api import BuildContext, Metric, PluginConfig, PluginContractError, PooledModel, Views
from pshead_core.priors.clip_input import ClipInput, clip_pixels
from pshead_core.priors.compared import photo_view
from pshead_metrics_clip_similarity.config import ClipSimilarityConfig
from pshead_metrics_clip_similarity.encoder import input_of, load_encoder


@frozen(kw_only=True, eq=False)
class ClipSimilarity:
    """Compares views with the photo by CLIP's picture encoder, in float32."""

    encoder: PooledModel
    clip_input: ClipInput
    chunk_views: int

    def measure(self, views: Views, reference: Views | None) -> dict[str, float]:
        """Return the mean cosine between the embeddings of the views and of the photo; 1 is best.

        Raises:
            PsheadError: there is no photo, or a picture is not finite.
        """
        photo = photo_view("clip_similarity", views, reference)
        with torch.no_grad():
            cosine = functional.cosine_similarity(self._embed(views.rgb), self._embed(photo.rgb))
        return {"clip_similarity": float(cosine.mean().clamp(-1, 1))}

    def _embed(self, rgb: Tensor) -> Tensor:
        """Return embeddings `[view, feature]`, float64, of pictures `[view, height, width, 3]`."""
        found = [
            self.encoder.get()(pixel_values=clip_pixels(some.clamp(0, 1), self.clip_input)).image_embeds
            for some in rgb.split(self.chunk_views)
        ]
        return torch.cat(found).double()


def build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric from its configuration.

    Raises:
        PsheadError: the weights are not here, or are no picture encoder of CLIP.
    """
    if not isinstance(config, ClipSimilarityConfig):
        raise PluginContractError(f"clip_similarity was given a {type(config).__name__}")
    checkpoint = context.models.checkpoint(config.checkpoint)
    encoder = context.models.load(checkpoint, "model", load_encoder, dtype=torch.float32)
    context.logger.info("clip_similarity: by %s; values by other models do not compare", config.checkpoint)
    return ClipSimilarity(
        encoder=encoder, clip_input=input_of(checkpoint.folder("model")), chunk_views=config.chunk_views
    )
