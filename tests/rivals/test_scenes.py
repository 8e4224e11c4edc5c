"""Rivals made of a head that is known: what comes back must be that head again, in the photo's frame."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest
import torch

from pshead_core.bench.place_views import lens_scale
from pshead_core.bench.rival_scene import place_rival, same_views, score_rival, some_views
from pshead_core.cameras.camera import orbit
from pshead_core.config.run import StartConfig
from pshead_core.errors import PsheadError
from pshead_core.evaluation.folder import FACTS, write_views
from pshead_core.evaluation.measure import MetricInUse
from pshead_core.evaluation.scene import scene_of_head
from pshead_core.gaussians.ply import write_ply
from pshead_core.gaussians.similarity import transformed
from pshead_core.gaussians.start import start_gaussians
from pshead_core.specs import Figure, MetricSpec, PluginConfig
from tests.rivals.folders import (
    CAMERAS,
    SIDE_PX,
    WHITE,
    Answers,
    numbered,
    one_rival,
    overlap,
    place,
    portrait,
    psnr_db,
    renderer,
    save,
    settings,
    truth,
    zoomed,
)

RING = 25


def true_points():
    """The photo's landmarks as parts of the side, as the fake analyzer says them."""
    points = portrait().landmarks_px.numpy().copy()
    return points / portrait().side_px


def scores(scene):
    return psnr_db(scene.novel.rgb, scene.truth.rgb), overlap(scene.novel.alpha, scene.truth.alpha)


# --- pictures


def test_the_true_pictures_score_perfectly(tmp_path):
    save(tmp_path / "s" / "head", truth().rgba, numbered(RING))
    settings(tmp_path / "s", 'align = "none"')
    placed = place(tmp_path)
    psnr, iou = scores(placed.scene)
    assert psnr > 50
    assert iou == 1.0
    assert placed.scene.outputs == {"rgb", "alpha"}
    assert len(placed.scene.novel.cameras) == RING - 1
    assert psnr_db(placed.scene.reference.rgb, placed.scene.photo.rgb) > 50


def test_views_json_scores_the_same(tmp_path):
    head = some_views(truth(), torch.tensor([0, 1, 12, 20]))
    facts = {
        "azimuth_deg": head.cameras.azimuth_deg.tolist(),
        "elevation_deg": 0.0,
        "distance": 2.0,
        "fovy_deg": 49.1,
    }
    (tmp_path / "s" / "head").mkdir(parents=True)
    write_views(tmp_path / "s" / "head", head.rgba, facts)
    settings(tmp_path / "s", 'align = "none"')
    assert json.loads((tmp_path / "s" / "head" / FACTS).read_text())["azimuth_deg"][1] == pytest.approx(14.4)
    scene = place(tmp_path).scene
    assert scores(scene)[0] > 50
    assert len(scene.novel.cameras) == 3


def test_clockwise_numbers_from_behind(tmp_path):
    """A system that begins at the back and goes the other way: its picture i stands at 180 - 15 i as ours count."""
    ours = [(180.0 - 15.0 * index) % 360.0 for index in range(24)]
    head = even(24)
    order = [round(azimuth / 15) % 24 for azimuth in ours]
    save(tmp_path / "s" / "head", head.rgba[order], numbered(24, first=1))
    settings(tmp_path / "s", 'align = "none"\nclockwise = true\nfront_deg = 180')
    psnr, iou = scores(place(tmp_path, truth_head=head).scene)
    assert psnr > 50
    assert iou == 1.0
    settings(tmp_path / "s", 'align = "none"\nfront_deg = 180')
    assert scores(place(tmp_path, truth_head=head).scene)[0] < 30


@functools.cache
def even(views):
    """A head of painted boxes on an even ring: a trunk, and a knob that sticks out to one side and to the front."""
    azimuth = torch.arange(views) * (360.0 / views)
    cameras = orbit(azimuth, torch.zeros(views), distance=2.0, fovy_deg=49.1, side_px=SIDE_PX)
    rgba = np.zeros((views, SIDE_PX, SIDE_PX, 4), np.uint8)
    for index, degrees in enumerate(azimuth.tolist()):
        ear = SIDE_PX / 2 + 18 * np.cos(np.deg2rad(degrees - 30))
        rgba[index, 16:48, 22:42] = (200, 150, 120 + int(100 * np.cos(np.deg2rad(degrees / 2)) ** 2), 255)
        rgba[index, 28:36, int(ear) - 4 : int(ear) + 4] = (40, 60, 200, 255)
    from attrs import evolve

    return evolve(truth(), rgba=rgba, cameras=cameras)


