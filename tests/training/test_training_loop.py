"""The loop: a killed training goes on to the same weights, bit for bit; averages, rates, files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from attrs import evolve
from safetensors.torch import load_file
from torch import nn

from pshead_core.errors import PsheadError
from training.common.loop import LoopSettings, Task, rate_at, train
from training.common.state import BEST_FILE, STATE_FILE, load_weights

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = LoopSettings(steps=24, save_every=5, evaluate_every=8, warmup_steps=4, seed=11)


def build():
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.GELU(), nn.Linear(8, 1))


def loss(model, step, generator):
    x = torch.randn(16, 4, generator=generator)
    error = (model(x) - x.sum(1, keepdim=True)).square().mean()
    return error, {}


def evaluate(model):
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    return {"minus_error": -float((model(x) - x.sum(1, keepdim=True)).square().mean())}


TASK = Task(loss=loss, evaluate=evaluate, figure="minus_error", settings={"width": 8})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(build, TASK, SETTINGS, folder)
    return folder


def same_tensors(first, second):
    one, other = load_file(first), load_file(second)
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("broken_step", [3, 17])
def test_a_training_broken_between_saves_ends_in_the_same_weights(whole, tmp_path, broken_step):
    def breaks(model, step, generator):
        if step == broken_step:
            raise KeyboardInterrupt
        return loss(model, step, generator)

    with pytest.raises(KeyboardInterrupt):
        train(build, evolve(TASK, loss=breaks), SETTINGS, tmp_path)
    train(build, TASK, SETTINGS, tmp_path)
    assert same_tensors(whole / STATE_FILE, tmp_path / STATE_FILE)
    assert same_tensors(whole / BEST_FILE, tmp_path / BEST_FILE)
    curves = [json.loads((folder / "curves.json").read_text()) for folder in (whole, tmp_path)]
    assert [entry["step"] for entry in curves[0]] == [8, 16, 24]
    assert [entry["held_out"] for entry in curves[0]] == [entry["held_out"] for entry in curves[1]]


def test_a_process_killed_with_signal_9_goes_on(whole, tmp_path):
    script = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from attrs import evolve
        from tests.training import test_training_loop as here

        def dies(model, step, generator):
            if step == 13:
                os.kill(os.getpid(), signal.SIGKILL)
            return here.loss(model, step, generator)

        here.train(here.build, evolve(here.TASK, loss=dies), here.SETTINGS, Path(sys.argv[1]))
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    train(build, TASK, SETTINGS, tmp_path)
    assert same_tensors(whole / STATE_FILE, tmp_path / STATE_FILE)


def test_the_time_limit_stops_a_call_and_the_next_goes_on(whole, tmp_path):
    assert train(build, TASK, SETTINGS, tmp_path, minutes=0).step == 0
    train(build, TASK, SETTINGS, tmp_path)
    assert same_tensors(whole / STATE_FILE, tmp_path / STATE_FILE)


def test_other_settings_are_refused_unless_they_change_no_weights(whole):
    with pytest.raises(PsheadError, match="learning_rate"):
        train(build, TASK, evolve(SETTINGS, learning_rate=2e-3), whole)
    with pytest.raises(PsheadError, match="width"):
        train(build, evolve(TASK, settings={"width": 9}), SETTINGS, whole)
    assert train(build, TASK, evolve(SETTINGS, save_every=7), whole).step == 24


def test_the_average_is_that_of_the_formula_and_the_best_is_evaluated_with_it(tmp_path):
    seen = []

    def watches(model, step, generator):
        seen.append(model[0].weight.detach().clone())
        return loss(model, step, generator)

    state = train(build, evolve(TASK, loss=watches), evolve(SETTINGS, evaluate_every=24), tmp_path)
    weights = [*seen[1:], state.model[0].weight.detach()]
    expected = seen[0].double()
    for step, value in enumerate(weights):
        decay = min(SETTINGS.average_decay, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value.double()
    assert torch.allclose(state.average["0.weight"].double(), expected, atol=1e-6)
    model = build().eval()
    facts = load_weights(model, tmp_path / BEST_FILE)
    assert facts["step"] == 24
    with torch.no_grad():
        assert evaluate(model)["minus_error"] == pytest.approx(facts["best"], abs=1e-6)


def test_training_learns_and_draws_its_curves(tmp_path):
    state = train(build, TASK, evolve(SETTINGS, steps=150, learning_rate=2e-2, evaluate_every=150), tmp_path)
    assert state.best > -0.5 * 4  # the variance of the sum of four normals is 4
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_rates():
    cosine = LoopSettings(steps=100, learning_rate=1.0, warmup_steps=10)
    assert rate_at(cosine, 0) == pytest.approx(0.1, rel=1e-3)
    assert rate_at(cosine, 50) == pytest.approx(0.505)
    assert rate_at(cosine, 100) == pytest.approx(0.01)
    assert rate_at(evolve(cosine, schedule="constant"), 99) == 1.0
    with pytest.raises(PsheadError, match="schedule"):
        rate_at(evolve(cosine, schedule="step"), 1)


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    def diverges(model, step, generator):
        return loss(model, step, generator)[0] * float("nan"), {}

    with pytest.raises(PsheadError, match="diverged"):
        train(build, evolve(TASK, loss=diverges), SETTINGS, tmp_path)
