"""Writing a new plugin package from the template files beside this module.

A template file ends in `.in` and is a `string.Template`; files under `common` go into every package, those under the
kind's folder only into packages of that kind, and `package` stands for the import package.
"""

from __future__ import annotations

import keyword
import re
import shutil
import tempfile
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath
from string import Template

from packaging.version import Version

from pshead_core import __version__
from pshead_core.errors import PsheadError
from pshead_core.registry.known import FIRST_PARTY
from pshead_core.registry.listing import list_plugins
from pshead_core.registry.nearest import did_you_mean
from pshead_core.specs import Kind

TEMPLATE_KINDS: tuple[Kind, ...] = ("guidance", "refiners", "metrics", "analyzers")
"""Kinds that have a template; a package of checkpoints is data and is made by training."""

SINGULAR: dict[Kind, str] = {
    "guidance": "guidance",
    "refiners": "refiner",
    "metrics": "metric",
    "analyzers": "analyzer",
}
MATHS: dict[Kind, str] = {
    "guidance": "prior.py",
    "refiners": "prior.py",
    "metrics": "metric.py",
    "analyzers": "analyzer.py",
}
"""Module of the template that does the work."""
TRY_IT = "    pshead run demo --plugins {name} --steps 10 --out runs/try\n"


def create(kind: str, name: str, folder: Path) -> Path:
    """Write a plugin package and return its folder.

    Args:
        kind: guidance, refiners, metrics or analyzers; the singular is accepted too.
        name: of the plugin, a lower-case Python identifier such as `my_prior`.
        folder: of the new package; must not exist. Missing parents are made.

    Raises:
        PsheadError: if a name is wrong or taken, or the folder exists or cannot be written. Nothing is then left.
    """
    full_kind = _kind(kind)
    _check_name(full_kind, name)
    if folder.exists() or folder.is_symlink():
        raise PsheadError(f"{folder} exists already", fix="name a folder that does not exist, or remove this one")
    values = _values(full_kind, name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            draft = Path(scratch) / folder.name
            root = resources.files("pshead_core.template") / "files"
            for part in ("common", full_kind):
                _write(root / part, draft, values)
            (draft / values["package"] / "py.typed").touch()
            shutil.move(draft, folder)  # into place only when it is whole
    except OSError as error:
        raise PsheadError(
            f"the package cannot be written to {folder}", why=error.strerror or str(error), fix="name another folder"
        ) from error
    return folder


def _kind(text: str) -> Kind:
    """Return the kind that a user means."""
    for kind in TEMPLATE_KINDS:
        if text in (kind, SINGULAR[kind]):
            return kind
    raise PsheadError(
        f"there is no template for '{text}'{did_you_mean(text, TEMPLATE_KINDS)}",
        fix=f"use one of: {', '.join(TEMPLATE_KINDS)}",
    )


def _check_name(kind: Kind, name: str) -> None:
    """Refuse names that cannot be a Python package, and names that are taken."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise PsheadError(
            f"'{name}' cannot be the name of a plugin",
            why="it becomes a part of a Python package's name and a key in TOML files",
            fix="use lower-case letters, digits and single underscores, beginning with a letter, such as my_prior",
        )
    installed = {(listing.kind, listing.name): listing.distribution for listing in list_plugins()}
    owner = installed.get((kind, name), FIRST_PARTY.get((kind, name)))
    if owner is not None:
        raise PsheadError(f"{kind} '{name}' exists already, in {owner}", fix="choose another name")


def _values(kind: Kind, name: str) -> dict[str, str]:
    """Return what the placeholders of the template stand for."""
    version = Version(__version__)
    return {
        "name": name,
        "kind": kind,
        "singular": SINGULAR[kind],
        "package": f"pshead_{kind}_{name}",
        "distribution": f"pshead-{kind}-{name.replace('_', '-')}",
        "Class": "".join(part.capitalize() for part in name.split("_")),
        "core_range": f">={version.major}.{version.minor},<{_next_breaking(version)}",
        "maths": MATHS[kind],
        "try_it": TRY_IT.format(name=name) if kind in ("guidance", "refiners") else "",
    }


def _next_breaking(version: Version) -> str:
    """Return the first version that may break plugins: the next minor while 0.x, then the next major."""
    return f"0.{version.minor + 1}" if version.major == 0 else str(version.major + 1)


def _write(source: Traversable, target: Path, values: dict[str, str]) -> None:
    """Copy a template folder, with its placeholders filled in."""
    target.mkdir(parents=True, exist_ok=True)
    for item in sorted(source.iterdir(), key=lambda entry: entry.name):
        name = PurePosixPath(item.name)
        if item.is_dir():
            _write(item, target / (values["package"] if item.name == "package" else item.name), values)
        elif name.suffix == ".in":
            text = Template(item.read_text(encoding="utf-8")).substitute(values)
            (target / name.stem).write_text(text, encoding="utf-8")
