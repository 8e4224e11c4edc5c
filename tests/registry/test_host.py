import sys
from types import SimpleNamespace

import pytest
from attrs import evolve

from pshead_core import hookspecs
from pshead_core.api import (
    GuidanceSpec,
    PluginConfig,
    PluginConflict,
    PluginContractError,
    PluginError,
    PluginLoadError,
    RefinerSpec,
    StepReport,
    hookimpl,
)
from pshead_core.registry.host import PluginHost
from pshead_core.registry.loading import SPEC_TYPES
from pshead_core.specs import KINDS

SPEC = GuidanceSpec(name="g", summary="s", config=PluginConfig, build=None, tiny=PluginConfig)
REPORT = StepReport(step=3, side_px=128, gaussians=1, seconds=0.1)


def plugin(**hooks):
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


def failing(source):
    return f"from pshead_core.api import *\nfrom pshead_core.specs import *\n{source}"


def load_error(site, error=PluginLoadError):
    with pytest.raises(error) as caught:
        PluginHost.load(site.only())
    return caught.value


def test_loads_only_what_is_selected(plugin_site):
    one, other = plugin_site.install("one"), plugin_site.install("other", "raise RuntimeError")
    host = PluginHost.load([item for item in plugin_site.only() if item.name == "one"])
    assert list(host.guidance_specs()) == ["one"]
    assert host.guidance_specs()["one"].name == "one"
    assert one in sys.modules
    assert other not in sys.modules
    (provenance,) = host.provenance()
    assert (provenance.distribution, provenance.version, provenance.api) == ("pshead-guidance-one", "0.1.0", "1.0")
    assert provenance.entry_point == one


def test_one_module_of_two_kinds_is_registered_once_and_shows_only_what_was_selected(plugin_site):
    source = """
from pshead_core.api import GuidanceSpec, PluginConfig, RefinerSpec, hookimpl
calls = []
common = dict(name="both", summary="s", config=PluginConfig, build=None, tiny=PluginConfig)

@hookimpl
def pshead_guidance():
    return [GuidanceSpec(**common)]

@hookimpl
def pshead_refiners():
    return [RefinerSpec(**common)]

@hookimpl
def pshead_step_ended(report):
    calls.append(report.step)
"""
    entries = "[pshead.guidance]\nboth = two_kinds\n[pshead.refiners]\nboth = two_kinds\n"
    plugin_site.install("both", source, module="two_kinds", entry_points=entries)
    guidance, refiner = plugin_site.only()
    assert dict(PluginHost.load([guidance]).refiner_specs()) == {}
    host = PluginHost.load([guidance, refiner, refiner])
    assert isinstance(host.refiner_specs()["both"], RefinerSpec)
    assert isinstance(host.guidance_specs()["both"], GuidanceSpec)
    host.step_ended(REPORT)
    assert sys.modules["two_kinds"].calls == [3]


def test_broken_import_names_plugin_distribution_version_and_cause(plugin_site):
    plugin_site.install("broken", "1 / 0", version="0.7")
    error = load_error(plugin_site)
    assert error.what == "guidance plugin 'broken' (pshead-guidance-broken 0.7) cannot be imported"
    assert error.why == "ZeroDivisionError: division by zero"
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_missing_dependency_tells_how_to_get_it(plugin_site):
    plugin_site.install("needy", "import no_such_module_at_all")
    error = load_error(plugin_site)
    assert "no_such_module_at_all" in error.why
    assert error.fix == "pip install --upgrade pshead-guidance-needy"


def test_a_plugin_that_ends_the_process_is_a_broken_plugin(plugin_site):
    plugin_site.install("rude", "raise SystemExit(3)")
    assert load_error(plugin_site).why == "SystemExit: 3"


def test_entry_point_without_a_spec_of_its_name(plugin_site):
    plugin_site.install("other_name", module="misnamed")
    text = (plugin_site.folder / "misnamed.py").read_text()
    (plugin_site.folder / "misnamed.py").write_text(text.replace('name="other_name"', 'name="one"'))
    error = load_error(plugin_site, PluginContractError)
    assert "offers no guidance spec of its own name" in error.what
    assert error.why.endswith("offers: one")


