"""Which views each metric gets, what is missing, and the penalty."""

import pytest
import torch
from attrs import evolve

from pshead_core.api import ViewNeeds
from pshead_core.errors import PluginContractError, PsheadError
from pshead_core.evaluation.measure import measure, summary, values_of, worse
from pshead_core.specs import Figure


def by_key(measured):
    return {one.key: one for one in measured}


def test_a_metric_of_true_views_sees_the_photo_and_the_truth(make_scene, told):
    scene = make_scene()
    used, metric = told({"number": 0.5}, needs=ViewNeeds(outputs=frozenset({"rgb", "alpha"})))
    found = measure([used], scene)
    assert [one.key for one in found] == ["reference.number", "novel.number"]
    (first, photo), (novel, truth) = metric.seen
    assert torch.equal(first.rgb, scene.reference.rgb)
    assert torch.equal(photo.rgb, scene.photo.rgb)
    assert torch.equal(novel.rgb, scene.novel.rgb)
    assert torch.equal(truth.rgb, scene.truth.rgb)


def test_without_a_truth_only_the_reference_view_is_compared(make_scene, told):
    used, _ = told({"number": 0.5})
    assert [one.key for one in measure([used], make_scene(with_truth=False))] == ["reference.number"]


def test_a_metric_of_the_photo_sees_its_view_set_beside_one_view(make_scene, told):
    scene = make_scene()
    used, metric = told({"number": 0.5}, compares="photo", needs=ViewNeeds(views="back"))
    measure([used], scene)
    ((views, photo),) = metric.seen
    assert bool((views.cameras.azimuth_deg.abs() >= 135).all())
    assert len(views.rgb) == 2
    assert photo.rgb.shape[0] == 1


def test_a_metric_of_nothing_gets_no_reference(make_scene, told):
    used, metric = told({"number": 0.5}, compares="nothing")
    found = measure([used], make_scene())
    assert [one.key for one in found] == ["novel.number"]
    assert metric.seen[0][1] is None


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"needs": ViewNeeds(min_side_px=64)}, "views have 32 px, it needs 64"),
        ({"reference_outputs": frozenset({"rgb", "depth"})}, "the truth has no depth"),
    ],
)
def test_what_cannot_be_measured_is_missing_with_the_reason(make_scene, told, spec, reason):
    used, metric = told({"number": 0.5}, **spec)
    found = measure([used], make_scene())
    assert {one.missing for one in found} == {reason}
    assert {one.value for one in found} == {None}
    assert not metric.seen
    assert not values_of(found)


def test_heads_without_depth_are_not_asked_for_it(make_scene, told):
    used, _ = told({"number": 0.5}, compares="nothing", needs=ViewNeeds(outputs=frozenset({"rgb", "depth"})))
    (found,) = measure([used], evolve(make_scene(), outputs=frozenset({"rgb"})))
    assert found.missing == "the head is given without depth"


def test_an_unbuilt_metric_and_a_refusing_one_say_why(make_scene, told):
    used, _ = told({"number": 0.5}, compares="nothing")
    refusing, _ = told(PsheadError("the views are not finite", why="NaN"), name="other", compares="nothing")
    found = measure([evolve(used, metric=None, missing="no weights"), refusing], make_scene())
    assert [one.missing for one in found] == ["no weights", "the views are not finite; NaN"]
    told_of = summary(found)
    assert [one["value"] for one in told_of] == [None, None]
    assert told_of[0]["missing"] == "no weights"


@pytest.mark.parametrize("values", [{"number": float("nan")}, {"number": float("inf")}])
def test_a_number_that_is_none_is_refused(make_scene, told, values):
    used, _ = told(values, compares="nothing")
    with pytest.raises(PluginContractError, match="every value is finite"):
        measure([used], make_scene())


def test_a_fault_makes_the_numbers_beside_the_photo_worse(make_scene, told):
    likeness, _ = told({"likeness": 0.5}, name="likeness", compares="photo", bounds=(-1.0, 1.0))
    distance, _ = told({"distance": 2.0}, name="distance", compares="photo", best=0.0)
    psnr, _ = told({"psnr": 20.0}, name="psnr")
    fault, _ = told({"faults": 0.25}, name="faults", compares="nothing", best=0.0, penalty_frac=0.2)
    found = by_key(measure([likeness, distance, psnr, fault], make_scene()))
    assert found["novel.likeness"].value == pytest.approx(0.4)
    assert found["novel.distance"].value == pytest.approx(2.4)
    assert found["novel.psnr"].value == 20.0
    assert found["novel.faults"].value == 0.25
    assert [key for key, one in found.items() if one.penalised] == ["novel.likeness", "novel.distance"]
    none, _ = told({"faults": 0.0}, name="faults", compares="nothing", best=0.0, penalty_frac=0.2)
    assert by_key(measure([likeness, none], make_scene()))["novel.likeness"].value == 0.5


def test_a_negative_likeness_becomes_worse_too():
    figure = Figure(name="likeness", summary="", best=1.0, range=(-1.0, 1.0))
    assert worse(figure, -0.5, 0.2) == pytest.approx(-0.6)
    assert worse(figure, -0.95, 0.2) == -1.0


def test_directions_are_those_of_the_best_value():
    infinite = Figure(name="a", summary="", best=float("inf"), range=(0.0, 120.0))
    low = Figure(name="b", summary="", best=0.0, range=(0.0, 1.0))
    between = Figure(name="c", summary="", best=1.0, range=(0.0, float("inf")))
    assert [one.direction for one in (infinite, low, between)] == ["higher", "lower", "nearer to 1"]
    assert infinite.error(30.0) < infinite.error(20.0)
    assert between.error(1.5) > between.error(0.75)
