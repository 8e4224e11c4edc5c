"""Alignment against skimage, insightface and OpenCV; crop and paste against closed forms and autograd's own check."""

import math
import warnings

import numpy as np
import pytest
import torch

from pshead_core.errors import PsheadError
from pshead_core.priors.faces import (
    ARCFACE_112,
    FFHQ_512,
    crop,
    five_points,
    inside_frac,
    paste,
    scale_of,
    similarity,
    soft_mask,
)
from pshead_core.testing import tiny_portrait

# A face about 60 px wide, turned by 12 degrees, in the corner of a view: eyes, nose tip, mouth corners
FACE = torch.tensor([[50.3, 61.7], [83.9, 68.2], [64.0, 84.1], [46.8, 98.9], [74.4, 104.6]])


def smooth(side_px=160, views=1, seed=0):
    """Return pictures without fine detail, so that kinds of interpolation differ little: `[view, side, side, 3]`."""
    noise = torch.rand(views, 3, 9, 9, generator=torch.Generator().manual_seed(seed))
    up = torch.nn.functional.interpolate(noise, size=(side_px, side_px), mode="bicubic", align_corners=False)
    return up.clamp(0, 1).permute(0, 2, 3, 1).contiguous()


def turned(scale, angle_deg, shift):
    """Return a similarity `[1, 2, 3]`."""
    a, b = scale * math.cos(math.radians(angle_deg)), scale * math.sin(math.radians(angle_deg))
    return torch.tensor([[[a, -b, shift[0]], [b, a, shift[1]]]])


def old_centres(matrix):
    """Return a matrix `[1, 2, 3]` for pixel centres at whole numbers, as OpenCV and insightface have them."""
    out = matrix.clone()
    out[..., 2] += (matrix[..., :2].sum(-1) - 1) * 0.5
    return out[0].double().numpy()


# --- points


def test_five_points_are_those_of_the_face_seen_from_the_front():
    points = five_points(tiny_portrait(128).landmarks_px[None])[0]
    left_eye, right_eye, nose, left_mouth, right_mouth = points
    assert points.shape == (5, 2)
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_eyes_are_irises_or_the_middle_of_the_corners():
    marks = torch.zeros(2, 478, 3)
    marks[:, 468], marks[:, 473] = torch.tensor([4.0, 5.0, 9.0]), torch.tensor([8.0, 5.0, 9.0])
    marks[1, 33, :2], marks[1, 133, :2] = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 6.0])
    assert five_points(marks)[1, :2].tolist() == [[4, 5], [8, 5]]
    assert five_points(marks, "corners")[1, 0].tolist() == [2, 4]


@pytest.mark.parametrize("shape", [(478, 2), (1, 468, 3)])
def test_landmarks_of_another_shape_are_refused(shape):
    with pytest.raises(PsheadError, match="478"):
        five_points(torch.zeros(shape))


# --- similarity


def test_similarity_finds_the_motion_that_made_the_points():
    matrix = turned(1.7, -25, (30, -12))
    moved = FFHQ_512 @ matrix[0, :, :2].T + matrix[0, :, 2]
    found = similarity(FFHQ_512[None], moved)
    torch.testing.assert_close(found, matrix, atol=1e-3, rtol=1e-5)
    assert float(scale_of(found)[0]) == pytest.approx(1.7, rel=1e-5)


@pytest.mark.parametrize("template", [FFHQ_512, ARCFACE_112])
def test_similarity_is_umeyamas(template):
    from skimage.transform import SimilarityTransform

    generator = torch.Generator().manual_seed(1)
    faces = FACE + 6 * torch.randn(4, 5, 2, generator=generator)
    faces[3] = faces[3] * torch.tensor([-1.0, 1.0])  # best matched by a reflection, which is not allowed
    found = similarity(faces.double(), template)
    for face, matrix in zip(faces, found, strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of newer versions: another spelling is preferred
            wanted = SimilarityTransform()
            assert wanted.estimate(face.double().numpy(), template.double().numpy())
        np.testing.assert_allclose(matrix.numpy(), wanted.params[:2], atol=1e-6)


def test_similarity_is_differentiable():
    source = FACE[None].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda points: similarity(points, ARCFACE_112.double()), source)


