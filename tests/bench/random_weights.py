"""Checkpoints with random weights, in the published layouts and sizes: a network's speed does not depend on its values.

The architectures are the constants of the guidances' own tests of the published layouts. Those are read without being
imported, so that a machine for benchmarks needs no test tools.
"""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from diffusers import AutoencoderKL, UNet2DConditionModel, UNet3DConditionModel
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from pshead_core.models.names import resolve_checkpoint

ROOT = Path(__file__).resolve().parents[2]
GUIDANCES = ROOT / "plugins" / "guidance"
CAMERA_NUMBERS = 4
"""Of Zero123's camera vector, joined with the picture's embedding."""
TINY_TOKENS = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
"""A text encoder for the tiny UNet, whose tokens have the width 24."""

Config = Mapping[str, Any]


@frozen(kw_only=True, eq=False)
class Layout:
    """What one checkpoint is made of: networks by component, and JSON files by path in its folder."""

    networks: Mapping[str, Callable[[], nn.Module]]
    """Each is called under `torch.device`, so that its weights arise where they are quickest to draw."""
    files: Mapping[str, Config]
    projection_width: int | None = None
    """Of Zero123's camera projection."""
    has_tokenizer: bool = False


def constants(path: Path) -> dict[str, Any]:
    """Return the constants (names in capitals) at the top level of a Python file; nothing else of it is run."""

    def is_constant(node: ast.stmt) -> bool:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if _is_augmented(node) else []
        return bool(targets) and all(isinstance(one, ast.Name) and one.id.isupper() for one in targets)

    parsed = ast.parse(path.read_text(encoding="utf-8"))
    kept = ast.Module([node for node in parsed.body if is_constant(node)], type_ignores=[])
    found: dict[str, Any] = {}
    exec(compile(kept, str(path), "exec"), found)
    return {name: value for name, value in found.items() if name.isupper()}


def _is_augmented(node: ast.stmt) -> bool:
    return isinstance(node, ast.AugAssign)


def layouts(*, tiny: bool) -> dict[str, Layout]:
    """Return the layouts by name: `zero123` (ashawkey's port), `video` (ModelScope, ZeroScope), `sd` (1.5)."""
    novel = constants(GUIDANCES / "zero123" / "tests" / "test_layout.py")
    video = constants(GUIDANCES / "video" / "tests" / "test_layout.py")
    sd = constants(GUIDANCES / "personalized_sd" / "tests" / "test_layouts.py")
    pick = "TINY_" if tiny else ""
    text = sd["TEXT"] | sd["TEXT_1"] | (TINY_TOKENS if tiny else {})
    sd_unet = novel["TINY_UNET"] | {"in_channels": 4} if tiny else sd["UNET_1"]
    sd_vae = novel["TINY_VAE"] if tiny else sd["VAE"]
    vision = novel[f"{pick}VISION"]
    return {
        "zero123": Layout(
            networks={
                "unet": lambda: UNet2DConditionModel.from_config(novel[f"{pick}UNET"]),
                "vae": lambda: AutoencoderKL.from_config(novel[f"{pick}VAE"]),
                "image_encoder": lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**vision)),
            },
            files={
                "scheduler/scheduler_config.json": novel["SCHEDULER"],
                "feature_extractor/preprocessor_config.json": novel[f"{pick}PROCESSOR"],
            },
            projection_width=vision["projection_dim"],
        ),
        "video": Layout(
            networks={
                "unet": lambda: UNet3DConditionModel.from_config(video[f"{pick}UNET"]),
                "vae": lambda: AutoencoderKL.from_config(video[f"{pick}VAE"]),
                "text_encoder": lambda: CLIPTextModel(CLIPTextConfig(**video[f"{pick}TEXT"])),
            },
            files={"scheduler/scheduler_config.json": video["SCHEDULER"]},
            has_tokenizer=True,
        ),
        "sd": Layout(
            networks={
                "unet": lambda: UNet2DConditionModel.from_config(sd_unet),
                "vae": lambda: AutoencoderKL.from_config(sd_vae),
                "text_encoder": lambda: CLIPTextModel(CLIPTextConfig(**text)),
            },
            files={"scheduler/scheduler_config.json": video["SCHEDULER"]},
            has_tokenizer=True,
        ),
    }


def write_weights(folder: Path, layout: Layout, device: torch.device) -> int:
    """Write a checkpoint in half precision, unless it is there, and return how many bytes it has.

    Args:
        folder: of the checkpoint; it appears when it is whole.
        layout: what to write.
        device: where the weights are drawn.
    """
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        for component, make in layout.networks.items():
            with device:
                module = make().half()
            module.save_pretrained(unfinished / component)
        if layout.projection_width is not None:
            _write_projection(unfinished / "clip_camera_projection", layout.projection_width)
        if layout.has_tokenizer:
            shutil.copytree(resolve_checkpoint("mini/sd").folder("tokenizer"), unfinished / "tokenizer")
        for name, value in layout.files.items():
            _write_json(unfinished / name, value)
        unfinished.rename(folder)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _write_projection(folder: Path, width: int) -> None:
    """Write the layer as the ports do whose folder is called `clip_camera_projection`."""
    linear = nn.Linear(width + CAMERA_NUMBERS, width).half()
    _write_json(folder / "config.json", {"_class_name": "CLIPCameraProjection"})
    tensors = {"proj.weight": linear.weight.detach(), "proj.bias": linear.bias.detach()}
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors")


def _write_json(path: Path, value: Config) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(value)), encoding="utf-8")
