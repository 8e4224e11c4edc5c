"""Rows of an ablation as schedules."""

from itertools import pairwise

import pytest

from pshead_core.bench.rows import (
    Row,
    Settings,
    chosen,
    coarse_key,
    fine_step,
    mini_metrics,
    mini_settings,
    read_rows,
    resolve_row,
)
from pshead_core.errors import ConfigError
from pshead_core.run.evaluate import resolve_metrics

PRIORS = ("guidance.personalized_sd", "guidance.zero123", "guidance.video", "refiners.personalized_sd")


def uses(resolved):
    return {slot.use for slot in resolved.config.schedule if "." in slot.use}


def test_the_rows_are_those_of_table_3():
    rows = read_rows()
    assert [row.slug for row in rows][1:] == ["s1-sd", "s1-db", "s2", "s3", "s4-1", "s4-2", "s4-3", "full"]
    assert rows[0].priors == ()
    for before, after in pairwise(rows[2:]):
        assert set(before.priors) < set(after.priors)
        assert len(after.priors) == len(before.priors) + 1


@pytest.mark.parametrize("settings", [mini_settings(), Settings(preset="paper"), Settings(preset="official")])
def test_every_row_keeps_its_priors_and_no_others(settings):
    for row in read_rows():
        resolved = resolve_row(settings, row)
        assert uses(resolved) == set(row.priors)
        assert {instance.use for instance in resolved.instances if instance.kind in ("guidance", "refiners")} == set(
            row.priors
        )
        labels = {slot.label for slot in resolved.config.schedule}
        assert all(set(slot.rides_on) <= labels for slot in resolved.config.schedule)


def test_the_first_row_is_not_personalised_and_the_second_is():
    first, second = (resolve_row(mini_settings(), row) for row in read_rows()[1:3])
    assert first.config.guidance["personalized_sd"].personalise.method == "none"
    assert second.config.guidance["personalized_sd"].personalise.method == "full"


def test_rows_that_agree_before_the_fine_stage_share_their_state():
    settings, rows = mini_settings(), read_rows()
    until = fine_step(settings)
    assert until == 120
    keys = {row.name: coarse_key(resolve_row(settings, row), row, until) for row in rows}
    assert len({keys[name] for name in ("S3", "S4 (1)", "S4 (2)", "S4 (3)", "full")}) == 1
    assert len(set(keys.values())) == 5


def test_rows_are_chosen_by_name_or_slug():
    rows = read_rows()
    assert [row.name for row in chosen(rows, ["s4-1", "S2"])] == ["S2", "S4 (1)"]
    assert chosen(rows, None) == rows
    with pytest.raises(ConfigError, match="no row 'S9'"):
        chosen(rows, ["S9"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there must be rows"),
        ('[[row]]\nname = "a"\n', "required field missing @ $[0].priors"),
        ('[[row]]\nname = "a"\npriors = []\nprior = 1', "prior"),
        ('[[row]]\nname = "a!"\npriors = []\n[[row]]\nname = "a?"\npriors = []', "names that differ"),
        ("[[row", "Expected"),
    ],
)
def test_wrong_files_of_rows_are_refused(tmp_path, text, why):
    (tmp_path / "rows.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        read_rows(tmp_path / "rows.toml")
    assert why in error.value.why


def test_a_row_without_a_slot_is_refused():
    with pytest.raises(ConfigError, match="has no slot"):
        resolve_row(Settings(preset="fast"), Row(name="x", priors=("guidance.video",)))


def test_the_minis_identity_is_judged_by_another_recogniser_than_it_is_trained_with():
    trained = resolve_row(mini_settings(), read_rows()[-1]).config.guidance["identity"].checkpoint
    judge = resolve_metrics([mini_metrics()], None).config.metrics["identity_similarity"].checkpoint
    assert judge != trained
    assert judge.startswith("mini/")
