"""What to say when weights are not here: size, licence, the command that fetches them, and what does without."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pshead_core.errors import PsheadError
from pshead_core.models.catalogue import CATALOGUE, Published, published_by_repo
from pshead_core.models.pulled import HubName, how_to_pin
from pshead_core.registry.known import FIRST_PARTY
from pshead_core.registry.nearest import did_you_mean


def size_text(size_bytes: int) -> str:
    """Return a size in GB or MB, as hubs and disks count."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


def terms_text(entry: Published) -> str:
    """Return size and licence of published weights in a few words."""
    use = "" if entry.commercial else ", no commercial use"
    return f"{size_text(entry.download_bytes)}, {entry.licence}{use}"


def pull_command(entry: Published, revision: str | None = None) -> str:
    """Return the command that fetches published weights."""
    name = entry.name if entry.revision or not revision else f"{entry.repo}@{revision}"
    return f"pshead models pull {name}" + (" --convert" if entry.pickled else "")


def missing_published(entry: Published) -> PsheadError:
    """Return the error for published weights that were not pulled."""
    what = f"the weights '{entry.name}' are not here ({entry.repo}: {terms_text(entry)})"
    return PsheadError(what, why="pshead downloads nothing by itself", fix=_fix(pull_command(entry), entry.instead))


def missing_hub(name: HubName) -> PsheadError:
    """Return the error for weights of the hub that were not pulled."""
    entry = published_by_repo(name.repo)
    terms = f" ({terms_text(entry)})" if entry else ""
    return PsheadError(
        f"the weights '{name}' are not here{terms}",
        why="pshead downloads nothing by itself",
        fix=_fix(f"pshead models pull {name}", entry.instead if entry else ""),
    )


def unknown_name(name: str, plugins: Collection[str]) -> PsheadError:
    """Return the error for a name that is neither a plugin, nor in the catalogue, nor a folder, nor of the hub."""
    known = {other for kind, other in FIRST_PARTY if kind == "checkpoints"}
    hint = did_you_mean(name, {*plugins, *CATALOGUE, *known})
    if name in known:
        return PsheadError(
            f"the checkpoint '{name}' is not installed", fix=f"pip install {FIRST_PARTY['checkpoints', name]}"
        )
    return PsheadError(
        f"no checkpoint is called '{name}'{hint}",
        why=f"installed: {', '.join(plugins) or 'none'}; published: {', '.join(CATALOGUE)}; there is no such folder",
        fix=how_to_pin(name)
        if name.count("/") == 1 and not hint
        else "`pshead models list` shows all names; a folder or owner/name@<commit> of the hub is a name too",
    )


def all_missing(errors: Sequence[PsheadError]) -> PsheadError:
    """Return one error for all checkpoints that were not found; a single one stays what it is."""
    if len(errors) == 1:
        return errors[0]
    return PsheadError(
        f"{len(errors)} checkpoints cannot be used:\n" + "\n".join(f"  - {error.what}" for error in errors),
        why="; ".join(dict.fromkeys(error.why for error in errors if error.why)),
        fix="\n       ".join(error.fix for error in errors),
    )


def _fix(command: str, instead: str) -> str:
    return f"{command}; or use '{instead}', which needs no download" if instead else command
