"""Hard stops on the size of files and functions. `pytest -s` shows the figures."""

from __future__ import annotations

import ast
from statistics import median, quantiles

from tests.rules.sources import ROOT, python_files, shipped_files, tree

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 80


def _functions(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def test_files_are_short():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    shipped = [lines[path] for path in shipped_files() if lines[path]]
    print(f"\nfiles: {len(shipped)}, median {median(shipped):.0f}, p90 {quantiles(shipped, n=10)[-1]:.0f} lines")
    long = [f"{path.relative_to(ROOT)}: {count}" for path, count in lines.items() if count > MAX_FILE_LINES]
    assert not long, "\n".join(long)


def test_functions_are_short():
    shipped = [count for path in shipped_files() for _, _, count in _functions(path)]
    print(f"\nfunctions: {len(shipped)}, median {median(shipped):.0f}, p90 {quantiles(shipped, n=10)[-1]:.0f} lines")
    long = [
        f"{path.relative_to(ROOT)}:{line} {name}: {count}"
        for path in python_files()
        for name, line, count in _functions(path)
        if count > MAX_FUNCTION_LINES
    ]
    assert not long, "\n".join(long)
