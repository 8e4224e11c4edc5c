"""A tiny twin of every checkpoint that the full-size presets name: random weights in the published layouts."""

from pathlib import Path

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from pshead_analyzers_blip.twin import write_twin as write_blip
from pshead_guidance_identity.toy import toy_recogniser, write_folder
from pshead_refiners_codeformer import TOY as CODEFORMER_TOY

from tests.bench.random_weights import layouts, write_weights

STEPS = ("from_step", "to_step", "until_step", "every", "offset")


def write_twins(folder: Path) -> dict[str, Path]:
    """Write the checkpoints and return their folders by what they stand for.

    CodeFormer's widths are fixed in its architecture, so its twin is the plugin's toy.
    """
    cpu, twins = torch.device("cpu"), {}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        for name, layout in layouts(tiny=True).items():
            write_weights(folder / name, layout, cpu)
            twins[name] = folder / name
        unet = UNet2DConditionModel.from_pretrained(folder / "sd" / "unet")
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8, 16, 16))
        for weight in net.parameters():
            torch.nn.init.normal_(weight, std=0.05)  # zero convolutions would hide the control picture
        net.save_pretrained(folder / "control")
        write_blip(folder / "blip")
    write_folder(toy_recogniser().state_dict(), folder / "arcface")
    return {
        **twins,
        "control": folder / "control",
        "blip": folder / "blip",
        "arcface": folder / "arcface",
        "codeformer": CODEFORMER_TOY,
    }


def shortened(table: dict, steps: int) -> dict:
    """Return a configuration's table with every step number scaled, so that `steps` steps see the whole schedule."""
    ratio = steps / table["steps"]

    def walk(value, path):
        if isinstance(value, dict):
            return {key: walk(inner, (*path, key)) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(inner, path) for inner in value]
        counts = path[-1] in STEPS or path in (("steps",), ("resolution", "from_steps"))
        if not counts or not isinstance(value, int):
            return value
        least = 1 if path[-1] in ("every", "steps") else 0
        return max(round(value * ratio), least)

    return walk(table, ())
