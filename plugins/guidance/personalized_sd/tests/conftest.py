"""Small checkpoints in the published layouts, written on the spot, and contexts around them."""

import json
from pathlib import Path

import pytest
import torch
from attrs import evolve
from diffusers import AutoencoderKL, DDIMScheduler, PNDMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from pshead_core.testing import tiny_context, tiny_portrait

BYTES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
LETTERS = [chr(code) for code in BYTES] + [chr(256 + number) for number in range(256 - len(BYTES))]
FIRST, LAST = "<|startoftext|>", "<|endoftext|>"
SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
SD1 = {"attention_head_dim": 8}
SD2 = {"attention_head_dim": [2, 4, 4, 4], "use_linear_projection": True}


def write_tokenizer(folder: Path, pad: str) -> None:
    """Write CLIP's byte alphabet without merges: every letter is a token."""
    pieces = [*LETTERS, *(letter + "</w>" for letter in LETTERS), FIRST, LAST]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    CLIPTokenizer(vocab=vocabulary, merges=[], pad_token=pad, model_max_length=77).save_pretrained(folder)


def write_twin(
    folder: Path, *, prediction: str = "epsilon", unet: dict | None = None, pad: str = LAST, text: dict | None = None
) -> Path:
    """Write a random checkpoint with the class names and blocks of Stable Diffusion, and small widths."""
    generator_state = torch.get_rng_state()
    torch.manual_seed(1)
    UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 64, 64, 64),
        layers_per_block=1,
        cross_attention_dim=32,
        norm_num_groups=16,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        **(unet or SD1),
    ).save_pretrained(folder / "unet")
    AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4,
        sample_size=64,
    ).save_pretrained(folder / "vae")
    config = CLIPTextConfig(
        vocab_size=514,
        bos_token_id=512,
        eos_token_id=513,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        **(text or {}),
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    torch.set_rng_state(generator_state)
    write_tokenizer(folder / "tokenizer", pad)
    if prediction == "v_prediction":
        DDIMScheduler(**SCHEDULE, prediction_type=prediction).save_pretrained(folder / "scheduler")
    else:
        PNDMScheduler(**SCHEDULE, skip_prk_steps=True).save_pretrained(folder / "scheduler")
    return folder


def forget(path: Path, key: str) -> None:
    """Remove a key from a JSON file."""
    config = json.loads(path.read_text(encoding="utf-8"))
    del config[key]
    path.write_text(json.dumps(config), encoding="utf-8")


@pytest.fixture(scope="session")
def twin(tmp_path_factory) -> Path:
    """Stable Diffusion 1.5, small: PNDM, epsilon, an autoencoder whose configuration states no scaling factor."""
    folder = write_twin(tmp_path_factory.mktemp("sd15"))
    forget(folder / "vae" / "config.json", "scaling_factor")
    return folder


@pytest.fixture(scope="session")
def twin_v(tmp_path_factory) -> Path:
    """Stable Diffusion 2.1, small: v prediction, linear projections, tokens padded with "!"."""
    return write_twin(
        tmp_path_factory.mktemp("sd21"), prediction="v_prediction", unet=SD2, pad="!", text={"hidden_act": "gelu"}
    )


@pytest.fixture
def make_context(tmp_path):
    """Return a function that makes contexts with a cache folder of the test's own."""

    def make(*, cache="cache", rgba=None, prompt="photo of a woman, red hair", sha256="1" * 64, dtype=torch.float32):
        portrait = evolve(tiny_portrait(), prompt=prompt, sha256=sha256)
        if rgba is not None:
            portrait = evolve(portrait, rgba=rgba)
        return tiny_context(tmp_path / cache, portrait=portrait, dtype=dtype)

    return make
