"""Toy checkpoints in temporary folders, and a hub that is a folder: no network, no torch."""

import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from pshead_core.errors import PsheadError
from pshead_core.models.hub import HubFile, HubListing
from tests.plugin_site import plugin_site

__all__ = ["plugin_site"]


def component(folder, value=1.0, *, weights="diffusion_pytorch_model.safetensors", config="config.json", shape=(3, 2)):
    """Write one component: a configuration and, unless `weights` is None, a tensor."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / config).write_text('{"width": 4}\n')
    if weights is not None:
        save_file({"weight": np.full(shape, value, np.float16)}, folder / weights, metadata={"format": "pt"})
    return folder


def stable_diffusion(folder, value=1.0):
    """Write a folder in the layout of Stable Diffusion."""
    component(folder / "unet", value)
    component(folder / "vae", value)
    component(folder / "text_encoder", value, weights="model.safetensors")
    component(folder / "tokenizer", weights=None, config="tokenizer_config.json")
    component(folder / "scheduler", weights=None, config="scheduler_config.json")
    return folder


class FolderHub:
    """Serves a folder as if it were a repository."""

    def __init__(self, folder, licence=None):
        self.folder = folder
        self.licence = licence
        self.asked = []
        self.fetched = []
        self.spoil = None  # called with the folder into which was fetched

    def look(self, repo, revision):
        self.asked.append((repo, revision))
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        files = tuple(
            HubFile(
                path=path.relative_to(self.folder).as_posix(),
                size_bytes=path.stat().st_size,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix != ".json" else None,
            )
            for path in paths
        )
        return HubListing(files=files, licence=self.licence)

    def fetch(self, repo, revision, names, into):
        for name in names:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes((self.folder / name).read_bytes())
            self.fetched.append(name)
        if self.spoil is not None:
            self.spoil(into)


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    """Return the folder of downloaded weights, an empty one."""
    monkeypatch.setenv("PSHEAD_MODELS", str(tmp_path / "downloads"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "downloads"


CHECKPOINT_PLUGIN = """
from pathlib import Path
from pshead_core.api import CheckpointSpec, hookimpl

@hookimpl
def pshead_checkpoints():
    return [CheckpointSpec(name={name!r}, summary="s", folder=lambda: Path({folder!r}), licences=("CC0-1.0",))]
"""


@pytest.fixture
def install_checkpoint(plugin_site):
    """Return a function that installs a checkpoint plugin and returns its module's name."""

    def install(name, folder, **more):
        source = CHECKPOINT_PLUGIN.format(name=name, folder=str(folder))
        return plugin_site.install(name, source, kind="checkpoints", **more)

    return install


def refusal(call, *arguments, **more):
    """Return the message with which a call is refused; it must say what to do."""
    with pytest.raises(PsheadError) as caught:
        call(*arguments, **more)
    assert caught.value.fix
    return str(caught.value)


def record_of(folder):
    return json.loads((folder / "pshead.json").read_text())
