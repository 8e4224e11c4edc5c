"""Where the recogniser looks: against insightface's own alignment, the true landmarks, and finite differences."""

import cv2
import numpy as np
import pytest
import torch
from attrs import evolve
from pshead_guidance_identity.config import IdentityConfig
from pshead_guidance_identity.find import align, find_faces, photo_matrix
from skimage.transform import SimilarityTransform

from pshead_core.api import PsheadError
from pshead_core.cameras.camera import project
from pshead_core.priors.faces import ARCFACE_112, five_points, similarity
from pshead_core.testing import tiny_portrait, tiny_views
from tests.bench.heads import portrait_of


def true_points(head, views):
    pixels, _ = project(torch.from_numpy(head.landmarks), views.cameras)
    return five_points(pixels.float())


PUBLISHED_112 = np.array(  # of ArcFace's training crops; counted from the centre of the first pixel
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def usual_alignment(five):
    """The alignment that recognisers are trained with: least-squares similarity to the five points, by scikit-image."""
    return SimilarityTransform.from_estimate(five, PUBLISHED_112).params[:2]


def insightface_alignment(five):
    face_align = pytest.importorskip("insightface.utils.face_align", reason="insightface brings a second OpenCV")
    return face_align.estimate_norm(five)


@pytest.mark.filterwarnings("ignore:.*estimate.*:FutureWarning")  # scikit-image's, about insightface's call
@pytest.mark.parametrize("reference", [usual_alignment, insightface_alignment])
def test_crop_is_the_reference_alignment(heads, front_views, reference):
    """Same points, same picture: OpenCV's warp (centres at whole pixels) shows the same face at the same place."""
    for head in heads[:3]:
        views = front_views(head)
        points = true_points(head, views)
        ours = align(views.rgb, similarity(points, ARCFACE_112), IdentityConfig(samples=1))
        for picture, five, crop in zip(views.rgb, points, ours, strict=True):
            matrix = reference(five.numpy() - 0.5)  # OpenCV counts from the centre of the first pixel
            theirs = cv2.warpAffine(picture.numpy(), matrix, (112, 112))
            mine = similarity(five[None], ARCFACE_112)[0]
            corners = torch.tensor([[0.0, 0.0], [256, 0], [0, 256], [256, 256]])
            moved = corners @ mine[:, :2].T + mine[:, 2] - 0.5
            wanted = (corners.numpy() - 0.5) @ matrix[:, :2].T + matrix[:, 2]
            assert float(np.abs(moved.numpy() - wanted).max()) < 0.05  # px, over the whole picture
            difference = ((crop + 1) / 2).permute(1, 2, 0).numpy() - theirs
            assert np.abs(difference)[2:-2, 2:-2].mean() < 2e-3  # OpenCV interpolates with 5 bits


def test_lifted_points_find_the_face(heads, front_views, reference_view):
    """The crop from the photo's landmarks and the reference depth is that of the view's true landmarks."""
    for head in heads[:4]:
        views = front_views(head)
        found = find_faces(portrait_of(head), reference_view(head), views, IdentityConfig())
        wanted = similarity(true_points(head, views), ARCFACE_112)
        assert bool(found.usable.all())
        centre = torch.tensor([128.0, 128.0, 1.0])
        moved = (found.matrix - wanted) @ centre
        assert float(moved.norm(dim=1).max()) < 1.0  # px of the crop


def test_more_samples_show_the_same_face_smoother(heads, front_views):
    views = front_views(heads[0])
    matrix = similarity(true_points(heads[0], views), ARCFACE_112)
    one, four = (align(views.rgb, matrix, IdentityConfig(samples=count)) for count in (1, 4))
    assert one.shape == four.shape == (9, 3, 112, 112)
    assert float((one - four).abs().mean()) < 0.02  # a shift by a pixel makes 0.04
    assert float((one - one.roll(1, 3)).abs().mean()) > 0.03


def test_authors_crop_is_wider_and_in_unit_range(heads, front_views, reference_view):
    head = heads[1]
    views = front_views(head)
    config = IdentityConfig(crop="ffhq")
    faces = align(views.rgb, find_faces(portrait_of(head), reference_view(head), views, config).matrix, config)
    assert faces.shape == (9, 3, 112, 112)
    assert 0 <= float(faces.min()) <= float(faces.max()) <= 1
    # between the eyes are 35 of 112 px in the one template, 126 of 512 px in the other
    assert float(photo_matrix(portrait_of(head), "ffhq")[0, 0, 0] * 112 / 512) == pytest.approx(
        float(photo_matrix(portrait_of(head), "arcface")[0, 0, 0]) * (125.9 / 512) / (35.2 / 112), rel=0.1
    )


@pytest.mark.parametrize("kind", ["arcface", "ffhq"])
def test_gradient_through_the_crop(kind):
    """Finite differences in float64, through crop, a linear recogniser and the cosine."""
    generator = torch.Generator().manual_seed(0)
    config = IdentityConfig(crop=kind)
    rgb = torch.rand(2, 4, 3, 3, dtype=torch.float64, generator=generator)
    scale = (112 if kind == "arcface" else 512) / 3  # a face of 3 px, turned a little
    turn = torch.tensor([[0.98, -0.2, 0.1], [0.2, 0.98, -0.7]], dtype=torch.float64) * scale
    embed = torch.randn(4, 3 * 112 * 112, dtype=torch.float64, generator=generator) / 112
    wanted = torch.randn(1, 4, dtype=torch.float64, generator=generator)

    def loss(pixels):
        faces = align(pixels, turn.expand(2, -1, -1), config).flatten(1)
        return 1 - torch.nn.functional.cosine_similarity(torch.tanh(faces @ embed.T), wanted)

    assert torch.autograd.gradcheck(loss, rgb.requires_grad_(), atol=1e-7)


def test_hidden_cut_off_and_tiny_faces_are_not_usable(heads, front_views, reference_view):
    head = heads[0]
    views, reference, portrait = front_views(head), reference_view(head), portrait_of(head)
    config = IdentityConfig()
    find = find_faces(portrait, reference, views, config)
    assert find.usable.tolist() == [True] * 9
    behind = evolve(views, depth=torch.ones_like(views.depth))  # a wall between camera and face
    walled = evolve(behind, alpha=torch.ones_like(views.alpha))
    assert not find_faces(portrait, reference, walled, config).usable.any()
    assert not find_faces(portrait, reference, views, evolve(config, min_face_px=200.0)).usable.any()
    empty = evolve(reference, alpha=torch.zeros_like(reference.alpha), depth=torch.zeros_like(reference.depth))
    assert not find_faces(portrait, empty, views, config).usable.any()
    one_point = evolve(portrait, landmarks_px=torch.full((478, 3), 128.0))
    assert not find_faces(one_point, reference, views, config).usable.any()
    # the camera moves aside, so that the face leaves the picture; its half width at the head is 0.91 world units
    for aside, usable in ((0.2, True), (1.05, False)):
        pose = views.cameras.T_world_camera.clone()
        pose[:, :3, 3] -= pose[:, :3, 0] * aside
        moved = evolve(views, cameras=evolve(views.cameras, T_world_camera=pose))
        assert find_faces(portrait, reference, moved, config).usable.tolist() == [usable] * 9


def test_a_portrait_without_a_face_is_refused():
    portrait = evolve(tiny_portrait(), landmarks_px=torch.zeros(0, 3))
    views = tiny_views(2, view_set="front")
    with pytest.raises(PsheadError, match="landmarks"):
        find_faces(portrait, tiny_views(1, view_set="reference"), views, IdentityConfig())
    with pytest.raises(PsheadError, match="has no size"):
        photo_matrix(evolve(tiny_portrait(), landmarks_px=torch.ones(478, 3)), "arcface")
