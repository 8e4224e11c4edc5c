import tomllib

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pshead_core.api import GuidanceSpec, PluginConfig
from pshead_core.config.convert import structure, unstructure
from pshead_core.config.dump import dump_annotated, dump_toml, emit, plugins_json
from pshead_core.config.layers import preset_names
from pshead_core.config.resolve import resolve
from pshead_core.config.run import LossConfig, StartConfig
from pshead_core.config.schedule import CurveConfig, SlotConfig
from pshead_core.errors import ConfigError
from pshead_core.registry.host import PluginHost
from tests.config.plugins import HOST, plugin, spec
from tests.config.presets import BARE, preset_table

RICH = """
seed = 7
[guidance.text]
plugin = "sds"
guidance_scale = 0.1
negative_prompts = ['back\\slash "quoted"', "zwei\\nZeilen", "ä€😀"]
dtype = "fp16"
timesteps = {low = 1e-7}
limit = 5
[guidance.again]
plugin = "sds"
use_cache = false
negative_prompts = []
[guidance.zero123]
elevation_deg = -12.5
[refiners.restore]
[analyzers.finder]
[start]
kind = "ply"
ply = "folder with space/start.ply"
[losses]
rgb = {from_step = 0, to_step = 10, start = 3.3333333333333335, end = 1}
[[schedule]]
use = "reference"
[[schedule]]
use = "guidance.text"
weight = {from_step = 0, to_step = 10, start = 1, end = 0, shape = "cosine"}
rides_on = ["reference"]
until_step = 300
[[schedule]]
use = "guidance.again"
group = "novel"
choose = "all"
"""


@pytest.fixture
def reload(tmp_path, monkeypatch):
    monkeypatch.delenv("PSHEAD_PLUGINS", raising=False)

    def reload(resolved, host=HOST):
        path = tmp_path / "resolved.toml"
        path.write_text(dump_toml(resolved), encoding="utf-8")
        return resolve(files=[path], host=host)

    return reload


def test_round_trip_of_everything(tmp_path, reload):
    file = tmp_path / "rich.toml"
    file.write_text(RICH, encoding="utf-8")
    resolved = resolve(preset=BARE, files=[file], host=HOST)
    again = reload(resolved)
    assert again.config == resolved.config
    assert again.instances == resolved.instances
    assert dump_toml(again) == dump_toml(resolved)
    assert list(again.config.guidance) == ["text", "again", "zero123"]  # order too


@pytest.mark.parametrize("name", preset_names())
def test_round_trip_of_presets(name, reload):
    resolved = resolve(preset=name)  # with the installed plugins
    again = reload(resolved, host=None)
    assert again.config == resolved.config
    assert again.instances == resolved.instances


def test_a_resolved_file_needs_no_preset_below_it(reload):
    resolved = resolve(plugins="", host=HOST)  # without the analyzer that the preset would add again
    assert reload(resolved).config == resolved.config


def test_the_chosen_distribution_is_kept(plugin_site, reload, tmp_path):
    for distribution in ("dist-one", "dist-two"):
        plugin_site.install("same", distribution=distribution)
    resolved = resolve(preset="none", plugins="same@dist-two", listings=plugin_site.only())
    assert 'plugin = "same@dist-two"' in dump_toml(resolved)


def test_two_plugins_may_share_a_configuration_class(reload):
    host = PluginHost.of(plugin(guidance=[spec(GuidanceSpec, "one"), spec(GuidanceSpec, "two")]))
    resolved = resolve(preset="none", plugins="one,two", host=host)
    assert [item.plugin for item in reload(resolved, host).instances] == ["one", "two"]


def test_none_beside_another_default_is_refused():
    @attrs.frozen(kw_only=True)
    class Odd(PluginConfig):
        most: int | None = 8

    assert unstructure(Odd()) == {"most": 8}
    with pytest.raises(ConfigError, match="'most' of Odd is None"):
        unstructure(Odd(most=None))


def test_annotations_name_the_layer_of_each_value(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text("[losses]\nalpha = 3\n")
    lines = dump_annotated(resolve(preset=BARE, files=[file], overrides={"seed": 3}, host=HOST)).splitlines()
    assert f"alpha = 3.0  # {file}" in lines
    assert "seed = 3  # command line" in lines
    assert f"steps = {preset_table(BARE)['steps']}  # preset {BARE}" in lines
    assert "rgb = 500.0" in lines  # a class default
    assert f"[[schedule]]  # preset {BARE}" in lines


def test_plugins_json_says_what_ran(plugin_site):
    plugin_site.install("one", version="3.1")
    resolved = resolve(preset="none", plugins="one", listings=plugin_site.only())
    assert plugins_json(resolved) == {
        "core": {"version": "0.1.0", "api": "1.0"},
        "plugins": [
            {
                "kind": "guidance",
                "name": "one",
                "distribution": "pshead-guidance-one",
                "version": "3.1",
                "entry_point": "pshead_guidance_one",
                "api": "1.0",
                "licences": (),
                "instances": ["guidance.one"],
            }
        ],
    }


numbers = st.floats(allow_nan=False, allow_infinity=False)
curves = st.builds(
    CurveConfig,
    from_step=st.integers(0, 9),
    to_step=st.integers(9, 99),
    start=numbers,
    end=numbers,
    shape=st.sampled_from(["linear", "cosine"]),
)
slots = st.builds(
    SlotConfig,
    use=st.text(max_size=5),
    name=st.none() | st.text(max_size=5),
    weight=numbers | curves,
    rides_on=st.lists(st.text(max_size=3), max_size=2).map(tuple),
    until_step=st.none() | st.integers(0, 2**40),
    probability=st.floats(0, 1),
)
paths = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=5)
starts = st.builds(
    StartConfig, ply=st.none() | paths.map(__import__("pathlib").Path), ball_radius=st.floats(1e-300, 1e300)
)
losses = st.builds(LossConfig, rgb=numbers | curves, alpha=numbers | curves)


@given(st.fixed_dictionaries({"slot": slots, "start": starts, "losses": losses}))
def test_any_record_survives_toml(records):
    text = emit({name: unstructure(record) for name, record in records.items()})
    for name, table in tomllib.loads(text).items():
        problems = []
        assert structure(table, type(records[name]), (), problems) == records[name]
        assert not problems


values = st.recursive(
    st.integers(-(2**62), 2**62) | numbers | st.booleans() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z_]{1,4}", fullmatch=True), inner),
    max_leaves=8,
)


@example({"a": {"b": [{"c": 1}, {"c": {"d": [{"e": 2}]}}]}, "f": [], "g": {}})
@given(st.dictionaries(st.from_regex(r"[a-z_]{1,4}", fullmatch=True), values, max_size=4))
def test_what_is_emitted_is_the_same_toml(table):
    assert tomllib.loads(emit(table)) == table
