"""Small checkpoints in the two published layouts, written on the spot."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, DDIMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

BYTES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
LETTERS = [chr(code) for code in BYTES] + [chr(256 + number) for number in range(256 - len(BYTES))]
FIRST, LAST = "<|startoftext|>", "<|endoftext|>"
SD1 = {"attention_head_dim": 8, "cross_attention_dim": 32}
SD2 = {"attention_head_dim": [2, 4, 4, 4], "cross_attention_dim": 48, "use_linear_projection": True}


def write_twin(folder: Path, kind: dict) -> tuple[Path, Path]:
    """Write a random base and ControlNet with the class names and blocks of Stable Diffusion, and small widths.

    The ControlNet lies as published: that of 1.5 in the folder `diffusion_sd15`, that of 2.1 in the root.
    """
    state = torch.get_rng_state()
    torch.manual_seed(1)
    base, control = folder / "base", folder / "control"
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64, 64, 64),
        layers_per_block=1,
        norm_num_groups=16,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        **kind,
    )
    unet.save_pretrained(base / "unet")
    net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 16, 16))
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.05)  # zero convolutions would hide the control picture
    net.save_pretrained(control / "diffusion_sd15" if kind is SD1 else control)
    AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        sample_size=64,
    ).save_pretrained(base / "vae")
    text = CLIPTextConfig(
        vocab_size=514,
        bos_token_id=512,
        eos_token_id=513,
        hidden_size=kind["cross_attention_dim"],
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
    )
    CLIPTextModel(text).save_pretrained(base / "text_encoder")
    torch.set_rng_state(state)
    vocabulary = {
        piece: number for number, piece in enumerate([*LETTERS, *(letter + "</w>" for letter in LETTERS), FIRST, LAST])
    }
    CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77).save_pretrained(base / "tokenizer")
    DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, set_alpha_to_one=False
    ).save_pretrained(base / "scheduler")
    return control / "diffusion_sd15" if kind is SD1 else control, base


@pytest.fixture(scope="session")
def twins(tmp_path_factory) -> dict[str, tuple[Path, Path]]:
    """ControlNet and base of both variants."""
    return {name: write_twin(tmp_path_factory.mktemp(name), kind) for name, kind in (("sd15", SD1), ("sd21", SD2))}
