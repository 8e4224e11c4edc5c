"""Whole runs through the command line: killed, interrupted, resumed and repeated; always the same numbers."""

import json
import os
import signal
import subprocess
import time

import pytest

from pshead_core.cli.main import main
from tests.run.whole_runs import PROGRAM, numbers

STEPS = 12
CONFIG = """
preset = "none"
steps = 12
[start]
gaussians = 1500
[portrait]
side_px = 128
[resolution]
sides_px = [64, 128]
from_steps = [0, 6]
[density]
from_step = 4
every = 4
grad_threshold = 0.0
[analyzers.mediapipe_face]
[guidance.tint]
plugin = "flat_color"
[[schedule]]
use = "reference"
[[schedule]]
use = "start"
weight = 0.01
max_views = 1
[[schedule]]
use = "guidance.tint"
weight = 0.001
max_views = 2
probability = 0.5
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nobody disturbed, and its configuration file."""
    folder = tmp_path_factory.mktemp("whole")
    config = folder / "small.toml"
    config.write_text(CONFIG)
    assert main(["run", "demo", "--out", str(folder / "run"), "--config", str(config), "--quiet"]) == 0
    return folder / "run", config


def _start(folder, config, checkpoint_every=3):
    command = [*PROGRAM, "run", "demo", "--out", str(folder), "--config", str(config)]
    command += ["--checkpoint-every", str(checkpoint_every)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _wait_for_step(process, folder, step):
    report = folder / "report.jsonl"
    deadline = time.monotonic() + 90
    while not report.is_file() or len(report.read_text().splitlines()) <= step:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("after_step", "checkpoint_every"), [(1, 100), (4, 3), (8, 3)])
def test_killed_and_resumed_equals_undisturbed(whole, tmp_path, after_step, checkpoint_every):
    process = _start(tmp_path / "run", whole[1], checkpoint_every)
    _wait_for_step(process, tmp_path / "run", after_step)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "run" / "run.json").exists()
    assert (tmp_path / "run" / "checkpoint.safetensors").exists() == (checkpoint_every <= after_step)
    assert main(["run", "--resume", str(tmp_path / "run"), "--quiet"]) == 0
    assert numbers(tmp_path / "run") == numbers(whole[0])


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal")
def test_ctrl_c_saves_and_says_how_to_go_on(whole, tmp_path):
    process = _start(tmp_path / "run", whole[1])
    _wait_for_step(process, tmp_path / "run", 4)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"pshead run --resume {tmp_path / 'run'}" in err
    assert "Traceback" not in err
    assert main(["run", "--resume", str(tmp_path / "run"), "--quiet"]) == 0
    assert numbers(tmp_path / "run") == numbers(whole[0])


def test_resolved_toml_runs_again_to_the_samenumbers(whole, tmp_path):
    resolved = whole[0] / "resolved.toml"
    assert main(["run", "demo", "--out", str(tmp_path / "run"), "--config", str(resolved), "--quiet"]) == 0
    assert numbers(tmp_path / "run") == numbers(whole[0])
    assert (tmp_path / "run" / "resolved.toml").read_text() == resolved.read_text()


def test_another_seed_gives_othernumbers(whole, tmp_path):
    arguments = ["run", "demo", "--out", str(tmp_path / "run"), "--config", str(whole[1]), "--quiet", "--seed", "1"]
    assert main(arguments) == 0
    assert numbers(tmp_path / "run")[1] != numbers(whole[0])[1]


def test_run_folder_holds_what_the_readme_says(whole):
    folder = whole[0]
    assert (folder / "head.ply").read_bytes()[:4] == b"ply\n"
    assert (folder / "head.html").read_text()[:15].lower() == "<!doctype html>"
    assert (folder / "turntable.mp4").read_bytes()[4:8] == b"ftyp"
    assert (folder / "views.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert json.loads((folder / "run.json").read_text())["steps"] == STEPS
    plugins = json.loads((folder / "plugins.json").read_text())["plugins"]
    assert {plugin["name"] for plugin in plugins} == {"mediapipe_face", "flat_color"}
    assert not [path for path in folder.iterdir() if ".part" in path.name]


def test_resuming_a_finished_run_only_writes_its_files_again(whole, capsys):
    before = numbers(whole[0])
    assert main(["run", "--resume", str(whole[0]), "--quiet"]) == 0
    assert numbers(whole[0]) == before
