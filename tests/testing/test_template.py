"""`pshead new` writes packages that install, are listed, pass their tests, and run."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import pshead_core
from pshead_core.errors import PsheadError
from pshead_core.template import TEMPLATE_KINDS, create

CORE = Path(pshead_core.__file__).parent.parent


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh environment that reads this one's packages through a path file: offline and quick."""
    folder = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    site.joinpath("outer.pth").write_text(f"{sysconfig.get_path('purelib')}\n{CORE}\n")
    return folder / "bin" / "python"


def run(python: Path, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
    variables["PIP_NO_INDEX"] = "1"
    done = subprocess.run(
        [str(python), *args], cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, f"{args}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="module")
def installed(environment, tmp_path_factory):
    """One package per kind, written by `create` and installed into the fresh environment."""
    root = tmp_path_factory.mktemp("packages")
    folders = {kind: create(kind, f"my_{kind}", root / kind) for kind in TEMPLATE_KINDS}
    options = ("--no-deps", "--no-build-isolation", "--quiet")
    run(environment, "-m", "pip", "install", *options, *map(str, folders.values()), cwd=root)
    return folders


@pytest.mark.parametrize("kind", TEMPLATE_KINDS)
def test_package_passes_its_own_tests(environment, installed, kind):
    done = run(environment, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", cwd=installed[kind])
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_packages_are_installed_in_the_fresh_environment_only(environment, installed, tmp_path):
    code = "from pshead_core.registry.listing import list_plugins; print([p.name for p in list_plugins()])"
    assert "my_guidance" in run(environment, "-c", code, cwd=tmp_path).stdout
    assert "my_guidance" not in run(Path(sys.executable), "-c", code, cwd=tmp_path).stdout


def test_files_are_formatted_as_the_project_is(installed):
    for folder in installed.values():
        ruff = [sys.executable, "-m", "ruff"]
        config = ["--config", str(CORE / "pyproject.toml")]
        ignored = ["--ignore", "I001,PLC0415,D,ANN"]  # import order depends on where the core lies
        for command in (["check", *ignored], ["format", "--check"]):
            done = subprocess.run([*ruff, *command, *config, str(folder)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout


def test_singular_kind_is_accepted(tmp_path):
    folder = create("refiner", "smooth", tmp_path / "deep" / "smooth")
    assert (folder / "pshead_refiners_smooth" / "prior.py").is_file()


@pytest.mark.parametrize("name", ["", "2nd", "My", "a-b", "a__b", "class", "_x", "x_", "é"])
def test_bad_name_is_refused(tmp_path, name):
    with pytest.raises(PsheadError, match="cannot be the name"):
        create("guidance", name, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_taken_name_is_refused(tmp_path):
    with pytest.raises(PsheadError, match=r"flat_color.*pshead-guidance-flat-color"):
        create("guidance", "flat_color", tmp_path / "new")


def test_existing_folder_is_left_alone(tmp_path):
    target = tmp_path / "new"
    target.mkdir()
    with pytest.raises(PsheadError, match="exists already"):
        create("guidance", "mine", target)
    assert list(target.iterdir()) == []


def test_unknown_kind_names_the_nearest(tmp_path):
    with pytest.raises(PsheadError, match="did you mean 'guidance'"):
        create("guidence", "mine", tmp_path / "new")


def test_nothing_is_left_when_the_folder_cannot_be_written(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(PsheadError, match="cannot be written"):
        create("guidance", "mine", blocker / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
