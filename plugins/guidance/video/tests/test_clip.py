"""The order of the frames, and which view the portrait stands for."""

from __future__ import annotations

import pytest
import torch
from pshead_guidance_video.clip import FRONT_DEG, KnownFront, clip_order, from_clip, front_view, to_clip


@pytest.mark.parametrize("phase_deg", [0.0, 3.0, 7.2, 14.3])
def test_clip_begins_and_ends_behind_the_head(phase_deg):
    azimuth = (torch.arange(25) * 14.4 + phase_deg + 180.0) % 360.0 - 180.0
    shuffled = azimuth[torch.randperm(25, generator=torch.Generator().manual_seed(1))]
    frames = shuffled[clip_order(shuffled)]
    assert (frames.diff() > 0).all()
    assert frames[0] <= -180 + 14.41
    assert frames[-1] >= 180 - 14.41
    assert front_view(shuffled) == int(shuffled.abs().argmin())


def test_turns_and_the_seam_do_not_matter():
    azimuth = torch.tensor([0.0, 90.0, 180.0, -90.0])
    for turned in (azimuth + 360.0, azimuth - 720.0, torch.tensor([0.0, 90.0, -180.0, 270.0])):
        assert clip_order(turned).tolist() == [2, 3, 0, 1]  # 180 degrees is -180: where the clip begins


def test_latents_go_to_the_clip_and_back():
    order = torch.tensor([2, 0, 3, 1])
    latents = torch.randn(4, 5, 2, 3)
    clip = to_clip(latents, order)
    assert clip.shape == (1, 5, 4, 2, 3)
    for frame, view in enumerate(order.tolist()):
        assert torch.equal(clip[0, :, frame], latents[view])
    assert torch.equal(from_clip(clip, order), latents)


def test_a_profile_is_no_front():
    assert front_view(torch.tensor([FRONT_DEG + 1, -170.0, 90.0])) is None
    assert front_view(torch.tensor([90.0, 360.0 - FRONT_DEG, -170.0])) == 1


def test_known_front_replaces_one_row_of_a_copy():
    latents = torch.randn(3, 2, 1, 1)
    before = latents.clone()
    put = KnownFront(view=1, latent=torch.full((1, 2, 1, 1), 9.0)).put(latents)
    assert torch.equal(latents, before)
    assert torch.equal(put[[0, 2]], before[[0, 2]])
    assert (put[1] == 9.0).all()
