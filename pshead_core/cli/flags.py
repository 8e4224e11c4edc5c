"""A typed flag for every field of a resolved configuration, made by tyro.

`--losses.rgb 300`, `--guidance.text.guidance-scale 7`, `--schedule.0.weight 0.5`. A field that is a number or a curve
takes a number, or the curve as a TOML inline table: `--schedule.0.weight '{from_step=0, to_step=100, start=1, end=0}'`.
"""

from __future__ import annotations

import contextlib
import io
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import attrs
import tyro
from attrs import evolve
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from pshead_core.config.convert import fields_of, structure_value, unstructure
from pshead_core.config.dump import inline
from pshead_core.config.problems import KeyPath, Problem
from pshead_core.config.resolve import recheck
from pshead_core.config.resolved import Resolved
from pshead_core.config.run import RunConfig
from pshead_core.config.schedule import CurveConfig
from pshead_core.errors import ConfigError
from pshead_core.registry.nearest import did_you_mean

ORIGIN = "command line"
"""Name of the flags' layer in messages."""


def apply_flags(resolved: Resolved, arguments: Sequence[str], prog: str) -> Resolved:
    """Return the configuration with the flags laid over it, checked again.

    Args:
        resolved: what preset and files say.
        arguments: the flags and their values.
        prog: the command, for messages.

    Raises:
        ConfigError: a flag is unknown, or its value does not fit.
    """
    _check_names(resolved, arguments, prog)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            config = _tyro(resolved.config, arguments, prog)
    except SystemExit as end:
        raise ConfigError(f"{prog}: {_essence(said.getvalue())}", fix=f"{prog} --help") from end
    changed = dict(_changes(unstructure(resolved.config), unstructure(config), ()))
    return recheck(evolve(resolved, config=config, origins={**resolved.origins, **changed}))


def flags_help(resolved: Resolved, prog: str) -> str:
    """Return the help text of all typed flags."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        _tyro(resolved.config, ["--help"], prog)
    _, _, sections = said.getvalue().partition("\n\n")  # tyro's usage line knows nothing of our other options
    return sections.rstrip()


def flag_names(config: RunConfig) -> list[str]:
    """Return the name of every typed flag."""
    return [f"--{'.'.join(str(part) for part in path).replace('_', '-')}" for path in _leaves(config, ())]


def _tyro(config: RunConfig, arguments: Sequence[str], prog: str) -> RunConfig:
    return tyro.cli(
        RunConfig,
        default=config,
        args=list(arguments),
        prog=prog,
        description="",
        config=(tyro.conf.AvoidSubcommands,),
        registry=_registry(),
    )


def _registry() -> ConstructorRegistry:
    registry = ConstructorRegistry()

    def number_or_curve(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if set(get_args(info.type)) != {float, CurveConfig}:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="FLOAT|CURVE",
            instance_from_str=lambda words: _read_toml(words[0], float | CurveConfig),
            is_instance=lambda value: isinstance(value, int | float | CurveConfig),
            str_from_instance=lambda value: [inline(unstructure(value) if attrs.has(type(value)) else value)],
        )

    registry.primitive_rule(number_or_curve)
    return registry


def _read_toml(text: str, kind: object) -> object:
    """Read a value as TOML would; ValueError is what tyro expects of a value that does not fit."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{text!r} is not a number or a TOML inline table") from error
    problems: list[Problem] = []
    read = structure_value(value, kind, (), problems)
    if problems:
        raise ValueError("; ".join(problem.text for problem in problems))
    return read


def _check_names(resolved: Resolved, arguments: Sequence[str], prog: str) -> None:
    names = flag_names(resolved.config)
    allowed = {*names, *(_negated(name) for name in names)}
    for word in arguments:
        flag = word.split("=")[0].replace("_", "-")
        if word.startswith("--") and flag not in allowed:
            raise ConfigError(
                f"{prog} does not know {word.split('=')[0]!r}{did_you_mean(flag, names)}", fix=f"{prog} --help"
            )


def _negated(name: str) -> str:
    head, dot, last = name.rpartition(".")
    return f"{head}.no-{last}" if dot else f"--no-{name.removeprefix('--')}"


def _leaves(value: object, path: KeyPath) -> Iterator[KeyPath]:
    if attrs.has(type(value)) and not isinstance(value, CurveConfig):
        for attribute in fields_of(value):
            yield from _leaves(getattr(value, attribute.name), (*path, attribute.name))
    elif isinstance(value, Mapping) or _is_records(value):
        items: Mapping[str | int, object] = value if isinstance(value, Mapping) else dict(enumerate(value))  # type: ignore[arg-type]
        for key, item in items.items():
            yield from _leaves(item, (*path, key))
    else:
        yield path


def _is_records(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and all(attrs.has(type(item)) for item in value)


def _changes(old: object, new: object, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield the paths whose values the flags changed."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from _changes(old.get(key), new.get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _changes(*pair, (*path, index))
    elif old != new:
        yield path, ORIGIN


def _essence(text: str) -> str:
    """Return what tyro said without its frame: the lines between its first two rules."""
    lines = [line.strip("│╭╮╰╯ \n") for line in text.splitlines()]
    rules = [index for index, line in enumerate(lines) if line and not line.strip("─-")]
    inner = lines[rules[0] + 1 : rules[1]] if len(rules) > 1 else lines
    return " ".join(line for line in inner if line) or "a flag has no value, or one of a wrong form"
