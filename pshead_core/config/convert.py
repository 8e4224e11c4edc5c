"""From TOML tables to frozen records, strictly, with all mistakes of a table at once.

TOML has types, so nothing is coerced: a text is not a number, a boolean not an integer (an integer is a float). The
converter is cattrs' with our own hooks where its leniency or wording would mislead. Validators run after the
conversion, one by one, so that two bad values of one table are two problems.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import attrs
from attrs import validators
from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError, IterableValidationError
from cattrs.errors import AttributeValidationNote, IterableValidationNote
from cattrs.gen import make_dict_structure_fn

from pshead_core.config.problems import KeyPath, Problem
from pshead_core.errors import ConfigError
from pshead_core.registry.nearest import did_you_mean

_T = TypeVar("_T")


def structure(table: object, cls: type[_T], path: KeyPath, problems: list[Problem]) -> _T | None:
    """Turn a table into a record, or append what is wrong with it and return None.

    Args:
        table: as `tomllib` reads it.
        cls: a frozen attrs class.
        path: where the table stands, for the problems.
        problems: receives all mistakes of the table, conversions and validators alike.
    """
    found: list[Problem] = []
    instance = _attempt(table, cls, path, found)
    if instance is None and isinstance(table, Mapping):
        # The values that could be read are validated too, so that one bad type does not hide a bad number.
        readable = _readable(table, cls, path, found)
        if readable is not None:
            found += validated(readable, path)
    elif instance is not None:
        found += validated(instance, path)
    problems += found
    return None if found else instance


def structure_value(value: object, kind: object, path: KeyPath, problems: list[Problem]) -> object:
    """Turn a single value into the type of its field, or append what is wrong and return None."""
    try:
        return _CONVERTER.structure(value, kind)  # type: ignore[arg-type]
    except Exception as error:  # whatever cattrs raises is a mistake in the file
        problems += _flat(error, path)
        return None


def unstructure(record: object) -> dict[str, object]:
    """Return a record as TOML values: by its run-time class, tuples as lists, None left out.

    Raises:
        ConfigError: a field is None though its default is not: TOML has no null, so the file could not say it.
    """
    table: dict[str, object] = {}
    for attribute in fields_of(record):
        value = getattr(record, attribute.name)
        if value is not None:
            table[attribute.name] = _plain(value)
        elif attribute.default is not None:
            raise ConfigError(
                f"'{attribute.name}' of {type(record).__name__} is None, which TOML cannot say",
                fix="a field that may be None must have None as its default",
            )
    return table


def validated(record: object, path: KeyPath) -> list[Problem]:
    """Run all validators of a record and of the records in it, and return what they say."""
    problems: list[Problem] = []
    for attribute in fields_of(record):
        value = getattr(record, attribute.name)
        here = (*path, attribute.name)
        if attribute.validator is not None:
            try:
                attribute.validator(record, attribute, value)
            except Exception as error:  # a validator may raise anything; its words are the message
                problems.append(Problem(text=_words(error), path=here))
                continue
        problems += [problem for place, item in _records(value, here) for problem in validated(item, place)]
    return problems


def fields_of(record: object) -> tuple[attrs.Attribute[Any], ...]:
    """Return the attributes of a record of any attrs class."""
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(type(record))  # type: ignore[arg-type]
    return fields


def default_of(attribute: attrs.Attribute[Any]) -> object:
    """Return the default of a field, made if it has to be; `attrs.NOTHING` if there is none to be had alone."""
    default: Any = attribute.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return attrs.NOTHING if default.takes_self else default.factory()
    return default


def _records(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    if attrs.has(type(value)):
        yield path, value
    elif isinstance(value, tuple):
        yield from (((*path, index), item) for index, item in enumerate(value) if attrs.has(type(item)))


def _plain(value: object) -> object:
    if attrs.has(type(value)):
        return unstructure(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def _readable(table: Mapping[str, Any], cls: type[_T], path: KeyPath, problems: Sequence[Problem]) -> _T | None:
    """Return the record of what is left without each wrong value, and without each table that lacks a required one."""
    rest: Mapping[str, Any] = table
    while places := [place for problem in problems if (place := _present(rest, _place(problem, path)))]:
        for place in places:
            rest = _without(rest, place)
        remaining: list[Problem] = []
        instance = _attempt(rest, cls, path, remaining)
        if instance is not None:
            return instance
        problems = remaining
    return None


def _place(problem: Problem, path: KeyPath) -> KeyPath:
    """Return where the problem is, below `path`."""
    return ((*problem.path, problem.key) if problem.key else problem.path)[len(path) :]


def _present(table: Mapping[str, Any], place: KeyPath) -> KeyPath:
    """Return as much of the place as is in the table: where a required key is missing, the table that lacks it."""
    if not place or place[0] not in table:
        return ()
    value = table[str(place[0])]
    return place[:1] + (_present(value, place[1:]) if isinstance(value, Mapping) else ())


def _without(table: Mapping[str, Any], place: KeyPath) -> dict[str, Any]:
    """Return the table without the value at a place, if it is there."""
    key, deeper = str(place[0]), place[1:]
    if deeper and isinstance(table.get(key), Mapping):
        return {**table, key: _without(table[key], deeper)}
    return {name: value for name, value in table.items() if name != key}


def _attempt(table: object, cls: type[_T], path: KeyPath, problems: list[Problem]) -> _T | None:
    try:
        with validators.disabled():
            return _CONVERTER.structure(table, cls)
    except Exception as error:  # whatever cattrs raises is a mistake in the table
        problems += _flat(error, path)
        return None


# ---- the wording ------------------------------------------------------------------------------------------------


def _flat(error: BaseException, path: KeyPath) -> list[Problem]:
    """Flatten cattrs' tree of errors; each level notes the field or the index."""
    if isinstance(error, BaseValidationError):
        return [problem for inner in error.exceptions for problem in _flat(inner, _step(inner, path))]
    if isinstance(error, ForbiddenExtraKeysError):
        return [_unknown_key(key, error.cl, path) for key in sorted(error.extra_fields)]
    if isinstance(error, KeyError):  # cattrs looks the field up; none of our hooks raises this
        return [Problem(text="required, but missing", path=path)]
    return [Problem(text=_words(error), path=path)]


