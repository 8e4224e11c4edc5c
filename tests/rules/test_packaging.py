"""The distributions: complete, consistent with each other and with the folders, and free of machine-bound addresses."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import entry_points

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import pshead_core
from pshead_core.registry.host import PluginHost
from pshead_core.registry.known import FIRST_PARTY
from pshead_core.specs import KINDS
from tests.rules.sources import CORE, ROOT, tracked

PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/*/pyproject.toml"))
LINES = [line for line in (ROOT / "plugins/requirements.txt").read_text().splitlines() if line and line[0] != "#"]


def _project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def _id(folder):
    return f"{folder.parent.name}-{folder.name}"


def _files_of(folder):
    return {str(path.relative_to(folder)) for path in tracked() if folder in path.parents}


def test_every_plugin_folder_is_a_distribution():
    folders = {path for path in ROOT.glob("plugins/*/*") if path.is_dir() and _files_of(path)}
    assert folders == set(PLUGINS)
    assert {folder.parent.name for folder in PLUGINS} <= set(KINDS)


def test_requirements_name_every_plugin_once():
    editable = [line.removeprefix("-e ") for line in LINES if line.startswith("-e ")]
    assert sorted(editable) == [str(folder.relative_to(ROOT)) for folder in PLUGINS]


@pytest.mark.parametrize("folder", PLUGINS, ids=_id)
def test_files_are_complete(folder):
    package = f"pshead_{folder.parent.name}_{folder.name}"
    wanted = {"pyproject.toml", "README.md", f"{package}/__init__.py", f"{package}/py.typed"}
    wanted |= {"tests/test_conformance.py"}
    assert not wanted - _files_of(folder)
    assert "parametrize_with_checks(plugin" in (folder / "tests/test_conformance.py").read_text()


@pytest.mark.parametrize("folder", PLUGINS, ids=_id)
def test_licence_is_stated(folder):
    assert _project(folder)["license"]
    assert "## Licence" in (folder / "README.md").read_text()


@pytest.mark.parametrize("folder", PLUGINS, ids=_id)
def test_names_follow_the_folder(folder):
    kind, name = folder.parent.name, folder.name
    project = _project(folder)
    assert project["name"] == f"pshead-{kind}-{name.replace('_', '-')}"
    entries = project["entry-points"][f"pshead.{kind}"]
    if kind == "checkpoints":  # one distribution of data offers several
        assert {entry.partition("/")[0] for entry in entries} == {name}
        assert set(entries.values()) == {f"pshead_{kind}_{name}"}
    else:
        assert entries[name] == f"pshead_{kind}_{name}"


@pytest.mark.parametrize("folder", PLUGINS, ids=_id)
def test_core_requirement_fits(folder):
    core = [Requirement(line) for line in _project(folder)["dependencies"]]
    core = [requirement for requirement in core if requirement.name == "pshead-core"]
    version = Version(pshead_core.__version__)
    assert len(core) == 1
    assert core[0].specifier.contains(version)
    # while 0.x, a minor version of the core may break plugins (DESIGN.md, compatibility)
    assert not core[0].specifier.contains(Version(f"{version.major}.{version.minor + 1}"))


@pytest.mark.parametrize("folder", PLUGINS, ids=_id)
def test_entry_points_resolve(folder):
    for group, entries in _project(folder)["entry-points"].items():
        kind = group.removeprefix("pshead.")
        for name, module in entries.items():
            assert name in PluginHost.of(import_module(module)).specs(kind)
            installed = [point.value for point in entry_points(group=group) if point.name == name]
            assert installed == [module], "pip install -e . -r plugins/requirements.txt"


def test_known_plugins_are_those_of_the_folders():
    offered = {}
    for folder in PLUGINS:
        project = _project(folder)
        for group, entries in project["entry-points"].items():
            offered |= {(group.removeprefix("pshead."), name): project["name"] for name in entries}
    assert offered == FIRST_PARTY


def test_versions_agree():
    assert _project(ROOT)["version"] == pshead_core.__version__
    heading = re.search(r"^## \[?(\d[\w.]*|Unreleased)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert heading is not None
    assert heading[1] in ("Unreleased", pshead_core.__version__)


def test_constraints_are_plain():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    requirements = [Requirement(line) for line in lines]  # an option or an address would not parse
    assert all(requirement.url is None and requirement.marker is None for requirement in requirements)
    assert all([clause.operator for clause in requirement.specifier] == ["=="] for requirement in requirements)
    names = [requirement.name.lower() for requirement in requirements]
    assert len(names) == len(set(names))
    assert {"torch", "torchvision"} <= set(names)


def test_constraints_fit_the_requirements():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and line[0] != "#"]
    pinned = {r.name.lower().replace("_", "-"): next(iter(r.specifier)).version for r in map(Requirement, lines)}
    for folder in (ROOT, *PLUGINS):
        for line in _project(folder)["dependencies"]:
            requirement = Requirement(line)
            name = requirement.name.lower().replace("_", "-")
            if not name.startswith("pshead-"):
                assert name in pinned, f"{folder.name}: {name} is not in constraints.txt"
                assert requirement.specifier.contains(pinned[name]), f"{folder.name}: {line}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True, env=os.environ)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        return set(archive.namelist())


def test_wheel_holds_the_core_and_its_data(wheel):
    assert {f"pshead_core/{name}" for name in _files_of(CORE)} <= wheel
    assert any(re.fullmatch(r"pshead_core/presets/\w+\.toml", name) for name in wheel)
    assert any(re.fullmatch(r"pshead_core/template/files/.+\.in", name) for name in wheel)


def test_wheel_holds_nothing_else(wheel):
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"pshead_core"}


# Written in pieces, so that this file does not contain what it looks for.
HOSTS = ("py" + r"pi\.org", "python" + "hosted", "/sim" + "ple", r"download\.py" + "torch")
OPTIONS = r"--(?:extra-)?index" + "-url|--find" + "-links"
ADDRESSES = re.compile(rf"https?://[^\s\"')]*(?:{'|'.join(HOSTS)})|{OPTIONS}")
HOMES = re.compile(r"(?<![\w.<>{}*-])/(?:ho" + r"me|Us" + r"ers|ro" + r"ot|wo" + r"rk)/[\w.-]+")


def test_no_index_address_and_no_home_path():
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # pictures and weights
        for number, line in enumerate(text.splitlines(), 1):
            if ADDRESSES.search(line) or HOMES.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        ("see https://py" + "pi.org/project/x", True),
        ("-i https://mirror.example/sim" + "ple", True),
        ("/ho" + "me/anna/pictures", True),
        ("file:///ro" + "ot/x", True),
        ("https://example.org/ho" + "me/page", False),
        ("runs/astronaut", False),
        ("https://arxiv.org/abs/2209.14988", False),
    ],
)
def test_the_search_finds_what_it_should(line, bad):
    assert bool(ADDRESSES.search(line) or HOMES.search(line)) == bad
