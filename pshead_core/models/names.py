"""From the name of a checkpoint to its folders. Imports no torch, downloads nothing.

A name is, in this order:

1. an installed checkpoint plugin (`mini/sd`, or `mini/sd@distribution` where two offer it),
2. a name of the catalogue of published weights (`sd15`), once it has been pulled,
3. a local folder; one that begins with `.`, `~` or `/` is never anything else,
4. `owner/name@<40 hexadecimal digits>` of the hub, once it has been pulled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pshead_core.errors import PsheadError
from pshead_core.models.catalogue import CATALOGUE
from pshead_core.models.checkpoint import PICKLES, Checkpoint, checked, components_of
from pshead_core.models.files import component_folders
from pshead_core.models.missing import all_missing, missing_hub, missing_published, unknown_name
from pshead_core.models.pulled import hub_folder, parse_hub_name, published_folder, pulled_checkpoint
from pshead_core.registry.host import PluginHost
from pshead_core.registry.listing import PluginListing, list_plugins
from pshead_core.registry.selection import Wanted, find
from pshead_core.specs import CheckpointSpec

NOT_STATED = "not stated"
"""Licence of weights whose folder says nothing about it."""
_CARD_LICENCE = re.compile(r"^licen[cs]e(_name)?:\s*['\"]?([\w. +-]+?)['\"]?\s*$", re.MULTILINE)


class CheckpointNames:
    """Finds checkpoints by name; keeps what it has loaded for that.

    Args:
        specs: loaded checkpoint plugins by name.
        listings: what is installed; None looks once, when a name needs it.
    """

    def __init__(
        self, specs: Mapping[str, CheckpointSpec] | None = None, listings: Sequence[PluginListing] | None = None
    ) -> None:
        self._specs = dict(specs or {})
        self._listings = None if listings is None else tuple(listings)

    def resolve(self, name: str) -> Checkpoint:
        """Return the checkpoint of a name. Imports only the checkpoint plugin that the name means, if any.

        Raises:
            PsheadError: nothing has this name, the weights are not here, or they cannot be loaded safely.
            PluginError: the checkpoint plugin is ambiguous, broken or of another version.
        """
        if _is_path(name):
            return checked(_folder_checkpoint(name))
        wanted = Wanted.parse("checkpoints", name)
        spec = self._spec(wanted)
        if spec is not None:
            return checked(bundled_checkpoint(name, spec))
        if name in CATALOGUE:
            entry = CATALOGUE[name]
            folder = published_folder(entry)
            found = None if folder is None else pulled_checkpoint(name, folder)
            if found is None:
                raise missing_published(entry)
            return checked(found)
        if Path(name).is_dir():
            return checked(_folder_checkpoint(name))
        hub = parse_hub_name(name)
        if hub is None:
            raise unknown_name(name, self.plugin_names())
        found = pulled_checkpoint(name, hub_folder(hub))
        if found is None:
            raise missing_hub(hub)
        return checked(found)

    def resolve_all(self, names: Iterable[str]) -> tuple[Checkpoint, ...]:
        """Return the checkpoints of several names, each once.

        Raises:
            PsheadError: names all that are missing at once.
        """
        found, errors = [], []
        for name in dict.fromkeys(names):
            try:
                found.append(self.resolve(name))
            except PsheadError as error:
                errors.append(error)
        if errors:
            raise all_missing(errors)
        return tuple(found)

    def plugin_names(self) -> tuple[str, ...]:
        """Return the names of all checkpoint plugins, loaded or installed, sorted."""
        return tuple(sorted({*self._specs, *(item.name for item in self._installed() if item.kind == "checkpoints")}))

    def _spec(self, wanted: Wanted) -> CheckpointSpec | None:
        """Return the spec of a checkpoint plugin, loading the plugin if need be; None if there is none."""
        if wanted.name in self._specs:
            return self._specs[wanted.name]
        if not any((item.kind, item.name) == (wanted.kind, wanted.name) for item in self._installed()):
            return None
        listing = find(wanted, self._installed())
        self._specs[wanted.name] = PluginHost.load([listing]).checkpoint_specs()[wanted.name]
        return self._specs[wanted.name]

    def _installed(self) -> tuple[PluginListing, ...]:
        if self._listings is None:
            self._listings = list_plugins()
        return self._listings


def resolve_checkpoint(name: str) -> Checkpoint:
    """Return the checkpoint of a name, for code without a `BuildContext`, such as analyzers.

    Raises:
        PsheadError: as `CheckpointNames.resolve`.
    """
    return CheckpointNames().resolve(name)


def bundled_checkpoint(name: str, spec: CheckpointSpec) -> Checkpoint:
    """Return the checkpoint of a plugin.

    Raises:
        PsheadError: its folder or a component is not there.
    """
    folders = component_folders(spec) or components_of(spec.folder())
    return Checkpoint(name=name, folders=folders, licences=spec.licences, origin="bundled")


def _is_path(name: str) -> bool:
    return name.startswith((".", "~")) or Path(name).is_absolute()


def _folder_checkpoint(name: str) -> Checkpoint:
    """Return the checkpoint in a local folder; raise a PsheadError if it holds none."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise PsheadError(
            f"there are no weights in {name}",
            why="it is a file, not a folder" if folder.is_file() else "there is no such folder",
            fix="name a folder with components, such as unet and vae",
        )
    pulled = pulled_checkpoint(name, folder)
    if pulled is not None:
        return pulled
    folders = components_of(folder)
    if not folders:
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES)
        why = "none of its folders holds a config.json"
        if pickles:
            why = f"it holds only pickles ({', '.join(pickles[:3])}), and reading a pickle can run any code"
        raise PsheadError(
            f"{name} holds no component that could be loaded",
            why=why,
            fix="name a folder in the layout of diffusers (unet/config.json, unet/*.safetensors, ...)",
        )
    return Checkpoint(name=name, folders=folders, licences=(_card_licence(folder),), origin="folder")


def _card_licence(folder: Path) -> str:
    """Return the licence that the card of a folder states in its header (the hub's form), or `not stated`."""
    card = folder / "README.md"
    if not card.is_file():
        return NOT_STATED
    text = card.read_text(encoding="utf-8", errors="replace")
    header = text.split("\n---", 1)[0] if text.startswith("---") else ""
    found = _CARD_LICENCE.findall(header)
    return str(found[-1][1]) if found else NOT_STATED
