"""What the shipped presets say, read as plain TOML: the expectation that the tests compare a resolved preset with."""

import tomllib
from importlib import resources

BARE = "without_priors"
"""The preset for tests that need some preset below their own layers: no prior of it asks for a plugin."""


def preset_table(name):
    return tomllib.loads((resources.files("pshead_core") / "presets" / f"{name}.toml").read_text(encoding="utf-8"))


def bare_uses(name):
    """Return the `use` of a preset's slots, without those of guidance and refiner plugins."""
    return [slot["use"] for slot in preset_table(name)["schedule"] if "." not in slot["use"]]
