"""What a configuration record says about itself: names, types, defaults and the text under each field."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise

import attrs
from attrs import frozen

from pshead_core.config.convert import default_of, unstructure


@frozen(kw_only=True)
class FieldFacts:
    """One field of a record."""

    name: str
    type: str
    default: object
    """As TOML says it; None if the field is required or None."""
    text: str
    """The text under the field, on one line."""


def describe_fields(cls: type) -> tuple[FieldFacts, ...]:
    """Return the fields of an attrs class, in order."""
    texts = field_texts(cls)
    facts = []
    for attribute in attrs.fields(cls):
        default = default_of(attribute)
        if attrs.has(type(default)):
            default = unstructure(default)
        facts.append(
            FieldFacts(
                name=attribute.name,
                type=attribute.type if isinstance(attribute.type, str) else _type_name(attribute.type),
                default=None if default is attrs.NOTHING else default,
                text=texts.get(attribute.name, ""),
            )
        )
    return tuple(facts)


def field_texts(cls: type) -> dict[str, str]:
    """Return the docstrings that stand under the fields of a class, by name; empty if its source is not at hand."""
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):  # made without a file, or only bytecode is installed
        return {}
    body = ast.parse(source).body[0]
    if not isinstance(body, ast.ClassDef):
        return {}
    texts: dict[str, str] = {}
    for line, below in pairwise(body.body):
        text = _text(below)
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and text:
            texts[line.target.id] = text
    return texts


def _text(statement: ast.stmt) -> str:
    value = statement.value if isinstance(statement, ast.Expr) else None
    is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
    return " ".join(str(value.value).split()) if is_text and isinstance(value, ast.Constant) else ""


def _type_name(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
