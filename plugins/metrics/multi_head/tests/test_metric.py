"""Faces that are known to be there or not: of the tiny ellipsoid, and of ground-truth heads seen by MediaPipe."""

import pytest
import torch
from attrs import evolve
from pshead_metrics_multi_head.config import MultiHeadConfig
from pshead_metrics_multi_head.metric import build, spread

from pshead_core.api import PortraitFacts, PsheadError, Views
from pshead_core.testing import empty_views, tiny_context, tiny_views
from training.ground_truth import load_ground_truth


def _metric(folder, max_views=8):
    return build(MultiHeadConfig(max_views=max_views), tiny_context(folder))


def _chosen(views, index):
    names = ("rgb", "alpha", "depth", "cameras")
    return evolve(views, **{name: getattr(views, name)[index] for name in names})


def _with_faces(views, index):
    """The views with the frontal view's picture in some places."""
    rgb = views.rgb.clone()
    rgb[index] = tiny_views(1, side_px=views.rgb.shape[1], view_set="reference").rgb[0]
    return evolve(views, rgb=rgb)


@pytest.mark.parametrize("faces", [[], [2], [0, 3, 4]])
def test_part_of_the_views_with_a_face(tmp_path, faces):
    back = tiny_views(5, side_px=64, view_set="back")
    assert _metric(tmp_path).measure(_with_faces(back, faces), None) == {"faces_at_back_frac": len(faces) / 5}


def test_only_so_many_views_are_looked_at(tmp_path):
    asked = []

    class Counts:
        def analyze(self, photo):
            asked.append(photo.source)
            return PortraitFacts(faces=())

    views = tiny_views(7, view_set="back")
    for most, wanted in ((3, 3), (9, 7)):
        asked.clear()
        context = evolve(tiny_context(tmp_path), analyzers=(Counts(),))
        build(MultiHeadConfig(max_views=most), context).measure(views, None)
        assert len(asked) == wanted


def test_views_are_spread_evenly_over_the_back():
    azimuth = torch.tensor([180.0, -150.0, 150.0, -165.0, 165.0, -135.0, 135.0])
    assert azimuth[spread(azimuth, 1)].tolist() == [180.0]
    assert azimuth[spread(azimuth, 3)].tolist() == [150.0, 180.0, -150.0]
    assert azimuth[spread(azimuth, 9)].tolist() == [135.0, 150.0, 165.0, 180.0, -165.0, -150.0, -135.0]


def test_nothing_and_black_show_no_face(tmp_path):
    nothing = empty_views(2, view_set="back")
    for rgb in (nothing.rgb, torch.zeros_like(nothing.rgb)):
        assert _metric(tmp_path).measure(evolve(nothing, rgb=rgb), None) == {"faces_at_back_frac": 0.0}


def test_bad_pictures_are_refused(tmp_path):
    views = tiny_views(2, view_set="back")
    with pytest.raises(PsheadError, match="views' rgb that is not finite"):
        _metric(tmp_path).measure(evolve(views, rgb=views.rgb * float("nan")), None)


def test_without_an_analyzer_that_looks_for_faces_nothing_is_claimed(tmp_path):
    metric = build(MultiHeadConfig(), evolve(tiny_context(tmp_path), analyzers=()))
    with pytest.raises(PsheadError, match="no analyzer looks for faces"):
        metric.measure(tiny_views(2, view_set="back"), None)


@pytest.fixture(scope="module")
def mediapipe():
    """The analyzer of the project's own presets."""
    plugin = pytest.importorskip("pshead_analyzers_mediapipe_face")
    (spec,) = plugin.pshead_analyzers()
    return spec.build(spec.tiny())


def _seen(head, views, shown):
    """Views of a ground-truth head over white, with the pictures of others of its views in their places."""
    rgba = torch.from_numpy(head.images[shown])
    empty = torch.zeros(rgba.shape[:3])
    return Views(
        rgb=rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:],
        alpha=empty,
        depth=empty,
        cameras=head.cameras[torch.tensor(views)],
        background=torch.ones(3),
    )


@pytest.mark.parametrize("number", [0, 6])  # one head of each source
def test_mediapipe_sees_a_face_at_the_back_only_if_it_is_there(tmp_path, mediapipe, number):
    head = load_ground_truth()[number]
    azimuth = head.cameras.azimuth_deg
    back = azimuth.abs().argsort(descending=True)[:3].tolist()
    metric = build(MultiHeadConfig(), evolve(tiny_context(tmp_path), analyzers=(mediapipe,)))
    assert float(azimuth[back].abs().min()) > 150
    assert float(azimuth[0]) == 0
    assert metric.measure(_seen(head, back, back), None) == {"faces_at_back_frac": 0.0}
    assert metric.measure(_seen(head, back, [back[0], 0, back[2]]), None) == {"faces_at_back_frac": 1 / 3}
