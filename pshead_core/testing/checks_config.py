"""Checks of the configuration record: can it be built, documented, written to TOML and refused when it is wrong?"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import math
import textwrap
import tomllib
import types
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import attrs
import tomli_w
import tyro

from pshead_core.config.convert import structure, unstructure
from pshead_core.config.plugin import PluginConfig
from pshead_core.config.problems import Problem
from pshead_core.specs import CheckpointSpec
from pshead_core.testing.subject import Subject, require

SCALARS = (bool, int, float, str, Path)
ANGLES = ("angle", "azimuth", "elevation", "fov", "fovx", "fovy", "yaw", "pitch", "roll")
LENGTHS = ("width", "height", "side", "margin", "padding", "crop", "radius")
LENGTH_UNITS = ("_px", "_frac", "_world")


def _config(subject: Subject) -> type[PluginConfig]:
    if isinstance(subject.spec, CheckpointSpec):
        raise TypeError("a checkpoint has no configuration")
    return subject.spec.config


def _tiny(subject: Subject) -> PluginConfig:
    if isinstance(subject.spec, CheckpointSpec):
        raise TypeError("a checkpoint has no configuration")
    return subject.spec.tiny()


def check_config_record(subject: Subject) -> None:
    """The configuration is one frozen class derived directly from PluginConfig: equal values mean equal runs."""
    config = _config(subject)
    require(
        config.__bases__ == (PluginConfig,),
        f"{config.__name__} derives from {[base.__name__ for base in config.__bases__]}, not from PluginConfig alone",
        fix="derive one final class from PluginConfig; share code by a nested record, not by inheritance",
    )
    example = _tiny(subject)
    for field in attrs.fields(config):
        require(field.kw_only, f"{config.__name__}.{field.name} is positional", fix="use @frozen(kw_only=True)")
    try:
        object.__getattribute__(example, "__setattr__")("anything", 1)
    except (attrs.exceptions.FrozenInstanceError, AttributeError):
        return
    require(False, f"{config.__name__} is not frozen", fix="decorate it with attrs' @frozen(kw_only=True)")


def check_config_defaults(subject: Subject) -> None:
    """The configuration can be built without arguments: `--plugins NAME` runs the plugin with its defaults."""
    config = _config(subject)
    missing = [field.name for field in attrs.fields(config) if field.default is attrs.NOTHING]
    require(not missing, f"{config.__name__} has fields without a default: {missing}", fix="give each field a default")
    require(isinstance(config(), config), f"{config.__name__}() returns something else", fix="remove __new__")


def check_config_tiny(subject: Subject) -> None:
    """`tiny()` returns the spec's own configuration class, twice the same."""
    first, second = _tiny(subject), _tiny(subject)
    require(
        type(first) is _config(subject),
        f"tiny() returns {type(first).__name__}, the spec's config is {_config(subject).__name__}",
        fix="return an instance of the spec's config class",
    )
    require(first == second, "two calls of tiny() return different configurations", fix="draw nothing in tiny()")


def check_config_field_types(subject: Subject) -> None:
    """Field types come from a closed list, so that attrs, TOML and the command line agree on every value."""
    config = _config(subject)
    hints = get_type_hints(config)
    for field in attrs.fields(config):
        require(
            _allowed(hints[field.name]),
            f"{config.__name__}.{field.name} has type {hints[field.name]}",
            fix="use bool, int, float, str, Path, Literal, tuples of those, a nested frozen record, or X | None",
        )


def _allowed(hint: Any) -> bool:
    """Return whether a field may have this type."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in SCALARS or origin is Literal:
        return True
    if origin is tuple:
        return all(part is Ellipsis or _allowed(part) for part in parts)
    if origin in (Union, types.UnionType):
        return all(part is types.NoneType or _allowed(part) for part in parts)
    return isinstance(hint, type) and attrs.has(hint)


def check_config_documented(subject: Subject) -> None:
    """The record and every field have a docstring: `--help` and the manual show them."""
    config = _config(subject)
    require(bool(config.__doc__), f"{config.__name__} has no docstring", fix="say what it configures")
    described = _documented_fields(config)
    silent = [field.name for field in attrs.fields(config) if field.name not in described]
    require(
        not silent,
        f"{config.__name__} has fields without a docstring: {silent}",
        fix='write a string on the line below each field, with unit and range: """Noise level, 0..1."""',
    )


def _documented_fields(config: type) -> set[str]:
    """Return the fields whose definition is followed by a string."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(config)))
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    found = set()
    for definition, after in pairwise(body):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and after.value.value
        if isinstance(definition, ast.AnnAssign) and isinstance(definition.target, ast.Name) and is_text:
            found.add(definition.target.id)
    return found


