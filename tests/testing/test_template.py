"""`pshead new` writes packages that install, are listed, pass their tests, and run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import pshead_core
from pshead_core.errors import PsheadError
from pshead_core.template import TEMPLATE_KINDS, create

PSHEAD = "from pshead_core.cli.main import run_and_exit; run_and_exit()"
CORE = Path(pshead_core.__file__).parent.parent


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh environment that reads this one's packages through a path file: offline and quick."""
    folder = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    site = next((folder / "lib").glob("python*")) / "site-packages"
    site.joinpath("outer.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"  # also follows its own path files
    )
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


def test_packages_pass_their_own_tests(environment, installed, tmp_path):
    options = ("-q", "-W", "error", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir", str(tmp_path))
    done = run(environment, "-m", "pytest", *options, *map(str, installed.values()), cwd=tmp_path)
    assert re.search(r"^\d{3} passed in", done.stdout, re.M)  # and nothing skipped, failed or expected to fail


def test_packages_are_listed(environment, installed, tmp_path):
    listed = run(environment, "-c", PSHEAD, "plugins", "list", cwd=tmp_path).stdout
    for kind in TEMPLATE_KINDS:
        assert f"my_{kind}" in listed
        assert f"pshead-{kind}-my-{kind}" in listed


def test_guidance_and_refiner_run_ten_steps(environment, installed, tmp_path):
    plugins = "my_guidance,my_refiners"
    cheap = ("--start.gaussians", "500")
    options = ("--plugins", plugins, "--steps", "10", "--out", "head", "--quiet")
    run(environment, "-c", PSHEAD, "run", "demo", *options, *cheap, cwd=tmp_path)
    steps = [json.loads(line) for line in (tmp_path / "head" / "report.jsonl").read_text().splitlines()]
    assert len(steps) == 10
    for use in ("guidance.my_guidance", "refiners.my_refiners"):
        norms = [slot["grad_norm"] for step in steps for slot in step["slots"] if slot["slot"] == use]
        assert len(norms) == 10
        assert min(norms) > 0
    assert (tmp_path / "head" / "head.ply").stat().st_size > 500 * 60  # 15 floats per Gaussian at the least


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
