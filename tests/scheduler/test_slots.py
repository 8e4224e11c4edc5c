"""Who is due, and that nobody's draws depend on anybody else."""

import pytest
import torch

from pshead_core.cameras.sampler import random_ring
from pshead_core.config.run import CameraConfig, RunConfig
from pshead_core.config.schedule import CurveConfig, SlotConfig
from pshead_core.scheduler.plan import plan_step
from pshead_core.scheduler.slots import due_slots, ring_views
from pshead_core.scheduler.streams import stream


def _due(schedule, step, *, side_px=512, seed=0):
    return [duty.slot.label for duty in due_slots(schedule, seed=seed, step=step, side_px=side_px)]


def test_steps_beat_and_resolution():
    slots = [
        SlotConfig(use="guidance.a", from_step=10, until_step=20),
        SlotConfig(use="guidance.b", every=5, offset=2),
        SlotConfig(use="guidance.c", min_side_px=256),
        SlotConfig(use="guidance.d", weight=CurveConfig(from_step=3, to_step=3, start=0.0, end=2.0)),
    ]
    assert _due(slots, 0, side_px=128) == []
    assert _due(slots, 12, side_px=128) == ["guidance.a", "guidance.b", "guidance.d"]
    assert _due(slots, 20, side_px=256) == ["guidance.c", "guidance.d"]
    assert due_slots(slots, seed=0, step=4, side_px=8)[0].weight == 2.0


def test_random_group_draws_in_proportion_to_probability():
    slots = [
        SlotConfig(use="reference", group="branch", probability=0.5),
        SlotConfig(use="guidance.i2i", group="branch", probability=0.25),
        SlotConfig(use="guidance.t2v", group="branch", probability=0.25),
    ]
    steps = 4000
    counts = dict.fromkeys(("reference", "guidance.i2i", "guidance.t2v"), 0)
    for step in range(steps):
        (label,) = _due(slots, step)
        counts[label] += 1
    for label, share in {"reference": 0.5, "guidance.i2i": 0.25, "guidance.t2v": 0.25}.items():
        sigma = (share * (1 - share) / steps) ** 0.5
        assert counts[label] / steps == pytest.approx(share, abs=4 * sigma)


def test_probability_without_a_group():
    slots = [SlotConfig(use="guidance.a", probability=0.7)]
    hits = sum(bool(_due(slots, step)) for step in range(4000))
    assert hits / 4000 == pytest.approx(0.7, abs=4 * (0.21 / 4000) ** 0.5)


def test_round_robin_and_all():
    walk = [SlotConfig(use=f"guidance.{n}", group="g", choose="round_robin") for n in "abc"]
    assert [_due(walk, step)[0] for step in range(4)] == ["guidance.a", "guidance.b", "guidance.c", "guidance.a"]
    everyone = [SlotConfig(use=f"guidance.{n}", group="g", choose="all") for n in "abc"]
    assert len(_due(everyone, 0)) == 3


def test_a_rider_is_due_only_with_its_carrier():
    slots = [
        SlotConfig(use="reference", group="branch", probability=0.5),
        SlotConfig(use="guidance.i2i", group="branch", probability=0.5),
        SlotConfig(use="guidance.t2i", rides_on=("guidance.i2i",)),
    ]
    seen = {tuple(_due(slots, step)) for step in range(50)}
    assert seen == {("reference",), ("guidance.i2i", "guidance.t2i")}


def test_a_rider_of_a_rider_waits_for_the_first_carrier():
    slots = [
        SlotConfig(use="guidance.c", rides_on=("guidance.b",)),
        SlotConfig(use="guidance.b", rides_on=("guidance.a",)),
        SlotConfig(use="guidance.a", every=2),
    ]
    assert _due(slots, 0) == ["guidance.c", "guidance.b", "guidance.a"]
    assert _due(slots, 1) == []


def test_views_are_drawn_from_the_set_in_azimuth_order():
    ring = random_ring(CameraConfig(), 64, stream(0, "ring", 7))
    slot = SlotConfig(use="guidance.a", max_views=4)
    chosen = ring_views(slot, "back_and_side", ring.azimuth_deg, seed=0, step=7)
    assert len(chosen) == 4
    assert chosen.tolist() == sorted(chosen.tolist())
    assert bool((ring.azimuth_deg[chosen].abs() > 65).all())


def _draws(schedule, step):
    """Cameras and generator draw of every slot's share of a step."""
    config = RunConfig(schedule=tuple(schedule))
    plan = plan_step(config, step, view_sets=dict.fromkeys((s.label for s in schedule), "ring"), held={})
    return {
        share.duty.slot.label: (
            plan.cameras.azimuth_deg[share.views].tolist(),
            torch.rand(3, generator=stream(config.seed, share.duty.slot.label, step)).tolist(),
        )
        for share in plan.shares
    }


def test_removing_a_slot_leaves_the_other_slots_draws_unchanged():
    slots = [
        SlotConfig(use="guidance.a", probability=0.6, max_views=3),
        SlotConfig(use="guidance.b", probability=0.6, max_views=5),
        SlotConfig(use="guidance.c", probability=0.6),
    ]
    for removed in range(3):
        rest = slots[:removed] + slots[removed + 1 :]
        for step in range(30):
            whole = _draws(slots, step)
            whole.pop(slots[removed].label, None)
            assert _draws(rest, step) == whole


def test_streams_differ_by_seed_name_and_step():
    draws = {
        torch.rand((), generator=stream(*key)).item() for key in ((0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1))
    }
    assert len(draws) == 4


def test_plan_renders_each_needed_view_once():
    slots = (
        SlotConfig(use="guidance.front"),
        SlotConfig(use="guidance.all"),
        SlotConfig(use="guidance.photo"),
        SlotConfig(use="reference"),
    )
    sets = {"guidance.front": "front", "guidance.all": "ring", "guidance.photo": "reference"}
    plan = plan_step(RunConfig(schedule=slots), 0, view_sets=sets, held={})
    assert len(plan.cameras) == 26  # the ring once, and the photo's camera
    assert plan.reference.slot.use == "reference"
    photo = next(share for share in plan.shares if share.duty.slot.use == "guidance.photo")
    assert plan.cameras.azimuth_deg[photo.views].tolist() == [0.0]
    front = next(share for share in plan.shares if share.duty.slot.use == "guidance.front")
    assert bool((plan.cameras.azimuth_deg[front.views].abs() <= 65).all())


def test_a_step_without_priors_renders_no_novel_view():
    plan = plan_step(RunConfig(schedule=(SlotConfig(use="reference"),)), 0, view_sets={}, held={})
    assert plan.cameras is None
    assert plan.shares == ()
