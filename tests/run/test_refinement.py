"""The fine stage's part of the loop: the reference view for priors that read it, and perceptual losses of refiners."""

import copy

import pytest
import torch

from pshead_core.config.schedule import SlotConfig
from pshead_core.errors import PluginContractError, PluginError
from pshead_core.priors.contribution import DenoisedTarget, ImageGradient
from pshead_core.render.reference import ReferenceRenderer
from pshead_core.run.checkpoint import read_checkpoint, write_checkpoint

from .conftest import REFERENCE, Brighten, SquaredDistance


class Listens:
    """Contributes nothing and keeps what it was told."""

    def __init__(self, reads_reference):
        self.reads_reference = reads_reference
        self.heard = []

    def contribute(self, views, step):
        self.heard.append(step.reference)
        return ImageGradient(rgb=torch.zeros_like(views.rgb))


class LikeReference:
    """A refiner that wants the mean colour of the reference view everywhere, and spoils what it was given."""

    reads_reference = True

    def __init__(self):
        self.calls = []

    def refine(self, views, step):
        self.calls.append(step.index)
        colour = step.reference.rgb.mean((0, 1, 2))
        step.reference.rgb.fill_(9.0)
        step.reference.background.fill_(9.0)
        return DenoisedTarget(rgb=colour.expand_as(views.rgb).clone(), weight=torch.ones_like(views.alpha))


class Counting:
    """The reference renderer; remembers what was rendered, and whether for a gradient."""

    def __init__(self):
        self.asked = []

    def render(self, model, cameras, background):
        self.asked.append((cameras.azimuth_deg.tolist(), torch.is_grad_enabled()))
        return ReferenceRenderer().render(model, cameras, background)


def _numbers(reports):
    return [(r.step, r.gaussians, dict(r.losses), [(s.slot, s.grad_norm, s.views) for s in r.slots]) for r in reports]


def _same(one, other):
    return all(torch.equal(tensor, other.model.tensors()[name]) for name, tensor in one.model.tensors().items())


LISTENER = SlotConfig(use="guidance.listens", max_views=2)


@pytest.mark.parametrize("slots", [[LISTENER], [REFERENCE, LISTENER]])
def test_the_reference_view_is_what_the_head_looks_like_from_the_photos_camera(make_loop, slots):
    listener = Listens(reads_reference=True)
    loop = make_loop(slots, {"guidance.listens": listener}, steps=4)
    steps, shown = loop.steps(), []
    for _ in range(4):
        model, side_px = copy.deepcopy(loop.model), 16 if loop.next_step < 3 else 32
        next(steps)
        (camera,) = {tuple(listener.heard[-1].cameras.azimuth_deg.tolist())}
        assert camera == (0.0,)
        with torch.no_grad():
            wanted = ReferenceRenderer().render(model, listener.heard[-1].cameras, loop.background)
        for name in ("rgb", "alpha", "depth"):
            image = getattr(listener.heard[-1], name)
            assert image.shape[:3] == (1, side_px, side_px)
            assert torch.equal(image, getattr(wanted, name))
            assert not image.requires_grad
            assert image.is_leaf
        shown.append(listener.heard[-1])
    assert len(shown) == 4


def test_it_is_rendered_once_and_without_a_graph_unless_its_slot_is_due(make_loop):
    renderer = Counting()
    slots = [SlotConfig(use="reference", every=2), LISTENER, SlotConfig(use="guidance.second", max_views=1)]
    priors = {"guidance.listens": Listens(reads_reference=True), "guidance.second": Listens(reads_reference=True)}
    list(make_loop(slots, priors, steps=2, renderer=renderer).steps())
    assert [graph for azimuths, graph in renderer.asked if azimuths == [0.0]] == [True, False]
    assert len(renderer.asked) == 4  # per step the novel views together, and the reference view


def test_who_does_not_ask_is_told_nothing_and_nothing_is_rendered_for_it(make_loop):
    renderer, listener = Counting(), Listens(reads_reference=False)
    list(make_loop([LISTENER], {"guidance.listens": listener}, steps=2, renderer=renderer).steps())
    assert listener.heard == [None, None]
    assert len(renderer.asked) == 2


def test_a_listener_changes_no_number_of_the_others(make_loop):
    with_listener = make_loop([REFERENCE, LISTENER], {"guidance.listens": Listens(reads_reference=True)})
    without = make_loop([REFERENCE, LISTENER], {"guidance.listens": Listens(reads_reference=False)})
    assert _numbers(with_listener.steps()) == _numbers(without.steps())
    assert _same(with_listener, without)


FINE = SlotConfig(use="refiners.like", max_views=2, hold_steps=3, perceptual="metrics.square", perceptual_weight=2.0)


def _fine(make_loop, like=None, **more):
    return make_loop(
        [REFERENCE, FINE],
        {"refiners.like": like or LikeReference()},
        metrics={"metrics.square": SquaredDistance},
        **more,
    )


