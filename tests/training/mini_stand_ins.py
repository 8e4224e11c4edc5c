"""Tiny untrained checkpoints in the layout of the miniature ones, written by the stock classes where there are any."""

from __future__ import annotations

import json
from pathlib import Path

import torch

ON_PIXELS = ("identity", "identity-judge", "face-restorer")
NAMES = ("vae", "sd", "zero123", "video", "landmark-controlnet", *ON_PIXELS)
CHANNELS, WIDTH, SIDE_PX = 4, 16, 32
"""Latent channels, width of a token, side of the pictures; latents are 4 x 4."""


def _trunk(unet, kind, **options):
    """Return a UNet of two levels."""
    return unet(
        sample_size=SIDE_PX // 8,
        out_channels=CHANNELS,
        block_out_channels=(8, 16),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        norm_num_groups=4,
        down_block_types=(f"DownBlock{kind}", f"CrossAttnDownBlock{kind}"),
        up_block_types=(f"CrossAttnUpBlock{kind}", f"UpBlock{kind}"),
        **options,
    )


def _save(part, folder):
    part.half().save_pretrained(folder, safe_serialization=True)


def _tokenizer():
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = sorted(bytes_to_unicode().values())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={word: number for number, word in enumerate(words)}, merges=[], model_max_length=77)


def _text(folder):
    from transformers import CLIPTextConfig, CLIPTextModel

    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder / "tokenizer")
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    _save(CLIPTextModel(config), folder / "text_encoder")


def _schedule(folder):
    from diffusers import DDIMScheduler

    DDIMScheduler(clip_sample=False, prediction_type="sample").save_pretrained(folder / "scheduler")


def _view(folder):
    from diffusers import UNet2DConditionModel
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    from training.zero123.projection import CLIPCameraProjection

    _save(_trunk(UNet2DConditionModel, "2D", in_channels=2 * CHANNELS, attention_head_dim=2), folder / "unet")
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        projection_dim=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
    )
    _save(CLIPVisionModelWithProjection(vision), folder / "image_encoder")
    size = {"height": 16, "width": 16}
    CLIPImageProcessor(size=size, crop_size=size).save_pretrained(folder / "feature_extractor")
    _save(CLIPCameraProjection(embedding_dim=WIDTH, additional_embeddings=4), folder / "clip_camera_projection")
    _schedule(folder)


def _on_pixels(out):
    from pshead_guidance_identity.toy import toy_recogniser
    from pshead_refiners_codeformer.mini import MiniConfig, MiniRestorer

    from training.identity.export import export_recogniser
    from training.restorer.model import export_restorer

    for name in ("identity", "identity-judge"):
        export_recogniser(toy_recogniser(), out / name)
    export_restorer(MiniRestorer(MiniConfig(side_px=SIDE_PX, widths=(4, 4, 4))), out / "face-restorer")


def write_stand_ins(out: Path) -> None:
    """Write all folders, a fraction of a megabyte in all."""
    from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel, UNet3DConditionModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8,) * 4,
            latent_channels=CHANNELS,
            norm_num_groups=4,
            sample_size=SIDE_PX,
        )
        _save(vae, out / "vae")
        unet = _trunk(UNet2DConditionModel, "2D", in_channels=CHANNELS, attention_head_dim=2)
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8, 8))
        _save(net, out / "landmark-controlnet")
        _save(unet, out / "sd/unet")
        _save(
            _trunk(UNet3DConditionModel, "3D", in_channels=CHANNELS, attention_head_dim=8),
            out / "video/unet",
        )
        for name in ("sd", "video"):
            _text(out / name)
            _schedule(out / name)
            (out / name / "model_index.json").write_text(json.dumps({"_class_name": "StandIn"}))
        _view(out / "zero123")
        _on_pixels(out)
