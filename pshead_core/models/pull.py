"""Fetching published weights: chosen, consented to, checked, and only then given their place. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from pshead_core.errors import PsheadError
from pshead_core.models.catalogue import CATALOGUE, Published, published_by_repo
from pshead_core.models.checkpoint import check_component, components_of
from pshead_core.models.choose import Choice, choose_files, places_of
from pshead_core.models.convert import convert_pickle
from pshead_core.models.files import CHECKSUMS, describe_folder
from pshead_core.models.hub import Hub, HubFile, HubListing
from pshead_core.models.licences import strictness_of
from pshead_core.models.missing import size_text
from pshead_core.models.pulled import Pulled, hub_folder, parse_hub_name, published_folder, read_record, write_record
from pshead_core.registry.nearest import did_you_mean

_SPARE = 1.05
"""Disk space that is asked for, relative to what is written."""


@frozen(kw_only=True)
class Target:
    """What is to be pulled, and where to."""

    name: str
    repo: str
    revision: str
    folder: Path
    entry: Published | None
    """Of the catalogue, if it knows the repository."""

    @property
    def title(self) -> str:
        """The target for messages."""
        at = f"{self.repo}@{self.revision[:12]}"
        return at if self.name.startswith(self.repo) else f"{self.name} ({at})"


@frozen(kw_only=True)
class Terms:
    """What a user agrees to."""

    title: str
    licence: str
    commercial: bool
    note: str
    size_bytes: int

    @property
    def lines(self) -> list[str]:
        """The terms as they are shown before the question."""
        use = "" if self.commercial else "; no commercial use"
        note = [self.note] if self.note else []
        return [f"{self.title}: {size_text(self.size_bytes)}", f"licence: {self.licence}{use}", *note]


def find_target(name: str) -> Target:
    """Return what a name of the catalogue, or `owner/name@<commit>`, stands for.

    Raises:
        PsheadError: nothing that can be pulled has this name, or its commit is not known.
    """
    if name in CATALOGUE:
        entry = CATALOGUE[name]
        folder = published_folder(entry)
        if entry.revision is None or folder is None:
            raise PsheadError(
                f"no commit of {entry.repo} is confirmed, so '{name}' does not say which weights it means",
                fix=f"pshead models pull {entry.repo}@<commit>; the commit of 40 hexadecimal digits is at "
                f"https://huggingface.co/{entry.repo}/commits/main",
            )
        return Target(name=name, repo=entry.repo, revision=entry.revision, folder=folder, entry=entry)
    hub = parse_hub_name(name)
    if hub is None:
        raise PsheadError(
            f"nothing that can be fetched is called '{name}'{did_you_mean(name, CATALOGUE)}",
            why=f"published weights: {', '.join(CATALOGUE)}",
            fix="name one of them, or owner/name@<commit of 40 hexadecimal digits> of the hub",
        )
    return Target(
        name=name,
        repo=hub.repo,
        revision=hub.revision,
        folder=hub_folder(hub),
        entry=published_by_repo(hub.repo),
    )


def pull(
    name: str,
    hub: Hub,
    *,
    convert: bool,
    accept: Callable[[Terms], bool],
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Fetch weights unless they are here, and return their folder.

    Args:
        name: of the catalogue, or `owner/name@<commit>`.
        hub: where to fetch from.
        convert: whether pickles may be converted to safetensors.
        accept: asked for consent unless the licence is permissive.
        say: shows one line.

    Raises:
        PsheadError: unknown name, offline, no consent, only pickles, too little disk, or a damaged download. What was
            fetched completely stays for the next try; nothing incomplete is ever found under the name.
    """
    target = find_target(name)
    if read_record(target.folder) is not None:
        say(f"{target.title} is here already: {target.folder}")
        return target.folder
    if target.folder.exists():
        raise PsheadError(
            f"{target.folder} is in the way",
            why="it is no finished download: it has no record",
            fix="delete it and pull again",
        )
    listing = hub.look(target.repo, target.revision)
    components = _components(target, listing)
    choice = _choice(target, listing, tuple(place for _, place in components))
    if choice.pickles and not convert:
        raise _only_pickles(target, choice)
    licence = _consent(target, listing, choice, accept)
    partial = target.folder.with_name(f".{target.revision}.partial")
    _check_disk(partial, choice, target)
    say(f"fetch {size_text(choice.size_bytes)} to {target.folder}")
    try:
        _download(hub, target, choice, partial)
        _finish(target, partial, choice, components, licence)
    except OSError as error:
        raise PsheadError(
            f"{target.title} cannot be written to {target.folder.parent}",
            why=error.strerror or str(error),
            fix="see to the disk and pull again; what was fetched completely is kept",
        ) from error
    return target.folder


def _components(target: Target, listing: HubListing) -> tuple[tuple[str, str], ...]:
    """Return name and place of each component; of repositories that the catalogue does not know, all that are there."""
    if target.entry is not None:
        return target.entry.components
    return tuple((place, place) for place in places_of(listing.files))