def test_a_held_target_needs_no_reference_view_and_keeps_its_perceptual_loss(make_loop):
    like, renderer = LikeReference(), Counting()
    slots = [FINE]
    loop = make_loop(
        slots, {"refiners.like": like}, metrics={"metrics.square": SquaredDistance}, steps=3, renderer=renderer
    )
    reports = list(loop.steps())
    assert like.calls == [0]
    assert len([1 for azimuths, _ in renderer.asked if azimuths == [0.0]]) == 1
    plain = make_loop([SlotConfig(use="refiners.like", max_views=2, hold_steps=3)], {"refiners.like": LikeReference()})
    first, bare = reports[0].slots[0], next(plain.steps()).slots[0]
    # gradient of the L2 loss: difference / views; of the mean square times its pixels: 2 / 3 difference / views
    assert first.grad_norm == pytest.approx(bare.grad_norm * (1 + 2.0 * 2 / 3), rel=1e-5)
    assert all(report.slots[0].grad_norm > 0 for report in reports)


def test_the_loop_is_not_spoilt_by_what_a_prior_does_to_its_reference_view(make_loop):
    loop = _fine(make_loop)
    list(loop.steps())
    assert float(loop.background.max()) == 1.0


@pytest.mark.parametrize("stop", [1, 2, 4, 5])
def test_resume_inside_a_hold_with_a_perceptual_loss(make_loop, tmp_path, stop):
    whole = _fine(make_loop)
    wanted = _numbers(whole.steps())
    first = _fine(make_loop)
    steps = first.steps()
    got = [next(steps) for _ in range(stop)]
    write_checkpoint(tmp_path, first.checkpoint())
    like = LikeReference()
    second = _fine(make_loop, like)
    second.restore(read_checkpoint(tmp_path, torch.device("cpu")))
    got += list(second.steps())
    assert _numbers(got) == wanted
    assert _same(whole, second)
    assert like.calls == [3] * (stop < 3)  # the target of step 0 was held over the stop, that of step 3 too


def test_a_metric_is_built_once_for_all_slots_and_only_if_it_counts(make_loop):
    built = []

    def build():
        built.append(SquaredDistance())
        return built[-1]

    slots = [
        SlotConfig(use="refiners.bright", max_views=1, perceptual="metrics.square"),
        SlotConfig(use="refiners.bright", name="again", max_views=1, perceptual="metrics.square"),
        SlotConfig(use="refiners.bright", name="never", perceptual="metrics.none", perceptual_weight=0.0),
        SlotConfig(use="refiners.bright", name="off", weight=0.0, perceptual="metrics.none"),
    ]
    metrics = {"metrics.square": build, "metrics.none": lambda: pytest.fail("nobody uses it")}
    loop = make_loop(slots, {"refiners.bright": Brighten()}, steps=2, metrics=metrics)
    assert loop.priors.metrics == {"metrics.square": built[0]}
    list(loop.steps())
    assert len(built) == 1


class _Fails(SquaredDistance):
    def __init__(self, answer):
        self.answer = answer

    def distance(self, rgb, target):
        return self.answer(rgb)


def _raise(_):
    raise RuntimeError("no eyes")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_raise, ["RuntimeError: no eyes"]),
        (lambda rgb: rgb.mean(), ["shape ()", "one number for each of 2 views"]),
        (lambda rgb: rgb.mean((1, 2, 3)) * float("nan"), ["not finite"]),
    ],
)
def test_a_failing_metric_is_named_with_slot_plugin_version_and_step(make_loop, answer, words):
    slot = SlotConfig(use="refiners.bright", name="fine", from_step=1, max_views=2, perceptual="metrics.bad")
    loop = make_loop(
        [REFERENCE, slot], {"refiners.bright": Brighten()}, metrics={"metrics.bad": lambda: _Fails(answer)}
    )
    with pytest.raises(PluginError) as caught:
        list(loop.steps())
    for word in ["'fine'", "metrics.bad", "test-dist 4.5.6", "step 1", *words]:
        assert word in str(caught.value)
    assert loop.next_step == 1


class _WrongTarget:
    def __init__(self, spoil):
        self.spoil = spoil

    def refine(self, views, step):
        return DenoisedTarget(**{"rgb": views.rgb, "weight": torch.ones_like(views.alpha), **self.spoil(views)})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda v: {"rgb": v.rgb * float("nan")}, "target.rgb with"),
        (lambda v: {"weight": v.alpha[:, :4]}, "target.weight of shape"),
        (lambda v: {"weight": v.alpha - 2}, "negative target.weight"),
    ],
)
def test_a_wrong_target_is_named_with_slot_plugin_version_and_step(make_loop, spoil, words):
    slot = SlotConfig(use="refiners.bad", name="fine", from_step=2, max_views=1)
    with pytest.raises(PluginContractError) as caught:
        list(make_loop([REFERENCE, slot], {"refiners.bad": _WrongTarget(spoil)}).steps())
    for word in ["'fine'", "refiners.bad", "test-dist 1.2.3", "step 2", words]:
        assert word in str(caught.value)


def test_a_metric_without_a_distance_cannot_be_built(make_loop):
    class OnlyMeasures:
        def measure(self, views, reference):
            return {}

    slot = SlotConfig(use="refiners.bright", perceptual="metrics.only")
    with pytest.raises(PluginContractError, match=r"metrics\.only.*without a method 'distance'"):
        make_loop([slot], {"refiners.bright": Brighten()}, metrics={"metrics.only": OnlyMeasures})
