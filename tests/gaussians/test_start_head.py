"""The head and bust fitted to a portrait: outline, depth, closedness and colours, seen through the CPU renderer."""

import time
from functools import cache

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion, binary_fill_holes, gaussian_filter
from skimage.color import rgb2lab

from pshead_core.cameras.camera import orbit
from pshead_core.config.run import CameraConfig, RenderConfig, StartConfig
from pshead_core.errors import PhotoError
from pshead_core.gaussians.bust_fit import fit_head, reference_lens
from pshead_core.gaussians.start import start_gaussians
from pshead_core.render.build import build_renderer
from tests.gaussians import portraits

AZIMUTHS = (0, 45, 90, 135, 180, -135, -90, -45)
PORTRAITS = {
    "astronaut": portraits.astronaut_portrait,
    "mirrored": lambda: portraits.mirrored(portraits.astronaut_portrait()),
    "head_only": lambda: portraits.cropped(portraits.astronaut_portrait(), 300),
    "neck": lambda: portraits.cropped(portraits.astronaut_portrait(), 340, 70),
    "zoomed": lambda: portraits.zoomed(portraits.astronaut_portrait(), 1.9),
    "small": lambda: portraits.resized(portraits.astronaut_portrait(), 4),
    **{style: (lambda style=style: portraits.painted(style)) for style in portraits.STYLES},
}


@cache
def portrait_of(name):
    return PORTRAITS[name]()


@cache
def start_of(name, seed=0, gaussians=24_000):
    config = StartConfig(gaussians=gaussians)
    return start_gaussians(config, portrait_of(name), CameraConfig(), torch.Generator().manual_seed(seed))


@cache
def views(name, azimuths=AZIMUTHS, elevation=0.0, side_px=256):
    azimuth = torch.tensor(azimuths, dtype=torch.float32)
    cameras = orbit(azimuth, torch.full_like(azimuth, elevation), distance=2.0, fovy_deg=49.1, side_px=side_px)
    renderer = build_renderer(RenderConfig(), torch.device("cpu"))
    with torch.no_grad():
        return renderer.render(start_of(name).model, cameras, torch.ones(3))


def front(name):
    return views(name, (0,), 0.0, portrait_of(name).side_px)


def rows_px(name):
    """v of the brows, the nose, the mouth and the chin in a picture of side 256."""
    landmarks = portrait_of(name).landmarks_px.numpy() * 256 / portrait_of(name).side_px
    return {part: float(landmarks[k, 1]) for part, k in {"brow": 9, "nose": 1, "mouth": 13, "chin": 152}.items()}


@pytest.mark.parametrize(
    ("name", "least"),
    {
        **{"astronaut": 0.97, "mirrored": 0.97, "head_only": 0.96, "neck": 0.96, "small": 0.94},
        **{"bald": 0.97, "short": 0.97, "long": 0.97, "hat": 0.96, "floating": 0.95},
    }.items(),
)
def test_outline_is_that_of_the_matte(name, least):
    portrait = portrait_of(name)
    inside = portrait.photo_inside.numpy()  # outside of the photo the matte says nothing
    drawn = (front(name).alpha[0].numpy() > 0.5) & inside
    matte = (portrait.rgba[..., 3].numpy() > 0.5) & inside
    assert (drawn & matte).sum() / (drawn | matte).sum() >= least


@pytest.mark.parametrize("name", ["astronaut", "head_only", "neck", "zoomed", "small", *portraits.STYLES])
def test_closed_from_all_sides(name):
    for elevation in (0.0, 20.0, -20.0):
        for azimuth, alpha in zip(AZIMUTHS, views(name, AZIMUTHS, elevation).alpha.numpy(), strict=True):
            inner = binary_erosion(binary_fill_holes(alpha > 0.5), iterations=4)
            assert inner.sum() > 2000, "there is a head to look at"
            # A few pixels in a sharp notch of the outline may be thin; a hole is larger, and thinner.
            assert (alpha[inner] < 0.95).sum() <= 4, f"a hole at azimuth {azimuth}, elevation {elevation}"
            assert alpha[inner].min() > 0.9, f"a hole at azimuth {azimuth}, elevation {elevation}"


def test_outline_holds_for_another_camera():
    portrait, cameras = portrait_of("astronaut"), CameraConfig(distance=20.0, fovy_deg=15.0)
    start = start_gaussians(StartConfig(), portrait, cameras, torch.Generator().manual_seed(0))
    camera = orbit(torch.zeros(1), torch.zeros(1), distance=20.0, fovy_deg=15.0, side_px=512)
    with torch.no_grad():
        drawn = build_renderer(RenderConfig(), torch.device("cpu")).render(start.model, camera, torch.ones(3)).alpha[0]
    inside, matte = portrait.photo_inside, portrait.rgba[..., 3] > 0.5
    drawn = (drawn > 0.5) & inside
    assert (drawn & matte).sum() / (drawn | matte).sum() >= 0.97
    assert start.model.means[:, 2].mean().abs() < 0.3 * start.model.means.std(dim=0).norm()