def _choice(target: Target, listing: HubListing, places: tuple[str, ...]) -> Choice:
    """Return what to fetch: of weights that are single files, all under their own names."""
    if target.entry is not None and target.entry.files:
        return Choice(files={file: file.path for file in listing.files})
    return choose_files(target.repo, listing.files, places)


def _only_pickles(target: Target, choice: Choice) -> PsheadError:
    return PsheadError(
        f"{target.title} publishes only pickles: {', '.join(choice.pickles)}",
        why="reading a pickle can run any code, so pshead loads safetensors only",
        fix=f"pshead models pull {target.name} --convert, which reads them with torch's restricted unpickler (tensors "
        "only, no code) and keeps safetensors",
    )


def _consent(target: Target, listing: HubListing, choice: Choice, accept: Callable[[Terms], bool]) -> str:
    """Return the licence once it is agreed to."""
    licence = target.entry.licence if target.entry else (listing.licence or "not stated")
    strictness = strictness_of(licence)
    commercial = target.entry.commercial if target.entry else strictness != "non-commercial"
    terms = Terms(
        title=target.title,
        licence=licence,
        commercial=commercial,
        note=target.entry.note if target.entry else "",
        size_bytes=choice.size_bytes,
    )
    if strictness != "permissive" and not accept(terms):
        raise PsheadError(
            f"{target.title} was not fetched: its licence was not accepted",
            why="; ".join(terms.lines[1:]),
            fix=f"read it at {_page(target)}, then: pshead models pull {target.name} --accept-licence",
        )
    return licence


def _page(target: Target) -> str:
    host = "github.com" if target.entry is not None and target.entry.files else "huggingface.co"
    return f"https://{host}/{target.repo}"


def _check_disk(partial: Path, choice: Choice, target: Target) -> None:
    there = sum(path.stat().st_size for path in partial.rglob("*") if path.is_file()) if partial.is_dir() else 0
    converted = sum(file.size_bytes for file, path in choice.files.items() if path in choice.pickles)
    needed = int(_SPARE * (choice.size_bytes + converted)) - there
    parent = next(path for path in partial.absolute().parents if path.is_dir())
    free = shutil.disk_usage(parent).free
    if free < needed:
        raise PsheadError(
            f"the disk of {parent} has {size_text(free)} left, {target.title} needs {size_text(needed)}",
            fix="free some space, or set PSHEAD_MODELS to a folder on another disk",
        )


def _download(hub: Hub, target: Target, choice: Choice, partial: Path) -> None:
    """Fetch into the folder of the unfinished and compare each file with what the hub says of it."""
    partial.mkdir(parents=True, exist_ok=True)
    hub.fetch(target.repo, target.revision, [file.path for file in choice.files], partial)
    for file in choice.files:
        why = _difference(partial / file.path, file)
        if why:
            (partial / file.path).unlink(missing_ok=True)
            raise PsheadError(
                f"{file.path} of {target.title} did not arrive whole", why=why, fix="pull again; only it is fetched"
            )


def _difference(path: Path, file: HubFile) -> str:
    if not path.is_file():
        return "it is not there after the download"
    size = path.stat().st_size
    if size != file.size_bytes and not file.estimated:
        return f"it has {size} bytes instead of {file.size_bytes}"
    if file.sha256 is not None:
        with path.open("rb") as handle:
            if not hashlib.file_digest(handle, "sha256").hexdigest().startswith(file.sha256):
                return f"its SHA-256 differs from the published one; it has {size} bytes"
    return ""


def _finish(
    target: Target, partial: Path, choice: Choice, components: tuple[tuple[str, str], ...], licence: str
) -> None:
    """Give the files their names, convert and check them, write record and checksums, and move the folder in place."""
    ready = partial.with_name(f".{target.revision}.ready")
    shutil.rmtree(ready, ignore_errors=True)
    for file, stored in choice.files.items():
        (ready / stored).parent.mkdir(parents=True, exist_ok=True)
        _link_or_copy(partial / file.path, ready / stored)
    inside = {file.name: file.inside for file in target.entry.files} if target.entry else {}
    for stored in choice.pickles:
        convert_pickle(ready / stored, inside.get(stored, ""))
    if target.entry is None:
        components = tuple((name, _below(path, ready)) for name, path in components_of(ready).items())
    for name, place in components:
        check_component(f"component '{name}' of {target.title}", ready / place if place else ready)
    record = Pulled(
        name=target.name,
        repo=target.repo,
        revision=target.revision,
        licence=licence,
        components=dict(components),
    )
    write_record(ready, record)
    (ready / CHECKSUMS).write_text(json.dumps(describe_folder(ready), indent=1) + "\n", encoding="utf-8")
    ready.rename(target.folder)
    shutil.rmtree(partial)


def _below(path: Path, root: Path) -> str:
    return "" if path == root else path.relative_to(root).as_posix()


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; where the disk has no hard links, copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