def test_aligned_crop_equals_insightfaces():
    """The same picture and the same five points: insightface's alignment, to far less than a pixel at 112."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own imports
        face_align = pytest.importorskip("insightface.utils.face_align")
        picture = (smooth()[0] * 255).round()
        points = (FACE - 0.5).numpy()  # whole-number centres
        wanted_matrix = face_align.estimate_norm(points)
        wanted = face_align.norm_crop(picture.numpy().astype(np.uint8), points)
    matrix = similarity(FACE[None], ARCFACE_112)
    corners = np.array([[20.0, 30.0, 1], [120.0, 30.0, 1], [120.0, 140.0, 1]])
    np.testing.assert_allclose(corners @ old_centres(matrix).T, corners @ wanted_matrix.T, atol=1e-3)  # px
    found = crop(picture[None], matrix, 112)[0].numpy()
    assert float(np.abs(found - wanted).max()) <= 2.0, "of 255: OpenCV rounds positions to 1/32 px"
    shifted = crop(picture[None], matrix + torch.tensor([[0, 0, 0.5], [0, 0, 0.5]]), 112)[0].numpy()
    assert float(np.abs(shifted - wanted).max()) > 3.0, "half a pixel would show"


# --- crop


@pytest.mark.parametrize(("scale", "angle_deg", "shift"), [(2.5, 12, (-60, -90)), (0.8, -40, (20, 70)), (1, 0, (9, 3))])
def test_crop_equals_opencvs_warp(scale, angle_deg, shift):
    cv2 = pytest.importorskip("cv2")
    picture, matrix = smooth(96), turned(scale, angle_deg, shift)
    wanted = cv2.warpAffine(picture[0].numpy(), old_centres(matrix), (128, 128), flags=cv2.INTER_LINEAR)
    found = crop(picture, matrix, 128)[0].numpy()
    assert float(np.abs(found - wanted).mean()) < 1e-3
    assert np.quantile(np.abs(found - wanted), 0.99) < 0.01


def test_crop_of_whole_pixels_is_slicing():
    picture = smooth(24, views=2)
    matrix = turned(1, 0, (-5, -7)).expand(2, -1, -1)
    torch.testing.assert_close(crop(picture, matrix, 10), picture[:, 7:17, 5:15], atol=1e-5, rtol=0)


def test_crop_is_zero_outside():
    found = crop(torch.ones(1, 8, 8, 3), turned(1, 0, (4, 0)), 8)
    assert float(found[:, :, :4].abs().max()) == 0
    torch.testing.assert_close(found[:, :, 4:], torch.ones(1, 8, 4, 3))


def test_crop_is_differentiable():
    picture = torch.rand(1, 7, 6, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda rgb: crop(rgb, turned(1.3, 20, (0.7, -1.1)).double(), 5), picture)


# --- paste


def test_unchanged_crops_change_nothing():
    """Identity network, any similarity: the views come back exactly, although resampling there and back loses much."""
    views = torch.rand(2, 40, 48, 3, generator=torch.Generator().manual_seed(0))
    matrix = torch.cat([turned(2.7, 12, (-30, -20)), turned(0.6, -50, (5, 30))])
    crops = crop(views, matrix, 64)
    found, weight = paste(views, crops, matrix, soft_mask(64))
    assert float((found - views).abs().max()) <= 1e-6
    assert float(weight.max()) > 0.99
    there_and_back = crop(crops, old_inverse(matrix), 40)[:, :, :40]
    assert float((there_and_back - views[:, :, :40]).abs()[weight[:, :, :40] > 0.9].max()) > 0.1, "the naive way loses"


def old_inverse(matrix):
    full = torch.cat([matrix, torch.tensor([[[0.0, 0.0, 1.0]]]).expand(len(matrix), -1, -1)], 1)
    return torch.linalg.inv(full)[:, :2]


def test_a_known_picture_is_pasted_where_it_belongs():
    """Crops of another picture: inside the mask the view becomes that picture, outside it stays."""
    view, wanted = smooth(96, seed=1), smooth(96, seed=2)
    matrix = turned(2.0, 15, (-40, -30))
    found, weight = paste(view, crop(wanted, matrix, 128), matrix, soft_mask(128))
    assert float((found - wanted)[weight > 0.999].abs().max()) < 0.02
    assert torch.equal(found[weight == 0], view[weight == 0])
    torch.testing.assert_close(found, view + weight[..., None] * (wanted - view), atol=0.02, rtol=0)


def test_mask_is_moved_by_the_inverse():
    """A mask with one bright disc: its centre of mass lands where the matrix says."""
    y, x = torch.meshgrid(torch.arange(64) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    mask = torch.exp(-((x - 20) ** 2 + (y - 40) ** 2) / 18)
    matrix = turned(1.5, 30, (-10, -20))
    _, weight = paste(torch.zeros(1, 64, 64, 3), torch.zeros(1, 64, 64, 3), matrix, mask)
    centre = torch.stack([(weight[0] * x).sum(), (weight[0] * y).sum()]) / weight.sum()
    torch.testing.assert_close(
        matrix[0, :, :2] @ centre + matrix[0, :, 2], torch.tensor([20.0, 40.0]), atol=0.05, rtol=0
    )


def test_detail_beyond_the_view_is_averaged_away():
    """A crop four times as fine: stripes of one pixel become grey, and do not alias."""
    stripes = (torch.arange(128) % 2).float().expand(1, 128, 128)[..., None].expand(-1, -1, -1, 3)
    view = torch.zeros(1, 32, 32, 3)
    found, weight = paste(view, stripes, turned(4.0, 0, (0, 0)), torch.ones(128, 128))
    torch.testing.assert_close(found[:, 1:-1, 1:-1], torch.full((1, 30, 30, 3), 0.5), atol=1e-4, rtol=0)
    assert float(weight[:, 1:-1, 1:-1].min()) == pytest.approx(1)


def test_paste_is_differentiable():
    view = torch.rand(1, 6, 6, 1, dtype=torch.float64, requires_grad=True)
    crops = torch.rand(1, 8, 8, 1, dtype=torch.float64, requires_grad=True)
    matrix, mask = turned(1.4, 20, (-1, -1)).double(), soft_mask(8).double()
    assert torch.autograd.gradcheck(lambda *given: paste(*given, matrix, mask), (view, crops))


def test_no_views_are_no_error():
    found, weight = paste(torch.zeros(0, 8, 8, 3), torch.zeros(0, 4, 4, 3), torch.zeros(0, 2, 3), soft_mask(4))
    assert found.shape == (0, 8, 8, 3)
    assert weight.shape == (0, 8, 8)


# --- masks


def test_soft_mask_is_one_inside_and_nearly_zero_at_the_border():
    mask = soft_mask(65)
    assert float(mask[32, 32]) == 1
    assert float(mask[[0, -1]].max()) < 0.01
    torch.testing.assert_close(mask, mask.T)
    torch.testing.assert_close(mask, mask.flip(0))
    assert float((mask[1:] - mask[:-1]).abs().max()) < 0.2


def test_inside_frac_of_half_a_crop():
    whole = inside_frac(turned(1, 0, (-10, -10)), torch.ones(20, 20), 40, 40)
    half = inside_frac(turned(1, 0, (10, -10)), torch.ones(20, 20), 40, 40)
    assert float(whole[0]) == 1
    assert float(half[0]) == pytest.approx(0.5)
