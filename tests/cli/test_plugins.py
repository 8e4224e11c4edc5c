import json
import re

import pytest

from pshead_core.cli.main import main
from pshead_core.config.fields import describe_fields, field_texts
from pshead_core.config.run import ResolutionConfig
from pshead_core.registry.known import FIRST_PARTY


@pytest.fixture(autouse=True)
def _no_list(monkeypatch):
    monkeypatch.delenv("PSHEAD_PLUGINS", raising=False)


def test_list_shows_versions_and_both_of_two_distributions(plugin_site, capsys):
    plugin_site.install("same", distribution="dist-one", version="1.5")
    plugin_site.install("same", distribution="dist-two")
    plugin_site.install("torn", entry_points="[pshead.guidance]\nno equals sign\n")
    assert main(["plugins", "list"]) == 0
    printed = capsys.readouterr()
    assert "same@dist-one" in printed.out
    assert "same@dist-two" in printed.out
    assert "1.5" in printed.out
    assert "warning: the metadata of" in printed.err


def test_list_as_json(plugin_site, capsys):
    plugin_site.install("made_up", version="1.5")
    assert main(["plugins", "list", "--json"]) == 0
    (found,) = [item for item in json.loads(capsys.readouterr().out) if item["name"] == "made_up"]
    assert (found["kind"], found["version"], found["distribution"]) == ("guidance", "1.5", "pshead-guidance-made-up")


def test_show_prints_settings_with_their_texts_and_a_slot(plugin_site, capsys):
    plugin_site.install("made_up", needs="max_views=3, views='front'")
    assert main(["plugins", "show", "made_up"]) == 0
    text = capsys.readouterr().out
    assert "guidance_scale: float = 7.5\n      Strength.\n" in text
    assert 'prompts: tuple[str, ...] = ["a face", "a head"]' in text
    assert "max_noise: int | None = none" in text
    assert '[guidance.my_name]\n  plugin = "made_up"' in text
    assert "max_views = 3" in text


def test_show_of_a_name_of_two_distributions(plugin_site, capsys):
    for distribution in ("dist-one", "dist-two"):
        plugin_site.install("same", distribution=distribution)
    assert main(["plugins", "show", "same"]) == 2
    assert "same@dist-one" in capsys.readouterr().err
    assert main(["plugins", "show", "guidance.same@dist-two"]) == 0
    assert "(dist-two 0.1.0)" in capsys.readouterr().out


def test_check_passes_a_sound_plugin(capsys):
    assert main(["plugins", "check", "flat_color"]) == 0
    text = capsys.readouterr().out
    assert "check_gradient_finite" in text
    assert "FAIL" not in text


def test_check_reports_a_broken_and_an_unsound_plugin(plugin_site, capsys):
    plugin_site.install("broken", "1 / 0")
    assert main(["plugins", "check", "broken"]) == 1
    printed = capsys.readouterr()
    assert "cannot be imported" in printed.err
    assert "1 of 1 plugins failed: broken" in printed.out
    plugin_site.install("unsound")  # its build is None
    assert main(["plugins", "check", "unsound"]) == 1
    assert "FAIL check_builds_quickly" in capsys.readouterr().out


def test_field_texts_are_those_of_the_source():
    texts = field_texts(ResolutionConfig)
    assert texts == {
        "sides_px": "Sides, in order (PSHead: 128, 256, 512).",
        "from_steps": "First step of each side.",
    }
    assert [facts.default for facts in describe_fields(ResolutionConfig)] == [(128, 256, 512), (0, 200, 300)]
    assert field_texts(type("Made", (), {})) == {}


@pytest.mark.parametrize("name", sorted(name for kind, name in FIRST_PARTY if kind == "metrics"))
def test_every_metric_states_direction_range_weights_and_licences(name, capsys):
    assert main(["plugins", "show", name]) == 0
    page = capsys.readouterr().out
    assert re.search(r"licences: +\S", page)
    assert re.search(r"weights: +\S", page)
    figures = re.findall(r"figure: +(.*)", page)
    assert figures
    stated = re.compile(r"; -?[\d.]+ to ([\d.]+|inf)( \w+)?, (higher|lower|nearer to [\d.]+) is better$")
    for figure in figures:
        assert stated.search(figure), figure
