"""The two passes of `pshead run`: what reaches the run, which is replaced by a recorder here."""

import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from pshead_core.cli.configuration import add_arguments, split
from pshead_core.cli.flags import apply_flags, flag_names, flags_help
from pshead_core.cli.main import main
from pshead_core.cli.parser import Parser
from pshead_core.config.dump import dump_toml, plugins_json
from pshead_core.config.resolve import resolve
from pshead_core.config.schedule import CurveConfig
from pshead_core.errors import ConfigError
from tests.config.plugins import HOST


@pytest.fixture
def recorded(monkeypatch):
    """Records the calls in place of the module that runs them."""
    calls = []
    module = ModuleType("pshead_core.run.reconstruct")
    module.reconstruct = lambda *arguments: calls.append(arguments)
    module.resume = lambda *arguments: calls.append(arguments)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("PSHEAD_PLUGINS", "")
    return calls


def test_defaults(recorded):
    assert main(["run", "photos/my face.jpg"]) == 0
    ((photo, folder, resolved, options),) = recorded
    assert (photo, folder) == (Path("photos/my face.jpg"), Path("runs/my_face"))
    assert resolved.config == resolve().config
    assert (options.checkpoint_every, options.quiet, options.json, options.force) == (100, False, False, False)


def test_the_word_demo_is_a_photo_unless_a_file_is_called_so(monkeypatch, tmp_path, recorded):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "demo"]) == 0
    (tmp_path / "demo").touch()
    assert main(["run", "demo"]) == 0
    (shipped, folder, *_), (own, *_) = recorded
    assert (shipped.name, folder, own) == ("astronaut.png", Path("runs/astronaut"), Path("demo"))
    assert not shipped.exists()  # the run had it while it lasted


def test_options_and_typed_flags(recorded, capsys):
    argv = "run --out o a.jpg --seed 4 --quiet --losses.rgb 300 --resolution.sides-px 64 128 --force"
    argv += " --resolution.from-steps 0 20 --steps 50 --schedule.0.weight 0.5 --cameras.elevation-deg -5"
    argv += " --checkpoint-every=7 --face 2 --portrait.prompt"
    assert main([*argv.split(), "a woman"]) == 0
    ((photo, folder, resolved, options),) = recorded
    config = resolved.config
    assert (photo, folder, options.quiet, options.force) == (Path("a.jpg"), Path("o"), True, True)
    assert options.checkpoint_every == 7
    assert (config.seed, config.steps, config.losses.rgb, config.portrait.face) == (4, 50, 300.0, 2)
    assert (config.resolution.sides_px, config.resolution.from_steps) == ((64, 128), (0, 20))
    assert config.schedule[0].weight == 0.5
    assert config.cameras.elevation_deg == -5.0
    assert config.portrait.prompt == "a woman"
    assert capsys.readouterr().err == ""  # quiet


def test_warnings_are_printed_unless_quiet(recorded, capsys):
    assert main(["run", "a.jpg", "--steps", "10"]) == 0
    assert "warning: the run ends after 10 steps" in capsys.readouterr().err


def test_resume_reads_the_folder(recorded, tmp_path, capsys):
    resolved = resolve(overrides={"seed": 9})
    (tmp_path / "resolved.toml").write_text(dump_toml(resolved))
    (tmp_path / "plugins.json").write_text(json.dumps(plugins_json(resolved)))
    assert main(["run", "--resume", str(tmp_path), "--json"]) == 0
    ((folder, again, options),) = recorded
    assert folder == tmp_path
    assert again.config == resolved.config
    assert options.json
    assert capsys.readouterr().err == ""


