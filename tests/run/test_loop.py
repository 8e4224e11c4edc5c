"""The loop: it descends, it repeats, it continues where a checkpoint was taken, and it names a prior that fails."""

import pytest
import torch

from pshead_core.config.schedule import SlotConfig
from pshead_core.errors import PluginContractError, PluginError
from pshead_core.priors.contribution import ImageGradient
from pshead_core.run.checkpoint import read_checkpoint, write_checkpoint

from .conftest import EVERYTHING, REFERENCE, Brighten, NoisyPull


def _numbers(reports):
    return [(r.step, r.gaussians, dict(r.losses), [(s.slot, s.grad_norm, s.views) for s in r.slots]) for r in reports]


def _same(one, other):
    return all(torch.equal(tensor, other.model.tensors()[name]) for name, tensor in one.model.tensors().items())


def test_reference_loss_falls(make_loop):
    reports = list(make_loop([REFERENCE], {}, steps=40).steps())
    assert reports[-1].losses["rgb"] < 0.6 * reports[3].losses["rgb"]  # both at 32 px


def test_same_seed_same_numbers(everything):
    one, other = everything(), everything()
    assert _numbers(one.steps()) == _numbers(other.steps())
    assert _same(one, other)


@pytest.mark.parametrize("stop", [1, 2, 3, 5])
def test_checkpoint_in_the_middle_changes_nothing(everything, tmp_path, stop):
    whole = everything()
    wanted = _numbers(whole.steps())

    first = everything()
    steps = first.steps()
    got = [next(steps) for _ in range(stop)]
    write_checkpoint(tmp_path, first.checkpoint())
    second = everything()
    second.restore(read_checkpoint(tmp_path, torch.device("cpu")))
    got += list(second.steps())

    assert _numbers(got) == wanted
    assert _same(whole, second)


def test_density_control_changes_the_number_of_gaussians(everything):
    counts = [report.gaussians for report in everything().steps()]
    assert counts[0] == 40
    assert counts[-1] > 40


def test_a_held_target_is_asked_for_once(make_loop):
    bright = Brighten()
    slot = SlotConfig(use="refiners.bright", max_views=2, hold_steps=3)
    list(make_loop([slot], {"refiners.bright": bright}, steps=6).steps())
    assert bright.calls == 2  # at step 0, and again at step 3, where the resolution changes too


def test_a_slot_of_weight_0_is_not_built(make_loop):
    loop = make_loop([REFERENCE, SlotConfig(use="guidance.absent", weight=0.0)], {}, steps=1)
    assert [slot.slot for report in loop.steps() for slot in report.slots] == []


def test_removing_one_slot_leaves_the_other_slots_noise_unchanged(make_loop):
    class Listener(NoisyPull):
        def __init__(self):
            super().__init__()
            self.heard = []

        def contribute(self, views, step):
            self.heard.append((views.cameras.azimuth_deg.tolist(), torch.rand(2, generator=step.generator).tolist()))
            return super().contribute(views, step)

    with_refiner, alone = Listener(), Listener()
    list(make_loop(EVERYTHING, {"guidance.pull": with_refiner, "refiners.bright": Brighten()}).steps())
    list(make_loop(EVERYTHING[:2], {"guidance.pull": alone}).steps())
    assert with_refiner.heard == alone.heard


class Returns:
    def __init__(self, answer):
        self.answer = answer

    def contribute(self, views, step):
        return self.answer(views)


class Raises:
    def contribute(self, views, step):
        raise RuntimeError("out of ideas")


@pytest.mark.parametrize(
    ("prior", "error", "words"),
    [
        (Raises(), PluginError, ["failed", "RuntimeError: out of ideas"]),
        (Returns(lambda v: None), PluginContractError, ["returned NoneType", "ImageGradient"]),
        (Returns(lambda v: ImageGradient(rgb=v.rgb * float("nan"))), PluginContractError, ["not finite"]),
        (Returns(lambda v: ImageGradient(rgb=v.rgb[:, :4])), PluginContractError, ["shape", "image space"]),
        (Returns(lambda v: ImageGradient(rgb=v.rgb.double())), PluginContractError, ["float64", "float32"]),
        (Returns(lambda v: ImageGradient(rgb=v.rgb.requires_grad_())), PluginContractError, ["graph"]),
    ],
)
def test_a_failing_prior_is_named_with_slot_plugin_version_and_step(make_loop, prior, error, words):
    slot = SlotConfig(use="guidance.bad", name="night", from_step=2, max_views=1)
    loop = make_loop([REFERENCE, slot], {"guidance.bad": prior})
    with pytest.raises(error) as caught:
        list(loop.steps())
    for word in ["'night'", "guidance.bad", "test-dist 1.2.3", "step 2", *words]:
        assert word in str(caught.value)
    assert loop.next_step == 2  # the failed step has not changed the head
