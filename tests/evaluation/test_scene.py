"""What the metrics are shown: the right views, beside what they should be."""

import numpy as np
import pytest
import torch
from attrs import evolve

from pshead_core.cameras.camera import project
from pshead_core.cameras.sampler import even_ring, reference_camera
from pshead_core.config.run import CameraConfig
from pshead_core.errors import PsheadError
from pshead_core.evaluation.folder import TrueHead
from pshead_core.evaluation.scene import novel_cameras, portrait_of, reduced, scene_of_views, true_views
from pshead_core.render.reference import ReferenceRenderer
from pshead_core.testing import tiny_portrait
from tests.evaluation.conftest import SIDE_PX
from training.ground_truth import load_ground_truth


def test_without_a_truth_the_ring_is_shown_but_for_the_photos_own_view(make_scene, model):
    scene = make_scene(with_truth=False)
    ring = even_ring(CameraConfig(), 9, SIDE_PX)
    torch.testing.assert_close(scene.novel.cameras.azimuth_deg, ring.azimuth_deg[1:])
    drawn = ReferenceRenderer().render(model, ring[3:4], torch.ones(3))
    torch.testing.assert_close(scene.novel.rgb[2], drawn.rgb[0].clamp(0, 1))
    assert scene.truth is None
    assert not scene.truth_outputs


def test_true_views_are_those_of_the_same_cameras(make_scene, truth):
    scene = make_scene()
    torch.testing.assert_close(scene.novel.cameras.azimuth_deg, truth.cameras.azimuth_deg[1:])
    assert scene.novel.cameras.height_px == SIDE_PX
    view = truth.rgba[2].astype(np.float64) / 255  # composited, then the mean of each block of four pixels
    over = view[..., :3] * view[..., 3:] + 1 - view[..., 3:]
    expected = over.reshape(SIDE_PX, 2, SIDE_PX, 2, 3).mean((1, 3))
    np.testing.assert_allclose(scene.truth.rgb[1].numpy(), expected, atol=1e-6)
    assert scene.truth_outputs == {"rgb", "alpha"}


def test_pictures_without_transparency_say_nothing_of_the_silhouette(make_scene, truth):
    scene = make_scene()
    plain = scene_of_views(
        scene.novel, scene.reference, scene.outputs, portrait=None, truth=evolve(truth, has_alpha=False)
    )
    assert plain.truth_outputs == {"rgb"}
    assert plain.photo is None


def test_the_photo_shows_the_head_where_its_frame_lies_outside(make_scene):
    portrait = tiny_portrait(SIDE_PX)
    outside = torch.zeros(SIDE_PX, SIDE_PX, dtype=torch.bool)
    outside[20:] = True
    scene = make_scene(portrait=evolve(portrait, photo_inside=~outside))
    torch.testing.assert_close(scene.photo.rgb[0, 20:], scene.reference.rgb[0, 20:])
    rgba = portrait.rgba
    over = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
    torch.testing.assert_close(scene.photo.rgb[0, :20], over[:20])


def test_views_are_never_larger_than_the_truth(make_scene, truth):
    scene = make_scene()
    with pytest.raises(PsheadError, match="64 px, the head's 128 px"):
        true_views(truth, evolve(scene.novel, cameras=scene.novel.cameras.resized(128, 128)))


def test_a_truth_of_the_front_alone_is_refused(truth):
    with pytest.raises(PsheadError, match="no novel view"):
        novel_cameras(evolve(truth, cameras=truth.cameras[:1]), CameraConfig(), SIDE_PX)


def test_reduction_is_by_areas_and_enlarging_keeps_a_constant():
    picture = torch.arange(16.0).reshape(1, 4, 4, 1)
    expected = torch.tensor([[2.5, 4.5], [10.5, 12.5]]).reshape(1, 2, 2, 1)
    torch.testing.assert_close(reduced(picture, 2), expected)
    assert torch.equal(reduced(torch.full((1, 4, 4, 1), 0.25), 8), torch.full((1, 8, 8, 1), 0.25))


def test_a_true_head_stands_for_its_photo():
    head = load_ground_truth()[0]
    true = TrueHead(
        name="one", rgba=head.rgba, has_alpha=True, cameras=head.cameras, caption="a", landmarks=head.landmarks
    )
    portrait = portrait_of(true)
    pixels, depth = project(torch.from_numpy(head.landmarks), reference_camera(CameraConfig(), 256))
    torch.testing.assert_close(portrait.landmarks_px[:, :2], pixels[0].float(), atol=1e-3, rtol=0)
    assert torch.equal(portrait.rgba, torch.from_numpy(head.images[0]))
    nearest = int(depth[0].argmin())
    assert int(portrait.landmarks_px[:, 2].argmin()) == nearest
    with pytest.raises(PsheadError, match="cannot stand for a photo"):
        portrait_of(evolve(true, landmarks=None))