def test_resume_tells_that_a_plugin_has_changed(recorded, plugin_site, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("PSHEAD_PLUGINS", raising=False)
    plugin_site.install("one", version="0.1.0")
    resolved = resolve(preset="none", plugins="one")
    (tmp_path / "resolved.toml").write_text(dump_toml(resolved))
    facts = json.dumps(plugins_json(resolved))
    (tmp_path / "plugins.json").write_text(facts.replace('"version": "0.1.0", "entry', '"version": "0.0.9", "entry'))
    assert main(["run", "--resume", str(tmp_path)]) == 0
    message = "the run began with pshead-guidance-one 0.0.9, it goes on with pshead-guidance-one 0.1.0"
    assert message in capsys.readouterr().err
    (tmp_path / "plugins.json").write_text("{")
    assert main(["run", "--resume", str(tmp_path)]) == 0
    assert "plugins.json cannot be read" in capsys.readouterr().err


def test_help_lists_the_flags_of_the_chosen_configuration(capsys, monkeypatch):
    monkeypatch.delenv("PSHEAD_PLUGINS", raising=False)
    assert main(["run", "--plugins", "flat_color", "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: pshead run PHOTO")
    assert "--guidance.flat-color.strength" in text
    assert "Factor of the gradient" in text
    assert main(["run", "--plugins", "", "--help"]) == 0
    assert "--guidance.flat-color" not in capsys.readouterr().out


def test_split_leaves_values_with_their_flags():
    parser = Parser("p", "")
    add_arguments(parser)
    parser.add_argument("photo", nargs="?")
    argv = ["--seed", "3", "a.jpg", "--x.y", "-1.5", "b", "--plugins", "", "--z", "1", "--steps=4", "--w=2"]
    ours, typed = split(parser, argv)
    assert ours == ["--seed", "3", "a.jpg", "--plugins", "", "--steps=4"]
    assert typed == ["--x.y", "-1.5", "b", "--z", "1", "--w=2"]


# ---- typed flags ---------------------------------------------------------------------------------------------------


@pytest.fixture
def resolved(monkeypatch):
    monkeypatch.delenv("PSHEAD_PLUGINS", raising=False)
    return resolve(plugins="sds,restore", host=HOST)


def test_without_flags_nothing_changes(resolved):
    assert apply_flags(resolved, [], "p").config == resolved.config


def test_one_leaf_changes_and_the_rest_stays(resolved):
    flags = ["--guidance.sds.guidance-scale", "7", "--guidance.sds.timesteps.low", "0.1", "--guidance.sds.limit", "3"]
    flags += ["--guidance.sds.dtype", "fp16", "--guidance.sds.crop", "1", "2", "--guidance.sds.no-use-cache"]
    sds = apply_flags(resolved, flags, "p").config.guidance["sds"]
    assert (sds.guidance_scale, sds.timesteps.low, sds.timesteps.high, sds.limit) == (7.0, 0.1, 0.98, 3)
    assert (sds.dtype, sds.crop, sds.use_cache) == ("fp16", (1, 2), False)
    assert sds.negative_prompts == ("blurry",)


def test_a_curve_is_an_inline_table(resolved):
    curve = "{from_step=0, to_step=100, start=1, end=0.1}"
    changed = apply_flags(resolved, ["--schedule.1.weight", curve, "--losses.rgb", curve], "p")
    expected = CurveConfig(from_step=0, to_step=100, start=1.0, end=0.1)
    assert changed.config.schedule[1].weight == changed.config.losses.rgb == expected
    back = apply_flags(changed, ["--losses.rgb", "2"], "p").config
    assert (back.losses.rgb, back.schedule[1].weight) == (2.0, expected)
    with pytest.raises(ConfigError, match="must not be before 'from_step'"):
        apply_flags(resolved, ["--losses.rgb", "{from_step=9, to_step=1, start=1, end=0.1}"], "p")


def test_every_name_is_a_flag_that_tyro_knows(resolved):
    text = flags_help(resolved, "p")
    missing = [name for name in flag_names(resolved.config) if f"{name} " not in text and f"{name}\n" not in text]
    missing = [name for name in missing if f"{name}, " not in text]
    assert not missing


def test_changes_by_flags_are_checked_and_remembered(resolved):
    changed = apply_flags(resolved, ["--losses.rgb", "3"], "p")
    assert changed.origins["losses", "rgb"] == "command line"
    with pytest.raises(ConfigError, match=r"no view set 'frnt', did you mean 'front'\?.*@ command line: schedule\[1\]"):
        apply_flags(resolved, ["--schedule.1.views", "frnt"], "p")
