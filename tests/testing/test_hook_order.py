"""The order of the hooks in a run, pinned: a plugin implements all that a guidance can, and each logs its name."""

import sys

from pshead_core.testing.pytest_plugin import call

LOGGER = """
from pshead_core.api import hookimpl
from pshead_core.testing import fakes

LOG = []
SPEC = fakes.noisy(name="logger")

@hookimpl
def pshead_guidance():
    LOG.append("guidance")
    return [SPEC]

@hookimpl
def pshead_check_run(config):
    LOG.append(f"check_run {config.steps}")
    return []

@hookimpl
def pshead_diagnose():
    LOG.append("diagnose")
    return []

@hookimpl
def pshead_run_started(config):
    LOG.append("run_started")

@hookimpl
def pshead_step_ended(report):
    LOG.append(f"step_ended {report.step} {[slot.slot for slot in report.slots]}")

@hookimpl
def pshead_run_ended(summary):
    LOG.append(f"run_ended {summary.steps}")
"""

CONFIG = """
steps = 2
[start]
kind = "ball"
gaussians = 100
[resolution]
sides_px = [32]
from_steps = [0]
[guidance.logger]
[[schedule]]
use = "guidance.logger"
"""


def test_hooks_and_order(plugin_site, tmp_path):
    plugin_site.install("logger", LOGGER)
    config = tmp_path / "run.toml"
    config.write_text(CONFIG)
    argv = ["run", "demo", "--config", str(config), "--out", str(tmp_path / "run"), "--quiet"]
    call(argv, tmp_path / "run").assert_ok()
    log = sys.modules["pshead_guidance_logger"].LOG
    once = list(dict.fromkeys(log))  # how often a configuration is checked is not promised
    assert once == [
        "guidance",
        "check_run 2",
        "run_started",
        "step_ended 0 ['guidance.logger']",
        "step_ended 1 ['guidance.logger']",
        "run_ended 2",
    ]
    assert all(log.count(line) == 1 for line in once if line.startswith(("run_", "step_")))
