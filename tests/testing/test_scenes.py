"""The tiny scenes obey the conventions that real ones obey."""

import numpy as np
import pytest
import torch

from pshead_core.cameras.camera import project, unproject
from pshead_core.errors import PluginContractError
from pshead_core.portrait.facts import LANDMARKS
from pshead_core.priors.detect import faces_in
from pshead_core.testing import (
    empty_views,
    guard,
    tiny_context,
    tiny_model,
    tiny_photo,
    tiny_portrait,
    tiny_step,
    tiny_views,
)
from pshead_core.testing.scenes import KNOWN_LANDMARKS, RADII


def test_depth_lies_on_the_ellipsoid():
    views = tiny_views(5, side_px=48)
    side = 48
    y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    pixels = torch.stack([x, y], -1).reshape(1, -1, 2).expand(5, -1, -1)
    points = unproject(pixels, views.depth.reshape(5, -1), views.cameras)
    hit = views.depth.reshape(5, -1) > 0
    radius = (points / torch.tensor(RADII)).norm(dim=-1)[hit]
    torch.testing.assert_close(radius, torch.ones_like(radius), atol=1e-4, rtol=0)
    assert 0.1 < hit.float().mean() < 0.5


def test_nose_points_to_the_pictures_left_at_plus_90():
    """From +x the face (skin, bright) is on the picture's left and the hair on its right."""
    views = tiny_views(72, side_px=32)
    at_90 = int((views.cameras.azimuth_deg - 90).abs().argmin())
    brightness = views.rgb[at_90].mean(-1).masked_fill(views.depth[at_90] == 0, float("nan"))
    assert brightness[14:20, :16].nanmean() > brightness[14:20, 16:].nanmean() + 0.2


def test_landmarks_project_onto_the_portrait():
    portrait = tiny_portrait(64)
    assert tuple(portrait.landmarks_px.shape) == (LANDMARKS, 3)
    column, row = portrait.landmarks_px[:, 0].long(), portrait.landmarks_px[:, 1].long()
    assert (portrait.rgba[row, column, 3] > 0).float().mean() > 0.97
    forehead, chin, right_eye, left_eye, nose = (portrait.landmarks_px[i] for i in (10, 152, 33, 263, 1))
    assert forehead[1] < left_eye[1] < nose[1] < chin[1]
    assert right_eye[0] < left_eye[0]  # the subject's right eye is on the picture's left
    assert nose[2] < min(left_eye[2], right_eye[2])  # nearer is smaller
    assert set(KNOWN_LANDMARKS) <= set(range(LANDMARKS))


def test_model_lies_where_the_views_show_it():
    model, views = tiny_model(), tiny_views(1, side_px=64, view_set="reference")
    pixels, depth = project(model.means, views.cameras)
    front = depth[0] < 1.9
    column, row = pixels[0, front].long().unbind(-1)
    assert (views.alpha[0, row, column] > 0).all()


@pytest.mark.parametrize("view_set", ["ring", "front", "side", "back", "back_and_side", "reference"])
def test_every_view_set_has_views(view_set):
    views = tiny_views(3, side_px=8, view_set=view_set)
    assert tuple(views.rgb.shape) == (3, 8, 8, 3)
    assert views.rgb.dtype == torch.float32
    if view_set != "reference":
        assert len(set(views.cameras.azimuth_deg.tolist())) == 3


def test_empty_views_show_only_the_background():
    views = empty_views(2, side_px=8)
    assert float(views.alpha.max()) == 0
    assert torch.equal(views.rgb, views.background.expand_as(views.rgb))


def test_photo_has_the_asked_size():
    photo = tiny_photo(40, 60)
    assert photo.rgb.shape == (40, 60, 3)
    assert photo.rgb.dtype == np.uint8
    assert photo.rgb[20, 30].tolist() != [128, 128, 128]


def test_equal_steps_draw_equal_numbers():
    one, same, later = (torch.randn(3, generator=tiny_step(i).generator) for i in (2, 2, 3))
    assert torch.equal(one, same)
    assert not torch.equal(one, later)


def test_guarded_views_raise_on_what_was_not_asked_for():
    views = guard(tiny_views(1, side_px=8), {"rgb"}, "mine")
    assert views.rgb.shape == (1, 8, 8, 3)
    assert len(views.cameras) == 1
    assert views.background.shape == (3,)
    with pytest.raises(PluginContractError, match=r"'mine' read views.depth"):
        _ = views.depth


@pytest.mark.parametrize("side_px", [32, 112, 256])
def test_the_analyzer_of_the_context_finds_the_face_in_front_only(tmp_path, side_px):
    analyzers = tiny_context(tmp_path).analyzers
    front = tiny_views(1, side_px=side_px, view_set="reference")
    ((found,),) = faces_in(front.rgb, analyzers)
    wanted = tiny_portrait(side_px).landmarks_px
    assert float((found - wanted)[:, :2].abs().max()) < 1.0
    for view_set, faces in (("front", 1), ("back", 0)):
        views = tiny_views(2, side_px=side_px, view_set=view_set)  # of the front, 20 degrees to each side
        assert [len(each) for each in faces_in(views.rgb, analyzers)] == [faces, faces]
    assert faces_in(empty_views(1, side_px=side_px).rgb, analyzers) == [[]]
