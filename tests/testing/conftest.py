"""The fixtures that plugin authors opt in to with `pytest_plugins` (which only a top-level conftest.py may set)."""

from pshead_core.testing.pytest_plugin import only_plugins, run_in_tmp, tiny_scene, tiny_views
from tests.plugin_site import plugin_site

__all__ = ["only_plugins", "plugin_site", "run_in_tmp", "tiny_scene", "tiny_views"]
