"""The components of each checkpoint and the class that loads each; and that they load with every key."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    UNet2DConditionModel,
    UNet3DConditionModel,
)
from torch import nn
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from pshead_core.errors import PsheadError
from pshead_core.models.header import read_header
from training.publish.loaders import IResNet, MiniRestorer
from training.zero123.projection import CLIPCameraProjection

WHOLE = "."
"""Place of the only component of a checkpoint that is one component."""
_TEXT: dict[str, Any] = {"text_encoder": CLIPTextModel, "tokenizer": CLIPTokenizer, "scheduler": DDIMScheduler}
LAYOUT: dict[str, dict[str, Any]] = {
    "vae": {WHOLE: AutoencoderKL},
    "sd": {"unet": UNet2DConditionModel, **_TEXT},
    "zero123": {
        "unet": UNet2DConditionModel,
        "image_encoder": CLIPVisionModelWithProjection,
        "feature_extractor": CLIPImageProcessor,
        "clip_camera_projection": CLIPCameraProjection,
        "scheduler": DDIMScheduler,
    },
    "video": {"unet": UNet3DConditionModel, **_TEXT},
    "landmark-controlnet": {WHOLE: ControlNetModel},
    "identity": {WHOLE: IResNet},
    "identity-judge": {WHOLE: IResNet},
    "face-restorer": {WHOLE: MiniRestorer},
}
"""Folder of a checkpoint -> place of a component in it -> class that loads it."""
ON_PIXELS = frozenset({"identity", "identity-judge", "face-restorer"})
"""Checkpoints that work on pixels. All others share `vae`."""
SUFFIXES = frozenset({".json", ".safetensors", ".txt"})
"""Of files that are published: configurations, vocabularies, weights. Anything else is refused, above all pickles."""
_EXPORT_AGAIN = "export the checkpoint again"


def check_files(folder: Path) -> None:
    """Refuse a checkpoint with files that do not belong into it, or whose weights are not fp16.

    Raises:
        PsheadError: names the file, and the tensor.
    """
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.suffix not in SUFFIXES:
            raise PsheadError(
                f"{path} is not published",
                why=f"a checkpoint holds {', '.join(sorted(SUFFIXES))} and nothing else",
                fix="remove it, or export the weights as safetensors",
            )
        if path.name == "config.json" and "/" in json.loads(path.read_text(encoding="utf-8")).get("_name_or_path", ""):
            raise PsheadError(f"{path} names a folder of this machine", why="in _name_or_path", fix=_EXPORT_AGAIN)
        tensors = read_header(path) if path.suffix == ".safetensors" else {}
        for name, facts in tensors.items():
            if facts.dtype in ("F32", "F64", "BF16"):
                raise PsheadError(
                    f"tensor '{name}' in {path} is {facts.dtype}", why="weights are shipped as F16", fix=_EXPORT_AGAIN
                )


def load_components(name: str, folder: Path) -> dict[str, Any]:
    """Return all components of the checkpoint `name` in `folder`, by their place, loaded by the classes of `LAYOUT`.

    Raises:
        PsheadError: a component is not there or does not load with exactly the keys and shapes of its class.
    """
    return {place: _load(cls, folder / place) for place, cls in LAYOUT[name].items()}


def _load(cls: Any, folder: Path) -> Any:
    what = f"{folder} does not load as {cls.__name__}"
    if not folder.is_dir():
        raise PsheadError(what, why="the folder is not there", fix=_EXPORT_AGAIN)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, about themselves
            if not issubclass(cls, nn.Module):
                return cls.from_pretrained(folder, local_files_only=True)
            model, report = cls.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:400]}"
        raise PsheadError(what, why=why, fix=_EXPORT_AGAIN) from error
    wrong = {kind: sorted(map(str, report[kind])) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    found = [f"{kind.replace('_', ' ')}: {', '.join(names[:5])}" for kind, names in wrong.items() if names]
    if found:
        raise PsheadError(what, why="; ".join(found), fix=_EXPORT_AGAIN)
    return model


def parts_of(name: str, folder: Path) -> list[tuple[str, str, int, int]]:
    """Return (place, class, parameters, bytes) of each component, read from headers and file sizes."""
    rows = []
    for place, cls in LAYOUT[name].items():
        files = [path for path in (folder / place).rglob("*") if path.is_file()]
        weights = [path for path in files if path.suffix == ".safetensors"]
        count = sum(facts.count for path in weights for facts in read_header(path).values())
        rows.append((place, cls.__name__, count, sum(path.stat().st_size for path in files)))
    return rows


def prediction_type(folder: Path) -> str:
    """Return what the network predicts by its noise schedule's configuration; empty for a folder without one."""
    path = folder / "scheduler" / "scheduler_config.json"
    return json.loads(path.read_text(encoding="utf-8"))["prediction_type"] if path.exists() else ""
