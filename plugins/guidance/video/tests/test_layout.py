"""Published layouts: ModelScope text-to-video and ZeroScope v2, as architecture in full size and as a tiny twin."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from attrs import evolve
from diffusers import AutoencoderKL, UNet3DConditionModel
from pshead_guidance_video.config import VideoConfig
from pshead_guidance_video.prior import build
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel

from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.testing import tiny_context, tiny_step, tiny_views

UNET = {  # unet/config.json of ali-vilab/text-to-video-ms-1.7b and of cerspense/zeroscope_v2_576w
    "act_fn": "silu", "attention_head_dim": 64, "block_out_channels": [320, 640, 1280, 1280],
    "cross_attention_dim": 1024, "downsample_padding": 1, "in_channels": 4, "layers_per_block": 2,
    "down_block_types": ["CrossAttnDownBlock3D", "CrossAttnDownBlock3D", "CrossAttnDownBlock3D", "DownBlock3D"],
    "up_block_types": ["UpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D", "CrossAttnUpBlock3D"],
    "mid_block_scale_factor": 1, "norm_eps": 1e-05, "norm_num_groups": 32, "out_channels": 4, "sample_size": 32,
}  # fmt: skip
VAE = {
    "act_fn": "silu", "block_out_channels": [128, 256, 512, 512], "in_channels": 3, "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4, "latent_channels": 4,
    "layers_per_block": 2, "norm_num_groups": 32, "sample_size": 512, "scaling_factor": 0.18215,
}  # fmt: skip
TEXT = {  # OpenCLIP ViT-H with its last layer left out
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16,
    "max_position_embeddings": 77, "vocab_size": 49408, "hidden_act": "gelu", "projection_dim": 512,
    "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1,
}  # fmt: skip
SCHEDULER = {
    "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "clip_sample": False, "num_train_timesteps": 1000, "prediction_type": "epsilon", "set_alpha_to_one": False,
    "skip_prk_steps": True, "steps_offset": 1, "trained_betas": None,
}  # fmt: skip
INDEX = {
    "_class_name": "TextToVideoSDPipeline", "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet3DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
}  # fmt: skip
FOREIGN_INDEX = INDEX | {"unet": ["models.unet_3d_condition", "UNet3DConditionModel"]}
TINY_UNET = UNET | {"block_out_channels": [8, 8, 16, 16], "attention_head_dim": 4, "norm_num_groups": 4}
TINY_UNET |= {"cross_attention_dim": 16}
TINY_VAE = VAE | {"block_out_channels": [4, 4, 8, 8], "layers_per_block": 1, "norm_num_groups": 4}
TINY_TEXT = TEXT | {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def millions(module: nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


def test_published_architectures_have_the_published_sizes():
    with torch.device("meta"):
        assert millions(UNet3DConditionModel.from_config(UNET)) == pytest.approx(1411.23, abs=0.01)
        assert millions(AutoencoderKL.from_config(VAE)) == pytest.approx(83.65, abs=0.01)
        assert millions(CLIPTextModel(CLIPTextConfig(**TEXT))) == pytest.approx(340.4, abs=0.1)


def write_tokenizer(folder: Path) -> int:
    """Write a byte-level vocabulary in the files that older libraries wrote, and return its size."""
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = {"bos_token": words[-2], "eos_token": words[-1], "unk_token": words[-1], "pad_token": "!"}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    settings = special | {"model_max_length": 77, "tokenizer_class": "CLIPTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return len(words)


def write_text_encoder(folder: Path, vocabulary: int) -> None:
    """Write the weights under the names that the published files have: all begin with `text_model.`."""
    CLIPTextModel(CLIPTextConfig(**(TINY_TEXT | {"vocab_size": vocabulary}))).save_pretrained(folder)
    path = folder / "model.safetensors"
    tensors = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(path).items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.fixture(scope="module")
def twin(tmp_path_factory) -> Path:
    """A folder in the published layout: sharded network, old names in the text encoder, 4 latent channels, epsilon."""
    folder = tmp_path_factory.mktemp("twin")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        UNet3DConditionModel.from_config(TINY_UNET).half().save_pretrained(folder / "unet", max_shard_size="100KB")
        AutoencoderKL.from_config(TINY_VAE).half().save_pretrained(folder / "vae")
        write_text_encoder(folder / "text_encoder", write_tokenizer(folder / "tokenizer"))
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    assert (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").is_file()
    return folder


@pytest.mark.parametrize("index", [INDEX, FOREIGN_INDEX, None])
def test_twin_loads_and_contributes(twin, tmp_path, index):
    """Which class the pipeline's index names, and whether there is one, does not matter."""
    listed = twin / "model_index.json"
    listed.unlink(missing_ok=True)
    if index is not None:
        listed.write_text(json.dumps(index))
    guidance = build(VideoConfig(checkpoint=str(twin)), tiny_context(tmp_path))
    assert (guidance.frame.height_px, guidance.frame.scaling_factor) == (256, 0.18215)  # ModelScope's 256 px
    assert guidance.schedule.prediction == "epsilon"
    guidance = evolve(guidance, frame=evolve(guidance.frame, height_px=64, width_px=64))
    views = tiny_views(3, side_px=32)
    gradient = guidance.contribute(views, tiny_step()).rgb
    assert gradient.shape == views.rgb.shape
    assert gradient.isfinite().all()
    assert (gradient.abs().amax((1, 2, 3)) > 0).all()


def test_twin_with_prompt_and_published_aspect(twin, tmp_path):
    """The aspect of 320 x 576 at a fifth of the size; 9 latents are no multiple of the network's factor of 8."""
    distill = DistillSettings(draw="shared", guidance_scale=9.0, guidance_form="from_condition")
    options = {"checkpoint": str(twin), "frame": "published", "height_px": 40, "width_px": 72, "distill": distill}
    views = tiny_views(2, side_px=32)
    found = []
    for prompt, negative in (("a head", "blurry"), ("a cat", "blurry"), ("", "")):
        config = VideoConfig(prompt=prompt, negative_prompt=negative, **options)
        guidance = build(config, tiny_context(tmp_path))
        assert (guidance.texts.unconditional is None) == (prompt == negative)
        assert guidance.texts.conditional.shape == (1, 77, 16)
        found.append(guidance.contribute(views, tiny_step()).rgb)
        assert found[-1].shape == views.rgb.shape
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_bfloat16_twin_points_the_same_way(twin, tmp_path):
    views = tiny_views(3, side_px=32)
    config = VideoConfig(checkpoint=str(twin), side_px=64)
    one, other = (
        build(config, tiny_context(tmp_path, dtype=dtype)).contribute(views, tiny_step()).rgb.flatten()
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.95
