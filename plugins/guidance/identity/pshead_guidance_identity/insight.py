"""Detection and recognition by InsightFace's own code, as PSHead's authors measure identity. An optional extra."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from attrs import frozen
from torch import Tensor

from pshead_core.api import BuildContext, PsheadError
from pshead_guidance_identity.config import local_weights
from pshead_guidance_identity.metric_config import IdentitySimilarityConfig
from pshead_guidance_identity.weights import COMPONENT

_MODULES = ["detection", "recognition"]
_PROVIDERS = ["CPUExecutionProvider"]  # equal numbers everywhere; a view takes a fraction of a second


@frozen(kw_only=True, eq=False)
class PackEmbedder:
    """A pack's detector and recogniser, on the CPU."""

    app: Any
    """`insightface.app.FaceAnalysis`, prepared."""

    def faces(self, rgb: Tensor) -> list[list[Tensor]]:
        """Return the normalised embeddings of all faces in each picture `[view, height, width, 3]`."""
        pictures = (rgb.detach().clamp(0, 1) * 255).round().byte().cpu().numpy()
        bgr = (np.ascontiguousarray(picture[..., ::-1]) for picture in pictures)
        found = [[torch.from_numpy(face.normed_embedding) for face in self.app.get(picture)] for picture in bgr]
        return [[embedding.to(rgb.device) for embedding in faces] for faces in found]


def load_pack(config: IdentitySimilarityConfig, context: BuildContext) -> PackEmbedder:
    """Return the detector and recogniser of a pack's folder; nothing is fetched.

    Raises:
        PsheadError: insightface is not installed, or the folder is no pack with both.
    """
    folder = local_weights(config.checkpoint) or context.models.checkpoint(config.checkpoint).folder(COMPONENT)
    app = _analysis(folder)
    side = config.detection_side_px
    app.prepare(ctx_id=-1, det_size=(side, side))
    return PackEmbedder(app=app)


def _analysis(folder: Path) -> Any:
    try:
        from insightface.app import FaceAnalysis  # type: ignore[import-untyped]  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise PsheadError(
            "detector = 'insightface' needs insightface, which is not installed",
            why=str(error),
            fix="pip install 'pshead-guidance-identity[insightface]', or set detector = 'landmarks'",
        ) from error
    if not folder.is_dir():  # insightface would take a file's name for that of a pack, and fetch it
        raise PsheadError(f"{folder} is no folder of a pack", fix="name the folder, such as path/to/buffalo_l")
    try:
        app = FaceAnalysis(name=str(folder), allowed_modules=_MODULES, providers=_PROVIDERS)
    except AssertionError as error:  # insightface's way to say that a detector is missing
        raise _no_pack(folder, "detector") from error
    if "recognition" not in app.models:
        raise _no_pack(folder, "recogniser")
    return app


def _no_pack(folder: Path, missing: str) -> PsheadError:
    names = ", ".join(sorted(path.name for path in folder.glob("*.onnx"))) or "no .onnx at all"
    return PsheadError(
        f"{folder} is no whole pack of InsightFace",
        why=f"it has no {missing}; there is: {names}",
        fix="name the folder of a pack such as buffalo_l, or set detector = 'landmarks', which needs a recogniser only",
    )
