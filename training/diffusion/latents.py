"""Encodes a data folder: `python -m training.diffusion.latents --data FOLDER --vae FOLDER --out FOLDER`.

The priors train on latents, so every picture is encoded once: as it is and turned over, over white. A second call goes
on where the first stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch
from attrs import evolve, frozen
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from pshead_core.errors import PsheadError
from training.common.data import plain_batch
from training.common.files import write_json, write_tensors
from training.common.focus import focus_map, focus_points
from training.common.progress import Progress
from training.common.shards import read_shard
from training.diffusion.sampling import encode
from training.vae.model import DOWN_FACTOR

FRONT_PX = 64
"""Side of the front pictures kept for the picture encoder."""
SETTINGS_FILE = "latents.json"


@frozen(kw_only=True, eq=False)
class Latents:
    """All heads of a data folder, each twice (as it is, turned over)."""

    latent: Tensor
    """`[head, view, 8, 16, 16]`, fp16, not scaled; view 0 is the front."""
    azimuth_deg: Tensor
    """`[head, view]`."""
    front: Tensor
    """`[head, 3, 64, 64]`, uint8: the front picture over white."""
    focus: Tensor
    """`[head, view, 1, 16, 16]`, fp16: share of each cell that shows eyes, nose or mouth."""
    landmarks: Tensor
    """`[head, 478, 3]`, world; right for heads that are not turned over."""
    mirrored: Tensor
    """`[head]`, bool."""
    captions: tuple[str, ...]
    """Without view words."""
    sources: tuple[str, ...]
    scaling_factor: float

    def __len__(self) -> int:
        return len(self.latent)

    def to(self, device: str) -> Latents:
        """Return the same with all that a network is fed on a device; azimuths and landmarks stay on the CPU."""
        fed = {name: getattr(self, name).to(device) for name in ("latent", "front", "focus")}
        return evolve(self, **fed)


def fingerprint(vae: Path) -> str:
    """Return a hash of an autoencoder's weights: latents of another one are of no use."""
    return hashlib.sha256((vae / "diffusion_pytorch_model.safetensors").read_bytes()).hexdigest()


def encode_shard(path: Path, vae: AutoencoderKL) -> tuple[dict[str, Tensor], dict]:
    """Return tensors, on the CPU, and facts of a shard of latents."""
    tensors, facts = read_shard(path)
    device = next(vae.parameters()).device
    heads, views = tensors["rgba"].shape[:2]
    points = focus_points(tensors["landmarks"], tensors["azimuth_deg"], tensors["rgba"].shape[2]).flatten(0, 1)
    cells = functional.avg_pool2d(focus_map(points, tensors["rgba"].shape[2]), DOWN_FACTOR).half()
    parts: dict[str, list[Tensor]] = {"latent": [], "azimuth_deg": [], "front": [], "focus": []}
    for turned in (False, True):
        rgba = tensors["rgba"].to(device).flatten(0, 1).permute(0, 3, 1, 2).float() / 255
        image = plain_batch(rgba.flip(-1) if turned else rgba).image.to(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16):  # half a percent off; on a CPU 2.6 times faster
            latent = encode(vae, image)
        parts["latent"].append(latent.half().cpu().unflatten(0, (heads, views)))
        parts["focus"].append((cells.flip(-1) if turned else cells).unflatten(0, (heads, views)))
        parts["azimuth_deg"].append(tensors["azimuth_deg"] * (-1 if turned else 1))
        front = functional.interpolate(image[::views], size=(FRONT_PX, FRONT_PX), mode="area")
        parts["front"].append(((front / 2 + 0.5) * 255).round().to(torch.uint8).cpu())
    found = {name: torch.cat(values) for name, values in parts.items()}
    found["landmarks"] = tensors["landmarks"].float().repeat(2, 1, 1)
    found["mirrored"] = torch.arange(2 * heads) >= heads
    return found, {"captions": facts["captions"] * 2, "source": facts["job"]["source"]}


def encode_data(data: Path, vae_folder: Path, out: Path, device: str = "cpu") -> int:
    """Encode the shards that are not encoded yet and return how many were.

    Raises:
        PsheadError: `out` holds latents of another autoencoder.
    """
    vae = AutoencoderKL.from_pretrained(vae_folder).float().to(device, memory_format=torch.channels_last).eval()
    settings = {"vae": fingerprint(vae_folder), "scaling_factor": vae.config.scaling_factor}
    out.mkdir(parents=True, exist_ok=True)
    path = out / SETTINGS_FILE
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != settings:
        raise PsheadError(
            f"{out} holds latents of another autoencoder", why="its weights differ", fix="name another --out folder"
        )
    write_json(path, settings)
    missing = [shard for shard in sorted(data.glob("*.safetensors")) if not (out / shard.name).exists()]
    progress = Progress(len(missing), "shard")
    for shard in missing:
        tensors, facts = encode_shard(shard, vae)
        write_tensors(out / shard.name, tensors, facts)
        progress.advance(f" ({out})")
    return len(missing)


def open_latents(folder: Path, most_shards: int | None = None) -> Latents:
    """Return all latents of a folder, in memory.

    Args:
        folder: written by this command.
        most_shards: for trials.

    Raises:
        PsheadError: there are none.
    """
    paths = sorted(folder.glob("*.safetensors"))[:most_shards]
    if not paths:
        raise PsheadError(
            f"no latents in {folder}", why="nothing was encoded there", fix="python -m training.diffusion.latents"
        )
    read = [read_shard(path) for path in paths]
    joined = {name: torch.cat([tensors[name] for tensors, _ in read]) for name in read[0][0]}
    settings = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    return Latents(
        **joined,
        captions=tuple(words for _, facts in read for words in facts["captions"]),
        sources=tuple(facts["source"] for _, facts in read for _ in facts["captions"]),
        scaling_factor=settings["scaling_factor"],
    )


def main() -> None:
    """Read the command line and encode."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--vae", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    print(f"{encode_data(arguments.data, arguments.vae, arguments.out, arguments.device)} shards encoded")


if __name__ == "__main__":
    main()
