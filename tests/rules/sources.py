"""The source files under test, and what they import, read with `ast`; shared by the rules tests."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "pshead_core"


@frozen
class Import:
    """One imported module, and where it stands."""

    module: str
    line: int
    for_types: bool
    """Inside `if TYPE_CHECKING`."""
    lazy: bool
    """Inside a function."""


@cache
def tracked() -> tuple[Path, ...]:
    """Return the files of the project: those that git knows or would add, else (no git) all outside hidden folders."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*")]
        names = [name for name in names if not name.startswith((".", "runs/")) and "__pycache__" not in name]
    else:
        names = done.stdout.split("\0")
    return tuple(path for path in (ROOT / name for name in sorted(set(names)) if name) if path.is_file())


def python_files(*folders: str) -> list[Path]:
    """Return the project's Python files under the folders (all of them without arguments)."""
    return [
        path
        for path in tracked()
        if path.suffix == ".py" and (not folders or path.relative_to(ROOT).parts[0] in folders)
    ]


def shipped_files() -> list[Path]:
    """Return the Python files that are installed: those of the core and of the plugins, without their tests."""
    return [path for path in python_files("pshead_core", "plugins") if "tests" not in path.relative_to(ROOT).parts]


@cache
def tree(path: Path) -> ast.Module:
    """Return the parsed file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the core."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> list[Import]:
    """Return every import of a file."""
    return list(_imports(tree(path), for_types=False, lazy=False))


def _imports(node: ast.AST, *, for_types: bool, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, for_types, lazy) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = "." * child.level + (child.module or "")
            # `from package import name` may import the module package.name
            yield from (Import(f"{base}.{alias.name}", child.lineno, for_types, lazy) for alias in child.names)
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from _imports(child, for_types=True, lazy=lazy)
        else:
            inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, for_types=for_types, lazy=inside)
