"""What the miniature prior says of heads that it was never trained on, against their true views.

The weights may be trained anew, so nothing here holds them to a figure: only to the right side of a comparison.
"""

import pytest
import torch
from attrs import evolve
from pshead_guidance_zero123.config import Zero123Config
from pshead_guidance_zero123.prior import make_codec
from torch.nn.functional import interpolate

from pshead_core.priors.distill.noise import add_noise, to_clean
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.render.base import Views
from pshead_core.testing import tiny_step

SIDE_PX = 128
HIGH_T = 950
"""So noisy that the picture under the noise tells next to nothing: alpha_bar is 0.006."""


def nearest(cameras, azimuth_deg):
    """Return the index of the view nearest to an azimuth."""
    away = (cameras.azimuth_deg - azimuth_deg + 180) % 360 - 180
    return int(away.abs().argmin())


def true_views(head, azimuths_deg):
    """Return cameras and pictures over white `[view, 128, 128, 3]` of the views nearest to some azimuths."""
    index = torch.tensor([nearest(head.cameras, azimuth) for azimuth in azimuths_deg])
    rgba = torch.from_numpy(head.images)[index]
    over_white = (rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]).permute(0, 3, 1, 2)
    small = interpolate(over_white, size=(SIDE_PX, SIDE_PX), mode="area").permute(0, 2, 3, 1)
    return head.cameras[index].resized(SIDE_PX, SIDE_PX), small


def front(head):
    return torch.from_numpy(head.images)[0]


def psnr_db(found, truth):
    return float(-10 * (found - truth).square().mean().log10())


def views_of(rgb, cameras):
    alpha = torch.ones(rgb.shape[:3])
    return Views(rgb=rgb, alpha=alpha, depth=alpha, cameras=cameras, background=torch.ones(3))


def clean_estimate(guidance, cameras):
    """Return what the prior makes of noise alone, `[view, 128, 128, 3]`: grey pictures under noise at a high t."""
    from pshead_guidance_zero123.pose import camera_vectors

    codec = make_codec(guidance.components, torch.float32)
    with torch.no_grad():
        grey = codec.encode(torch.full((len(cameras), SIDE_PX, SIDE_PX, 3), 0.5))
        noise = torch.randn(grey.shape, generator=torch.Generator().manual_seed(0))
        timestep = torch.full((len(cameras),), HIGH_T)
        noisy = add_noise(guidance.components.schedule, grey, noise, timestep)
        tokens = guidance.tokens(camera_vectors(cameras, guidance.config.pose))
        predicted = guidance.predict(noisy, timestep, tokens)
        return codec.decode(to_clean(guidance.components.schedule, predicted, noisy, timestep))


def skin_lean_px(rgb, skin):
    """Return how far right of the head's silhouette the skin lies, both as centroids of the upper half, in pixels.

    Args:
        rgb: `[h, w, 3]` over white.
        skin: `[3]`, colour of the face.
    """
    upper = rgb[: SIDE_PX // 2]
    column = torch.arange(SIDE_PX) + 0.5
    head = (upper.min(-1).values < 0.85).float()
    alike = head * torch.exp(-(upper - skin).square().sum(-1) / 0.02)
    return float((alike * column).sum() / alike.sum() - (head * column).sum() / head.sum())


@pytest.fixture(scope="module")
def sides(heads, pool, tmp_path_factory):
    """Per head: truth and estimate at about +90 and -90 degrees, each `[2, 128, 128, 3]`, and its skin's colour."""
    from pshead_guidance_zero123.prior import build

    from pshead_core.testing import tiny_context, tiny_portrait

    found = []
    for head in heads:
        portrait = evolve(tiny_portrait(SIDE_PX), rgba=front(head))
        context = evolve(tiny_context(tmp_path_factory.mktemp("cache"), portrait=portrait), models=pool)
        cameras, truth = true_views(head, (90.0, -90.0))
        found.append((truth, clean_estimate(build(Zero123Config(), context), cameras), skin_of(head)))
    return found


def skin_of(head):
    """Return the colour `[3]` of the tip of the nose in the front picture."""
    from pshead_core.cameras.camera import project

    pixel, _ = project(torch.from_numpy(head.landmarks), head.cameras[:1])
    column, row = pixel[0, 1].long().tolist()  # landmark 1 is the tip of the nose
    return front(head)[row - 2 : row + 3, column - 2 : column + 3, :3].mean((0, 1))


def test_positive_azimuth_is_the_viewers_right(sides):
    """The estimate for +90 degrees is nearer to the true view from +90 than to that from -90, and the other way."""
    margins = []
    for truth, found, _ in sides:
        same = psnr_db(found[0], truth[0]) + psnr_db(found[1], truth[1])
        other = psnr_db(found[0], truth[1]) + psnr_db(found[1], truth[0])
        margins.append((same - other) / 2)
    assert sum(margin > 0 for margin in margins) >= len(margins) * 3 // 4, margins
    assert sum(margins) / len(margins) > 1.0, margins


def test_nose_points_to_the_pictures_left_at_plus_90(sides):
    """Seen from +90 degrees the face lies left of the head's middle, from -90 right; so it does in the truth."""
    true = [skin_lean_px(truth[1], skin) - skin_lean_px(truth[0], skin) for truth, _, skin in sides]
    found = [skin_lean_px(found[1], skin) - skin_lean_px(found[0], skin) for _, found, skin in sides]
    clear = [(t, f) for t, f in zip(true, found, strict=True) if t > 2]  # a bald or dark head has no clear side
    assert len(clear) >= len(sides) // 2, true
    assert all(f > 0 for _, f in clear), clear


def descend(guidance, cameras, steps, side_px=16):
    """Return pictures after gradient descent on coarse pixels that begin grey, as Gaussians begin without detail."""
    pixels = torch.full((len(cameras), 3, side_px, side_px), 0.5, requires_grad=True)
    optimizer = torch.optim.Adam([pixels], lr=0.05)

    def picture():
        return interpolate(pixels, size=(SIDE_PX, SIDE_PX), mode="bilinear").permute(0, 2, 3, 1).clamp(0, 1)

    for index in range(steps):
        optimizer.zero_grad()
        rgb = picture()
        rgb.backward(guidance.contribute(views_of(rgb.detach(), cameras), tiny_step(index, total=steps)).rgb)
        optimizer.step()
    return picture().detach()


@pytest.mark.parametrize("mode", ["sds", "image"])
def test_grey_picture_moves_towards_the_back(built, heads, mode):
    """From behind, nothing of the picture is in the portrait: what appears comes from the prior."""
    distill = DistillSettings(mode=mode, draw="annealed", min_t_frac=0.02, max_t_frac=0.98)
    rises = []
    for head in (heads[1], heads[9]):
        cameras, truth = true_views(head, (180.0,))
        found = descend(built(Zero123Config(distill=distill), front(head)), cameras, steps=25)
        rises.append(psnr_db(found, truth) - psnr_db(torch.full_like(truth, 0.5), truth))
    assert min(rises) > 2.0, rises