def test_azimuths_in_names_find_their_true_views(tmp_path):
    picked = [0, 3, 6, 19, 22]
    azimuths = truth().cameras.azimuth_deg[picked].tolist()
    names = [f"azimuth_{azimuth + 0.4:.1f}" for azimuth in azimuths]
    save(tmp_path / "s" / "head", truth().rgba[picked], names)
    settings(tmp_path / "s", 'align = "none"')
    scene = place(tmp_path).scene
    assert scores(scene)[0] > 50
    expected = [azimuth for index, azimuth in enumerate(truth().cameras.azimuth_deg.tolist()) if index in picked[1:]]
    assert scene.novel.cameras.azimuth_deg.tolist() == pytest.approx(expected)


def test_pictures_without_truth_keep_their_own_azimuths(tmp_path):
    save(tmp_path / "s" / "head", truth().rgba[:2], ["az_0", "az_-17"])
    settings(tmp_path / "s", 'align = "none"\nelevation_deg = 5.0')
    scene = place_rival(one_rival(tmp_path), portrait(), None, CAMERAS, WHITE, renderer(), (), SIDE_PX).scene
    assert scene.truth is None
    assert scene.novel.cameras.azimuth_deg.tolist() == [-17.0]
    assert scene.novel.cameras.elevation_deg.tolist() == [5.0]


def test_pictures_without_transparency_say_nothing_about_alpha(tmp_path):
    views = truth().over(WHITE)[0].mul(255).round().byte().numpy()
    rgba = np.concatenate([views, np.full_like(views[..., :1], 255)], -1)
    save(tmp_path / "s" / "head", rgba, numbered(RING), mode="RGB")
    settings(tmp_path / "s", 'align = "none"')
    scene = place(tmp_path).scene
    assert scene.outputs == {"rgb"}
    assert psnr_db(scene.novel.rgb, scene.truth.rgb) > 50
    settings(tmp_path / "s", 'align = "silhouette"')
    with pytest.raises(PsheadError, match="no outline"):
        place(tmp_path)


@functools.cache
def smaller():
    """The true pictures at 0.9 of their size, and beside their place."""
    return zoomed(truth().rgba, 0.9, 9.0, -7.0, truth().cameras.azimuth_deg.numpy())


def moved_points():
    side = truth().rgba.shape[1]
    points = true_points()
    points[:, :2] = 0.9 * (points[:, :2] - 0.5) + 0.5 + np.array([9.0, -7.0]) / side
    return points


def test_landmarks_bring_smaller_pictures_back(tmp_path):
    save(tmp_path / "s" / "head", smaller(), numbered(RING))
    settings(tmp_path / "s", 'align = "none"')
    before = scores(place(tmp_path).scene)
    settings(tmp_path / "s", "")
    placed = place(tmp_path, [Answers(moved_points(), true_points())])
    after = scores(placed.scene)
    assert placed.alignment.scale == pytest.approx(1 / 0.9, rel=1e-5)
    assert placed.alignment.residual == pytest.approx(0.0, abs=1e-5)
    assert before[0] < 25
    assert before[1] < 0.9
    # what the smaller picture lost below and in detail does not come back
    assert after[0] > 38
    assert after[1] > 0.985


def test_a_real_detector_brings_smaller_pictures_back(tmp_path):
    mediapipe = pytest.importorskip("pshead_analyzers_mediapipe_face.analyzer")
    from pshead_analyzers_mediapipe_face.config import MediapipeFaceConfig

    picked = [0, 2, 8, 12, 20]
    names = [f"az_{azimuth:.1f}" for azimuth in truth().cameras.azimuth_deg[picked].tolist()]
    save(tmp_path / "s" / "head", smaller()[picked], names)
    placed = place(tmp_path, [mediapipe.MediapipeFace(MediapipeFaceConfig(matte=False))])
    assert placed.alignment.scale == pytest.approx(1 / 0.9, rel=0.01)
    assert placed.alignment.residual < 0.02
    assert scores(placed.scene)[0] > 33


