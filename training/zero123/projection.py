"""Projects picture embedding and camera to one cross-attention token, as published ports of Zero123 store it."""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn


class CLIPCameraProjection(ModelMixin, ConfigMixin):
    """Linear layer over the picture's embedding and the camera vector.

    Args:
        embedding_dim: of the picture encoder's projection, and of a cross-attention token.
        additional_embeddings: numbers of the camera vector.
    """

    @register_to_config
    def __init__(self, embedding_dim: int = 768, additional_embeddings: int = 4) -> None:
        super().__init__()
        self.proj = nn.Linear(embedding_dim + additional_embeddings, embedding_dim)

    def forward(self, embedding: Tensor, camera: Tensor) -> Tensor:
        """Return tokens `[view, 1, embedding_dim]`.

        Args:
            embedding: `[view, embedding_dim]`, of the reference picture.
            camera: `[view, 4]`: polar angle, sine and cosine of the azimuth (each target minus reference), radius.
        """
        return self.proj(torch.cat([embedding, camera], dim=1))[:, None]
