"""The fixtures for plugin authors (a whole run with `run_in_tmp`: test_hook_order.py)."""

import pytest

from pshead_core.testing import fakes, tiny_step
from pshead_core.testing.pytest_plugin import call


def test_scene_fits_together(tiny_scene):
    prior = fakes.flat_color().build(fakes.FakeConfig(), tiny_scene.context)
    assert prior.contribute(tiny_scene.views, tiny_step()).rgb.shape == tiny_scene.views.rgb.shape
    assert tiny_scene.context.portrait is tiny_scene.portrait
    assert len(tiny_scene.model) == 64


def test_two_tiny_views(tiny_views):
    assert tuple(tiny_views.rgb.shape) == (2, 32, 32, 3)


def test_only_plugins_are_loaded(only_plugins):
    host = only_plugins(fakes.as_plugin(fakes.noisy()))
    assert list(host.guidance_specs()) == ["noisy"]
    assert not host.analyzer_specs()


def test_outcome_shows_what_went_wrong(run_in_tmp):
    outcome = run_in_tmp("stepz = 3\n")
    assert outcome.code == 2
    assert "did you mean 'steps'" in outcome.stderr
    assert not outcome.folder.exists()
    with pytest.raises(AssertionError, match=r"(?s)pshead run demo .* ended with 2.*stepz"):
        outcome.assert_ok()


def test_call_runs_other_verbs(tmp_path):
    outcome = call(["new", "guidance", "fresh", "--out", str(tmp_path / "fresh")], tmp_path / "fresh").assert_ok()
    assert (outcome.folder / "pyproject.toml").is_file()