def test_photo_is_seen_from_the_front():
    rgba = portrait_of("astronaut").rgba.numpy()
    inner = rgba[..., 3] > 0.9
    error = (front("astronaut").rgb[0].numpy() - rgba[..., :3])[inner]
    assert -10 * np.log10((error**2).mean()) > 22.0


@pytest.mark.parametrize("name", ["astronaut", "small"])
def test_face_has_the_landmarks_depth(name):
    """Rendered depth at the landmarks is the landmarks' z, up to the one scale and offset that nobody can know."""
    portrait = portrait_of(name)
    scale = portrait.side_px / 512
    points = portrait.landmarks_px.numpy()[:468] / scale
    u, v = (points[:, :2] * scale).astype(int).T
    middle = points[[234, 454], 0].mean()
    inner = np.abs(points[:, 0] - middle) < 0.38 * np.ptp(points[[234, 454], 0])
    depth = front(name).depth[0].numpy()[v, u][inner].astype(np.float64)
    fit = np.polyfit(points[inner, 2], depth, 1)
    width = np.linalg.norm(points[234] - points[454]) * fit[0]  # world units, by the fitted scale
    assert np.abs(depth - np.polyval(fit, points[inner, 2])).mean() < 0.02 * width
    # Scatter is smoothing and a few thousandths of light from the far side. A pixel of z is as long as a pixel across
    # at the face's depth: depth / focal length (1.0946 frame heights).
    assert fit[0] == pytest.approx(depth.mean() / (1.0946 * 512), rel=0.04)


@pytest.mark.parametrize("yaw_deg", [-25.0, -10.0, 10.0, 25.0])
def test_skull_and_neck_stay_on_the_axis_of_a_turned_head(yaw_deg):
    landmarks = portrait_of("astronaut").landmarks_px.numpy()
    lens = reference_lens(CameraConfig(), 512)
    straight = fit_head(landmarks, lens)
    to_px = straight.face_width_px / straight.face_width
    axis_z_px = landmarks[[9, 151, 108, 337], 2].mean() + (straight.brow_z - straight.skull_z) * to_px
    fit = fit_head(portraits.turned(landmarks, yaw_deg, axis_z_px), lens)
    nose_moved = fit.landmarks_uvz[1, 0] - straight.landmarks_uvz[1, 0]
    assert np.sign(nose_moved) == np.sign(yaw_deg)
    assert abs(fit.skull_centre_px[0] - straight.skull_centre_px[0]) < 0.2 * abs(nose_moved)
    assert abs(fit.neck_u_px - straight.neck_u_px) < 0.3 * abs(nose_moved)


def test_surface_depth_is_what_the_camera_sees():
    start, rendering = start_of("astronaut"), front("astronaut")
    known = start.surface_depth > 0
    assert 0.03 < known.float().mean() < 0.12
    inner = torch.from_numpy(binary_erosion(known.numpy(), iterations=8))
    error = (rendering.depth[0] - start.surface_depth)[inner].abs()
    assert error.mean() < 0.01
    assert error.max() < 0.08


def test_proportions_of_the_profile():
    """From the side it is a head: as deep as high within a quarter, nose ahead of chin, chin ahead of neck."""
    alpha = views("astronaut").alpha[AZIMUTHS.index(-90)].numpy() > 0.5  # the face looks to the right
    rows = rows_px("astronaut")
    ends = [int(np.flatnonzero(alpha[round(v)]).max()) for v in (rows["nose"], rows["chin"] - 3, rows["chin"] + 10)]
    assert ends[0] > ends[1] > ends[2] + 5
    brow = np.flatnonzero(alpha[round(rows["brow"])])
    top = int(np.flatnonzero(alpha.any(axis=1)).min())
    assert 0.75 < np.ptp(brow) / (rows["chin"] - top) < 1.25


@pytest.mark.parametrize("name", ["astronaut", "mirrored", "short"])
def test_no_second_face_at_the_back(name):
    rgb = views(name).rgb.numpy()
    rows = rows_px(name)
    top, bottom = round(2 * rows["brow"] - rows["nose"]), round(rows["nose"])  # the back's hairline lies below
    face, back = rgb[0, top:bottom, 100:156], rgb[AZIMUTHS.index(180), top:bottom, 100:156]
    lightness = [rgb2lab(picture)[..., 0] for picture in (face, back, back[:, ::-1])]
    fine = [(picture - gaussian_filter(picture, 8)).ravel() for picture in lightness]
    for turned in fine[1:]:
        assert abs(np.corrcoef(fine[0], turned)[0, 1]) < 0.3
    assert fine[1].std() < 0.5 * fine[0].std(), "the back of a head is plainer than a face"


