"""The committed ground-truth set, and that its generator still makes it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from pshead_core.cameras.camera import project
from pshead_core.cameras.sampler import even_ring
from pshead_core.config.run import CameraConfig
from pshead_core.errors import PsheadError
from pshead_core.evaluation.folder import FACTS, SHEET, write_views
from tests.training.test_sdf_heads import off_the_head_px
from training.ground_truth import DATA, load_ground_truth
from training.ground_truth.__main__ import SEEDS, draw
from training.heads import HELD_OUT_SEED, caption, make_head


@pytest.fixture(scope="module")
def truth():
    return load_ground_truth()


def test_the_set_is_complete(truth):
    assert {(head.source, head.seed) for head in truth} == {
        (name, seed) for name, seeds in SEEDS.items() for seed in seeds
    }
    assert len(truth) == 12
    assert all(head.seed >= HELD_OUT_SEED for head in truth)
    for head in truth:
        assert head.rgba.shape == (25, 256, 256, 4)
        assert not head.rgba[head.rgba[..., 3] == 0].any()
        assert head.images.max() <= 1
        assert head.caption == caption(head.attributes)
    assert sum(path.stat().st_size for path in DATA.rglob("*")) < 6 * 2**20


def test_the_set_is_varied(truth):
    attributes = [head.attributes for head in truth]
    assert len({a.hair_style for a in attributes}) >= 5
    assert len({a.hair_colour for a in attributes}) >= 4
    assert len({a.skin for a in attributes}) >= 3
    assert len({a.garment for a in attributes}) >= 4
    assert sum(a.glasses is not None for a in attributes) >= 2
    assert sum(a.hat is not None for a in attributes) >= 2


def test_cameras_are_the_even_ring(truth):
    expected = even_ring(CameraConfig(), 25, 256)
    torch.testing.assert_close(truth[0].cameras.T_world_camera, expected.T_world_camera, atol=1e-5, rtol=0)
    assert truth[0].cameras.focal_px == pytest.approx(expected.focal_px)


def test_landmarks_lie_inside_the_front_view(truth):
    for head in truth:
        points, _ = project(torch.from_numpy(head.landmarks), head.cameras[:1])
        assert off_the_head_px(head.rgba[0, ..., 3], points[0].numpy()).max() < 1.5


def assert_same(head, truth):
    drawn = draw(head).astype(int)
    wrong = np.abs(drawn - truth.rgba).max(-1) > 1
    # Another processor may round a sample to the other side of an edge; more than a few pixels are another head.
    assert wrong.mean() < 1e-4
    np.testing.assert_allclose(head.landmarks, truth.landmarks, atol=2e-5)
    assert head.attributes == truth.attributes


def test_a_signed_distance_head_is_made_again(truth):
    found = next(head for head in truth if head.source == "sdf")
    assert_same(make_head("sdf", found.seed), found)


def test_a_makehuman_head_is_made_again(truth, makehuman_assets):
    found = next(head for head in truth if head.source == "makehuman")
    assert_same(make_head("makehuman", found.seed, makehuman_assets), found)


def test_a_missing_or_wrong_set_is_refused(tmp_path):
    with pytest.raises(PsheadError, match="no ground-truth set"):
        load_ground_truth(tmp_path)
    shutil.copytree(DATA / "sdf-1000004", tmp_path / "sdf-1000004")
    assert len(load_ground_truth(tmp_path)) == 1
    Image.new("RGBA", (64, 64)).save(tmp_path / "sdf-1000004" / SHEET, lossless=True)
    with pytest.raises(PsheadError, match="64x64"):
        load_ground_truth(tmp_path)


def test_a_written_head_is_read_again(tmp_path, truth):
    facts = json.loads((DATA / "sdf-1000004" / FACTS).read_text(encoding="utf-8"))
    found = next(head for head in truth if head.seed == 1000004)
    write_views(tmp_path / "sdf-1000004", found.rgba, facts)
    (again,) = load_ground_truth(tmp_path)
    np.testing.assert_array_equal(again.rgba, found.rgba)
    assert json.loads((tmp_path / "sdf-1000004" / FACTS).read_text(encoding="utf-8")) == facts
