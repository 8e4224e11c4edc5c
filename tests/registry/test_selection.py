import tomllib
from pathlib import Path

import pytest

from pshead_core.errors import PluginConflict, PluginLoadError, PluginNotFound
from pshead_core.registry.known import FIRST_PARTY
from pshead_core.registry.listing import PluginListing
from pshead_core.registry.nearest import did_you_mean, nearest
from pshead_core.registry.selection import Wanted, check_core, select

ROOT = Path(__file__).parents[2]


def listing(name, distribution=None, kind="guidance", requirement=""):
    return PluginListing(
        kind=kind,
        name=name,
        distribution=distribution or f"pshead-{kind}-{name}",
        version="0.1.0",
        value="module",
        core_requirement=requirement,
    )


def wanted(text, kind="guidance"):
    return Wanted.parse(kind, text)


def test_selects_in_order_and_each_once():
    a, b = listing("a"), listing("b")
    assert select([wanted("b"), wanted("a"), wanted("b")], [a, b]) == (b, a)


def test_the_kind_counts():
    guidance, refiner = listing("both"), listing("both", kind="refiners")
    assert select([wanted("both", "refiners")], [guidance, refiner]) == (refiner,)


def test_unknown_name_tells_the_nearest_and_what_there_is():
    with pytest.raises(PluginNotFound) as caught:
        select([wanted("zero12")], [listing("zero123"), listing("sds")])
    assert caught.value.what == "no guidance plugin named 'zero12', did you mean 'zero123'?"
    assert caught.value.why == "installed guidance plugins: sds, zero123"


def test_a_first_party_plugin_that_is_not_installed_tells_the_command():
    with pytest.raises(PluginNotFound) as caught:
        select([wanted("flat_color")], [])
    assert caught.value.fix == "pip install pshead-guidance-flat-color"


def test_a_plugin_of_another_kind_tells_the_table():
    with pytest.raises(PluginNotFound) as caught:
        select([wanted("restore")], [listing("restore", kind="refiners")])
    assert "[refiners.restore]" in caught.value.fix


def test_two_distributions_of_one_name():
    both = [listing("x", "dist-one"), listing("x", "dist-two")]
    with pytest.raises(PluginConflict) as caught:
        select([wanted("x")], both)
    assert "dist-one 0.1.0 and dist-two 0.1.0" in caught.value.what
    assert "'x@dist-one' or 'x@dist-two'" in caught.value.fix
    assert select([wanted("x@dist_two")], both) == (both[1],)
    with pytest.raises(PluginNotFound) as missing:
        select([wanted("x@dist-three")], both)
    assert "x@dist-one, x@dist-two" in missing.value.fix


def test_duplicates_that_nobody_wants_do_no_harm():
    plugins = [listing("x", "dist-one"), listing("x", "dist-two"), listing("y")]
    assert select([wanted("y")], plugins) == (plugins[2],)


@pytest.mark.parametrize(
    ("requirement", "installed", "fix"),
    [
        (">=0.1,<0.2", "0.3.0", "pip install --upgrade pshead-guidance-x"),
        (">=0.4", "0.3.0", "pip install --upgrade pshead-core"),
        ("~=0.4.1", "0.3.0", "pip install --upgrade pshead-core"),
        ("==0.2.*", "0.3.0", "pip install --upgrade pshead-guidance-x"),
    ],
)
def test_core_of_another_version(requirement, installed, fix):
    with pytest.raises(PluginLoadError) as caught:
        check_core(listing("x", requirement=requirement), installed)
    assert caught.value.what == "guidance plugin 'x' (pshead-guidance-x 0.1.0) does not fit this core"
    assert caught.value.why == f"it needs pshead-core{requirement}, installed is pshead-core {installed}"
    assert caught.value.fix == fix


@pytest.mark.parametrize("installed", ["0.1.0", "0.1.9", "0.2.0.dev1"])
def test_core_that_fits(installed):
    check_core(listing("x", requirement=">=0.1,<0.3"), installed)


def test_nearest_ignores_case_and_dashes_and_stays_silent_if_nothing_is_alike():
    assert nearest("Flat-Color", ["flat_color", "other"]) == "flat_color"
    assert did_you_mean("qqq", ["flat_color"]) == ""


def test_the_table_of_known_plugins_matches_the_folders():
    published = {}
    for file in ROOT.glob("plugins/*/*/pyproject.toml"):
        project = tomllib.loads(file.read_text())["project"]
        for group, entries in project["entry-points"].items():
            published |= {(group.removeprefix("pshead."), name): project["name"] for name in entries}
    assert published == FIRST_PARTY
