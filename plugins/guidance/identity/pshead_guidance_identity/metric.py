"""The metric: is the head's face that of the photo, in the eyes of a recogniser (PSHead, section 4.1).

The mean over the views with |azimuth| <= 45 degrees of the cosine between the embeddings of the view's face and of the
photo's; a view in which there is not exactly one face counts as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional

from pshead_core.api import BuildContext, Metric, PluginConfig, PluginContractError, PooledModel, PsheadError, Views
from pshead_core.priors.compared import photo_view
from pshead_core.priors.detect import faces_in
from pshead_core.priors.faces import ARCFACE_112, five_points, similarity
from pshead_core.priors.protocols import Analyzer
from pshead_guidance_identity.config import IdentityConfig
from pshead_guidance_identity.find import align
from pshead_guidance_identity.metric_config import IdentitySimilarityConfig
from pshead_guidance_identity.weights import load_pooled


class Embedder(Protocol):
    """Finds faces in pictures, and embeds them."""

    def faces(self, rgb: Tensor) -> list[list[Tensor]]:
        """Return the embeddings `[feature]` of all faces in each picture `[view, height, width, 3]`; not normalised.

        Of a picture with several faces nobody looks at the embeddings, only at their number.
        """
        ...


@frozen(kw_only=True, eq=False)
class LandmarkEmbedder:
    """Faces by the run's analyzers, aligned by five points, embedded in float32."""

    recogniser: PooledModel
    analyzers: Sequence[Analyzer]
    alignment: IdentityConfig

    def faces(self, rgb: Tensor) -> list[list[Tensor]]:
        """Return the embeddings of all faces in each picture.

        Raises:
            PsheadError: no analyzer looks for faces.
        """
        found = faces_in(rgb, self.analyzers)
        return [
            [self._embed(picture, landmarks) for landmarks in faces] for picture, faces in zip(rgb, found, strict=True)
        ]

    def _embed(self, picture: Tensor, landmarks_px: Tensor) -> Tensor:
        matrix = similarity(five_points(landmarks_px[None].to(picture)), ARCFACE_112)
        embedded: Tensor = self.recogniser.get()(align(picture[None].float(), matrix, self.alignment))
        return embedded[0]


@frozen(kw_only=True, eq=False)
class IdentitySimilarity:
    """Compares the face in frontal views with the photo's."""

    embedder: Embedder
    max_azimuth_deg: float

    def measure(self, views: Views, reference: Views | None) -> dict[str, float]:
        """Return the mean cosine over the frontal views, 1 is best, and in which part of them one face is found.

        Raises:
            PsheadError: there is no photo, or not one face in it; no view is frontal; or a picture is not finite.
        """
        photo = photo_view("identity_similarity", views, reference)
        frontal = views.cameras.azimuth_deg.abs() <= self.max_azimuth_deg
        if not bool(frontal.any()):
            raise PsheadError(
                "the metric 'identity_similarity' was given no frontal view",
                why=f"none has an azimuth of {self.max_azimuth_deg:g} degrees or less",
                fix="measure the view set 'front', or raise max_azimuth_deg",
            )
        with torch.no_grad():
            wanted = self._of_photo(photo.rgb)
            found = self.embedder.faces(views.rgb[frontal.to(views.rgb.device)])
            one = [faces[0] for faces in found if len(faces) == 1]
            total = sum(float(functional.cosine_similarity(face.double(), wanted, dim=0)) for face in one)
        return {"identity": min(max(total / len(found), -1.0), 1.0), "faces_found_frac": len(one) / len(found)}

    def _of_photo(self, rgb: Tensor) -> Tensor:
        (faces,) = self.embedder.faces(rgb)
        if len(faces) != 1:
            raise PsheadError(
                f"the metric 'identity_similarity' found {len(faces) or 'no'} faces in the photo",
                why="the identity is that of the one face in it",
                fix="give a photo of one face, or leave the metric out",
            )
        return faces[0].double()


def build(config: PluginConfig, context: BuildContext) -> Metric:
    """Build the metric from its configuration.

    Raises:
        PsheadError: the weights are not here or are no recogniser, or insightface is wanted and not installed.
    """
    if not isinstance(config, IdentitySimilarityConfig):
        raise PluginContractError(f"identity_similarity was given a {type(config).__name__}")
    embedder: Embedder
    if config.detector == "insightface":
        from pshead_guidance_identity.insight import load_pack  # noqa: PLC0415 - an optional extra

        embedder = load_pack(config, context)
    else:
        alignment = IdentityConfig(checkpoint=config.checkpoint, samples=config.samples)
        recogniser = load_pooled(alignment, context, dtype=torch.float32)
        embedder = LandmarkEmbedder(recogniser=recogniser, analyzers=context.analyzers, alignment=alignment)
    return IdentitySimilarity(embedder=embedder, max_azimuth_deg=config.max_azimuth_deg)
