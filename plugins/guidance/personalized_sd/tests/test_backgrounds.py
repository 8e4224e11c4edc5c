"""What the person stands before."""

import pytest
import torch
from PIL import Image
from pshead_guidance_personalized_sd.backgrounds import before, drawn_backgrounds, read_backgrounds

from pshead_core.api import PsheadError


def test_five_backgrounds_that_are_drawn_again_alike():
    one, other = (drawn_backgrounds(16, torch.Generator().manual_seed(7)) for _ in range(2))
    assert one.shape == (5, 16, 16, 3)
    assert torch.equal(one, other)
    assert 0 <= float(one.min()) <= float(one.max()) <= 1
    assert bool((one[0] == 1).all())
    assert len({tuple(picture.mean((0, 1)).tolist()) for picture in one}) == 5


def test_alpha_decides_who_is_seen():
    rgba = torch.rand(4, 4, 4, generator=torch.Generator().manual_seed(0))
    rgba[0, :, 3], rgba[1, :, 3] = 0, 1
    backgrounds = torch.stack([torch.zeros(4, 4, 3), torch.ones(4, 4, 3)])
    seen = before(rgba, backgrounds)
    assert torch.equal(seen[:, 0], backgrounds[:, 0])
    assert torch.equal(seen[0, 1], rgba[1, :, :3])
    torch.testing.assert_close(seen[1, 2] - seen[0, 2], (1 - rgba[2, :, 3:]).expand(4, 3))


def test_pictures_of_a_folder_come_after_white(tmp_path):
    Image.new("RGB", (40, 20), (255, 0, 0)).save(tmp_path / "b.png")
    Image.new("L", (8, 9), 0).save(tmp_path / "a.png")
    found = read_backgrounds(tmp_path, 12)
    assert found.shape == (3, 12, 12, 3)
    assert found[:, 5, 5].tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 0]]


def test_an_empty_or_broken_folder_is_named(tmp_path):
    with pytest.raises(PsheadError, match="no background picture"):
        read_backgrounds(tmp_path, 8)
    (tmp_path / "x.jpg").write_bytes(b"nothing")
    with pytest.raises(PsheadError, match="cannot be read"):
        read_backgrounds(tmp_path, 8)
