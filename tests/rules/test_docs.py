"""Every public name is documented and annotated, and the README's hook table is that of hookspecs.py."""

from __future__ import annotations

import ast
import inspect
import re

from pshead_core import hookspecs
from tests.rules.sources import ROOT, shipped_files, tree

NOTHING = {"", "-", "–", "—", "none"}

COMPILED = {"device", "kernel"}
"""Decorators of functions that numba compiles: it infers all types, and cannot name its arrays in annotations."""


def _public(body, prefix=""):
    """Yield (dotted name, node) of the public classes and functions of a module or class body."""
    for node in body:
        if isinstance(node, ast.If | ast.Try):
            yield from _public([*node.body, *node.orelse], prefix)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _public(node.body, f"{prefix}{node.name}.")


def _all_public():
    for path in shipped_files():
        for name, node in _public(tree(path).body):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {name}", node


def test_modules_are_documented():
    silent = [
        str(path.relative_to(ROOT)) for path in shipped_files() if tree(path).body and not ast.get_docstring(tree(path))
    ]
    assert not silent, "\n".join(silent)


def test_public_names_are_documented():
    silent = [place for place, node in _all_public() if not ast.get_docstring(node)]
    assert not silent, "\n".join(silent)


def test_public_functions_are_annotated():
    wrong = []
    for place, node in _all_public():
        if isinstance(node, ast.ClassDef) or COMPILED & {ast.unparse(item) for item in node.decorator_list}:
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        bare = [item.arg for item in arguments if item.annotation is None and item.arg not in ("self", "cls", "_")]
        if node.returns is None or bare:
            wrong.append(f"{place} {bare or 'return'}")
    assert not wrong, "\n".join(wrong)


def _hooks():
    """Return hook name -> (argument names, return annotation) as hookspecs.py has them."""
    found = {}
    for name, function in vars(hookspecs).items():
        if name.startswith("pshead_"):
            signature = inspect.signature(function)
            found[name] = (tuple(signature.parameters), str(signature.return_annotation))
    return found


def _table():
    """Return hook name -> cells of the README's rows `| hook | arguments | called | returns |`."""
    rows = {}
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        name = re.match(r"`(pshead_\w+)`", cells[0])
        if line.startswith("|") and name and len(cells) == 4:
            rows[name[1]] = cells[1:]
    return rows


def test_readme_has_every_hook_and_no_other():
    assert sorted(_table()) == sorted(_hooks())


def test_readme_names_the_arguments():
    for name, (arguments, _) in _hooks().items():
        cell = _table()[name][0].replace("`", "").strip()
        written = () if cell.lower() in NOTHING else tuple(part.strip() for part in cell.split(","))
        assert written == arguments, name


def test_readme_names_what_is_returned():
    for name, (_, returns) in _hooks().items():
        cell = _table()[name][2]
        spec = re.search(r"(\w+Spec)\]", returns)
        if returns == "None":
            assert cell.strip("` ").lower() in NOTHING, name
        elif spec:
            assert spec[1] in cell, f"{name} returns {returns}, the README says {cell!r}"
        else:  # texts, described in words
            assert cell.lower() not in NOTHING, name


def test_every_hook_says_since_when():
    for name in _hooks():
        assert re.search(r"API \d+\.\d+\.$", inspect.getdoc(getattr(hookspecs, name))), name
