"""Shards: exact by seed, resumable, never of held-out heads; batches; colour against scikit-image."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from skimage.color import deltaE_cie76, rgb2hsv, rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from pshead_core.errors import PsheadError
from training.common import make_data as make_data_module
from training.common.colour import colour_error, psnr, to_ycbcr, turn_hue
from training.common.data import (
    held_out_pictures,
    open_pictures,
    plain_batch,
    random_batch,
    truth_pictures,
)
from training.common.make_data import make_data
from training.common.seeds import step_generator
from training.common.shards import LAST_TRAINING_SEED, DataSettings, plan_shards
from training.ground_truth import load_ground_truth
from training.heads import HELD_OUT_SEED

SETTINGS = DataSettings(views=3, side_px=32, shard_heads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    assert make_data(folder, 3, SETTINGS, sources=("sdf",)) == 3
    return folder


def test_shards_hold_what_they_say(folder):
    shard = load_file(folder / "sdf-0000001-001.safetensors")
    assert shard["rgba"].shape == (1, 3, 32, 32, 4)
    assert shard["rgba"].dtype == torch.uint8
    assert shard["landmarks"].shape == (1, 478, 3)
    assert shard["seed"].tolist() == [1]
    azimuth = shard["azimuth_deg"][0] % 360
    assert azimuth[0] == 0
    assert 0 <= azimuth[1] < 180 <= azimuth[2] < 360  # one in each sector
    covered = (shard["rgba"][..., 3] == 255).float().mean()
    assert 0.2 < covered < 0.9
    assert not list(folder.glob(".*"))


def test_an_interrupted_data_set_goes_on_with_the_same_bytes(folder, tmp_path, monkeypatch):
    calls = []
    real = make_data_module.make_shard

    def fails_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(make_data_module, "make_shard", fails_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        make_data(tmp_path, 3, SETTINGS, sources=("sdf",))
    monkeypatch.undo()
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    assert make_data(tmp_path, 3, SETTINGS, sources=("sdf",)) == 2
    assert make_data(tmp_path, 3, SETTINGS, sources=("sdf",)) == 0
    for path in folder.glob("*.safetensors"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_a_shard_that_breaks_while_it_is_written_leaves_nothing(tmp_path, monkeypatch):
    def breaks(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("training.common.files.save_file", breaks)
    with pytest.raises(OSError, match="disk full"):
        make_data(tmp_path, 1, SETTINGS, sources=("sdf",))
    assert [path.name for path in tmp_path.iterdir()] == ["data.json"]


def test_a_folder_of_other_settings_is_refused(folder):
    with pytest.raises(PsheadError, match="other settings"):
        make_data(folder, 3, DataSettings(views=4, side_px=32, shard_heads=1), sources=("sdf",))


def test_training_and_held_out_seeds_never_meet(folder, tmp_path):
    with pytest.raises(PsheadError, match="seeds up to"):
        plan_shards(32, ("sdf",), SETTINGS, first_seed=LAST_TRAINING_SEED - 8)
    held_out = DataSettings(views=2, side_px=16, shard_heads=1, held_out=True)
    make_data(tmp_path, 1, held_out, sources=("sdf",))
    assert [path.name for path in tmp_path.glob("*.safetensors")] == [f"sdf-{HELD_OUT_SEED}-001.safetensors"]
    assert len(held_out_pictures(tmp_path)["sdf"]) == 2
    with pytest.raises(PsheadError, match="training heads are wanted"):
        open_pictures(tmp_path)
    with pytest.raises(PsheadError, match="held-out heads are wanted"):
        held_out_pictures(folder)


def test_heads_are_shared_evenly_between_sources():
    jobs = plan_shards(10, ("makehuman", "sdf"), DataSettings(shard_heads=2))
    seeds = {source: [] for source in ("makehuman", "sdf")}
    for job in jobs:
        seeds[job.source] += range(job.first_seed, job.first_seed + job.count)
    assert seeds == {"makehuman": list(range(5)), "sdf": list(range(5))}


def test_batches_are_exact_by_seed_and_step(folder):
    pictures = open_pictures(folder)
    assert len(pictures) == 9
    first, again = (random_batch(pictures, 6, 16, step_generator(3, 7)) for _ in range(2))
    other = random_batch(pictures, 6, 16, step_generator(3, 8))
    assert torch.equal(first.image, again.image)
    assert not torch.equal(first.image, other.image)
    assert first.image.shape == (6, 3, 16, 16)
    assert -1 <= first.image.min() < first.image.max() <= 1
    assert random_batch(pictures, 2, None, step_generator(0, 0)).image.shape == (2, 3, 32, 32)


def test_pictures_are_taken_from_the_right_shard(folder):
    pictures = open_pictures(folder)
    shard = load_file(folder / "sdf-0000001-001.safetensors")["rgba"][0]
    taken = (pictures.take(torch.tensor([3, 4, 5])) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    assert torch.equal(taken, shard)


def test_the_truth_is_reduced_without_dark_fringes():
    head = load_ground_truth()[0]
    small = truth_pictures(128)[head.source].take(torch.tensor([0]))
    white = head.images[0, ..., :3] * head.images[0, ..., 3:] + 1 - head.images[0, ..., 3:]
    expected = white.reshape(128, 2, 128, 2, 3).mean((1, 3))  # composed first, then reduced: exact
    found = (plain_batch(small).image[0].permute(1, 2, 0) / 2 + 0.5).numpy()
    assert np.abs(found - expected).max() < 2 / 255


def test_colour_error_and_psnr_agree_with_scikit_image():
    generator = torch.Generator().manual_seed(1)
    truth, found = torch.rand(2, 2, 3, 9, 7, generator=generator)
    mask = (torch.rand(2, 1, 9, 7, generator=generator) > 0.4).float()
    for number in range(2):
        labs = [rgb2lab(part[number].permute(1, 2, 0).numpy()) for part in (truth, found)]
        expected = deltaE_cie76(*labs)[mask[number, 0].bool().numpy()].mean()
        assert float(colour_error(truth, found, mask)[number]) == pytest.approx(expected, abs=1e-3)
        expected = peak_signal_noise_ratio(truth[number].numpy(), found[number].numpy(), data_range=1)
        assert float(psnr(truth, found)[number]) == pytest.approx(expected, abs=1e-4)


def test_turning_the_hue_keeps_luma_and_turns_red_towards_other_hues():
    colour = torch.tensor([0.5, 0.4, 0.4])[None, :, None, None].expand(3, 3, 1, 1)
    turned = turn_hue(colour, torch.tensor([0.0, 2.1, 4.2]), torch.ones(3))
    assert torch.allclose(turned[0], colour[0], atol=1e-5)
    assert torch.allclose(to_ycbcr(turned)[:, 0], to_ycbcr(colour)[:, 0], atol=1e-5)
    hue = rgb2hsv(turned.permute(0, 2, 3, 1).numpy())[:, 0, 0, 0]
    assert np.ptp(np.sort(hue)) > 0.5
    assert len(np.unique(hue.round(1))) == 3


def test_settings_are_readable(folder):
    assert json.loads((folder / "data.json").read_text())["views"] == 3
