"""The page: whole, offline, and quiet."""

import re

import torch

from pshead_core.config.run import CameraConfig, StartConfig
from pshead_core.gaussians.start_ball import start_ball
from pshead_core.run.page import WORKER_FIX, page


def test_page_is_self_contained_and_prints_nothing(capsys):
    model = start_ball(StartConfig(kind="ball", gaussians=50), torch.Generator().manual_seed(0))
    html = page(model, CameraConfig())
    assert html.count(WORKER_FIX) == 1
    assert html.index(WORKER_FIX) < html.index("<script", html.index(WORKER_FIX) + 10)
    linked = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[\"'](https?:[^\"']+)", html)
    assert linked == []
    assert capsys.readouterr() == ("", "")
