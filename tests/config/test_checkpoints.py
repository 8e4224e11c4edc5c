"""Weights that a configuration names: their plugins are loaded, and only these, and licences are looked at."""

import sys

import pytest

from pshead_core.config.checkpoints import checkpoint_names, load_checkpoints, used_instances
from pshead_core.config.dump import dump_toml, plugins_json
from pshead_core.config.resolve import recheck, resolve
from pshead_core.errors import ConfigError, PluginConflict

GUIDANCE = """
from attrs import frozen
from pshead_core.api import GuidanceSpec, PluginConfig, hookimpl

@frozen(kw_only=True)
class Config(PluginConfig):
    '''Settings.'''

    weights: str = "wanted"
    '''Checkpoint.'''

    def checkpoints(self):
        return (self.weights,)

@hookimpl
def pshead_guidance():
    return [GuidanceSpec(name="asks", summary="s", config=Config, build=None, tiny=Config, licences={licences})]
"""
CHECKPOINT = """
from pathlib import Path
from pshead_core.api import CheckpointSpec, hookimpl

@hookimpl
def pshead_checkpoints():
    return [CheckpointSpec(name="{name}", summary="s", folder=lambda: Path("/nowhere"), licences=("MIT",))]
"""


@pytest.fixture
def site(plugin_site):
    """A guidance that asks for `wanted`, and two checkpoint plugins."""
    plugin_site.install("asks", GUIDANCE.format(licences=("MIT", "CC-BY-NC-4.0")))
    for name in ("wanted", "other"):
        plugin_site.install(name, CHECKPOINT.format(name=name), kind="checkpoints")
    return plugin_site


def loaded(name):
    return f"pshead_checkpoints_{name}" in sys.modules


def test_named_checkpoints_are_loaded_whatever_the_allow_list_says(site):
    resolved = resolve(plugins="asks", listings=site.only(), preset="none")
    assert loaded("wanted")
    assert not loaded("other")
    assert [(item.kind, item.name) for item in resolved.plugins] == [("guidance", "asks"), ("checkpoints", "wanted")]
    assert plugins_json(resolved)["plugins"][1]["licences"] == ("MIT",)
    assert checkpoint_names(resolved, resolved.instances) == {"wanted": ["guidance.asks"]}


def test_flags_may_name_another_checkpoint(site, tmp_path):
    resolved = resolve(plugins="asks", listings=site.only(), preset="none")
    file = tmp_path / "a.toml"
    file.write_text(dump_toml(resolved).replace('weights = "wanted"', 'weights = "other"'))
    again = recheck(resolve(files=[file], listings=site.only()))
    assert loaded("other")
    assert "other" in again.host.checkpoint_specs()


@pytest.mark.parametrize("name", ["sd15", "./a/folder", "owner/name@" + "0" * 40, "no such thing"])
def test_names_of_no_plugin_are_left_to_the_run(site, tmp_path, name):
    file = tmp_path / "a.toml"
    file.write_text(f'preset = "none"\n[guidance.asks]\nweights = "{name}"\n')
    assert not resolve(files=[file], listings=site.only()).host.checkpoint_specs()


def test_an_ambiguous_checkpoint_is_an_error_of_the_configuration(site):
    site.install("wanted", CHECKPOINT.format(name="wanted"), kind="checkpoints", distribution="another-dist")
    with pytest.raises(PluginConflict, match="2 distributions offer the checkpoints plugin 'wanted'"):
        resolve(plugins="asks", listings=site.only(), preset="none")


def test_only_priors_with_a_slot_of_some_weight_count(site, tmp_path):
    file = tmp_path / "a.toml"
    lines = ['preset = "none"', "[guidance.asks]", "[guidance.idle]", 'plugin = "asks"', "[guidance.off]"]
    lines += ['plugin = "asks"', "[[schedule]]", 'use = "guidance.asks"']
    lines += ["[[schedule]]", 'use = "guidance.off"', "weight = 0.0"]
    file.write_text("\n".join(lines))
    resolved = resolve(files=[file], listings=site.only())
    assert [one.use for one in used_instances(resolved)] == ["guidance.asks"]
    load_checkpoints(resolved)  # a second time changes nothing
    assert list(resolved.host.checkpoint_specs()) == ["wanted"]


def test_commercial_use_refuses_a_plugin_by_name(site):
    with pytest.raises(ConfigError) as caught:
        resolve(plugins="asks", listings=site.only(), preset="none", overrides={"models": {"commercial_use": True}})
    assert "'guidance.asks' (asks) excludes commercial use (CC-BY-NC-4.0)" in str(caught.value)


def test_fields_of_the_section_are_read_and_checked():
    resolved = resolve(preset="none", plugins="", overrides={"models": {"offload": "always", "reserve_gib": 2}})
    assert (resolved.config.models.offload, resolved.config.models.reserve_gib) == ("always", 2.0)
    assert "[models]" in dump_toml(resolved)
    with pytest.raises(ConfigError, match="offload"):
        resolve(preset="none", plugins="", overrides={"models": {"offload": "sometimes"}})
    with pytest.raises(ConfigError, match="reserve_gib"):
        resolve(preset="none", plugins="", overrides={"models": {"reserve_gib": -1}})
