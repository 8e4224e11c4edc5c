"""The curves: points read back from the drawing, through its own tick labels, are the numbers of the run."""

import json

import attrs
import numpy as np
import pytest

from pshead_core.records import SlotReport, StepReport
from pshead_core.report.chart import Axis, Series, tick_text
from pshead_core.report.curves import curves_of, drawn_curves, log_axis, thinned
from pshead_core.report.html import report_html
from pshead_core.report.run_facts import read_reports

from .conftest import NASTY, SIDES, lines
from .parsed import parsed


def _scale(figure, kind, place, *, is_log):
    """Return the function from a place in the drawing to a value, from two labelled ticks."""
    ticks = figure.all("text", class_=kind)
    ends = [(float(tick.attributes[place]), float(tick.attributes["data-value"])) for tick in (ticks[0], ticks[-1])]
    (near, low), (far, high) = [(at, np.log10(value) if is_log else value) for at, value in ends]
    back = lambda at: low + (np.asarray(at) - near) / (far - near) * (high - low)  # noqa: E731
    return (lambda at: 10 ** back(at)) if is_log else back


def _points(figure, *, is_log):
    across, up = _scale(figure, "across", "x", is_log=False), _scale(figure, "up", "y", is_log=is_log)
    found = {}
    for line in figure.all("polyline"):
        places = np.array([point.split(",") for point in line.attributes["points"].split()], float)
        found[line.attributes["data-name"]] = np.stack([across(places[:, 0]), up(places[:, 1])], -1)
    return found


@pytest.fixture
def figures(whole, run):
    return parsed(report_html(attrs.evolve(whole, run=run))).all("figure", class_="chart")


def test_one_chart_for_losses_gaussians_and_each_slot(figures):
    titles = [figure.all("figcaption")[0].text() for figure in figures]
    assert titles == ["Losses", "Gaussians", "Slot novel: gradient norm", f"Slot {NASTY}: gradient norm"]
    legend = [node.text() for node in figures[0].all("li")]
    assert legend == ["rgb", "scale"]


def test_points_are_the_numbers_of_the_run(figures, run):
    wanted = [json.loads(line) for line in (run / "report.jsonl").read_text().splitlines()]
    losses, gaussians, novel, other = (_points(figure, is_log=place != 1) for place, figure in enumerate(figures))
    for name in ("rgb", "scale"):
        _same(losses[name], [(line["step"], line["losses"][name]) for line in wanted])
    _same(gaussians["Gaussians"], [(line["step"], line["gaussians"]) for line in wanted])
    norms = [(line["step"], slot["slot"], slot["grad_norm"]) for line in wanted for slot in line["slots"]]
    _same(novel["novel"], [(step, norm) for step, slot, norm in norms if slot == "novel"])
    _same(other[NASTY], [(step, norm) for step, slot, norm in norms if slot == NASTY and norm > 0])


def _same(found, wanted):
    """Places are written with two decimals: 0.02 steps here, and 0.3 % of a value on six decades."""
    wanted = np.array(wanted, float)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found[:, 0], wanted[:, 0], atol=0.02)
    np.testing.assert_allclose(found[:, 1], wanted[:, 1], rtol=3e-3)


def test_slots_share_their_axis(figures):
    ticks = [[tick.attributes["data-value"] for tick in figure.all("text", class_="up")] for figure in figures[2:]]
    assert ticks[0] == ticks[1]


def test_changes_of_the_side_are_marked(figures):
    for figure in figures:
        across = _scale(figure, "across", "x", is_log=False)
        marks = [float(across(float(mark.attributes["x1"]))) for mark in figure.all("line", class_="mark")]
        np.testing.assert_allclose(marks, [step for step, _ in SIDES[1:]], atol=0.02)
        assert [node.text() for node in figure.all("text", class_="side")] == [f"{side} px" for _, side in SIDES]


def test_long_curves_are_means_of_neighbours():
    draw = np.random.default_rng(1)
    series = Series(name="a", steps=np.arange(1000.0), values=draw.uniform(1, 2, 1000))
    found = thinned(series, 250)
    np.testing.assert_allclose(found.values, series.values.reshape(250, 4).mean(1))
    np.testing.assert_allclose(found.steps, series.steps.reshape(250, 4).mean(1))
    uneven = thinned(series, 300)
    assert len(uneven.steps) == 300
    assert (np.diff(uneven.steps) > 0).all()
    assert thinned(found, 250) is found


def test_run_of_one_step_and_of_zeros():
    one = StepReport(step=0, side_px=64, gaussians=5, seconds=1.0, losses={"rgb": 0.0})
    slot = SlotReport(slot="s", weight=1.0, grad_norm=0.0, views=1, seconds=0.1)
    for report in (one, attrs.evolve(one, slots=(slot,))):
        charts = [parsed(text) for text in drawn_curves(curves_of([report]))]
        assert not [line for figure in charts for line in figure.all("polyline")]
        assert len(charts[1].all("circle")) == 1  # the one number of Gaussians


def test_values_far_below_the_axis_are_left_out():
    values = np.array([1e-30, 1e-3, 50.0])
    axis = log_axis([Series(name="a", steps=np.arange(3.0), values=values)])
    assert (axis.low, axis.high) == (1e-6, 100.0)
    report = StepReport(step=0, side_px=64, gaussians=5, seconds=1.0)
    tiny = [attrs.evolve(report, step=step, losses={"a": value}) for step, value in enumerate(values)]
    line = parsed(drawn_curves(curves_of(tiny))[0]).all("polyline")[0]
    assert len(line.attributes["points"].split()) == 2


@pytest.mark.parametrize(("low", "high"), [(0, 749), (0, 1), (0, 32233 * 1.08), (0, 0.37), (0, 12000)])
def test_linear_ticks_are_round_and_inside(low, high):
    ticks = Axis(low=low, high=high).ticks()
    assert 3 <= len(ticks) <= 7
    assert ticks[0] == low
    assert ticks[-1] <= high * (1 + 1e-9)
    gap = ticks[1] - ticks[0]
    assert np.isclose(gap / 10 ** np.floor(np.log10(gap) + 1e-9), [1, 2, 5]).any()


def test_tick_texts():
    assert [tick_text(10.0**power, is_log=True) for power in (-5, -2, 0, 3, 4)] == [
        "10⁻⁵",
        "0.01",
        "1",
        "1\u2009000",
        "10⁴",
    ]
    assert [tick_text(value, is_log=False) for value in (0.0, 0.25, 40000.0)] == ["0", "0.25", "40\u2009000"]


def test_reports_are_read_whole(run):
    reports = read_reports(run)
    assert [report.step for report in reports] == list(range(8))
    assert [dict(report.losses) for report in reports] == [line["losses"] for line in lines()]
