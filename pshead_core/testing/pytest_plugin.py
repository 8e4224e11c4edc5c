"""Fixtures for plugin authors. Opt in with `pytest_plugins = ["pshead_core.testing.pytest_plugin"]` in a conftest.py.

Nothing here patches or reloads the core: hosts are made and passed, and runs go through the command's own `main`.
"""

from __future__ import annotations

import contextlib
import io
import json
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from pshead_core.cli.main import main
from pshead_core.gaussians.model import GaussianModel
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.protocols import BuildContext
from pshead_core.registry.host import PluginHost
from pshead_core.render.base import Views
from pshead_core.testing import scenes


@frozen(kw_only=True, eq=False)
class TinyScene:
    """A synthetic scene that fits together: Gaussians, two views, the portrait, and what priors are built from."""

    model: GaussianModel
    views: Views
    portrait: Portrait
    context: BuildContext


@frozen(kw_only=True)
class Outcome:
    """What one call of the command did."""

    argv: tuple[str, ...]
    code: int
    """Exit code."""
    folder: Path
    """Of the run."""
    stdout: str
    stderr: str

    def assert_ok(self) -> Outcome:
        """Fail the test, and show the call and what it printed, unless the exit code is 0."""
        assert self.code == 0, f"pshead {' '.join(self.argv)} ended with {self.code}\n{self.stdout}\n{self.stderr}"
        return self

    @property
    def resolved(self) -> dict[str, Any]:
        """The run's `resolved.toml`."""
        return tomllib.loads((self.folder / "resolved.toml").read_text(encoding="utf-8"))

    def steps(self) -> list[dict[str, Any]]:
        """Return the lines of `report.jsonl`, one per step."""
        return [json.loads(line) for line in (self.folder / "report.jsonl").read_text(encoding="utf-8").splitlines()]

    def report(self, slot: str) -> list[dict[str, Any]]:
        """Return what one slot contributed: weight, grad_norm, views and seconds of each step at which it was due."""
        return [line for step in self.steps() for line in step["slots"] if line["slot"] == slot]


@pytest.fixture
def tiny_views() -> Views:
    """Two views of a synthetic head, 32 px."""
    return scenes.tiny_views()


@pytest.fixture
def tiny_scene(tmp_path: Path) -> TinyScene:
    """A synthetic head with everything that a prior is built from and called with."""
    portrait = scenes.tiny_portrait()
    return TinyScene(
        model=scenes.tiny_model(),
        views=scenes.tiny_views(),
        portrait=portrait,
        context=scenes.tiny_context(tmp_path / "cache", portrait=portrait),
    )


@pytest.fixture
def only_plugins() -> Callable[..., PluginHost]:
    """A function that makes a fresh host of throw-away plugin objects, and of nothing else."""
    return PluginHost.of


@pytest.fixture
def run_in_tmp(tmp_path: Path) -> Callable[..., Outcome]:
    """A function that runs `pshead run` in this process: `run_in_tmp(toml, photo="demo", args=())` -> Outcome.

    `toml` is the text of a configuration file, `args` are further arguments such as `("--steps", "5")`. Each call has
    a run folder of its own.
    """
    count = 0

    def run(toml: str = "", *, photo: str | Path = "demo", args: Sequence[str] = ()) -> Outcome:
        nonlocal count
        count += 1
        folder = tmp_path / f"run{count}"
        file = tmp_path / f"run{count}.toml"
        file.write_text(toml, encoding="utf-8")
        argv = ("run", str(photo), "--config", str(file), "--out", str(folder), "--quiet", *args)
        return call(argv, folder)

    return run


def call(argv: Sequence[str], folder: Path) -> Outcome:
    """Run the command in this process and return what it did.

    Args:
        argv: the arguments after `pshead`.
        folder: where the run is expected.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(argv))
    return Outcome(argv=tuple(argv), code=code, folder=folder, stdout=out.getvalue(), stderr=err.getvalue())
