"""Which weights a run uses and on which terms: found before anything is built, printed, and written down."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from pshead_core.config.checkpoints import checkpoint_names, used_instances
from pshead_core.config.resolved import Resolved
from pshead_core.errors import ConfigError
from pshead_core.models.checkpoint import Checkpoint
from pshead_core.models.licences import strictest, strictness_of
from pshead_core.models.names import CheckpointNames

_MEANS = {
    "non-commercial": "no commercial use",
    "openrail": "commercial use with use restrictions",
    "other": "read it before commercial use",
    "permissive": "commercial use allowed",
}
_OFFLINE = "HF_HUB_OFFLINE"


@frozen(kw_only=True, eq=False)
class Weights:
    """The checkpoints of a run."""

    names: CheckpointNames
    """Finds them again, for the pool."""
    checkpoints: tuple[Checkpoint, ...]
    used_by: Mapping[str, list[str]]
    """Instances that name each checkpoint."""
    plugin_licences: Mapping[str, tuple[str, ...]]
    """Licences of the plugins that the run builds, by name."""

    @property
    def strictest(self) -> tuple[str, str] | None:
        """The strictest licence among plugins and weights, and whose it is."""
        owners = {licence: name for name, licences in self._licences() for licence in licences}
        licence = strictest(owners)
        return None if licence is None else (licence, owners[licence])

    def lines(self) -> list[str]:
        """Return what a run says about its weights: which ones, and the strictest licence with its meaning."""
        alike: dict[tuple[str, ...], list[str]] = {}
        for one in self.checkpoints:
            alike.setdefault(one.licences, []).append(_short(one))
        listed = "; ".join(f"{', '.join(names)} ({', '.join(key) or 'no licence'})" for key, names in alike.items())
        lines = [f"weights: {listed or 'none'}"]
        if self.strictest is not None:
            licence, owner = self.strictest
            lines.append(f"strictest licence: {licence} ({owner}): {_MEANS[strictness_of(licence)]}")
        return lines

    def to_json(self) -> dict[str, object]:
        """Return what `plugins.json` holds about weights; those from the hub are known by their revision."""
        found = [
            {
                "name": one.name,
                "origin": one.origin,
                "revision": one.revision,
                "fingerprint": one.fingerprint() if one.origin != "hub" else None,
                "licences": list(one.licences),
                "used_by": self.used_by[one.name],
            }
            for one in self.checkpoints
        ]
        return {"weights": found, "strictest_licence": self.strictest[0] if self.strictest else None}

    def _licences(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield from ((one.name, one.licences) for one in self.checkpoints)
        yield from self.plugin_licences.items()


def find_weights(resolved: Resolved) -> Weights:
    """Find all checkpoints that the built instances name.

    Raises:
        PsheadError: names all that are missing or cannot be loaded safely.
        ConfigError: the configuration asks for commercial use, and the licence of some weights excludes it.
    """
    instances = used_instances(resolved)
    names = CheckpointNames(resolved.host.checkpoint_specs(), resolved.listings)
    used_by = checkpoint_names(resolved, instances)
    checkpoints = names.resolve_all(used_by)
    if resolved.config.models.commercial_use:
        _refuse_non_commercial(checkpoints, used_by)
    licences = {one.plugin: resolved.provenance_of(one).licences for one in instances}
    return Weights(names=names, checkpoints=checkpoints, used_by=used_by, plugin_licences=licences)


def changed_weights(folder: Path, weights: Weights) -> list[str]:
    """Return a sentence for each checkpoint of a run folder that is not what it was when the run began."""
    try:
        began = json.loads((folder / "plugins.json").read_text(encoding="utf-8")).get("weights", [])
        before = {item["name"]: (item["revision"], item["fingerprint"]) for item in began}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"{folder / 'plugins.json'} cannot be read, so nothing tells whether the weights are still the same"]
    now = {item["name"]: (item["revision"], item["fingerprint"]) for item in weights.to_json()["weights"]}  # type: ignore[attr-defined]
    return [
        f"the weights '{name}' are not those that the run began with: the numbers may differ"
        for name, state in now.items()
        if before.get(name, state) != state
    ]


@contextmanager
def hub_offline(offline: bool) -> Iterator[None]:
    """Keep the model hub's library offline inside the block if `offline` says so; it must not be imported before."""
    before = os.environ.get(_OFFLINE)
    if offline:
        os.environ[_OFFLINE] = "1"
    try:
        yield
    finally:
        if offline and before is None:
            del os.environ[_OFFLINE]
        elif offline and before is not None:
            os.environ[_OFFLINE] = before


def _refuse_non_commercial(checkpoints: tuple[Checkpoint, ...], used_by: Mapping[str, list[str]]) -> None:
    wrong = [
        f"'{one.name}' of {', '.join(used_by[one.name])} ({licence})"
        for one in checkpoints
        for licence in one.licences
        if strictness_of(licence) == "non-commercial"
    ]
    if wrong:
        raise ConfigError(
            f"the licence of these weights excludes commercial use: {'; '.join(wrong)}",
            why="models.commercial_use is set",
            fix="name other weights (`pshead models list` shows licences), leave their slots out, or unset it",
        )


def _short(one: Checkpoint) -> str:
    return one.name if one.revision is None or "@" in one.name else f"{one.name}@{one.revision[:8]}"
