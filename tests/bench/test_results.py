"""Means, intervals, paired differences and tables, against closed forms."""

import csv
import json
import math

import numpy as np
import pytest
from scipy import stats

from pshead_core.bench.compare import comparison_table, differences, row_pairs
from pshead_core.bench.results import FigureFacts, Results, gather, read_results, write_results
from pshead_core.bench.statistics import mean_of
from pshead_core.bench.table import table
from pshead_core.errors import PsheadError

PSNR, LPIPS, SHARPNESS = "novel.psnr_db", "novel.lpips_alex", "novel.sharpness"
FIGURES = {
    PSNR: FigureFacts(better="higher", unit="dB"),
    LPIPS: FigureFacts(better="lower"),
    SHARPNESS: FigureFacts(better="nearer to 1"),
}


def results(rows, **facts):
    return Results(figures=FIGURES, values=rows, **facts)


def subjects(psnr, lpips=0.5, sharpness=0.9):
    return {f"head{index}": {PSNR: value, LPIPS: lpips, SHARPNESS: sharpness} for index, value in enumerate(psnr)}


def test_the_interval_of_many_normal_values_is_the_normal_one():
    values = np.random.default_rng(3).normal(20.0, 2.0, 400)
    found = mean_of(list(values))
    half = stats.norm.ppf(0.975) * values.std(ddof=1) / math.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.02)
    assert found.high == pytest.approx(values.mean() + half, abs=0.02)
    assert mean_of(list(values)) == found


def test_a_shift_moves_the_interval_and_a_scale_widens_it():
    values = [1.0, 2.0, 4.0, 8.0, 3.0]
    one, moved, wide = mean_of(values), mean_of([v + 10 for v in values]), mean_of([2 * v for v in values])
    assert (moved.low, moved.high) == pytest.approx((one.low + 10, one.high + 10))
    assert (wide.low, wide.high) == pytest.approx((2 * one.low, 2 * one.high))
    assert one.low < one.value < one.high


@pytest.mark.parametrize("values", [[3.0], [2.0, 2.0, 2.0]])
def test_one_subject_or_none_that_differ_have_no_interval(values):
    found = mean_of(values)
    assert (found.low, found.high) == (found.value, found.value)
    assert found.subjects == len(values)


def test_the_mean_of_nothing_is_refused():
    with pytest.raises(ValueError, match="nothing"):
        mean_of([])


def test_gains_follow_the_direction_of_a_figure():
    assert FIGURES[PSNR].gain(20.0, 21.0) == 1.0
    assert FIGURES[LPIPS].gain(0.5, 0.75) == -0.25
    assert FIGURES[SHARPNESS].gain(1.5, 1.25) == 0.25
    assert FIGURES[SHARPNESS].gain(0.75, 1.5) == -0.25


def test_paired_differences_see_what_unpaired_ones_cannot():
    before = [15.0, 20.0, 25.0, 30.0]
    one, other = results({"S2": subjects(before)}), results({"S2": subjects([v + 0.5 + 0.01 * v for v in before])})
    found = {item.key: item for item in differences(one, other, row_pairs(one, other, None, None))}
    assert found[PSNR].change.value == pytest.approx(0.5 + 0.01 * 22.5)
    assert found[PSNR].change.low > 0.6
    assert found[PSNR].verdict == "better"
    assert found[LPIPS].verdict == "no clear difference"
    assert found[LPIPS].change.value == 0.0
    back = {item.key: item for item in differences(other, one, [("S2", "S2")])}
    assert back[PSNR].verdict == "worse"


def test_only_subjects_of_both_are_compared():
    one, other = results({"a": subjects([10.0, 20.0, 30.0])}), results({"b": subjects([11.0])})
    found = differences(one, other, row_pairs(one, other, None, None))
    assert found[0].change.subjects == 1
    assert found[0].before == 10.0
    assert found[0].row == "a → b"
    assert found[0].verdict == "one subject"
    assert "| a → b | novel.psnr_db, dB | 1 | 10.00 | 11.00 | +1.00" in comparison_table(found)


def test_rows_are_paired_by_name_or_as_named():
    one, other = results({"a": {}, "b": {}}), results({"b": {}, "c": {}})
    assert row_pairs(one, other, None, None) == [("b", "b")]
    assert row_pairs(one, other, "a", "c") == [("a", "c")]
    with pytest.raises(PsheadError, match="no row 'x'"):
        row_pairs(one, other, "x", None)
    with pytest.raises(PsheadError, match="nothing in common"):
        differences(one, other, row_pairs(one, other, None, None))


def test_results_are_read_back_and_the_csv_has_every_number(tmp_path):
    written = results({"S1": subjects([10.1, 20.2])}, missing={"full": "no weights"}, weights={"lpips": ["alexnet"]})
    write_results(tmp_path, written)
    assert read_results(tmp_path) == written
    assert read_results(tmp_path / "results.json") == written
    with (tmp_path / "results.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 6
    assert {float(line["value"]) for line in lines if line["figure"] == PSNR} == {10.1, 20.2}


@pytest.mark.parametrize("text", ["", "{", '{"format": 99}', '{"format": 1}'])
def test_damaged_results_are_refused(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(PsheadError, match="holds no results"):
        read_results(tmp_path)


def test_missing_numbers_are_gathered_as_reasons():
    entry = {"key": PSNR, "metric": "fidelity", "value": 21.0, "missing": None, "better": "higher", "unit": "dB"}
    lost = {**entry, "key": LPIPS, "metric": "lpips", "value": None, "missing": "no weights"}
    told = [{**entry, "summary": ""}, {**lost, "summary": ""}]
    found = gather({"S1": {"anna": told}}, {"full": "not run"}, {"lpips": ("alexnet",), "fidelity": ()})
    assert found.values == {"S1": {"anna": {PSNR: 21.0}}}
    assert found.missing == {"full": "not run", "lpips": "no weights"}
    assert found.weights == {}
    assert json.dumps(found.missing)


def test_the_table_has_means_intervals_and_what_is_missing():
    text = table(
        results({"S1": subjects([10.0, 20.0]), "ridge": {}}, missing={"clip": "no weights"}), emphasised=["ridge"]
    )
    lines = text.splitlines()
    assert lines[0] == "| row | subjects | PSNR, dB | LPIPS | sharpness |"
    assert lines[2].startswith("| S1 | 2 | 15.00 (10.00 to 20.00) | 0.500 | 0.900 |")
    assert lines[3] == "| *ridge* | 0 | - | - | - |"
    assert "* clip: missing: no weights" in lines
