"""Published weights that are single files at fixed addresses, not repositories of the hub. Imports no torch.

Such an entry of the catalogue lists its files with the beginning of their SHA-256, which decides whether a download is
whole. torch's own cache is looked at first: what lies there is copied, not fetched.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO
from urllib.error import URLError
from urllib.request import urlopen

from pshead_core.errors import PsheadError
from pshead_core.models.catalogue import CATALOGUE, Published, PublishedFile
from pshead_core.models.hub import Hub, HubFile, HubListing, HuggingFaceHub, is_offline

_TORCHVISION = "torchvision:"
_TIMEOUT_S = 60
"""Without a byte for so long, a download has failed."""


def _open(url: str) -> IO[bytes]:
    opened: IO[bytes] = urlopen(url, timeout=_TIMEOUT_S)
    return opened


class FileHub:
    """The files of one entry of the catalogue, in the form of a repository.

    Args:
        entry: has files.
        open_url: opens an address for reading.
    """

    def __init__(self, entry: Published, open_url: Callable[[str], IO[bytes]] = _open) -> None:
        self._entry = entry
        self._open = open_url

    def look(self, repo: str, revision: str) -> HubListing:
        """Return the files that the catalogue states; nobody is asked."""
        files = tuple(
            HubFile(path=file.name, size_bytes=file.size_bytes, sha256=file.sha256, estimated=True)
            for file in self._entry.files
        )
        return HubListing(files=files, licence=self._entry.licence)

    def fetch(self, repo: str, revision: str, names: Sequence[str], into: Path) -> None:
        """Fetch files by their addresses; those that are there already are kept.

        Raises:
            PsheadError: offline, or the download failed.
        """
        by_name = {file.name: file for file in self._entry.files}
        for name in names:
            if not (into / name).exists():
                self._fetch(by_name[name], into / name)

    def _fetch(self, file: PublishedFile, target: Path) -> None:
        part = target.with_name(f"{target.name}.part")
        cached = torch_cache() / file.name
        if cached.is_file():
            shutil.copyfile(cached, part)
        elif is_offline():
            raise PsheadError(
                f"{file.name} cannot be fetched: offline mode is on",
                why="HF_HUB_OFFLINE is set",
                fix=f"unset it, or put the file into {torch_cache()}",
            )
        else:
            self._download(file, part)
        part.rename(target)

    def _download(self, file: PublishedFile, part: Path) -> None:
        url = address_of(file)
        try:
            with self._open(url) as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink, 2**20)
        except (URLError, TimeoutError, ConnectionError) as error:
            part.unlink(missing_ok=True)
            raise PsheadError(
                f"{url} cannot be fetched",
                why=f"{type(error).__name__}: {error}",
                fix=f"look at the connection and try again, or put the file into {torch_cache()}",
            ) from error


def address_of(file: PublishedFile) -> str:
    """Return the address of a file.

    Raises:
        PsheadError: torchvision would know it, but is not installed or does not.
    """
    if not file.url.startswith(_TORCHVISION):
        return file.url
    try:
        return str(import_module("torchvision.models").get_weight(file.url.removeprefix(_TORCHVISION)).url)
    except (ImportError, ValueError) as error:
        raise PsheadError(
            f"the address of {file.name} is not known",
            why=f"torchvision's table has it: {type(error).__name__}: {error}",
            fix=f"pip install torchvision, or put the file into {torch_cache()}",
        ) from error


def torch_cache() -> Path:
    """Return the folder in which torch keeps the files that torchvision downloads."""
    home = os.environ.get("TORCH_HOME")
    base = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch" if home is None else Path(home)
    return base.expanduser() / "hub" / "checkpoints"


def hub_of(name: str) -> Hub:
    """Return where the weights of a name are fetched from: the model hub, or the addresses of the catalogue's entry."""
    entry = CATALOGUE.get(name)
    return FileHub(entry) if entry is not None and entry.files else HuggingFaceHub()
