"""The published layouts: their sizes on the meta device, and small twins of them through the refiner."""

import json
import shutil

import pytest
import torch
from diffusers import ControlNetModel
from pshead_refiners_landmark_controlnet.config import LandmarkControlnetConfig
from pshead_refiners_landmark_controlnet.prior import build

from pshead_core.api import PsheadError
from pshead_core.testing import tiny_context, tiny_step, tiny_views

# Contents of the published config.json files, without the fields that hold what the class assumes anyway.
SHARED = {
    "in_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "conditioning_embedding_out_channels": [16, 32, 96, 256],
}
PUBLISHED = {
    "sd15": (SHARED | {"cross_attention_dim": 768, "attention_head_dim": 8}, 361.28),
    "sd21": (
        SHARED | {"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True},
        364.23,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_architectures_have_the_known_sizes(name):
    config, millions = PUBLISHED[name]
    with torch.device("meta"):
        net = ControlNetModel.from_config(config)
    assert sum(weight.numel() for weight in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.01)


def asked(folders, tmp_path, **settings):
    """Return the target of three front views from a twin."""
    control, base = folders
    config = LandmarkControlnetConfig(controlnet=str(control), base=str(base), steps=10, **settings)
    prior = build(config, tiny_context(tmp_path))
    views = tiny_views(3, side_px=48, view_set="front")
    return prior, prior.refine(views, tiny_step(reference=tiny_views(1, side_px=48, view_set="reference"))).rgb


@pytest.mark.parametrize("name", ["sd15", "sd21"])
def test_twins_refine_and_see_the_drawing(name, twins, tmp_path):
    prior, target = asked(twins[name], tmp_path, detail="replace")
    assert prior.model.side_px == 64
    assert target.shape == (3, 48, 48, 3)
    assert bool(target.isfinite().all())
    _, without = asked(twins[name], tmp_path, detail="replace", control_scale=0.0)
    assert not torch.equal(target, without)


def test_a_controlnet_of_another_base_is_refused(twins, tmp_path):
    with pytest.raises(PsheadError, match="does not fit"):
        asked((twins["sd21"][0], twins["sd15"][1]), tmp_path)


def test_a_side_that_the_networks_cannot_halve_is_refused(twins, tmp_path):
    with pytest.raises(PsheadError, match="multiple of 64"):
        asked(twins["sd15"], tmp_path, side_px=100)


def test_a_control_picture_of_other_channels_is_refused(twins, tmp_path):
    folder = shutil.copytree(twins["sd15"][0], tmp_path / "other")
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"conditioning_channels": 1}))
    with pytest.raises(PsheadError, match="does not read drawings"):
        asked((folder, twins["sd15"][1]), tmp_path)