def mean_colour(name, azimuth, v_px, half=8):
    view = views(name).rgb[AZIMUTHS.index(azimuth)].numpy()
    return view[round(v_px) - half : round(v_px) + half, 128 - half : 128 + half].mean(axis=(0, 1))


@pytest.mark.parametrize(
    ("style", "colour"),
    [("bald", portraits.SKIN), ("short", portraits.HAIR), ("long", portraits.HAIR), ("floating", portraits.HAIR)],
)
def test_back_of_the_head_has_its_own_colour(style, colour):
    assert np.abs(mean_colour(style, 180, rows_px(style)["brow"]) - colour).max() < 0.1


def test_hat_does_not_run_down_the_neck():
    rows = rows_px("hat")
    assert np.abs(mean_colour("hat", 180, 2 * rows["brow"] - rows["mouth"]) - portraits.HAT).max() < 0.15
    assert np.abs(mean_colour("hat", 180, rows["mouth"]) - portraits.SKIN).max() < 0.1


def test_torso_has_the_colour_of_cloth_all_round():
    for azimuth in (0, 180):
        assert np.abs(mean_colour("short", azimuth, 225) - portraits.CLOTH).max() < 0.08


def test_long_hair_hangs_beside_the_neck_and_not_in_front():
    rendering = views("long")
    rows = rows_px("long")
    below = round(rows["chin"]) + 6
    assert np.abs(mean_colour("long", 0, below, half=3) - portraits.SKIN).max() < 0.1
    assert np.abs(mean_colour("long", 180, below, half=3) - portraits.HAIR).max() < 0.1
    depth = rendering.depth[0, below].numpy()
    hair = np.abs(rendering.rgb[0, below].numpy() - portraits.HAIR).max(axis=-1) < 0.1
    assert hair.sum() > 8
    assert depth[hair].min() > depth[126:130].mean()


@pytest.mark.parametrize(("name", "end_px"), [("head_only", 150), ("neck", 170)])
def test_bust_ends_soon_after_the_photo(name, end_px):
    for azimuth, alpha in zip(AZIMUTHS, views(name).alpha.numpy(), strict=True):
        last = int(np.flatnonzero((alpha > 0.5).any(axis=1)).max())
        assert end_px - 8 < last < end_px + 50, f"azimuth {azimuth}"


@pytest.mark.parametrize("gaussians", [16, 300, 5000])
def test_number_is_exact_and_all_is_finite(gaussians):
    start = start_of("bald", 0, gaussians)
    assert len(start.model) == gaussians == len(start.seen)
    for name, values in start.model.tensors().items():
        assert values.dtype == torch.float32, name
        assert bool(torch.isfinite(values).all()), name
    torch.testing.assert_close(start.model.opacity_logits.sigmoid(), torch.full((gaussians,), 0.9))


def test_seen_gaussians_lie_inside_the_matte_and_before_the_unseen():
    start, portrait = start_of("astronaut"), portrait_of("astronaut")
    assert 0.4 < start.seen.float().mean() < 0.7
    depth = 2.0 - start.model.means[:, 2]
    assert depth[start.seen].mean() < depth[~start.seen].mean() - 0.1
    u = start.model.means[:, 0] / depth * 1.0946 * 512 + 256
    v = -start.model.means[:, 1] / depth * 1.0946 * 512 + 256
    shown = start.seen & (v > 0) & (v < 512) & (u > 0) & (u < 512)
    matte = portrait.rgba[v[shown].long(), u[shown].long(), 3]
    assert (matte > 0.5).float().mean() > 0.99


def test_the_generator_alone_decides_and_it_is_quick():
    torch.manual_seed(3)
    np.random.seed(3)
    began = time.process_time()
    config, generator = StartConfig(), torch.Generator().manual_seed(0)
    again = start_gaussians(config, portrait_of("astronaut"), CameraConfig(), generator)
    assert time.process_time() - began < 6.0
    for name, values in start_of("astronaut").model.tensors().items():
        assert torch.equal(getattr(again.model, name), values), name
    assert not torch.equal(start_of("astronaut", 1).model.means, again.model.means)


def test_matte_without_the_face_is_refused():
    portrait = portraits.painted("floating")
    portrait.rgba[..., 3] = 0.0
    with pytest.raises(PhotoError, match="outside of the person's matte"):
        start_gaussians(StartConfig(), portrait, CameraConfig(), torch.Generator())
