"""Rewrites the landmarks of shards: `python -m training.common.landmarks --data FOLDER --assets FOLDER [--check]`.

For data that was rendered before a table of landmarks was corrected: pictures and all other tensors stay. FOLDER holds
shards or latents made from them (whose heads stand there twice). A second call goes on where the first stopped: a shard
whose landmarks are already right is not written again.

No head is drawn. The face of a finished head is its local landmarks under one similarity (framing, turn, scale and
shift of the jitter; the neck's bend begins below the chin), and most points were not corrected: they tell the
similarity, and how well they fit proves it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pshead_core.errors import PsheadError
from training.common.files import write_tensors
from training.common.progress import Progress
from training.common.shards import ShardJob, read_shard
from training.heads import SOURCES, open_assets
from training.heads.makehuman import MakeHumanAssets
from training.heads.makehuman.build import bare_landmarks
from training.heads.makehuman.lips import mirror_pairs
from training.heads.sdf.build import bare_landmarks as bare_sdf_landmarks
from training.heads.sdf.landmarks import FREE_OVAL

Doubles = NDArray[np.float64]

TOLERANCE = 1e-5
"""World units: how exactly points that were not corrected must be met."""
CORRECTED: dict[str, tuple[int, ...]] = {"makehuman": tuple(sorted(mirror_pairs())), "sdf": FREE_OVAL}
"""Points whose tables changed, by source."""


def local_landmarks(source: str, seed: int, assets: MakeHumanAssets | None) -> Doubles:
    """Return the landmarks `[478, 3]` of a head before it is framed.

    Raises:
        PsheadError: a MakeHuman head without assets.
    """
    if source == "sdf":
        return bare_sdf_landmarks(seed).astype(np.float64)
    if assets is None:
        raise PsheadError("MakeHuman heads need the assets folder", fix="name it with --assets")
    return bare_landmarks(seed, assets).astype(np.float64)


def similarity(source: Doubles, target: Doubles) -> tuple[Doubles, Doubles]:
    """Return `[3, 3]` (scaled rotation) and shift `[3]` that carry points `[point, 3]` to others (Umeyama 1991)."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    u, stretch, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turned = (u * sign) @ vt * float((stretch * sign).sum() / np.square(a).sum())
    return turned, target.mean(axis=0) - turned @ source.mean(axis=0)


def corrected(source: str, seed: int, stored: Doubles, assets: MakeHumanAssets | None) -> Doubles:
    """Return a head's stored landmarks `[478, 3]` with the corrected points put right.

    Raises:
        PsheadError: the points that were not corrected do not fit: other code or another seed made the head.
    """
    local = local_landmarks(source, seed, assets)
    changed = np.array(CORRECTED[source])
    kept = np.setdiff1d(np.arange(len(stored)), changed)
    turned, shift = similarity(local[kept], stored[kept])
    off = float(np.abs(local[kept] @ turned.T + shift - stored[kept]).max())
    if off > TOLERANCE:
        raise PsheadError(
            f"the landmarks of {source} head {seed} do not fit those of the shard",
            why=f"points that were not corrected lie up to {off:.1e} apart; {TOLERANCE:.0e} is allowed",
            fix="render the data again with training.common.make_data",
        )
    out = stored.copy()
    out[changed] = local[changed] @ turned.T + shift
    return out


def corrected_shard(path: Path, assets: MakeHumanAssets | None) -> Tensor:
    """Return the landmarks `[head, 478, 3]` that the shard of this name should hold; turned-over heads repeat them."""
    source, first, count = path.stem.split("-")
    job = ShardJob(source=source, first_seed=int(first), count=int(count))
    if path.name != job.name or source not in SOURCES:
        raise PsheadError(f"{path} is not named like a shard", fix="name a folder of shards or of their latents")
    tensors, _ = read_shard(path)
    stored = tensors["landmarks"].double().numpy()
    if len(stored) % job.count:
        raise PsheadError(f"{path} holds {len(stored)} heads", why=f"its name says {job.count}", fix="make it again")
    heads = [corrected(source, job.first_seed + n, stored[n], assets) for n in range(job.count)]
    return torch.from_numpy(np.stack(heads)).float().repeat(len(stored) // job.count, 1, 1)


def correct_folder(folder: Path, assets: MakeHumanAssets | None, check: bool = False) -> int:
    """Rewrite the landmarks of a folder's shards and return how many shards were (or, checking, are to be) changed.

    Args:
        folder: of shards or latents.
        assets: MakeHuman's.
        check: only compare.

    Raises:
        PsheadError: a shard does not fit its seeds.
    """
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise PsheadError(f"no shards in {folder}", fix="name a folder of shards or of their latents")
    progress, changed = Progress(len(paths), "shard"), 0
    for path in paths:
        landmarks = corrected_shard(path, assets)
        tensors, facts = read_shard(path)
        moved = float((landmarks - tensors["landmarks"]).abs().max())
        if moved > TOLERANCE:
            changed += 1
            if not check:
                write_tensors(path, tensors | {"landmarks": landmarks.to(tensors["landmarks"].dtype)}, facts)
        progress.advance(f" ({path.name}: up to {moved:.4f} moved)")
    return changed


def main() -> None:
    """Read the command line and rewrite."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of shards or latents")
    parser.add_argument("--assets", type=Path, help="MakeHuman's folder")
    parser.add_argument("--check", action="store_true", help="only compare")
    arguments = parser.parse_args()
    assets = None if arguments.assets is None else open_assets(arguments.assets)
    changed = correct_folder(arguments.data, assets, arguments.check)
    print(f"{changed} shards {'to be changed' if arguments.check else 'changed'}")


if __name__ == "__main__":
    main()
