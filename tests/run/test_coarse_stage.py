"""The coarse stage with the miniature priors: killed and resumed, faulty, and with left and right where they belong."""

import json
import signal
import subprocess
import time

import pytest
import torch
from attrs import evolve

from pshead_core.cli.main import main
from pshead_core.config.resolve import resolve
from pshead_core.render.build import build_renderer
from pshead_core.run.assemble import make_priors
from pshead_core.run.loop import Loop
from pshead_core.run.start import make_start
from pshead_core.run.weights import find_weights
from tests.bench.heads import novel_cameras, portrait_of
from tests.run.whole_runs import PROGRAM, numbers
from training.ground_truth import load_ground_truth

CONFIG = """
preset = "none"
steps = 8
[start]
gaussians = 1500
[portrait]
side_px = 128
[resolution]
sides_px = [64, 128]
from_steps = [0, 4]
[density]
from_step = 3
every = 3
grad_threshold = 0.0
[analyzers.mediapipe_face]
[guidance.zero123]
[guidance.video]
reference_frame = true
[guidance.personalized_sd.personalise]
steps = 2
batch = 1
class_images = 3
class_sampling_steps = 1
[[schedule]]
use = "reference"
[[schedule]]
use = "guidance.zero123"
group = "novel"
choose = "round_robin"
max_views = 3
[[schedule]]
use = "guidance.video"
group = "novel"
choose = "round_robin"
[[schedule]]
use = "guidance.personalized_sd"
rides_on = ["guidance.zero123", "guidance.video"]
weight = 0.1
max_views = 2
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nobody disturbed, its configuration, and a cache with the personalised weights."""
    folder = tmp_path_factory.mktemp("whole")
    config = folder / "coarse.toml"
    config.write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PSHEAD_CACHE", str(folder / "cache"))
        assert main(["run", "demo", "--out", str(folder / "run"), "--config", str(config), "--quiet"]) == 0
        yield folder / "run", config


def test_every_prior_of_the_schedule_contributed(whole):
    lines, _ = numbers(whole[0])
    due = [tuple(slot["slot"] for slot in line["slots"]) for line in lines]
    turns = ("guidance.zero123", "guidance.video") * 4
    assert due == [(turn, "guidance.personalized_sd") for turn in turns]
    assert all(slot["grad_norm"] > 0 for line in lines for slot in line["slots"])


def test_killed_in_the_middle_and_resumed_equals_undisturbed(whole, tmp_path):
    command = [*PROGRAM, "run", "demo", "--out", str(tmp_path / "run"), "--config", str(whole[1])]
    process = subprocess.Popen([*command, "--checkpoint-every", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    deadline = time.monotonic() + 100
    while not checkpoint.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "run" / "run.json").exists()
    assert main(["run", "--resume", str(tmp_path / "run"), "--quiet"]) == 0
    assert numbers(tmp_path / "run") == numbers(whole[0])


def test_the_run_names_its_weights(whole, capsys):
    """The strictest licence comes last, and the minis allow everything."""
    weights = json.loads((whole[0] / "plugins.json").read_text())
    assert {one["name"] for one in weights["weights"]} == {"mini/zero123", "mini/video", "mini/sd"}
    assert weights["strictest_licence"].startswith("Apache-2.0")


def _turned_portrait():
    """A head whose right half, in the picture, is blue and whose left half is red."""
    head = load_ground_truth()[6]
    portrait = portrait_of(head)
    side = portrait.side_px
    rgba = portrait.rgba.clone()
    rgba[:, : side // 2, :3] = torch.tensor([0.8, 0.1, 0.1])
    rgba[:, side // 2 :, :3] = torch.tensor([0.1, 0.1, 0.8])
    return head, evolve(portrait, rgba=rgba)


def test_left_and_right_through_the_whole_run():
    """From random points, by the prior of novel views alone: at +90 degrees the camera stands at the viewer's right, so
    it sees the half that is on the right in the photo. A wrong sign of the azimuth would exchange the colours."""
    table = {
        "steps": 40,
        "start": {"kind": "ball", "gaussians": 3000, "opacity": 0.3},
        "resolution": {"sides_px": [128], "from_steps": [0]},
        "learning_rates": {"sh_dc": 0.05, "opacity_logits": 0.05},
        "guidance": {"zero123": {"distill": {"mode": "image", "min_t_frac": 0.9, "max_t_frac": 0.98}}},
        "schedule": [{"use": "guidance.zero123", "weight": 5.0, "views": "side", "max_views": 4}],
    }
    head, portrait = _turned_portrait()
    resolved = resolve(preset="none", overrides=table)
    renderer = build_renderer(resolved.config.render, torch.device("cpu"), lambda _: None)
    start = make_start(resolved.config, portrait, renderer, torch.device("cpu"))
    _, priors = make_priors(resolved, portrait, renderer, start, find_weights(resolved))
    loop = Loop(resolved.config, portrait, renderer, priors, start.model, start.surface_depth)
    for _ in loop.steps():
        pass
    cameras = novel_cameras(head)
    with torch.no_grad():
        views = renderer.render(loop.model, cameras, torch.ones(3))
    blue_minus_red = (views.rgb[..., 2] - views.rgb[..., 0]).mean((1, 2))
    right = (cameras.azimuth_deg - 90).abs().argmin()
    left = (cameras.azimuth_deg + 90).abs().argmin()
    assert blue_minus_red[right] > 0.02
    assert blue_minus_red[left] < -0.02