def _step(error: BaseException, path: KeyPath) -> KeyPath:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return (*path, note.name)
        if isinstance(note, IterableValidationNote):
            return (*path, note.index if isinstance(note.index, int) else str(note.index))
    return path


def _unknown_key(key: str, cls: type, path: KeyPath) -> Problem:
    names = [attribute.name for attribute in attrs.fields(cls)]
    hint = did_you_mean(key, names) or f"; the keys here are: {', '.join(names) or 'none'}"
    return Problem(text=f"unknown key '{key}'{hint}", path=path, key=key)


def _words(error: BaseException) -> str:
    # attrs puts the attribute and the value behind the message into the arguments.
    return str(error.args[0]) if error.args else type(error).__name__


# ---- the converter ----------------------------------------------------------------------------------------------


def _wrong(value: object, wanted: str) -> TypeError:
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a text", list: "an array", dict: "a table"}
    shown = f" {value!r}" if isinstance(value, bool | int | float | str) else ""
    return TypeError(f"must be {wanted}, not {names.get(type(value), f'a {type(value).__name__}')}{shown}")


def _boolean(value: object, _: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(value, "true or false")
    return value


def _integer(value: object, _: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(value, "an integer")
    return value


def _number(value: object, _: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(value, "a number")
    if math.isnan(value):
        raise ValueError("must be a number, not nan")
    return float(value)


def _text(value: object, _: object) -> str:
    if not isinstance(value, str):
        raise _wrong(value, "a text")
    return value


def _path(value: object, _: object) -> Path:
    if not isinstance(value, str | Path):
        raise _wrong(value, "a path, written as a text")
    return Path(value)


def _literal(value: object, kind: object) -> object:
    choices = get_args(kind)
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return value
    texts = [str(choice) for choice in choices]
    hint = did_you_mean(value, texts) if isinstance(value, str) else ""
    raise ValueError(f"must be one of {', '.join(repr(choice) for choice in choices)}, not {value!r}{hint}")


def _tuple_hook(converter: Converter) -> Callable[[object, Any], object]:
    def hook(value: object, kind: Any) -> object:
        if not isinstance(value, list | tuple):
            raise _wrong(value, "an array")
        kinds = get_args(kind)
        if len(kinds) == 2 and kinds[1] is Ellipsis:
            kinds = (kinds[0],) * len(value)
        if len(kinds) != len(value):
            raise ValueError(f"must have {len(kinds)} values, not {len(value)}")
        done: list[object] = []
        errors: list[Exception] = []
        for index, (item, item_kind) in enumerate(zip(value, kinds, strict=True)):
            try:
                done.append(converter.structure(item, item_kind))
            except Exception as error:  # collected, as cattrs does
                error.add_note(IterableValidationNote(f"index {index}", index, item_kind))
                errors.append(error)
        if errors:
            raise IterableValidationError("in an array", errors, kind)
        return tuple(done)

    return hook


def _union_hook(converter: Converter) -> Callable[[object, Any], object]:
    def hook(value: object, kind: Any) -> object:
        members = [member for member in get_args(kind) if member is not NoneType]
        if value is None and len(members) < len(get_args(kind)):
            return None
        records = [member for member in members if attrs.has(member)]
        others = [member for member in members if not attrs.has(member)]
        if len(records) == 1 and (isinstance(value, Mapping) or not others):
            return converter.structure(value, records[0])
        if len(others) == 1:
            return converter.structure(value, others[0])
        raise TypeError(f"the type {kind} cannot be read from TOML")  # a defect of the record's class, not of the file

    return hook


def _record_hook(cls: type, converter: Converter) -> Callable[[object, object], object]:
    inner: Callable[[Any, Any], object] = make_dict_structure_fn(
        cls, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True
    )  # this also resolves annotations that are texts

    def hook(value: object, kind: object) -> object:
        if not isinstance(value, Mapping):
            raise _wrong(value, "a table")
        return inner(_over_defaults(value, cls), kind)

    return hook


def _over_defaults(table: Mapping[str, Any], cls: type) -> Mapping[str, Any]:
    """Complete the tables of records within `cls` with the default that `cls` states for them.

    `distill: DistillSettings = DistillSettings(guidance_scale=25)`: a file that sets another key of `distill` keeps 25
    and not the 1 of DistillSettings itself. A union (`float | CurveConfig`) is a value and is replaced as a whole.
    """
    stated = {attribute.name: default_of(attribute) for attribute in attrs.fields(cls)}
    return {**table, **_completed(table, cls, stated)}


def _completed(table: Mapping[str, Any], cls: type, stated: Mapping[str, object]) -> dict[str, Any]:
    """Return the tables for the records among the fields of `cls`, each laid over the record stated for it."""
    completed: dict[str, Any] = {}
    for attribute in attrs.fields(cls):
        given, default, kind = table.get(attribute.name), stated[attribute.name], attribute.type
        if kind is not None and attrs.has(kind) and isinstance(given, Mapping) and isinstance(default, kind):
            inner = {item.name: getattr(default, item.name) for item in fields_of(default)}
            completed[attribute.name] = {**unstructure(default), **given, **_completed(given, kind, inner)}
    return completed


def _origin(kind: Any) -> object:
    return get_origin(kind)


def _make_converter() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_structure_hook_factory(attrs.has, _record_hook)
    scalars: Mapping[type, Callable[[object, object], object]] = {
        bool: _boolean,
        int: _integer,
        float: _number,
        str: _text,
        Path: _path,
    }
    for kind, hook in scalars.items():
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_func(lambda kind: _origin(kind) is Literal, _literal)
    converter.register_structure_hook_func(lambda kind: _origin(kind) is tuple, _tuple_hook(converter))
    converter.register_structure_hook_func(lambda kind: _origin(kind) in (Union, UnionType), _union_hook(converter))
    return converter


_CONVERTER = _make_converter()
