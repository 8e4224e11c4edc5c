"""The matte of a real photo, and the portrait that core makes of it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pshead_analyzers_mediapipe_face.crop import Crop
from pshead_analyzers_mediapipe_face.guided import SMOOTHNESS, GuidedFilter, sharpened
from scipy import ndimage

# Pixels of the astronaut, read off the picture by eye.
PERSON = {
    "hair, top": (230, 30),
    "hair, left": (165, 75),
    "hair, right": (290, 80),
    "right ear": (184, 130),
    "cheek": (200, 140),
    "neck": (225, 195),
    "collar ring, left": (128, 195),
    "collar ring, right": (290, 222),
    "suit": (150, 300),
    "patch": (170, 390),
}
BACKGROUND = {
    "wall, left of the hair": (135, 60),
    "wall, right of the hair": (320, 60),
    "wall, below the left ear": (165, 150),
    "wall, below the right ear": (290, 160),
    "flag": (40, 100),
    "flag, lower": (20, 200),
    "shuttle, tank": (415, 60),
    "shuttle, orbiter": (395, 160),
}


@pytest.mark.parametrize("name", PERSON)
def test_person(facts, name: str):
    x, y = PERSON[name]
    assert facts.matte[y, x] > 0.95


@pytest.mark.parametrize("name", BACKGROUND)
def test_background(facts, name: str):
    x, y = BACKGROUND[name]
    assert facts.matte[y, x] < 0.05


def test_matte_is_a_matte(facts):
    assert facts.matte.shape == (512, 512)
    assert facts.matte.dtype == np.float32
    assert facts.matte.min() >= 0
    assert facts.matte.max() <= 1


def test_portrait_is_one_solid_person(portrait):
    alpha = portrait.rgba[..., 3].numpy()
    solid = alpha >= 0.5
    assert ndimage.label(solid)[1] == 1
    np.testing.assert_array_equal(ndimage.binary_fill_holes(solid), solid)
    # The soft rim is thin: a few per cent of the person's pixels.
    assert ((alpha > 0.05) & (alpha < 0.95)).sum() < 0.04 * solid.sum()
    deep = ndimage.binary_erosion(solid, iterations=12)
    assert alpha[deep].min() == 1


def test_edges_lie_on_the_edges_of_the_photo(portrait, astronaut: Image.Image):
    """Along the silhouette of the head the photo's own colours change: that is where the matte must end."""
    alpha = portrait.rgba[:300, :, 3].numpy()
    scale, x, y = (float(portrait.photo_to_frame[i, j]) for i, j in ((0, 0), (0, 2), (1, 2)))
    frame = astronaut.transform(
        (512, 512), Image.Transform.AFFINE, (1 / scale, 0, -x / scale, 0, 1 / scale, -y / scale)
    )
    grey = np.asarray(frame, dtype=np.float32).mean(-1)[:300]
    change = ndimage.gaussian_gradient_magnitude(grey, 1.0)
    outline = (alpha >= 0.5) ^ ndimage.binary_erosion(alpha >= 0.5)
    outline[-2:] = False
    beside = ndimage.distance_transform_edt(~outline)
    near = change[beside <= 1].mean()
    assert near > 2.0 * change[(beside > 4) & (beside < 9)].mean()


def test_no_background_colour_in_the_rim(portrait):
    """The wall is much brighter than hair and suit: rim pixels must look like the pixels further in."""
    rgba = portrait.rgba.numpy()[:200]  # the hair
    alpha, grey = rgba[..., 3], rgba[..., :3].mean(-1)
    rim = (alpha > 0.1) & (alpha < 0.9)
    depth = ndimage.distance_transform_edt(alpha >= 0.5)
    hair = (depth > 5) & (depth < 12)
    assert abs(grey[rim].mean() - grey[hair].mean()) < 0.08


@pytest.mark.parametrize(
    "box", [(150, 0, 290, 190), (120, 0, 330, 215), (60, 0, 420, 300)], ids=["head", "neck", "bust"]
)
def test_crops_give_the_same_portrait(portrait_of, portrait, astronaut: Image.Image, box: tuple[int, int, int, int]):
    cropped = portrait_of(astronaut.crop(box))
    assert cropped.photo_to_frame[0, 0] == pytest.approx(float(portrait.photo_to_frame[0, 0]), rel=0.02)
    assert (cropped.landmarks_px - portrait.landmarks_px)[:, :2].norm(dim=1).mean() < 3
    inside = cropped.photo_inside
    assert cropped.rgba[..., 3][~inside].max() == 0
    assert (cropped.rgba - portrait.rgba)[inside].abs().mean() < 0.05


