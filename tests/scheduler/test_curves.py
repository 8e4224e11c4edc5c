"""Curves against their closed forms."""

import math

import pytest

from pshead_core.config.run import ResolutionConfig
from pshead_core.config.schedule import CurveConfig, is_zero, value_at
from pshead_core.scheduler.resolution import side_at


@pytest.mark.parametrize(
    ("shape", "quarter"),
    [
        ("linear", 2.0 + 0.25 * 6.0),
        ("cosine", 8.0 - 6.0 * 0.5 * (1 + math.cos(math.pi / 4))),
        ("exponential", 2.0 * 4.0**0.25),
    ],
)
def test_curve(shape, quarter):
    curve = CurveConfig(from_step=100, to_step=300, start=2.0, end=8.0, shape=shape)
    assert [value_at(curve, step) for step in (0, 100, 300, 999)] == [2.0, 2.0, 8.0, 8.0]
    assert value_at(curve, 150) == pytest.approx(quarter, rel=1e-12)


def test_curve_of_no_length_is_a_step():
    curve = CurveConfig(from_step=5, to_step=5, start=0.0, end=1.0)
    assert [value_at(curve, step) for step in (4, 5, 6)] == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"from_step": 9, "to_step": 5, "start": 0.0, "end": 1.0},
        {"from_step": 0, "to_step": 5, "start": 0.0, "end": 1.0, "shape": "exponential"},
    ],
)
def test_impossible_curves_are_refused(wrong):
    with pytest.raises(ValueError, match=r"'to_step'|'shape'"):
        CurveConfig(**wrong)


def test_only_a_constant_zero_keeps_a_prior_unbuilt():
    assert is_zero(0.0)
    assert not is_zero(CurveConfig(from_step=0, to_step=1, start=0.0, end=0.0))


def test_resolution_follows_the_papers_steps():
    config = ResolutionConfig(sides_px=(128, 256, 512), from_steps=(0, 200, 300))
    assert [side_at(config, step) for step in (0, 199, 200, 299, 300, 1999)] == [128, 128, 256, 256, 512, 512]
