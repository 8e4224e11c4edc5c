"""Exports the best video prior: `python -m training.video.export --state FOLDER --checkpoint FOLDER --out FOLDER`.

Writes `<out>/video` in the layout of TextToVideoSDPipeline (fp16). Text encoder and tokenizer are copies of those of
`<checkpoint>/sd`; the autoencoder is shared and lies beside, in `<out>/vae`: give it to `from_pretrained` as `vae`.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import diffusers
from diffusers import UNet3DConditionModel

from pshead_core.errors import PsheadError
from training.common.files import write_json
from training.common.state import BEST_FILE, load_weights
from training.diffusion.network import build_schedule
from training.video.model import VideoPrior, build_video, embed_empty_prompt

COPIED = ("text_encoder", "tokenizer")
INDEX = {
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet3DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def export_video(model: VideoPrior, sd: Path, out: Path) -> None:
    """Write the component folders and `model_index.json` into `<out>/video`.

    Args:
        model: trained; left as it is.
        sd: exported image prior, for text encoder and tokenizer.
        out: folder of all checkpoints.

    Raises:
        PsheadError: the image prior lacks a component.
    """
    folder = out / "video"
    for name in COPIED:
        if not (sd / name).is_dir():
            raise PsheadError(
                f"no {name} in {sd}", why="the video prior shares it", fix="export first: python -m training.sd.export"
            )
        shutil.copytree(sd / name, folder / name, dirs_exist_ok=True)
    copy = UNet3DConditionModel.from_config(model.unet.config)
    copy.load_state_dict(model.unet.state_dict())
    copy.half().save_pretrained(folder / "unet", safe_serialization=True)
    build_schedule().save_pretrained(folder / "scheduler")
    index = {"_class_name": "TextToVideoSDPipeline", "_diffusers_version": diffusers.__version__, **INDEX}
    write_json(folder / "model_index.json", index)


def main() -> None:
    """Read the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder with sd")
    parser.add_argument("--out", type=Path, required=True, help="folder of all checkpoints")
    arguments = parser.parse_args()
    if not (arguments.state / BEST_FILE).exists():
        raise PsheadError(
            f"no video prior in {arguments.state}",
            why="no evaluation was reached there",
            fix="train: python -m training.video",
        )
    sd = arguments.checkpoint / "sd"
    model = build_video(None, embed_empty_prompt(sd)).eval()
    facts = load_weights(model, arguments.state / BEST_FILE)
    export_video(model, sd, arguments.out)
    print(f"step {facts['step']}, held-out figure {facts['best']:.4f}: {arguments.out / 'video'}")


if __name__ == "__main__":
    main()
