import subprocess
import sys

import pytest

from pshead_core.cameras.view_sets import VIEW_SETS as CAMERA_VIEW_SETS
from pshead_core.config.layers import preset_names
from pshead_core.config.resolve import resolve
from pshead_core.config.run import RunConfig
from pshead_core.config.schedule import VIEW_SETS, CurveConfig, SlotConfig
from pshead_core.errors import ConfigError, PluginConflict, PluginLoadError, PluginNotFound
from tests.config.plugins import HOST, SdsConfig, Zero123Config
from tests.config.presets import BARE, bare_uses, preset_table


@pytest.fixture(autouse=True)
def _no_list(monkeypatch):
    monkeypatch.delenv("PSHEAD_PLUGINS", raising=False)


@pytest.fixture
def write(tmp_path):
    def write(text, name="run.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def uses(resolved):
    return [slot.use for slot in resolved.config.schedule]


PRESET = ["reference", "start", "start"]  # the slots of the preset BARE, none of which needs a plugin


# ---- layers ------------------------------------------------------------------------------------------------------


def test_nothing_at_all_gives_the_class_defaults():
    assert resolve(preset="none", host=HOST).config == RunConfig()


def test_layers_in_order(write):
    base = write("steps = 100\nseed = 1\n[losses]\nrgb = 1.0\nalpha = 2.0\n", "base.toml")
    top = write("seed = 2\n[losses]\nalpha = 3.0\n[resolution]\nsides_px = [64]\nfrom_steps = [0]\n", "top.toml")
    config = resolve(preset=BARE, files=[base, top], overrides={"seed": 3, "portrait": {"face": 2}}, host=HOST).config
    assert (config.steps, config.seed) == (100, 3)
    assert (config.losses.rgb, config.losses.alpha, config.losses.depth) == (1.0, 3.0, RunConfig().losses.depth)
    assert config.resolution.sides_px == (64,)  # arrays replace
    assert config.portrait.face == 2
    assert uses(resolve(preset=BARE, files=[base, top], host=HOST)) == PRESET  # from the preset below


def test_a_schedule_replaces_the_one_below(write):
    base = write('[guidance.sds]\n[[schedule]]\nuse = "guidance.sds"\nevery = 3\n', "base.toml")
    top = write('[[schedule]]\nuse = "reference"\nweight = 0.5\n', "top.toml")
    resolved = resolve(preset=BARE, files=[base, top], host=HOST)
    assert resolved.config.schedule == (SlotConfig(use="reference", weight=0.5),)
    assert any("no slot uses 'guidance.sds'" in warning for warning in resolved.warnings)


def test_fields_of_one_instance_merge_unless_the_plugin_changes(write):
    base = write('[guidance.a]\nplugin = "sds"\nguidance_scale = 5\nlimit = 3\n', "base.toml")
    same = write("[guidance.a]\nlimit = 4\n", "same.toml")
    other = write('[guidance.a]\nplugin = "zero123"\nelevation_deg = 1\n', "other.toml")
    merged = resolve(preset=BARE, files=[base, same], host=HOST).config.guidance["a"]
    assert merged == SdsConfig(guidance_scale=5.0, limit=4)
    changed = resolve(preset=BARE, files=[base, other], host=HOST).config.guidance["a"]
    assert changed == Zero123Config(elevation_deg=1.0)


def test_the_message_names_the_file_that_set_the_value(write):
    base, top = write("[losses]\nrgb = 'x'\nalpha = 'y'\n", "base.toml"), write("[losses]\nrgb = 'z'\n", "top.toml")
    with pytest.raises(ConfigError) as caught:
        resolve(preset=BARE, files=[base, top], host=HOST)
    assert f"'z' @ {top}: losses.rgb" in caught.value.what
    assert f"'y' @ {base}: losses.alpha" in caught.value.what
    with pytest.raises(ConfigError, match="@ command line: steps"):
        resolve(preset=BARE, overrides={"steps": 0}, host=HOST)


def test_preset_by_flag_by_file_and_by_default(write):
    fast = write('preset = "fast"\n')
    configs = {name: resolve(preset=name).config for name in ("fast", "mini")}  # with the installed plugins
    steps = {name: preset_table(name)["steps"] for name in configs}
    assert {name: config.steps for name, config in configs.items()} == steps
    assert resolve(preset="none", host=HOST).config.steps == RunConfig().steps
    assert resolve().config == configs["mini"]
    assert resolve().origins[("steps",)] == "preset mini"
    assert resolve(files=[fast]).config == configs["fast"] != configs["mini"]
    assert steps["fast"] != steps["mini"]
    assert resolve(files=[fast], preset="mini").config == configs["mini"]
    with pytest.raises(ConfigError, match=r"preset 'fats', did you mean 'fast'\?"):
        resolve(preset="fats", host=HOST)


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_sound(name):
    resolved = resolve(preset=name)  # with the installed plugins
    assert not resolved.warnings
    assert "reference" in uses(resolved)
    assert uses(resolved) == [slot["use"] for slot in preset_table(name)["schedule"]]


def test_curves_and_numbers(write):
    file = write("[losses]\nrgb = {from_step = 1, to_step = 5, start = 2, end = 0.5, shape = 'cosine'}\nalpha = 3\n")
    losses = resolve(preset=BARE, files=[file], host=HOST).config.losses
    assert losses.rgb == CurveConfig(from_step=1, to_step=5, start=2.0, end=0.5, shape="cosine")
    assert losses.alpha == 3.0
    assert isinstance(losses.alpha, float)


# ---- instances ---------------------------------------------------------------------------------------------------


def test_two_instances_of_one_plugin_and_the_key_as_a_name(write):
    file = write('[guidance.sds]\n[guidance.second]\nplugin = "sds"\ncrop = [1, 2]\n[refiners.restore]\n')
    resolved = resolve(files=[file], preset="none", host=HOST)
    assert resolved.config.guidance == {"sds": SdsConfig(), "second": SdsConfig(crop=(1, 2))}
    assert [(item.use, item.plugin) for item in resolved.instances] == [
        ("guidance.sds", "sds"),
        ("guidance.second", "sds"),
        ("refiners.restore", "restore"),
    ]
    second = resolved.instances[1]
    assert resolved.config_of(second) == SdsConfig(crop=(1, 2))
    assert resolved.spec_of(second).name == "sds"


def test_view_sets_are_those_of_the_cameras():
    assert set(VIEW_SETS) == set(CAMERA_VIEW_SETS)


def test_only_the_plugins_that_are_named_are_imported(plugin_site, write):
    plugin_site.install("wanted")
    broken = plugin_site.install("broken", "1 / 0")
    file = write("[guidance.wanted]\n")
    resolved = resolve(preset="none", files=[file], listings=plugin_site.only())
    assert [item.name for item in resolved.plugins] == ["wanted"]
    assert broken not in sys.modules
    with pytest.raises(PluginLoadError, match=r"cannot be imported @ .*broken\.toml: guidance\.broken") as caught:
        resolve(preset="none", files=[write("[guidance.broken]\n", "broken.toml")], listings=plugin_site.only())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_broken_plugin_among_other_mistakes_keeps_its_cause(plugin_site, write):
    plugin_site.install("broken", "1 / 0")
    with pytest.raises(ConfigError, match="2 problems") as caught:
        resolve(preset="none", files=[write("steps = 0\n[guidance.broken]\n")], listings=plugin_site.only())
    assert "why: ZeroDivisionError" in caught.value.what
    assert isinstance(caught.value.__cause__.__cause__, ZeroDivisionError)


def test_one_of_two_distributions(plugin_site, write):
    plugin_site.install("same", distribution="dist-one")
    plugin_site.install("same", distribution="dist-two")
    plain, chosen = write("[guidance.same]\n", "a.toml"), write("[guidance.x]\nplugin = 'same@dist-two'\n", "b.toml")
    with pytest.raises(PluginConflict, match="2 distributions"):
        resolve(preset="none", files=[plain], listings=plugin_site.only())
    for resolved in (
        resolve(preset="none", files=[chosen], listings=plugin_site.only()),
        resolve(preset="none", files=[plain], plugins="same@dist-two", listings=plugin_site.only()),
        resolve(preset="none", plugins="same@dist-two", listings=plugin_site.only()),
    ):
        assert resolved.plugins[0].distribution == "dist-two"
        assert resolved.instances[0].tag == "same@dist-two"


def test_plugins_may_object_to_a_configuration():
    objecting = type("Objecting", (), {})()
    from pshead_core.api import hookimpl
    from pshead_core.registry.host import PluginHost

    objecting.pshead_check_run = hookimpl(lambda config: ["too cold"] if config.seed == 3 else [])
    host = PluginHost.of(objecting)
    assert resolve(preset="none", host=host).config.seed == 0
    with pytest.raises(ConfigError, match="too cold"):
        resolve(preset="none", overrides={"seed": 3}, host=host)


# ---- the allow-list ----------------------------------------------------------------------------------------------


def test_a_list_without_files_means_these_with_their_default_slots():
    resolved = resolve(preset=BARE, plugins="sds,restore", host=HOST)
    assert uses(resolved) == [*PRESET, "guidance.sds", "refiners.restore"]
    sds, restore = resolved.config.schedule[len(PRESET) :]
    assert sds == SlotConfig(use="guidance.sds", views="front", max_views=4, min_side_px=256)
    assert restore == SlotConfig(use="refiners.restore", views="ring")
    assert resolved.config.guidance == {"sds": SdsConfig()}
    assert list(resolved.config.analyzers) == ["mediapipe_face"]  # the preset's, for the face must be found


def test_the_environment_says_the_same_and_the_flag_wins(monkeypatch):
    monkeypatch.setenv("PSHEAD_PLUGINS", "sds")
    assert uses(resolve(preset=BARE, host=HOST)) == [*PRESET, "guidance.sds"]
    assert uses(resolve(preset=BARE, host=HOST, plugins="restore")) == [*PRESET, "refiners.restore"]
    monkeypatch.setenv("PSHEAD_PLUGINS", "sdss")
    with pytest.raises(PluginNotFound, match=r"no plugin named 'sdss', did you mean 'sds'\? @ PSHEAD_PLUGINS"):
        resolve(preset=BARE, host=HOST)


def test_the_empty_list_loads_nothing(plugin_site):
    for kind in ("analyzers", "guidance"):
        for name in preset_table("mini")[kind]:
            plugin_site.install(name, "1 / 0", kind=kind, distribution=f"made-up-{kind}-{name}".replace("_", "-"))
    for preset, left in (("mini", bare_uses("mini")), (BARE, PRESET)):
        resolved = resolve(preset=preset, plugins="", listings=plugin_site.only())
        assert (resolved.plugins, resolved.instances, uses(resolved)) == ((), (), left)
    assert uses(resolve(plugins="", listings=plugin_site.only())) == bare_uses("mini")


def test_an_analyzer_on_the_list_replaces_that_of_the_preset():
    assert list(resolve(plugins="finder,sds", host=HOST).config.analyzers) == ["finder"]
    assert list(resolve(plugins="analyzers.finder", host=HOST).config.analyzers) == ["finder"]


def test_with_a_file_the_list_only_allows(write):
    file = write('[guidance.text]\nplugin = "sds"\n[[schedule]]\nuse = "guidance.text"\nweight = 3\n')
    resolved = resolve(files=[file], plugins="sds,restore", host=HOST)
    assert uses(resolved) == ["guidance.text"]
    assert any("'restore'" in warning and "no instance" in warning for warning in resolved.warnings)
    with pytest.raises(ConfigError) as caught:
        resolve(files=[file], plugins="restore", host=HOST)
    assert caught.value.what == (
        f"guidance plugin 'sds' is not on the list of --plugins: 'restore' @ {file}: guidance.text"
    )
    with pytest.raises(ConfigError, match="of --plugins: ''"):
        resolve(files=[file], plugins="", host=HOST)


def test_a_name_of_two_kinds_means_both(plugin_site):
    source = """
from pshead_core.api import GuidanceSpec, PluginConfig, RefinerSpec, hookimpl
common = dict(name="both", summary="s", config=PluginConfig, build=None, tiny=PluginConfig)
pshead_guidance = hookimpl(lambda: [GuidanceSpec(**common)], specname="pshead_guidance")
pshead_refiners = hookimpl(lambda: [RefinerSpec(**common)], specname="pshead_refiners")
"""
    entries = "[pshead.guidance]\nboth = both_kinds\n[pshead.refiners]\nboth = both_kinds\n"
    plugin_site.install("both", source, module="both_kinds", entry_points=entries)
    resolved = resolve(preset="none", plugins="both", listings=plugin_site.only())
    assert uses(resolved) == ["guidance.both", "refiners.both"]
    assert uses(resolve(preset="none", plugins="refiners.both", listings=plugin_site.only())) == ["refiners.both"]


# ---- warnings ----------------------------------------------------------------------------------------------------


def test_warnings_of_what_is_probably_not_meant(write):
    text = """
steps = 100
[guidance.sds]
[[schedule]]
use = "guidance.sds"
from_step = 100
[[schedule]]
use = "guidance.sds"
name = "fine"
min_side_px = 256
"""
    warnings = "\n".join(resolve(files=[write(text)], preset="none", host=HOST).warnings)
    assert "no slot 'reference'" in warnings
    assert "slot 'guidance.sds' starts at step 100, but the run has 100" in warnings
    assert "slot 'fine' needs 256 px, but the run renders at most 128" in warnings
    assert "never renders 256 or 512 px" in warnings


def test_a_full_run_warns_of_nothing():
    resolved = resolve()  # the default preset, with the installed plugins
    assert set(preset_table("mini")["guidance"]) == set(resolved.config.guidance) != set()
    assert resolved.warnings == ()


def test_configuration_imports_no_torch():
    code = (
        "import sys; import pshead_core.config.resolve, pshead_core.config.dump, pshead_core.api, pshead_core.cli.run;"
        "from pshead_core.config.resolve import resolve; resolve(plugins='');"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