def test_too_new_core_is_refused_before_the_import(plugin_site):
    module = plugin_site.install("old", requires=("pshead-core<0.0.5",))
    assert "it needs pshead-core<0.0.5, installed is pshead-core 0.1.0" in load_error(plugin_site).why
    assert module not in sys.modules


@pytest.mark.parametrize(("api", "word"), [("1.1", "API 1.1"), ("2.0", "API 2.0"), ("0.9", "API 0.9"), ("1", "form")])
def test_api_of_another_version(api, word):
    with pytest.raises(PluginLoadError, match=word):
        PluginHost.of(plugin(pshead_guidance=lambda: [evolve(SPEC, api=api)]))


def test_misspelt_hook_is_reworded():
    with pytest.raises(PluginLoadError) as caught:
        PluginHost.of(plugin(pshead_guidence=lambda: [SPEC]))
    assert "'pshead_guidence', did you mean 'pshead_guidance'?" in caught.value.what
    assert "API 1.0" in caught.value.why
    assert "0x" not in str(caught.value)  # no repr of an object


def test_unknown_hook_argument_and_wrappers_are_refused():
    with pytest.raises(PluginLoadError, match="wrongly"):
        PluginHost.of(plugin(pshead_step_ended=lambda report, mood: None))

    def wrapped(report):
        yield

    with pytest.raises(PluginLoadError, match="wrapper"):
        PluginHost.of(SimpleNamespace(pshead_step_ended=hookimpl(wrapper=True)(wrapped)))


def test_hooks_that_return_something_else():
    with pytest.raises(PluginContractError, match="returned a str, not a GuidanceSpec"):
        PluginHost.of(plugin(pshead_guidance=lambda: ["g"]))
    with pytest.raises(PluginContractError, match="failed") as caught:
        PluginHost.of(plugin(pshead_guidance=lambda: None))
    assert isinstance(caught.value.__cause__, TypeError)
    host = PluginHost.of(plugin(pshead_diagnose=lambda: "one text"))
    with pytest.raises(PluginContractError, match="returned a str, not texts"):
        host.diagnose()


def test_throw_away_plugins_of_one_name_conflict():
    with pytest.raises(PluginConflict):
        PluginHost.of(plugin(pshead_guidance=lambda: [SPEC]), plugin(pshead_guidance=lambda: [SPEC]))


def test_specs_are_sorted_by_name():
    names = ["b", "c", "a"]
    host = PluginHost.of(plugin(pshead_guidance=lambda: [evolve(SPEC, name=name) for name in names]))
    assert list(host.guidance_specs()) == ["a", "b", "c"]


def test_observers_may_take_fewer_arguments_and_a_failing_one_is_named():
    seen = []
    host = PluginHost.of(
        plugin(pshead_step_ended=lambda: seen.append("none")),
        plugin(pshead_step_ended=lambda report: seen.append(report.step)),
        plugin(pshead_check_run=lambda config: [f"{config} is odd"]),
    )
    host.step_ended(REPORT)
    assert sorted(seen, key=str) == [3, "none"]
    assert host.check_run("this") == ("this is odd ((not installed))",)

    def fail(report):
        raise ValueError("no disk")

    with pytest.raises(PluginError, match="pshead_step_ended") as caught:
        PluginHost.of(plugin(pshead_step_ended=fail)).step_ended(REPORT)
    assert caught.value.why == "ValueError: no disk"


def test_a_refused_plugin_leaves_the_host_as_it_was(plugin_site):
    plugin_site.install("good")
    plugin_site.install("bad", module="bad_one")
    text = (plugin_site.folder / "bad_one.py").read_text()
    (plugin_site.folder / "bad_one.py").write_text(text + "\n@hookimpl\ndef pshead_gidance():\n    return []\n")
    listings = {item.name: item for item in plugin_site.only()}
    host = PluginHost.load([listings["good"]])
    with pytest.raises(PluginLoadError, match="pshead_gidance"):
        host.add(listings["bad"])
    assert list(host.guidance_specs()) == ["good"]
    assert host.module_of(listings["bad"]) is None


def test_every_kind_has_a_hook_and_a_record():
    assert set(SPEC_TYPES) == set(KINDS)
    for kind in KINDS:
        assert hasattr(hookspecs, f"pshead_{kind}")