def test_outlines_bring_smaller_pictures_back(tmp_path):
    save(tmp_path / "s" / "head", smaller(), numbered(RING))
    settings(tmp_path / "s", 'align = "silhouette"')
    placed = place(tmp_path)
    assert placed.alignment.scale == pytest.approx(1 / 0.9, rel=0.02)
    assert scores(placed.scene)[0] > 29
    assert scores(placed.scene)[1] > 0.97


def test_another_lens_is_put_right(tmp_path):
    """Of a lens with half the tangent and the same distance, pictures show everything twice as large."""
    fovy = 2 * np.rad2deg(np.arctan(np.tan(np.deg2rad(49.1 / 2)) / 0.9))
    save(tmp_path / "s" / "head", zoomed(truth().rgba, 0.9, 0, 0, np.zeros(RING)), numbered(RING))
    settings(tmp_path / "s", f'align = "none"\nfovy_deg = {fovy}')
    placed = place(tmp_path)
    assert placed.alignment.scale == pytest.approx(1 / 0.9)
    assert scores(placed.scene)[0] > 38
    assert lens_scale(truth(), CAMERAS) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('align = "none"\nfront_deg = 5', ("no view from the front", "-5°")),
        ('align = "none"\nelevation_deg = 20', ("no novel view", "azimuth and elevation")),
        ("", ("no face is found", "silhouette")),
    ],
)
def test_pictures_that_cannot_be_compared_say_why(tmp_path, toml, words):
    save(tmp_path / "s" / "head", truth().rgba, numbered(RING))
    settings(tmp_path / "s", toml)
    with pytest.raises(PsheadError) as caught:
        place(tmp_path, [Answers(None)])
    for word in words:
        assert word in str(caught.value)


def test_views_are_matched_round_the_circle():
    head = truth()
    ours, theirs = same_views(head, some_views(head, torch.tensor([24, 0, 13])))
    assert ours.tolist() == [13, 24]
    assert theirs.tolist() == [2, 0]


# --- Gaussians


@functools.cache
def head():
    return start_gaussians(StartConfig(gaussians=6000), portrait(), CAMERAS, torch.Generator().manual_seed(0)).model


@functools.cache
def scene_of_the_head():
    return scene_of_head(head(), renderer(), CAMERAS, WHITE, portrait=portrait(), truth=few(), side_px=SIDE_PX)


def expected():
    return scores(scene_of_the_head())


def seen_from_the_front(scene):
    return overlap(scene.reference.alpha, scene.photo.alpha)


@functools.cache
def few():
    """The truth with some of its views: rendering takes time."""
    return some_views(truth(), torch.tensor([0, 3, 6, 12, 19, 22]))


def write(folder, model):
    (folder / "s" / "head").mkdir(parents=True)
    write_ply(model, folder / "s" / "head" / "out.ply")


@pytest.fixture(scope="module")
def mediapipe():
    module = pytest.importorskip("pshead_analyzers_mediapipe_face.analyzer")
    from pshead_analyzers_mediapipe_face.config import MediapipeFaceConfig

    return module.MediapipeFace(MediapipeFaceConfig(matte=False))


def test_a_ply_in_our_frame_is_the_head_itself(tmp_path):
    write(tmp_path, head())
    settings(tmp_path / "s", 'align = "none"')
    placed = place(tmp_path, truth_head=few())
    assert scores(placed.scene) == pytest.approx(expected(), abs=1e-4)
    assert placed.scene.outputs == {"rgb", "alpha", "depth"}


def test_a_ply_of_other_axes_size_and_place_is_brought_back(tmp_path, mediapipe):
    """The file has z up and the face along -y, is three times as large, and stands elsewhere, in depth too."""
    # `write_ply` turns its model's (x, y, z) to (x, -y, -z): this model's numbers are (x, -z, y) of the file's wish
    into_file = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # x, -z, y of the world
    before_writing = torch.diag(torch.tensor([1.0, -1.0, -1.0])) @ into_file
    other = transformed(head(), rotation=before_writing, scale=3.0, shift=(0.4, -0.5, 0.8))
    write(tmp_path, other)
    settings(tmp_path / "s", 'up = "+z"\nfront = "-y"')
    placed = place(tmp_path, [mediapipe], truth_head=few())
    assert placed.alignment.scale == pytest.approx(1 / 3, rel=0.03)
    assert placed.alignment.residual < 0.02
    psnr, iou = scores(placed.scene)
    assert psnr > expected()[0] - 0.3
    assert iou > expected()[1] - 0.02
    assert seen_from_the_front(placed.scene) > seen_from_the_front(scene_of_the_head()) - 0.01


