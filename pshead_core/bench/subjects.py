"""Whom a benchmark is about: heads whose views are known, and photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen

from pshead_core.config.resolved import Resolved
from pshead_core.errors import ConfigError, PsheadError
from pshead_core.evaluation.folder import TrueHead, is_views_folder, read_views
from pshead_core.evaluation.scene import portrait_of
from pshead_core.portrait.portrait import Portrait
from pshead_core.registry.nearest import did_you_mean
from pshead_core.run.portraits import portrait_from

PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")


@frozen(kw_only=True)
class Subject:
    """One person."""

    name: str
    folder: Path | None = None
    """Of the true views."""
    photo: Path | None = None
    """The file, for a person without true views."""

    def truth(self) -> TrueHead | None:
        """Return the true views, if they are known."""
        return None if self.folder is None else read_views(self.folder)

    def portrait(self, resolved: Resolved, say: Callable[[str], None]) -> Portrait:
        """Return the photo, framed; of true views the front picture as a perfect analysis would frame it."""
        if self.photo is not None:
            return portrait_from(self.photo, resolved, say)
        truth = self.truth()
        if truth is None:
            raise PsheadError(f"the subject '{self.name}' has neither a photo nor true views")
        return portrait_of(truth)


def find_subjects(heads: Path | None, photos: Path | None) -> tuple[Subject, ...]:
    """Return the heads of one folder and the photos of another, each by name.

    Raises:
        PsheadError: a folder holds none, or two subjects have one name.
    """
    found = [] if heads is None else _heads(heads)
    found += [] if photos is None else _photos(photos)
    names = [subject.name for subject in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PsheadError(f"two subjects are called '{twice[0]}'", fix="rename one of them")
    if not found:
        raise PsheadError("there is nobody to benchmark", fix="name a folder with --heads or --photos")
    return tuple(found)


def _heads(folder: Path) -> list[Subject]:
    if is_views_folder(folder):
        return [Subject(name=folder.name, folder=folder)]
    inside = sorted(path for path in folder.iterdir() if is_views_folder(path)) if folder.is_dir() else []
    if not inside:
        raise PsheadError(
            f"{folder} holds no heads", why="no folder in it has a views.json", fix="see docs/benchmark.md"
        )
    return [Subject(name=path.name, folder=path) for path in inside]


def _photos(folder: Path) -> list[Subject]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTOS) if folder.is_dir() else []
    if not files:
        raise PsheadError(f"{folder} holds no photos", why=f"looked for {', '.join(PHOTOS)}")
    return [Subject(name=path.stem, photo=path) for path in files]


def chosen_subjects(subjects: tuple[Subject, ...], names: Sequence[str] | None) -> tuple[Subject, ...]:
    """Return the subjects with some names; all if `names` is None.

    Raises:
        ConfigError: a name is unknown.
    """
    known = [subject.name for subject in subjects]
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise ConfigError(
            f"there is no subject '{unknown[0]}'{did_you_mean(unknown[0], known)}", why=f"there are: {', '.join(known)}"
        )
    return subjects if names is None else tuple(subject for subject in subjects if subject.name in names)
