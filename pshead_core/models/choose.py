"""Which files of a repository make a checkpoint: configurations, word lists, and one set of weights per component.

Of several variants the smallest that is meant for use is taken (`fp16_ema`, `fp16`) and stored under the plain name, so
that a loader needs no variant. Pickles are taken only where nothing else is published, and only to be converted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from attrs import frozen

from pshead_core.errors import PsheadError
from pshead_core.models.checkpoint import UNUSED
from pshead_core.models.hub import HubFile

_VARIANTS = ("fp16_ema", "fp16", "ema", "")
"""The first that is there is taken; the empty one is the plain file."""
_WEIGHTS = re.compile(
    r"(?P<base>diffusion_pytorch_model|pytorch_model|model)(\.(?P<variant>\w+))?\.(?P<kind>safetensors|bin)"
)
_SHARD = re.compile(r"(diffusion_pytorch_model|model)-\d{5}-of-\d{5}\.safetensors")
_SHARD_INDEX = re.compile(r"(diffusion_pytorch_model|model)\.safetensors\.index\.json")
_CONFIGURATIONS = ("config.json", "scheduler_config.json", "preprocessor_config.json", "tokenizer_config.json")


@frozen(kw_only=True)
class Choice:
    """What is fetched, and under which names it is stored."""

    files: Mapping[HubFile, str]
    """Each file and its path below the checkpoint's folder."""

    @property
    def pickles(self) -> tuple[str, ...]:
        """Paths of the files that have to be converted."""
        return tuple(path for path in self.files.values() if path.endswith((".bin", ".pth")))

    @property
    def size_bytes(self) -> int:
        """Size of the download."""
        return sum(file.size_bytes for file in self.files)


def places_of(files: Sequence[HubFile]) -> tuple[str, ...]:
    """Return the folders of a repository that look like components; the root (empty) if none does."""
    paths = [PurePosixPath(file.path) for file in files]
    found = {path.parts[0] for path in paths if len(path.parts) == 2 and path.name in _CONFIGURATIONS}
    return tuple(sorted(found - UNUSED)) or ("",)


def choose_files(repo: str, files: Sequence[HubFile], places: Sequence[str]) -> Choice:
    """Return what to fetch of the components in some folders of a repository.

    Args:
        repo: for messages.
        files: of the repository.
        places: folders of the components; the empty one is the root.

    Raises:
        PsheadError: a folder is not there or holds nothing that a loader could use.
    """
    chosen: dict[HubFile, str] = {}
    for place in places:
        inside = {file.path.rsplit("/", 1)[-1]: file for file in files if _parent(file.path) == place}
        texts = [name for name in inside if name.endswith((".json", ".txt")) and ".index." not in name]
        picked = {name: name for name in texts} | _weights(inside)
        if not any(name in _CONFIGURATIONS or name.endswith(("safetensors", ".bin")) for name in picked):
            raise PsheadError(
                f"{repo} holds no component in {place or 'its root'}",
                why=f"there are: {', '.join(sorted(inside)[:8]) or 'no files'}",
                fix="name a repository in the layout of diffusers, and the right commit",
            )
        prefix = f"{place}/" if place else ""
        chosen |= {inside[name]: prefix + stored for name, stored in picked.items()}
    return Choice(files=chosen)


def _weights(inside: Mapping[str, HubFile]) -> dict[str, str]:
    """Return the weights of one component: name in the repository and name to store."""
    for kind in ("safetensors", "bin"):
        by_variant = {}
        for name in inside:
            found = _WEIGHTS.fullmatch(name)
            if found is not None and found["kind"] == kind:
                by_variant[found["variant"] or ""] = (name, f"{found['base']}.{kind}")
        for variant in _VARIANTS:
            if variant in by_variant:
                name, stored = by_variant[variant]
                return {name: stored}
        shards = [name for name in inside if _SHARD.fullmatch(name) or _SHARD_INDEX.fullmatch(name)]
        if kind == "safetensors" and shards:
            return {name: name for name in shards}
    return {}


def _parent(path: str) -> str:
    return path.rsplit("/", 1)[0] if "/" in path else ""