def test_mirrored_photo_gives_the_mirrored_portrait(portrait_of, portrait, astronaut: Image.Image):
    mirrored = portrait_of(astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    back = mirrored.rgba.flip(1)
    # The mesh is not quite symmetric: allow for a shift of a pixel or two.
    assert (back[..., 3] - portrait.rgba[..., 3]).abs().mean() < 0.015
    visible = (back[..., 3] > 0.9) & (portrait.rgba[..., 3] > 0.9)
    assert (back - portrait.rgba)[visible].abs().mean() < 0.06


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180])
def test_sideways_photo_gives_an_upright_portrait(portrait_of, portrait, astronaut: Image.Image, turn: Image.Transpose):
    turned = portrait_of(astronaut.transpose(turn))
    # The head's own tilt of three degrees goes with the turn.
    assert (turned.rgba[:300, :, 3] - portrait.rgba[:300, :, 3]).abs().mean() < 0.03
    assert (turned.landmarks_px - portrait.landmarks_px)[:, :2].norm(dim=1).mean() < 6


def test_second_face_gets_its_own_portrait(portrait_of, portrait, astronaut: Image.Image):
    canvas = Image.new("RGB", (1100, 700), (90, 120, 150))
    canvas.paste(astronaut.crop((100, 0, 340, 512)), (60, 188))
    larger = astronaut.resize((716, 716), Image.Resampling.LANCZOS)
    canvas.paste(larger.crop((140, 0, 476, 700)), (600, 0))
    first, second = portrait_of(canvas), portrait_of(canvas, face=2)
    assert first.photo_to_frame[0, 0] == pytest.approx(1.44 / 1.4, rel=0.03)
    assert second.photo_to_frame[0, 0] == pytest.approx(1.44, rel=0.03)
    for one in (first, second):
        assert (one.rgba[:250, :, 3] - portrait.rgba[:250, :, 3]).abs().mean() < 0.02


def test_sharpening_moves_a_blurred_edge_onto_the_colour_edge():
    rows, columns = np.mgrid[:128, :128]
    truth = (columns > 60 + 6 * np.sin(rows / 9)).astype(np.float32)
    rgb = np.where(truth[..., None] > 0, (180, 120, 90), (60, 90, 160)).astype(np.uint8)
    coarse = ndimage.gaussian_filter(np.roll(truth, 2, axis=1), 4)
    sharp = sharpened(rgb, coarse)
    inner = (slice(12, -12),) * 2
    assert np.abs(sharp - truth)[inner].mean() < 0.25 * np.abs(coarse - truth)[inner].mean()


def test_guided_filter_against_its_definition():
    """One window after the other, by least squares: the slow way to the same coefficients."""
    rng = np.random.default_rng(5)
    rgb = np.repeat(np.repeat(rng.integers(0, 256, (16, 16, 3)), 2, 0), 2, 1).astype(np.uint8)
    matte = np.repeat(np.repeat(rng.random((16, 16)), 2, 0), 2, 1).astype(np.float32)
    guide, values = rgb[::2, ::2].astype(float) / 255, matte[::2, ::2].astype(float)
    fits = np.zeros((16, 16, 4))
    for row, column in np.ndindex(16, 16):
        window = np.ix_(*(np.clip(np.arange(middle - 3, middle + 4), 0, 15) for middle in (row, column)))
        colours, wanted = guide[window].reshape(-1, 3), values[window].ravel()
        ridge = np.cov(colours.T, bias=True) + SMOOTHNESS * np.eye(3)
        slope = np.linalg.solve(ridge, ((colours - colours.mean(0)) * (wanted - wanted.mean())[:, None]).mean(0))
        fits[row, column] = *slope, wanted.mean() - slope @ colours.mean(0)
    row = column = 8
    mean = fits[row - 3 : row + 4, column - 3 : column + 4].mean((0, 1))
    expected = np.clip(guide[row, column] @ mean[:3] + mean[3], 0, 1)
    # At full resolution the coefficients are interpolated; their mean over the four pixels comes back to this one.
    full = GuidedFilter(rgb).apply(matte)[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean()
    assert 0 < expected < 1
    assert full == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("roll", [0.0, 30.0, 180.0])
def test_crop_and_paste_are_inverse(roll: float):
    picture = np.zeros((200, 300, 3), np.uint8)
    y, x = np.mgrid[:200, :300]
    picture[..., 0], picture[..., 1], picture[..., 2] = x * 0.8, y, 128
    crop = Crop(centre_px=(150.5, 98.0), side_px=120.0, roll_deg=roll, pixels=240)
    cut = crop.cut(picture)
    rows, columns = crop.region((200, 300))
    back = np.zeros((200, 300), np.float32)
    back[rows, columns] = crop.paste(cut[..., 0].astype(np.float32), (rows, columns))
    assert np.abs(back[70:126, 122:178] - picture[70:126, 122:178, 0]).max() < 1.6
    points = np.random.default_rng(0).uniform(0, 240, (9, 3))
    in_photo = crop.points_to_photo(points)
    again = np.c_[in_photo[:, :2], np.ones(9)] @ crop.from_photo.T
    np.testing.assert_allclose(again, points[:, :2], atol=1e-3)
    np.testing.assert_allclose(in_photo[:, 2], points[:, 2] / 2, rtol=1e-5)
