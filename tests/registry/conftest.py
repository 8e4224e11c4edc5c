from tests.plugin_site import plugin_site

__all__ = ["plugin_site"]
