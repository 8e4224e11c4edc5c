"""Checks of the distribution: is it found, does it say what it needs, and is listing it cheap?"""

from __future__ import annotations

import subprocess
import sys
from importlib import resources
from importlib.metadata import Distribution, EntryPoint, entry_points
from types import ModuleType

from packaging.requirements import Requirement
from packaging.version import Version

from pshead_core import __version__
from pshead_core.errors import PluginContractError
from pshead_core.testing.subject import Subject, require


def _module(subject: Subject) -> ModuleType:
    if subject.plugin is None:
        raise TypeError("package checks need the plugin's entry module")
    return subject.plugin


def _entry_point(subject: Subject) -> EntryPoint:
    """Return the installed entry point of the spec's name that names the subject's module."""
    module = _module(subject).__name__
    group = f"pshead.{subject.kind}"
    of_module = [point for point in entry_points(group=group) if point.module == module]
    named = [point for point in of_module if point.name == subject.spec.name]
    if named:
        return named[0]
    found = ", ".join(repr(point.name) for point in of_module) or "none"
    raise PluginContractError(
        f"no entry point '{subject.spec.name}' of group '{group}' names the module '{module}' (found: {found})",
        why="plugins are listed and chosen by entry-point name, before anything is imported",
        fix=f'write [project.entry-points."{group}"] {subject.spec.name} = "{module}" and install the package again',
    )


def _distribution(subject: Subject) -> Distribution:
    distribution = _entry_point(subject).dist
    if distribution is None:
        raise PluginContractError(f"the entry point of '{subject.spec.name}' belongs to no distribution")
    return distribution


def check_entry_point(subject: Subject) -> None:
    """The entry point's name is the spec's name and its group is the kind: what is listed is what is loaded."""
    require(
        _entry_point(subject).load() is subject.plugin,
        f"the entry point of '{subject.spec.name}' loads something else than the module under test",
        fix="let the entry point name the package itself",
    )


def check_requires_core(subject: Subject) -> None:
    """The distribution says which versions of the core it fits, so that a mismatch is told before the import."""
    lines = [Requirement(line) for line in _distribution(subject).requires or ()]
    core = [line for line in lines if line.name == "pshead-core"]
    wanted = 'dependencies = ["pshead-core>=0.N,<0.N+1"]'
    require(bool(core), f"plugin '{subject.spec.name}' does not require pshead-core", fix=wanted)
    require(
        core[0].specifier.contains(Version(__version__), prereleases=True),
        f"plugin '{subject.spec.name}' needs pshead-core{core[0].specifier}, installed is {__version__}",
        fix="install a version that fits, or test the plugin with this core and widen the range",
    )
    require(
        any(clause.operator in {"<", "<=", "==", "~="} for clause in core[0].specifier),
        f"plugin '{subject.spec.name}' has no upper bound on pshead-core",
        fix=wanted,
    )


def check_entry_module_light(subject: Subject) -> None:
    """Importing the entry module imports no torch: choosing and describing plugins stays quick."""
    module = _module(subject).__name__
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    require(
        done.returncode == 0,
        f"importing {module} imports torch{': ' if done.stderr else ''}{done.stderr[-300:]}",
        fix="import the module of the prior inside the spec's `build`",
    )


def check_typed(subject: Subject) -> None:
    """The package carries `py.typed`, so that type checkers read its annotations."""
    require(
        resources.files(_module(subject)).joinpath("py.typed").is_file(),
        f"package {_module(subject).__name__} has no file py.typed",
        fix="add an empty file py.typed beside __init__.py",
    )


def check_readme_and_licence(subject: Subject) -> None:
    """The distribution has a README and a licence, and the spec names the licences of code and weights."""
    metadata = _distribution(subject).metadata
    require(
        bool(metadata.json.get("description")),
        f"the distribution of '{subject.spec.name}' has no README",
        fix='write README.md and set readme = "README.md" under [project]',
    )
    require(
        bool(metadata.json.get("license_expression") or metadata.json.get("license")),
        f"the distribution of '{subject.spec.name}' states no licence",
        fix='set license = "<SPDX identifier>" under [project]',
    )
    require(
        bool(subject.spec.licences),
        f"the spec '{subject.spec.name}' names no licences",
        fix='set licences=("Apache-2.0",), and add one entry for the weights if there are any',
    )
