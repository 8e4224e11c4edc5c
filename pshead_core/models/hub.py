"""The model hub: what a repository holds at a commit, and fetching some of it. Imports no torch.

`huggingface_hub` is imported only when something is pulled; it comes with the libraries that load networks for plugins.
Offline mode (HF_HUB_OFFLINE) is honoured.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from attrs import frozen

from pshead_core.errors import PsheadError

_OFFLINE = "HF_HUB_OFFLINE"


@frozen(kw_only=True)
class HubFile:
    """One file of a repository."""

    path: str
    """With `/`, from the repository's root."""
    size_bytes: int
    sha256: str | None = None
    """Of the contents, or its first digits; the hub states it for large files only."""
    estimated: bool = False
    """Whether the size is only about right."""


@frozen(kw_only=True)
class HubListing:
    """What a repository holds at one commit."""

    files: tuple[HubFile, ...]
    licence: str | None
    """As the repository's card states it."""


class Hub(Protocol):
    """A place from which weights are fetched."""

    def look(self, repo: str, revision: str) -> HubListing:
        """Return what a repository holds at a commit, or raise a PsheadError."""
        ...

    def fetch(self, repo: str, revision: str, names: Sequence[str], into: Path) -> None:
        """Fetch files of a commit to their own paths below a folder, or raise a PsheadError."""
        ...


class HuggingFaceHub:
    """The hub of `huggingface_hub`; shows its own progress bars."""

    def look(self, repo: str, revision: str) -> HubListing:
        """Ask the hub's server for the files and the licence.

        Raises:
            PsheadError: offline, no such repository or commit, or not allowed to see it.
        """
        try:
            info = _library(repo).HfApi().model_info(repo, revision=revision, files_metadata=True)
        except PsheadError:
            raise
        except Exception as error:  # the library has dozens of kinds, and passes on those of its HTTP client
            raise _refused(repo, revision, error) from error
        files = tuple(
            HubFile(path=item.rfilename, size_bytes=item.size or 0, sha256=item.lfs.sha256 if item.lfs else None)
            for item in info.siblings or ()
        )
        card: Any = info.card_data
        licence = None if card is None else (card.get("license_name") or card.get("license"))
        return HubListing(files=files, licence=str(licence) if licence else None)

    def fetch(self, repo: str, revision: str, names: Sequence[str], into: Path) -> None:
        """Download files; those that an interrupted download completed are kept.

        Raises:
            PsheadError: offline, or the download failed.
        """
        try:
            _library(repo).snapshot_download(repo, revision=revision, local_dir=into, allow_patterns=list(names))
        except PsheadError:
            raise
        except Exception as error:  # as above
            raise _refused(repo, revision, error) from error


def is_offline() -> bool:
    """Tell whether the user switched downloads off."""
    return os.environ.get(_OFFLINE, "").strip().lower() in ("1", "on", "yes", "true")


def _library(repo: str) -> Any:
    """Return the hub's library; refuse if it is missing or switched offline."""
    if is_offline():
        raise PsheadError(
            f"{repo} cannot be fetched: offline mode is on",
            why=f"{_OFFLINE} is set",
            fix=f"unset {_OFFLINE}, or copy the weights into a folder and name the folder",
        )
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise PsheadError(
            f"{repo} cannot be fetched: huggingface_hub cannot be imported",
            why=str(error),
            fix="pip install huggingface_hub",
        ) from error


def _refused(repo: str, revision: str, error: Exception) -> PsheadError:
    kind, words = type(error).__name__, " ".join(str(error).split())[:300]
    fix = "look at the connection and try again; what was fetched completely is kept"
    if kind == "GatedRepoError":
        fix = f"accept its terms at https://huggingface.co/{repo} and log in with: hf auth login"
    elif kind in ("RepositoryNotFoundError", "RevisionNotFoundError"):
        fix = "compare repository and commit with the hub's page; the repository may have been withdrawn"
    return PsheadError(f"{repo}@{revision[:12]} cannot be fetched", why=f"{kind}: {words}", fix=fix)
