"""TOML layers: a preset, then the files from left to right, then values from the command line.

Tables merge, arrays replace. A table of a plugin instance that names another plugin replaces the earlier table as a
whole, because the fields of one plugin mean nothing to another. For each value the merge remembers the layer that set
it, so that a complaint can name the file.

A file may say `preset = "name"` at its top: that preset then lies under the files unless `--preset` names another;
`preset = "none"` lays nothing under them (`resolved.toml` does so).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from attrs import field, frozen

from pshead_core.config.problems import KeyPath, Problem
from pshead_core.errors import ConfigError
from pshead_core.registry.nearest import did_you_mean
from pshead_core.specs import KINDS

DEFAULT_PRESET = "mini"
NO_PRESET = "none"

Table = dict[str, object]


@frozen(kw_only=True)
class Layer:
    """One source of values."""

    name: str
    """For messages: a path as the user wrote it, `preset mini`, or `command line`."""
    table: Table


@frozen(kw_only=True)
class Merged:
    """All layers in one table."""

    table: Table
    origins: Mapping[KeyPath, str] = field(factory=dict)
    """Name of the layer that set each value."""

    def origin(self, path: KeyPath) -> str:
        """Return the layer that set the value at `path`, or the nearest table above it; empty for class defaults."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]]
        return ""


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets that pshead ships."""
    folder = resources.files("pshead_core") / "presets"
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


def read_preset(name: str) -> Layer:
    """Return the layer of a preset; `none` is empty.

    Raises:
        ConfigError: there is no such preset.
    """
    if name == NO_PRESET:
        return Layer(name="preset none", table={})
    names = preset_names()
    if name not in names:
        raise ConfigError(
            f"there is no preset '{name}'{did_you_mean(name, names)}",
            why=f"presets: {', '.join(names)}",
            fix="name one of these, or give your own file with --config",
        )
    text = (resources.files("pshead_core") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    return Layer(name=f"preset {name}", table=tomllib.loads(text))


def read_file(path: Path, problems: list[Problem]) -> Layer:
    """Return the layer of a file; what is wrong with the file itself is appended to `problems`."""
    table: Table = {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        problems.append(Problem(text=f"the file cannot be read: {reason.lower()}", origin=str(path)))
    except UnicodeDecodeError:
        problems.append(Problem(text="the file is not text in UTF-8", origin=str(path)))
    except tomllib.TOMLDecodeError as error:
        problems.append(Problem(text=f"the file is not TOML: {error}", origin=str(path)))
    return Layer(name=str(path), table=table)


def take_preset(layers: Sequence[Layer], problems: list[Problem]) -> str | None:
    """Remove the key `preset` from the layers and return the last one's value."""
    chosen: str | None = None
    for layer in layers:
        value = layer.table.pop("preset", None)
        if value is not None and not isinstance(value, str):
            problems.append(Problem(text=f"must be a text, not {value!r}", path=("preset",), origin=layer.name))
        else:
            chosen = value or chosen
    return chosen


def merge(layers: Sequence[Layer]) -> Merged:
    """Lay the layers over each other, later ones on top."""
    table: Table = {}
    origins: dict[KeyPath, str] = {}
    for layer in layers:
        _lay(layer.table, table, (), layer.name, origins)
    return Merged(table=table, origins=origins)


def _lay(upper: Table, lower: Table, path: KeyPath, name: str, origins: dict[KeyPath, str]) -> None:
    for key, value in upper.items():
        here = (*path, key)
        below = lower.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and not _other_plugin(value, below, here):
            _lay(value, below, here, name, origins)
            continue
        for former in [known for known in origins if known[: len(here)] == here]:
            del origins[former]
        origins[here] = name
        lower[key] = value
        if isinstance(value, dict):  # a copy, so that later layers do not write into this one
            lower[key] = {}
            _lay(value, lower[key], here, name, origins)  # type: ignore[arg-type]


def _other_plugin(upper: Table, lower: Table, path: KeyPath) -> bool:
    is_instance = len(path) == 2 and path[0] in KINDS
    return is_instance and "plugin" in upper and upper["plugin"] != lower.get("plugin", path[1])
