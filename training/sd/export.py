"""Exports the best prior so far: `python -m training.sd.export --state FOLDER --out FOLDER`.

Writes `FOLDER/sd/{unet,text_encoder,tokenizer,scheduler,model_index.json}` (fp16 safetensors). The autoencoder is
shared by all miniature checkpoints and lies beside, in `FOLDER/vae`, so the parts are loaded one by one:

    unet = UNet2DConditionModel.from_pretrained(FOLDER, subfolder="sd/unet")
    vae = AutoencoderKL.from_pretrained(FOLDER, subfolder="vae")
    pipeline = StableDiffusionPipeline.from_pretrained(f"{FOLDER}/sd", vae=vae)  # a whole pipeline, if one is wanted
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import diffusers
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTokenizer

from pshead_core.errors import PsheadError
from training.common.files import write_json
from training.common.state import BEST_FILE, load_weights
from training.diffusion.network import build_schedule
from training.sd.model import TextToImage, build_text_to_image
from training.sd.tokens import build_tokenizer

ABSENT = [None, None]
"""Entry of a component that a pipeline does without."""
TEXT_PREFIX = "text_model."
"""Published text encoders have it before every name; transformers 5 writes names without it, and reads both."""
MODEL_INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": diffusers.__version__,
    "feature_extractor": ABSENT,
    "image_encoder": ABSENT,
    "requires_safety_checker": False,
    "safety_checker": ABSENT,
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def export_text_encoder(encoder: nn.Module, folder: Path) -> None:
    """Write the text encoder in fp16, its tensors named as in published checkpoints."""
    copy.deepcopy(encoder).half().save_pretrained(folder, safe_serialization=True)
    path = folder / "model.safetensors"
    tensors = {TEXT_PREFIX + name.removeprefix(TEXT_PREFIX): value for name, value in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def export_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write the tokenizer in transformers' own file and in the published pair `vocab.json` and `merges.txt`."""
    tokenizer.save_pretrained(folder)
    tokenizer.backend_tokenizer.model.save(str(folder))


def export_text_to_image(model: TextToImage, out: Path) -> None:
    """Write `out/sd`; the model in training stays as it is."""
    folder = out / "sd"
    copy.deepcopy(model.unet).half().save_pretrained(folder / "unet", safe_serialization=True)
    export_text_encoder(model.text_encoder, folder / "text_encoder")
    export_tokenizer(build_tokenizer(), folder / "tokenizer")
    build_schedule().save_pretrained(folder / "scheduler")
    write_json(folder / "model_index.json", MODEL_INDEX)


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="of the whole checkpoint; sd is made in it")
    arguments = parser.parse_args()
    best = arguments.state / BEST_FILE
    if not best.exists():
        raise PsheadError(
            f"no prior in {arguments.state}", why="no evaluation was reached there", fix="train: python -m training.sd"
        )
    model = build_text_to_image()
    facts = load_weights(model, best)
    export_text_to_image(model, arguments.out)
    print(f"step {facts['step']}, held-out score {facts['best']:.4f}: {arguments.out / 'sd'}")


if __name__ == "__main__":
    main()