def check_config_units(subject: Subject) -> None:
    """Numbers that are angles or lengths say their unit in the name, so that nobody has to guess."""
    config = _config(subject)
    hints = get_type_hints(config)
    for field in attrs.fields(config):
        last = field.name.rsplit("_", 1)[-1]
        if not _holds_numbers(hints[field.name]):
            continue
        require(
            last not in ANGLES,
            f"{config.__name__}.{field.name} is an angle without a unit",
            fix=f"call it {field.name}_deg",
        )
        require(
            last not in LENGTHS,
            f"{config.__name__}.{field.name} is a length without a unit",
            fix=f"call it {' or '.join(field.name + unit for unit in LENGTH_UNITS)}",
        )


def _holds_numbers(hint: Any) -> bool:
    """Return whether values of the type are or contain int or float."""
    return hint in (int, float) or any(_holds_numbers(part) for part in get_args(hint))


def check_config_refuses_nan(subject: Subject) -> None:
    """Every float field refuses NaN: a NaN in a configuration would surface as a NaN head an hour later."""
    config, example = _config(subject), _tiny(subject)
    hints = get_type_hints(config)
    for field in attrs.fields(config):
        poisoned = _poison(getattr(example, field.name), hints[field.name])
        if poisoned is None:
            continue
        try:
            attrs.evolve(example, **{field.name: poisoned})
        except ValueError:
            continue
        require(
            False,
            f"{config.__name__}.{field.name} accepts NaN",
            fix="give the field a range, such as validator=validators.ge(0); comparisons refuse NaN",
        )


def check_config_toml_round_trip(subject: Subject) -> None:
    """Written to TOML and read again, the configuration is equal: `resolved.toml` reruns to the same numbers."""
    config = _config(subject)
    for example in (config(), _tiny(subject)):
        problems: list[Problem] = []
        again = structure(tomllib.loads(tomli_w.dumps(unstructure(example))), config, (), problems)
        require(
            again == example,
            f"{config.__name__} changes when it is written to TOML and read: {example} becomes {again}"
            f" {'; '.join(problem.text for problem in problems)}",
            fix="use the allowed field types; a field that may be None needs the default None, as TOML has no null",
        )


def check_config_unknown_key(subject: Subject) -> None:
    """A misspelt key is refused, and the nearest right one is named."""
    config = _config(subject)
    for field in attrs.fields(config):
        problems: list[Problem] = []
        structure({field.name + "x": 1}, config, (), problems)
        require(
            any(field.name in problem.text for problem in problems),
            f"the key '{field.name}x' is accepted, or refused without naming '{field.name}'",
            fix="do not give the class hooks of its own for reading; the core's converter refuses unknown keys",
        )


def check_config_flags(subject: Subject) -> None:
    """A flag that restates one value leaves every other field as it is, for each field that has a simple flag."""
    config, example = _config(subject), _tiny(subject)
    for field in attrs.fields(config):
        value = getattr(example, field.name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            continue
        words = [f"--{field.name.replace('_', '-')}={value}"]
        said = io.StringIO()
        again: object = None
        with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
            again = tyro.cli(config, default=example, args=words, config=(tyro.conf.AvoidSubcommands,))
        require(
            again == example,
            f"the flag {words[0]} turns {example} into {again} {said.getvalue()}",
            fix="use the allowed field types, and let every default pass its own validator",
        )


def _poison(value: Any, hint: Any) -> Any:
    """Return the value with a NaN in place of a float; None if it holds no float."""
    if isinstance(value, tuple) and any(isinstance(part, float) for part in value):
        return tuple(math.nan if isinstance(part, float) else part for part in value)
    return math.nan if isinstance(value, float) or hint is float else None
