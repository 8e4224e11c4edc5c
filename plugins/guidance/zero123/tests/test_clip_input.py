"""The picture encoder's input against transformers' own processor and against a slow bicubic filter."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pshead_guidance_zero123.clip_input import clip_pixels, read_clip_input
from transformers import CLIPImageProcessorPil

from pshead_core.api import PsheadError

# The published file of CLIP ViT-L/14 (224 px, bicubic) in its older and newer spelling, and one of another filter.
MEAN, DEVIATION = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
OLD = {"crop_size": 224, "size": 224, "resample": 3, "image_mean": MEAN, "image_std": DEVIATION}
NEW = {**OLD, "crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 224}}
BOX = {**OLD, "crop_size": {"height": 64, "width": 64}, "size": {"height": 64, "width": 64}, "resample": 4}
CROPPED = {**NEW, "crop_size": {"height": 48, "width": 48}, "size": {"shortest_edge": 63}, "resample": 2}


def write(folder, config):
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    return read_clip_input(folder)


def noise(side_px, seed=0):
    """Of so little contrast that no filter overshoots: the library clips between its two passes, floats do not."""
    return np.random.default_rng(seed).integers(80, 176, (side_px, side_px, 3), np.uint8)


@pytest.mark.parametrize("config", [OLD, NEW, BOX, CROPPED])
def test_equals_the_library(tmp_path, config):
    clip_input, picture = write(tmp_path, config), noise(128)
    processor = CLIPImageProcessorPil.from_pretrained(tmp_path)
    wanted = processor(images=Image.fromarray(picture), return_tensors="pt").pixel_values
    found = clip_pixels(torch.from_numpy(picture).float() / 255, clip_input, "processor")
    assert found.shape == wanted.shape
    # the library rounds the resized picture to 8 bits, here it stays in floats
    assert float((found - wanted).abs().max()) <= 1.5 / 255 / min(DEVIATION)


def test_original_is_bicubic_with_aligned_corners(tmp_path):
    config = {**OLD, "crop_size": 7, "size": 7}
    picture = noise(10).astype(np.float64) / 255
    found = clip_pixels(torch.from_numpy(picture).float(), write(tmp_path, config), "original")
    rows = np.stack([_slow_cubic(picture, i * 9 / 6) for i in range(7)])
    both = np.stack([_slow_cubic(rows.swapaxes(0, 1), i * 9 / 6) for i in range(7)], 1)
    wanted = torch.from_numpy((both - MEAN) / DEVIATION).permute(2, 0, 1)[None].float()
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def _slow_cubic(values, place, a=-0.75):
    """Keys' cubic kernel at one place along the first axis, edges repeated; without smoothing."""
    found = 0
    for index in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
        x = abs(place - index)
        if x <= 1:
            weight = (a + 2) * x**3 - (a + 3) * x**2 + 1
        elif x < 2:
            weight = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
        else:
            weight = 0
        found = found + weight * values[min(max(index, 0), len(values) - 1)]
    return found


@pytest.mark.parametrize("change", [{"resample": "cubic"}, {"image_mean": [0.5]}, {"crop_size": {"height": 3}}])
def test_other_files_are_refused(tmp_path, change):
    with pytest.raises(PsheadError, match=r"preprocessor_config\.json is not that of a CLIP picture encoder"):
        write(tmp_path, {**OLD, **change})


def test_missing_file_is_told(tmp_path):
    with pytest.raises(PsheadError, match="is not there"):
        read_clip_input(tmp_path)