def test_a_ply_keeps_its_own_axis_where_that_is_wanted(tmp_path, mediapipe):
    write(tmp_path, transformed(head(), scale=0.5, shift=(0.05, 0.1, 0.0)))
    settings(tmp_path / "s", 'depth = "own"')
    placed = place(tmp_path, [mediapipe], truth_head=few())
    assert placed.alignment.scale == pytest.approx(2.0, rel=0.02)
    assert scores(placed.scene)[0] > expected()[0] - 0.3


def test_a_ply_is_brought_back_by_its_outline(tmp_path):
    """The same head in two sizes and places comes to the same: what its own outline, a little fat, fits best."""
    write(tmp_path / "far", transformed(head(), scale=1.4, shift=(0.2, -0.3, 0.0)))
    write(tmp_path / "here", head())
    found = []
    for name in ("far", "here"):
        settings(tmp_path / name / "s", 'align = "silhouette"')
        found.append(place(tmp_path / name, truth_head=few()))
    far, here = found
    assert far.alignment.scale * 1.4 == pytest.approx(here.alignment.scale, rel=0.01)
    assert here.alignment.scale == pytest.approx(1.0, rel=0.05)
    for placed in found:
        assert scores(placed.scene)[0] > expected()[0] - 0.1
        assert seen_from_the_front(placed.scene) > seen_from_the_front(scene_of_the_head())


# --- what cannot be measured


class Difference:
    def measure(self, views, reference):
        return {"difference": float((views.rgb - reference.rgb).abs().mean())}


def a_metric(missing=""):
    spec = MetricSpec(
        name="difference",
        summary="mean absolute difference",
        config=PluginConfig,
        build=lambda config, context: Difference(),
        tiny=PluginConfig,
        figures=(Figure(name="difference", summary="", best=0.0, range=(0.0, 1.0)),),
    )
    return MetricInUse(name="difference", spec=spec, metric=None if missing else Difference(), missing=missing)


def score(folder, analyzers=()):
    return score_rival(
        one_rival(folder), [a_metric()], portrait(), few(), CAMERAS, WHITE, renderer(), analyzers, SIDE_PX
    )


def test_an_unreadable_ply_is_missing_with_the_reason(tmp_path):
    (tmp_path / "s" / "head").mkdir(parents=True)
    (tmp_path / "s" / "head" / "out.ply").write_bytes(b"ply\nnonsense")
    scored = score(tmp_path)
    assert scored.placed is None
    assert [one.key for one in scored.measured] == ["reference.difference", "novel.difference"]
    assert all(one.value is None and "not a whole PLY file" in one.missing for one in scored.measured)


def test_a_faceless_head_is_missing_with_the_reason(tmp_path):
    write(tmp_path, head())
    scored = score(tmp_path, [Answers(true_points(), None, None, None, None, None)])
    assert scored.placed is None
    assert "no face is found" in scored.missing
    assert all("no face is found" in one.missing for one in scored.measured)


def test_an_unreadable_picture_is_missing_and_good_ones_are_measured(tmp_path):
    save(tmp_path / "s" / "head", truth().rgba, numbered(RING))
    settings(tmp_path / "s", 'align = "none"')
    scored = score(tmp_path)
    assert scored.missing == ""
    assert all(one.value is not None and one.value < 1e-6 for one in scored.measured)
    (tmp_path / "s" / "head" / "003.png").write_bytes(b"\x89PNG nonsense")
    assert "003.png" in score(tmp_path).missing


def test_the_scene_alone(tmp_path):
    save(tmp_path / "s" / "head", truth().rgba, numbered(RING))
    settings(tmp_path / "s", 'align = "none"')
    scene = place_rival(one_rival(tmp_path), portrait(), few(), CAMERAS, WHITE, renderer(), (), SIDE_PX).scene
    assert len(scene.novel.cameras) == len(few().cameras) - 1
