import sys
from importlib import metadata

from pshead_core.registry.listing import scan_plugins
from pshead_core.specs import KINDS


def _named(name):
    return [item for item in scan_plugins().listings if item.name == name]


def test_lists_what_the_metadata_say_without_importing(plugin_site):
    module = plugin_site.install("made_up", "raise RuntimeError('imported')", version="1.2.3")
    (found,) = _named("made_up")
    assert (found.kind, found.distribution, found.version) == ("guidance", "pshead-guidance-made-up", "1.2.3")
    assert (found.value, found.core_requirement, found.summary) == (module, "<0.2,>=0.1", "made up")
    assert module not in sys.modules


def test_agrees_with_importlib_on_what_is_installed(plugin_site):
    plugin_site.install("made_up")
    theirs = {
        (entry.group, entry.name, entry.value)
        for kind in KINDS
        for entry in metadata.entry_points(group=f"pshead.{kind}")
    }
    ours = {(f"pshead.{item.kind}", item.name, item.value) for item in scan_plugins().listings}
    assert ours == theirs
    assert ours  # at least the made-up one


def test_is_sorted_and_one_module_may_serve_two_kinds(plugin_site):
    plugin_site.install("zz", entry_points="[pshead.refiners]\nzz = both\naa = both\n[pshead.guidance]\nzz = both\n")
    found = [(item.kind, item.name) for item in scan_plugins().listings if item.value == "both"]
    assert found == [("guidance", "zz"), ("refiners", "aa"), ("refiners", "zz")]


def test_survives_damaged_metadata(plugin_site):
    plugin_site.install("fine")
    plugin_site.install("no_name", metadata="")
    plugin_site.install("torn", entry_points="[pshead.guidance]\nthis line has no equals sign\n")
    plugin_site.install("odd_requirement", requires=("pshead-core is nice",))
    (plugin_site.folder / "empty-1.0.dist-info").mkdir()
    scan = scan_plugins()
    assert _named("fine")
    assert [problem for problem in scan.problems if "torn-0" in problem or "guidance_torn" in problem]
    assert [problem for problem in scan.problems if "odd_requirement" in problem]
    (nameless,) = _named("no_name")
    assert nameless.distribution == "(distribution without a name)"


def test_a_requirement_for_an_extra_does_not_bind(plugin_site):
    plugin_site.install("made_up", requires=("pshead-core<0.1; extra == 'old'", "numpy"))
    assert _named("made_up")[0].core_requirement == ""


def test_a_distribution_further_back_on_the_path_is_shadowed(plugin_site, tmp_path, monkeypatch):
    plugin_site.install("made_up", version="2.0")
    behind = type(plugin_site)(tmp_path / "behind")
    behind.folder.mkdir()
    behind.install("made_up", version="1.0")
    monkeypatch.setattr(sys, "path", [*sys.path, str(behind.folder)])
    assert [item.version for item in _named("made_up")] == ["2.0"]
