"""The two files that say what a run was: `resolved.toml`, which runs again to the same numbers, and `plugins.json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import tomli_w

from pshead_core.config.convert import unstructure
from pshead_core.config.layers import NO_PRESET
from pshead_core.config.problems import KeyPath
from pshead_core.config.resolved import Resolved
from pshead_core.registry.listing import core_version
from pshead_core.specs import API_VERSION

Note = Callable[[KeyPath], str]


def dump_toml(resolved: Resolved) -> str:
    """Return the configuration as TOML. `resolve(files=[...])` on it, with the same plugins, gives an equal record."""
    return f'preset = "{NO_PRESET}"\n' + emit(to_table(resolved))


def dump_annotated(resolved: Resolved) -> str:
    """Return the configuration as TOML with a comment behind each value that does not come from class defaults."""
    return emit(to_table(resolved), lambda path: resolved.origins.get(path, ""))


def to_table(resolved: Resolved) -> dict[str, object]:
    """Return the configuration as TOML values; each instance carries its plugin's name under `plugin`."""
    table = unstructure(resolved.config)
    for instance in resolved.instances:
        fields = unstructure(resolved.config_of(instance))
        kind = table[instance.kind]
        assert isinstance(kind, dict)  # RunConfig holds the instances of a kind in a dict
        kind[instance.name] = {"plugin": instance.tag, **fields}
    return {key: value for key, value in table.items() if value != {}}


def plugins_json(resolved: Resolved) -> dict[str, object]:
    """Return what `plugins.json` holds: the core's version, and each loaded plugin with its instances."""
    plugins = [
        {
            **attrs.asdict(provenance),
            "instances": [
                instance.use
                for instance in resolved.instances
                if (instance.kind, instance.plugin) == (provenance.kind, provenance.name)
            ],
        }
        for provenance in resolved.plugins
    ]
    return {"core": {"version": core_version(), "api": API_VERSION}, "plugins": plugins}


def emit(table: Mapping[str, object], note: Note = lambda _: "") -> str:
    """Write a table as TOML: single values first, then tables, then arrays of tables.

    Args:
        table: of TOML values.
        note: returns the comment behind the value at a path, or an empty text.
    """
    return "\n".join(_table(table, (), note)).strip("\n") + "\n"


def _table(table: Mapping[str, object], path: KeyPath, note: Note) -> list[str]:
    lines = []
    for key, value in table.items():
        if not isinstance(value, dict) and not _is_tables(value):
            lines.append(f"{key} = {inline(value)}" + _comment(note((*path, key))))
    for key, value in table.items():
        here = (*path, key)
        if isinstance(value, dict):
            inner = _table(value, here, note)
            has_values = any(not isinstance(item, dict) for item in value.values()) or not value
            header = [f"\n[{_dotted(here)}]" + _comment(note(here))] if has_values else []
            lines += header + inner
        elif _is_tables(value):
            assert isinstance(value, list)  # _is_tables says so
            for index, item in enumerate(value):
                lines.append(f"\n[[{_dotted(here)}]]" + _comment(note(here)))
                comments = {name: _comment(note((*here, index, name))) for name in item}
                lines += [f"{name} = {inline(inner)}{comments[name]}" for name, inner in item.items()]
    return lines


def _comment(text: str) -> str:
    return f"  # {text}" if text else ""


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, dict) for item in value)


def inline(value: object) -> str:
    """Return one value as TOML on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").rstrip("\n")


def _dotted(path: KeyPath) -> str:
    return ".".join(str(part) for part in path)
