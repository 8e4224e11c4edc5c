"""The order of the hooks in a run, pinned: a plugin implements all that a guidance can, and each logs its name."""

import sys

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
steps = 3
[start]
kind = "ball"
gaussians = 100
[resolution]
sides_px = [32]
from_steps = [0]
[guidance.logger]
[guidance.blue]
plugin = "flat_color"
color = [0.0, 0.0, 1.0]
[[schedule]]
use = "reference"
[[schedule]]
use = "guidance.logger"
[[schedule]]
use = "guidance.blue"
weight = 0.5
every = 2
max_views = 2
"""


def test_hooks_and_order(plugin_site, run_in_tmp):
    """One run, looked at from two sides: the log of an observer, and the fixture's outcome."""
    plugin_site.install("logger", LOGGER)
    outcome = run_in_tmp(CONFIG).assert_ok()
    log = sys.modules["pshead_guidance_logger"].LOG
    once = list(dict.fromkeys(log))  # how often a configuration is checked is not promised
    both, logger = "['guidance.logger', 'guidance.blue']", "['guidance.logger']"
    assert once == [
        "guidance",
        "check_run 3",
        "run_started",
        f"step_ended 0 {both}",
        f"step_ended 1 {logger}",
        f"step_ended 2 {both}",
        "run_ended 3",
    ]
    assert all(log.count(line) == 1 for line in once if line.startswith(("run_", "step_")))

    assert outcome.resolved["guidance"]["blue"]["color"] == [0.0, 0.0, 1.0]
    assert len(outcome.steps()) == 3
    report = outcome.report("guidance.blue")
    assert [line["views"] for line in report] == [2, 2]
    assert all(line["weight"] == 0.5 and line["grad_norm"] > 0 for line in report)
