"""The weights of a run: found before anything is built, said on which terms, shared, and written down."""

import json
import os

import pytest

from pshead_core.cli.main import main
from pshead_core.config.resolve import resolve
from pshead_core.errors import ConfigError
from pshead_core.models.licences import strictness_of
from pshead_core.run.weights import changed_weights, find_weights, hub_offline
from tests.models.conftest import stable_diffusion
from tests.plugin_site import plugin_site

__all__ = ["plugin_site"]

GUIDANCE = """
from attrs import frozen
from pshead_core.api import GuidanceSpec, PluginConfig, hookimpl

@frozen(kw_only=True)
class Config(PluginConfig):
    '''Settings.'''

    weights: str = "mini/sd"
    '''Checkpoint.'''

    def checkpoints(self):
        return (self.weights,)

def build(config, context):
    from pathlib import Path
    import torch
    from safetensors.torch import load_file
    from pshead_core.api import ImageGradient

    def load(folder):
        (path,) = Path(folder).glob("*.safetensors")
        net = torch.nn.Module()
        net.weight = torch.nn.Parameter(next(iter(load_file(path).values())))
        return net

    net = context.models.load(context.models.checkpoint(config.weights), "vae", load)

    class Prior:
        def contribute(self, views, step):
            return ImageGradient(rgb=torch.zeros_like(views.rgb) * net.get().weight.float().mean())

    return Prior()

@hookimpl
def pshead_guidance():
    return [GuidanceSpec(name="{name}", summary="s", config=Config, build=build, tiny=Config, licences=("{licence}",))]
"""
CONFIG = """
preset = "none"
steps = 2
[start]
gaussians = 200
[portrait]
side_px = 128
[resolution]
sides_px = [32]
from_steps = [0]
[analyzers.mediapipe_face]
[guidance.one]
plugin = "asks"
[guidance.two]
plugin = "also"
weights = "{weights}"
[guidance.idle]
plugin = "asks"
weights = "sd15"
[[schedule]]
use = "reference"
[[schedule]]
use = "guidance.one"
max_views = 1
[[schedule]]
use = "guidance.two"
max_views = 1
"""


@pytest.fixture
def config(plugin_site, tmp_path, monkeypatch):
    """Return a function that writes a configuration of two plugins whose second names some weights."""
    monkeypatch.setenv("PSHEAD_MODELS", str(tmp_path / "downloads"))
    for name, licence in (("asks", "MIT"), ("also", "OpenRAIL")):
        source = GUIDANCE.replace("{name}", name).replace("{licence}", licence)
        plugin_site.install(name, source)

    def write(weights="mini/video", more=""):
        path = tmp_path / "run.toml"
        path.write_text(CONFIG.format(weights=weights) + more)
        return path

    return write


def test_weights_of_used_priors_with_their_users_and_terms(config, tmp_path):
    weights = find_weights(resolve(files=[config()]))
    assert [one.name for one in weights.checkpoints] == ["mini/sd", "mini/video"]  # not that of the idle instance
    assert weights.used_by == {"mini/sd": ["guidance.one"], "mini/video": ["guidance.two"]}
    assert weights.lines() == [
        "weights: mini/sd, mini/video (Apache-2.0)",
        "strictest licence: OpenRAIL (also): commercial use with use restrictions",
    ]
    folder = stable_diffusion(tmp_path / "mine")
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    weights = find_weights(resolve(files=[config(folder)]))
    assert weights.lines()[1] == f"strictest licence: cc-by-nc-4.0 ({folder}): no commercial use"
    facts = {item["name"]: item for item in weights.to_json()["weights"]}
    assert facts[str(folder)]["fingerprint"] == weights.checkpoints[1].fingerprint()
    assert facts["mini/sd"]["used_by"] == ["guidance.one"]
    assert weights.to_json()["strictest_licence"] == "cc-by-nc-4.0"


def test_a_run_without_weights_says_so():
    weights = find_weights(resolve(preset="none", plugins=""))
    assert weights.lines() == ["weights: none"]
    assert weights.to_json() == {"weights": [], "strictest_licence": None}


def test_commercial_use_refuses_weights_by_name(config, tmp_path):
    folder = stable_diffusion(tmp_path / "mine")
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    resolved = resolve(files=[config(folder, "[models]\ncommercial_use = true\n")])
    with pytest.raises(ConfigError, match=r"mine' of guidance\.two \(cc-by-nc-4\.0\)"):
        find_weights(resolved)
    assert strictness_of("OpenRAIL") == "openrail"
    find_weights(resolve(files=[config("mini/sd", "[models]\ncommercial_use = true\n")]))


def test_missing_weights_stop_the_run_before_anything_is_built(config, tmp_path, capsys):
    path = config("zeroscope")
    out = tmp_path / "run"
    assert main(["run", "no_such_photo.jpg", "--config", str(path), "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert "'zeroscope' are not here" in error
    assert "pshead models pull zeroscope --convert" in error
    assert "'mini/video'" in error
    assert not out.exists()


def test_a_whole_run_prints_shares_and_records_its_weights(config, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["run", "demo", "--config", str(config()), "--out", str(out)]) == 0
    assert "weights: mini/sd, mini/video (Apache-2.0)" in capsys.readouterr().err
    facts = json.loads((out / "plugins.json").read_text())
    assert [item["name"] for item in facts["weights"]] == ["mini/sd", "mini/video"]
    assert all(len(item["fingerprint"]) == 64 for item in facts["weights"])
    assert {item["name"] for item in facts["plugins"] if item["kind"] == "checkpoints"} == {"mini/sd", "mini/video"}
    resolved = resolve(files=[out / "resolved.toml"])
    weights = find_weights(resolved)
    assert changed_weights(out, weights) == []
    facts["weights"][0]["fingerprint"] = "0" * 64
    (out / "plugins.json").write_text(json.dumps(facts))
    assert changed_weights(out, weights) == [
        "the weights 'mini/sd' are not those that the run began with: the numbers may differ"
    ]
    (out / "plugins.json").write_text("[")
    assert "cannot be read" in changed_weights(out, weights)[0]


@pytest.mark.parametrize("before", [None, "0", "1"])
def test_offline_lasts_as_long_as_the_run(monkeypatch, before):
    if before is None:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    else:
        monkeypatch.setenv("HF_HUB_OFFLINE", before)
    with hub_offline(False):
        assert os.environ.get("HF_HUB_OFFLINE") == before
    inside = []
    with pytest.raises(ZeroDivisionError), hub_offline(True):
        inside.append(os.environ["HF_HUB_OFFLINE"]) or 1 / 0
    assert inside == ["1"]
    assert os.environ.get("HF_HUB_OFFLINE") == before
