"""Choosing a renderer by name."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from pshead_core.config.run import RenderConfig
from pshead_core.errors import RenderError
from pshead_core.render.build import build_renderer

CPU = torch.device("cpu")


def test_each_name_builds_its_renderer() -> None:
    assert type(build_renderer(RenderConfig(), CPU)).__name__ == "CpuRenderer"
    assert type(build_renderer(RenderConfig(renderer="reference"), CPU)).__name__ == "ReferenceRenderer"


def test_cpu_renderer_refuses_another_device() -> None:
    with pytest.raises(RenderError, match="cannot render on the device 'meta'") as caught:
        build_renderer(RenderConfig(renderer="cpu"), torch.device("meta"))
    assert "gsplat" in caught.value.fix


def test_gsplat_without_cuda_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RenderError, match="'gsplat' cannot run") as caught:
        build_renderer(RenderConfig(renderer="gsplat"), CPU)
    assert "CUDA" in caught.value.why
    assert "cpu" in caught.value.fix


def test_gsplat_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "gsplat", None)  # makes its import fail
    with pytest.raises(RenderError, match="cannot be imported") as caught:
        build_renderer(RenderConfig(renderer="gsplat"), torch.device("cuda"))
    assert "pip install" in caught.value.fix


def test_only_the_chosen_renderer_is_imported() -> None:
    code = (
        "import sys, torch; from pshead_core.config.run import RenderConfig;"
        "from pshead_core.render.build import build_renderer;"
        "build_renderer(RenderConfig(renderer='reference'), torch.device('cpu'));"
        "print([m for m in ('numba', 'gsplat') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.strip() == "[]"
