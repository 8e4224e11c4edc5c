"""Intersection over union of shapes whose areas are known, of other libraries, and of nothing."""

import numpy as np
import pytest
import torch
from attrs import evolve
from pshead_metrics_silhouette.config import SilhouetteConfig
from pshead_metrics_silhouette.metric import build

from pshead_core.api import PsheadError
from pshead_core.testing import empty_views, tiny_context, tiny_views


@pytest.fixture
def metric(tmp_path):
    return build(SilhouetteConfig(), tiny_context(tmp_path))


def _box(left, right, side_px=32, views=1):
    """Views whose alpha is 1 in columns left..right, 0.5 (which does not count) in one more, 0 elsewhere."""
    nothing = empty_views(views, side_px=side_px)
    alpha = torch.zeros_like(nothing.alpha)
    alpha[:, 8:24, left:right], alpha[:, 8:24, right] = 1.0, 0.5
    return evolve(nothing, alpha=alpha)


@pytest.mark.parametrize(("shift", "iou"), [(0, 1.0), (2, 6 / 10), (4, 4 / 12), (6, 2 / 14), (8, 0.0)])
def test_shifted_boxes(metric, shift, iou):
    shown, true = _box(4 + shift, 12 + shift), _box(4, 12)
    assert metric.measure(shown, true) == {"silhouette_iou": pytest.approx(iou, abs=1e-12)}


def test_mean_over_views(metric):
    true = _box(4, 12, views=2)
    alpha = torch.stack([_box(4, 12).alpha[0], _box(8, 16).alpha[0]])
    found = metric.measure(evolve(true, alpha=alpha), true)
    assert found["silhouette_iou"] == pytest.approx((1 + 4 / 12) / 2)


def test_figure_is_that_of_sets_of_pixels(metric):
    true = tiny_views(3, side_px=48)
    shown = evolve(true, alpha=true.alpha.roll((3, 5), (1, 2)))
    found = metric.measure(shown, true)["silhouette_iou"]
    masks = zip(shown.alpha > 0.5, true.alpha > 0.5, strict=True)
    pairs = [({*np.flatnonzero(a)}, {*np.flatnonzero(b)}) for a, b in masks]
    assert found == pytest.approx(np.mean([len(a & b) / len(a | b) for a, b in pairs]), abs=1e-12)


def test_figure_is_torchmetrics(metric):
    classification = pytest.importorskip("torchmetrics.functional.classification")
    true = tiny_views(3, side_px=48)
    shown = evolve(true, alpha=true.alpha.roll((3, 5), (1, 2)))
    theirs = [
        float(classification.binary_jaccard_index((a > 0.5).long(), (b > 0.5).long()))
        for a, b in zip(shown.alpha, true.alpha, strict=True)
    ]
    assert metric.measure(shown, true)["silhouette_iou"] == pytest.approx(np.mean(theirs), abs=1e-6)


def test_larger_shifts_are_worse(metric):
    true = tiny_views(2, side_px=48)
    values = [
        metric.measure(evolve(true, alpha=true.alpha.roll(shift, 2)), true)["silhouette_iou"] for shift in (0, 1, 3, 9)
    ]
    assert values[0] == 1.0
    assert values[0] > values[1] > values[2] > values[3]


def test_nothing(metric):
    nothing, head = empty_views(2), tiny_views(2)
    assert metric.measure(nothing, nothing) == {"silhouette_iou": 1.0}
    assert metric.measure(nothing, head) == metric.measure(head, nothing) == {"silhouette_iou": 0.0}


def test_bad_pictures_are_refused(metric):
    true = tiny_views(2)
    bad = evolve(true, alpha=true.alpha * float("nan"))
    with pytest.raises(PsheadError, match="different sizes"):
        metric.measure(tiny_views(2, side_px=48), true)
    with pytest.raises(PsheadError, match="views' alpha that is not finite"):
        metric.measure(bad, true)
    with pytest.raises(PsheadError, match="reference views' alpha that is not finite"):
        metric.measure(true, bad)
