"""From the merged table to `RunConfig`: loads the plugins that the instances name, and collects all mistakes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import attrs

from pshead_core.config.allow import INSTANCE_KINDS, AllowList
from pshead_core.config.checks import schedule_problems
from pshead_core.config.convert import structure, structure_value, validated
from pshead_core.config.layers import Table
from pshead_core.config.plugin import PluginConfig
from pshead_core.config.problems import KeyPath, Problem
from pshead_core.config.resolved import Instance
from pshead_core.config.run import RunConfig
from pshead_core.config.schedule import SlotConfig
from pshead_core.config.sources import Source
from pshead_core.errors import PluginError, PluginNotFound
from pshead_core.registry.known import FIRST_PARTY
from pshead_core.registry.selection import Wanted
from pshead_core.specs import CheckpointSpec, Kind

_INSTANCE_NAME = re.compile(r"[A-Za-z0-9_-]+")  # what TOML writes without quotes and a flag can carry


class Builder:
    """Builds one configuration. `problems` holds all mistakes that were met."""

    def __init__(
        self, source: Source, allow: AllowList | None, problems: list[Problem], refused: Collection[KeyPath]
    ) -> None:
        self._source = source
        self._allow = allow
        self._refused = refused
        self.problems = problems
        self.instances: list[Instance] = []

    def build(self, table: Table) -> RunConfig:
        """Turn the merged table into records; the result means nothing if there are problems afterwards."""
        rest = dict(table)
        values: dict[str, object] = {}
        uses: list[str] = []
        for kind in INSTANCE_KINDS:
            tables = rest.pop(kind, {})
            if isinstance(tables, dict):
                values[kind] = self._instances(kind, tables)
                uses += [f"{kind}.{name}" for name in tables if kind in ("guidance", "refiners")]
            else:
                self._complain(f"must hold tables, such as [{kind}.name]", (kind,))
        values["schedule"] = self._schedule(rest.pop("schedule", []), uses)
        values |= self._sections(rest)
        with attrs.validators.disabled():
            config = RunConfig(**values)  # type: ignore[arg-type]
        self.problems += validated(config, ())  # what is wrong by itself was left out above and is not told twice
        return config

    def load(self, wanted: Wanted, path: KeyPath, *, origin: str | None = None, tagged: bool = True) -> bool:
        """Load a plugin; if that fails, note why and return False."""
        try:
            self._source.load(wanted)
        except PluginError as error:
            known = (wanted.kind, wanted.name) in FIRST_PARTY  # then the name is plainly meant as the plugin's
            if not tagged and not known and isinstance(error, PluginNotFound):
                hint = f"add plugin = \"...\" if '{wanted.name}' is only your name for the instance"
                error = PluginNotFound(error.what, why=error.why, fix=f"{error.fix}; or {hint}")
            self.problems.append(Problem(text=error.what, path=path, error=error, origin=origin))
            return False
        return True

    def _complain(self, text: str, path: KeyPath) -> None:
        self.problems.append(Problem(text=text, path=path))

    def _instances(self, kind: Kind, tables: Mapping[str, object]) -> dict[str, PluginConfig]:
        configs: dict[str, PluginConfig] = {}
        for name, table in tables.items():
            if (kind, name) not in self._refused:
                config = self._instance(kind, name, table)
                if config is not None:
                    configs[name] = config
        return configs

    def _instance(self, kind: Kind, name: str, table: object) -> PluginConfig | None:
        path = (kind, name)
        if not _INSTANCE_NAME.fullmatch(name):
            self._complain(f"the name '{name}' must consist of letters, digits, '_' and '-'", path)
            return None
        if not isinstance(table, Mapping):
            self._complain("must be a table of the plugin's fields", path)
            return None
        tag = table.get("plugin", name)
        if not isinstance(tag, str):
            self._complain(f"must be a plugin's name, not {tag!r}", (*path, "plugin"))
            return None
        wanted = Wanted.parse(kind, tag)
        wanted = self._allow.pinned(wanted) if self._allow is not None else wanted
        if not self.load(wanted, path, tagged="plugin" in table):
            return None
        spec = self._source.host.specs(kind)[wanted.name]
        assert not isinstance(spec, CheckpointSpec)  # checkpoints have no instances
        fields = {key: value for key, value in table.items() if key != "plugin"}
        config = structure(fields, spec.config, path, self.problems)
        if config is not None:
            self.instances.append(Instance(kind=kind, name=name, plugin=wanted.name, tag=str(wanted)))
        return config

    def _schedule(self, raw: object, uses: Collection[str]) -> tuple[SlotConfig, ...]:
        path = ("schedule",)
        if not isinstance(raw, list):
            self._complain("must be an array of tables, written [[schedule]]", path)
            return ()
        read = [structure(item, SlotConfig, (*path, index), self.problems) for index, item in enumerate(raw)]
        slots = tuple(slot for slot in read if slot is not None)
        if len(slots) == len(raw):  # otherwise the numbers of the slots would not be those of the file
            self.problems += schedule_problems(slots, uses)
        return slots

    def _sections(self, table: Table) -> dict[str, object]:
        values: dict[str, object] = {}
        attrs.resolve_types(RunConfig)
        for attribute in attrs.fields(RunConfig):
            if attribute.name in table:
                raw, path = table.pop(attribute.name), (attribute.name,)
                kind: type = attribute.type or object  # resolve_types fills in every type
                is_record = attrs.has(kind)
                value = (structure if is_record else structure_value)(raw, kind, path, self.problems)
                if value is not None:
                    values[attribute.name] = value
        if table:  # only unknown keys are left; let the converter word it
            structure(table, RunConfig, (), self.problems)
        return values
