"""A folder on `sys.path` in which tests install made-up distributions, as pip would leave them."""

import sys
from pathlib import Path

import pytest

GUIDANCE = '''
from attrs import field, frozen, validators
from pshead_core.api import GuidanceSpec, PluginConfig, ViewNeeds, hookimpl

@frozen(kw_only=True)
class Config(PluginConfig):
    """Settings."""

    guidance_scale: float = field(default=7.5, validator=validators.ge(0))
    """Strength."""
    elevation_deg: float = 0.0
    """Height of the camera."""
    prompts: tuple[str, ...] = ("a face", "a head")
    """Texts."""
    max_noise: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    """Limit."""

@hookimpl
def pshead_guidance():
    return [GuidanceSpec(name="{name}", summary="s", config=Config, build=None, tiny=Config, needs=ViewNeeds({needs}))]
'''


class PluginSite:
    """Installs made-up distributions; they vanish with the test."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.modules = []

    def install(
        self,
        name,
        source=None,
        *,
        kind="guidance",
        version="0.1.0",
        distribution=None,
        requires=("pshead-core>=0.1,<0.2",),
        module=None,
        entry_points=None,
        metadata=None,
        needs="",
    ):
        """Install one plugin; by default a guidance with a small configuration."""
        distribution = distribution or f"pshead-{kind}-{name}".replace("_", "-")
        module = module or distribution.replace("-", "_")
        code = GUIDANCE.replace("{name}", name).replace("{needs}", needs) if source is None else source
        (self.folder / f"{module}.py").write_text(code)
        self.modules.append(module)
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.4", f"Name: {distribution}", f"Version: {version}", "Summary: made up"]
        lines += [f"Requires-Dist: {line}" for line in requires]
        (info / "METADATA").write_text("\n".join(lines) + "\n" if metadata is None else metadata)
        (info / "entry_points.txt").write_text(entry_points or f"[pshead.{kind}]\n{name} = {module}\n")
        return module

    def only(self):
        """Return the listings of this site, without those that are really installed."""
        from pshead_core.registry.listing import list_plugins

        return tuple(item for item in list_plugins() if item.value.split(":")[0] in self.modules)


@pytest.fixture
def plugin_site(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv("PSHEAD_PLUGINS", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    site = PluginSite(folder)
    yield site
    for module in site.modules:
        sys.modules.pop(module, None)
