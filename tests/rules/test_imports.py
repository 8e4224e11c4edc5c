"""Imports run one way. The table is that of DESIGN.md; each file of the core is walked with `ast`."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.rules.sources import CORE, ROOT, Import, imports, module_name, python_files, shipped_files, tree

RECORDS = {"config.plugin", "config.run", "config.schedule"}
"""Plain records: every module above `specs` may import them."""
LOW = {"errors", "version", *RECORDS}
RUN = {"specs", "records", "registry", "config", "hookspecs", "models", "evaluation"}
TENSORS = {"portrait", "cameras", "gaussians", "render", "priors", "scheduler"}

ALLOWED: dict[str, set[str]] = {
    "version": set(),
    "errors": set(),
    "config.plugin": {"errors"},
    "config.schedule": {"errors"},
    "config.run": {"errors", "config.plugin", "config.schedule"},
    "specs": {"errors", "config.plugin"},
    "records": {"errors"},
    "hookspecs": {"errors"},
    "registry": LOW | {"specs", "hookspecs"},
    "config": LOW | {"specs", "hookspecs", "registry", "models"},
    "api": LOW | {"specs", "hookspecs", "records", "models", "priors"},
    "template": LOW | {"specs", "registry"},
    "models": LOW | {"specs", "registry"},
    "portrait": LOW,
    "cameras": LOW,
    "gaussians": LOW | {"portrait", "cameras"},
    "render": LOW | {"cameras", "gaussians"},
    "priors": LOW | {"specs", "models", "portrait", "cameras", "gaussians", "render"},
    "scheduler": LOW | {"cameras", "render", "priors"},
    "evaluation": LOW | TENSORS | {"specs"},
    "run": LOW | TENSORS | RUN,
    "report": LOW | TENSORS | RUN | {"run"},
    "bench": LOW | TENSORS | RUN | {"run", "report"},
    "cli": LOW | TENSORS | RUN | {"run", "report", "bench", "template"},
    "testing": LOW | TENSORS | RUN | {"run", "api", "cli"},
}
"""Part of the core -> parts that it may import; its own part always."""

LIGHT = ("errors", "specs", "hookspecs", "records", "api", "config", "registry", "cli", "template", "version")
"""The block that imports neither torch nor anything else that is heavy when it is imported."""
HEAVY = {"torch", "torchvision", "numba", "scipy", "skimage", "viser", "imageio", "PIL", "safetensors", "plyfile"}
FORBIDDEN = {"diffusers", "transformers", "mediapipe", "lpips", "insightface", "torchvision", "facexlib", "codeformer"}
"""Packages that belong into plugins."""
FOR_PLUGINS = ("pshead_core.api.", "pshead_core.priors.", "pshead_core.models.")
"""What an installed plugin imports of the core: the API, shared maths, shared models."""


def part_of(module: str) -> str:
    """Return the row of the table for a dotted name of the core."""
    parts = module.split(".")[1:]
    if not parts or parts[0].startswith("__"):
        return "version"
    return ".".join(parts[:2]) if ".".join(parts[:2]) in RECORDS else parts[0]


def core_imports(path: Path) -> list[Import]:
    """Return the imports of core modules by a file, those for type checkers left out."""
    return [item for item in imports(path) if item.module.split(".")[0] == "pshead_core" and not item.for_types]


def place(path: Path, item: Import) -> str:
    return f"{path.relative_to(ROOT)}:{item.line} imports {item.module}"


def test_arrows():
    wrong = []
    for path in python_files("pshead_core"):
        part = part_of(module_name(path))
        for item in core_imports(path):
            target = part_of(item.module)
            if target not in ALLOWED[part] | {part} and not _shows_checks(part, item):
                wrong.append(f"{place(path, item)}: {part} may not import {target}")
    assert not wrong, "\n".join(wrong)


def _shows_checks(part: str, item: Import) -> bool:
    """`pshead plugins check` is the one place that imports `testing`, and only inside its function."""
    return part == "cli" and item.lazy and item.module.startswith("pshead_core.testing")


def test_table_names_every_part():
    parts = {part_of(module_name(path)) for path in python_files("pshead_core")}
    assert parts <= set(ALLOWED), f"add a row for {sorted(parts - set(ALLOWED))}"


def test_table_has_no_cycle():
    done: set[str] = set()
    while ready := [part for part in ALLOWED if part not in done and ALLOWED[part] <= done]:
        done |= set(ready)
    assert done == set(ALLOWED), f"these import each other: {sorted(set(ALLOWED) - done)}"


def test_no_relative_imports():
    wrong = [place(path, item) for path in shipped_files() for item in imports(path) if item.module.startswith(".")]
    assert not wrong, "\n".join(wrong)


def test_core_imports_no_plugin_and_no_model_library():
    wrong = []
    for path in python_files("pshead_core"):
        for item in imports(path):
            top = item.module.split(".")[0]
            if top in FORBIDDEN or (top.startswith("pshead_") and top != "pshead_core"):
                wrong.append(place(path, item))
    assert not wrong, "\n".join(wrong)


def test_plugins_import_only_the_api_and_themselves():
    wrong = []
    for path in shipped_files():
        if CORE in path.parents:
            continue
        own = path.relative_to(ROOT).parts[4 - 1]  # plugins/<kind>/<name>/<package>/...
        for item in imports(path):
            top = item.module.split(".")[0]
            foreign = top.startswith("pshead_") and top not in ("pshead_core", own)
            if foreign or (top == "pshead_core" and not item.module.startswith(FOR_PLUGINS)):
                wrong.append(place(path, item))
    assert not wrong, "\n".join(wrong)


def _reachable(module: str, files: dict[str, Path], seen: set[str]) -> set[str]:
    """Return all modules that importing `module` imports, inside the core and outside."""
    if module in seen:
        return seen
    seen.add(module)
    for item in imports(files[module]) if module in files else []:
        if item.lazy or item.for_types:
            continue
        base = item.module.rsplit(".", 1)[0]
        for name in (item.module, base):
            if name in files or not name.startswith("pshead_core"):
                _reachable(name, files, seen)
    return seen


def test_light_block_imports_nothing_heavy():
    files = {module_name(path): path for path in python_files("pshead_core")}
    wrong = []
    for module, path in files.items():
        if part_of(module).split(".")[0] in LIGHT:
            heavy = {name.split(".")[0] for name in _reachable(module, files, set())} & HEAVY
            wrong += [f"{path.relative_to(ROOT)} imports {name} when it is imported" for name in sorted(heavy)]
    assert not wrong, "\n".join(wrong)


def test_light_block_imports_no_torch_when_it_runs():
    modules = [module_name(path) for path in python_files("pshead_core")]
    light = [module for module in modules if part_of(module).split(".")[0] in LIGHT and "__main__" not in module]
    assert len(light) > 10
    code = f"import sys, importlib\nfor m in {light!r}: importlib.import_module(m)\nsys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or "torch is imported"


def _declared(pyproject: Path) -> set[str]:
    """Return the distributions that a pyproject requires, with all extras."""
    project = tomllib.loads(pyproject.read_text())["project"]
    lines = [*project.get("dependencies", ()), *chain(*project.get("optional-dependencies", {}).values())]
    return {canonicalize_name(Requirement(line).name) for line in lines}


COMES_WITH = {"llvmlite": "numba"}
"""Imported packages that a requirement pins exactly, so that a bound of our own could only be in conflict."""
THROUGH_CORE = {"attrs", "numpy", "torch"}
"""What the API is made of: a plugin gets these with pshead-core."""

PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/*/pyproject.toml"))]


@pytest.mark.parametrize("pyproject", PROJECTS, ids=lambda path: path.parent.name)
def test_every_imported_package_is_required(pyproject):
    folder = CORE if pyproject.parent == ROOT else pyproject.parent
    provided = packages_distributions()
    declared = _declared(pyproject) | (THROUGH_CORE if folder != CORE else set())
    declared |= {package for package, owner in COMES_WITH.items() if owner in declared}
    wrong = []
    for path in shipped_files():
        for item in imports(path) if folder in path.parents else []:
            top = item.module.split(".")[0]
            if top in sys.stdlib_module_names or top.startswith("pshead_") or item.for_types:
                continue
            names = {canonicalize_name(name) for name in provided.get(top, [top])}
            if not names & declared:
                wrong.append(f"{place(path, item)}: add one of {sorted(names)} to {pyproject.relative_to(ROOT)}")
    assert not wrong, "\n".join(wrong)


def test_no_star_imports():
    wrong = [place(path, item) for path in python_files() for item in imports(path) if item.module.endswith(".*")]
    assert not wrong, "\n".join(wrong)


def test_walker_sees_all_forms(tmp_path):
    """The rules are worth nothing if the walker misses an import."""
    path = tmp_path / "example.py"
    path.write_text(
        "import torch\nfrom a import b as c\n"
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import only_types\n"
        "def f():\n    import lazy_one\n    def g():\n        from x.y import z\n"
        "class K:\n    import in_class\ntry:\n    import tried\nexcept ImportError:\n    pass\n"
    )
    tree.cache_clear()
    found = {(item.module, item.for_types, item.lazy) for item in imports(path)}
    assert found == {
        ("torch", False, False),
        ("a.b", False, False),
        ("typing.TYPE_CHECKING", False, False),
        ("only_types", True, False),
        ("lazy_one", False, True),
        ("x.y.z", False, True),
        ("in_class", False, False),
        ("tried", False, False),
    }
