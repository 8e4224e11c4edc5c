"""Signed-distance heads: repeatable, framed as photos are, landmarks on the face."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from pshead_core.cameras.camera import project
from pshead_core.cameras.sampler import reference_camera
from pshead_core.config.run import CameraConfig, PortraitConfig
from pshead_core.errors import PsheadError
from pshead_core.portrait.facts import FaceFacts
from pshead_core.portrait.frame import make_frame
from training.common.files import write_tensors
from training.common.landmarks import CORRECTED, correct_folder, corrected, similarity
from training.common.shards import DataSettings, draw_shard, plan_shards, read_shard
from training.heads import HELD_OUT_SEED, make_head
from training.heads.sdf.build import sample_draft
from training.heads.sdf.landmarks import EAR, FRAMING, LEFT_OVAL, RIGHT_OVAL, landmarks, smooth_oval
from training.render import Jitter, apply_jitter, render_head, sample_jitter

SIDE_PX = 256


def front(head):
    """The front picture and the landmarks in it."""
    camera = reference_camera(CameraConfig(), SIDE_PX)
    points, depth = project(torch.from_numpy(head.landmarks), camera)
    return render_head(head, camera), points[0].numpy(), depth[0].numpy()


def off_the_head_px(alpha, points):
    """How far outside the drawn outline points lie, in pixels."""
    column, row = points.astype(int).T
    return distance_transform_edt(alpha == 0)[row, column]


def assert_framed(head):
    """The core's own framing of the front picture must leave it where it is."""
    pictures, points, depth = front(head)
    face = FaceFacts(landmarks_px=np.column_stack([points, depth]).astype(np.float32), box_px=(0, 0, SIDE_PX, SIDE_PX))
    frac = PortraitConfig().face_frac
    frame = make_frame(face, pictures.rgba[0, ..., 3] > 0.5, side_px=SIDE_PX, face_frac=frac)
    assert frame.scale == pytest.approx(1.0, abs=0.02)
    corners = np.array([[0, 0, 0], [SIDE_PX, SIDE_PX, 0]], np.float32)
    np.testing.assert_allclose(frame.map_points(corners), corners, atol=0.02 * SIDE_PX)


def assert_landmarks_on_the_face(head, share):
    """Landmarks project inside the outline, left of the subject to the right of the picture, near the drawn surface."""
    pictures, points, depth = front(head)
    column, row = points.astype(int).T
    assert off_the_head_px(pictures.rgba[0, ..., 3], points).max() < 1.5
    assert points[33, 0] < points[133, 0] < points[1, 0] < points[362, 0] < points[263, 0]
    assert points[10, 1] < points[159, 1] < points[1, 1] < points[13, 1] <= points[14, 1] + 0.5 < points[152, 1]
    for first, corners in ((468, (33, 133)), (473, (263, 362))):
        assert min(points[list(corners), 0]) < points[first, 0] < max(points[list(corners), 0])
        assert points[first + 1, 0] > points[first, 0] > points[first + 3, 0]
        assert points[first + 2, 1] < points[first, 1] < points[first + 4, 1]
    # Hair, beard and glasses may lie before the skin; nothing of the face lies far behind its landmarks.
    off = depth - pictures.depth[0, row, column]
    assert np.mean(np.abs(off) < 0.03) > share
    assert np.quantile(off, 0.02) > -0.06


def test_a_seed_is_a_head(sdf_heads):
    again = make_head("sdf", sdf_heads[0].seed)
    for name in ("vertices", "triangles", "colours", "normals", "landmarks"):
        np.testing.assert_array_equal(getattr(again, name), getattr(sdf_heads[0], name))
    assert again.attributes == sdf_heads[0].attributes
    assert sdf_heads[1].landmarks.shape == (478, 3)
    assert np.abs(sdf_heads[1].landmarks - sdf_heads[0].landmarks).max() > 0.005


def test_heads_are_sound(sdf_heads):
    for head in sdf_heads:
        assert head.triangles.min() >= 0
        assert head.triangles.max() < len(head.vertices)
        assert head.colours.min() >= 0
        assert head.colours.max() <= 1
        np.testing.assert_allclose(np.linalg.norm(head.normals, axis=1), 1, atol=1e-3)
        outwards = (head.normals * head.vertices * [1, 0, 1]).sum(1)
        upper = head.vertices[:, 1] > head.landmarks[10, 1]
        assert (outwards[upper] > -0.02).mean() > 0.9


def test_heads_are_framed_as_photos_are(sdf_heads):
    for head in sdf_heads:
        assert_framed(head)


def test_the_bust_fills_the_bottom_of_every_view(sdf_heads):
    from pshead_core.cameras.sampler import even_ring

    for head in sdf_heads:
        alpha = render_head(head, even_ring(CameraConfig(), 8, 64)).rgba[..., 3]
        assert (alpha[:, -1].sum(1) > 20).all()
        assert (alpha[:, 0] == 0).all()


def test_landmarks_lie_on_the_face(sdf_heads):
    for head in sdf_heads:
        assert_landmarks_on_the_face(head, 0.5)


def test_vertices_lie_on_the_surface():
    from training.heads.sdf.build import LOWEST, sample_draft
    from training.heads.sdf.surface import nearest_region, surface

    shape = sample_draft(HELD_OUT_SEED + 103).shape
    vertices, triangles, normals, regions = surface(shape, LOWEST)
    step = max(len(vertices) // 500, 1)
    off = np.array([nearest_region(*vertex, shape)[0] for vertex in vertices[::step]])
    assert np.quantile(np.abs(off), 0.95) < 0.01
    assert set(np.unique(regions)) <= {0, 1, 2, 3}
    assert len(triangles) > 10_000
    before = np.array([nearest_region(*point, shape)[0] for point in (vertices + 0.03 * normals)[::step]])
    assert (before > off).mean() > 0.95


def test_jitter_moves_landmarks_with_the_head(sdf_heads):
    head = sdf_heads[0]
    same = apply_jitter(head, Jitter())
    np.testing.assert_allclose(same.vertices, head.vertices)
    np.testing.assert_allclose(same.colours, head.colours, atol=1e-6)
    moved = apply_jitter(head, Jitter(scale=1.1, shift=(0.1, -0.05, 0.02), gain=(0.5, 1.0, 1.0), saturation=0.0))
    np.testing.assert_allclose(moved.landmarks, head.landmarks * 1.1 + [0.1, -0.05, 0.02], atol=1e-6)
    np.testing.assert_allclose(moved.colours[:, 0] * 2, moved.colours[:, 1], atol=1e-6)
    _, before, _ = front(head)
    _, after, _ = front(apply_jitter(head, Jitter(shift=(0.1, 0.0, 0.0))))
    assert (after[:, 0] > before[:, 0] + 5).all()


def test_a_turned_head_is_rigid_above_the_chin_and_framed_again(sdf_heads):
    head = sdf_heads[0]
    turned = apply_jitter(head, Jitter(turn_deg=(12.0, 6.0, -4.0)))
    upper = head.landmarks[:, 1] > head.landmarks[152, 1] + 0.02
    before, after = (points[upper] - points[upper].mean(0) for points in (head.landmarks, turned.landmarks))
    u, stretch, vt = np.linalg.svd(before.T @ after)
    scale = stretch.sum() / np.square(before).sum()
    np.testing.assert_allclose(after, scale * before @ (u @ vt), atol=2e-3)
    assert_framed(turned)
    nose, cheeks = turned.landmarks[1], turned.landmarks[[234, 454]].mean(0)
    assert nose[0] > cheeks[0] + 0.02  # the subject's left is +x


def test_random_jitters_keep_the_face_in_the_picture(sdf_heads):
    rng = np.random.default_rng(1)
    for _ in range(10):
        _, points, _ = front(apply_jitter(sdf_heads[1], sample_jitter(rng)))
        assert points.min() > 0.1 * SIDE_PX
        assert points.max() < 0.9 * SIDE_PX


def test_unknown_sources_and_missing_assets_are_refused():
    with pytest.raises(PsheadError, match="no head source 'clay'"):
        make_head("clay", 0)
    with pytest.raises(PsheadError, match="need the assets folder"):
        make_head("makehuman", 0)


def bare(seed):
    draft = sample_draft(seed)
    return landmarks(draft.shape, draft.lift, draft.angle, draft.gaze)


def test_the_jaw_is_smooth_in_depth_and_what_frames_the_head_stays():
    jumps = []
    for seed in range(HELD_OUT_SEED + 110, HELD_OUT_SEED + 116):
        raw = bare(seed)
        marks = smooth_oval(raw)
        for ring in (RIGHT_OVAL, LEFT_OVAL):
            frame = [ring[place] for place in FRAMING]
            np.testing.assert_array_equal(marks[frame], raw[frame])
            jaw = list(ring[EAR + 2 :])
            bends = [np.abs(np.diff(points[jaw, 2], 2)).max() for points in (raw, marks)]
            jumps.append(bends)
            assert bends[1] < 0.14  # local: the face is 1.5 high
            # Seen from the front, the outline stays where it was.
            assert np.linalg.norm(marks[list(ring), :2] - raw[list(ring), :2], axis=1).max() < 0.12
        inside = np.setdiff1d(np.arange(478), RIGHT_OVAL + LEFT_OVAL)
        np.testing.assert_array_equal(marks[inside], raw[inside])
    assert np.mean(jumps, axis=0)[0] > 2 * np.mean(jumps, axis=0)[1]


def test_similarity_is_found_again():
    rng = np.random.default_rng(2)
    points = rng.normal(size=(20, 3))
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    turned, shift = similarity(points, 1.7 * points @ rotation.T + [1, 2, 3])
    np.testing.assert_allclose(turned, 1.7 * rotation, atol=1e-12)
    np.testing.assert_allclose(shift, [1, 2, 3], atol=1e-12)


def test_landmarks_of_old_shards_become_those_of_the_drawn_heads(tmp_path):
    settings = DataSettings(views=2, side_px=16, shard_heads=2)
    job = plan_shards(2, ("sdf",), settings)[0]
    tensors, words = draw_shard(job, settings, None)
    old = tensors["landmarks"].clone()
    old[:, list(CORRECTED["sdf"])] += 0.05 * torch.randn(2, len(CORRECTED["sdf"]), 3)
    facts = {"captions": words}
    write_tensors(tmp_path / "data" / job.name, tensors | {"landmarks": old}, facts)
    write_tensors(tmp_path / "latents" / job.name, {"landmarks": old.repeat(2, 1, 1)}, facts)
    for name, repeats in (("data", 1), ("latents", 2)):
        assert correct_folder(tmp_path / name, None, check=True) == 1
        assert correct_folder(tmp_path / name, None) == 1
        assert correct_folder(tmp_path / name, None) == 0  # a second call finds nothing to do
        found, kept = read_shard(tmp_path / name / job.name)
        torch.testing.assert_close(found["landmarks"], tensors["landmarks"].repeat(repeats, 1, 1), atol=1e-5, rtol=0)
        assert kept == facts
    found, _ = read_shard(tmp_path / "data" / job.name)
    torch.testing.assert_close(found["rgba"], tensors["rgba"], atol=0, rtol=0)


def test_a_shard_of_other_heads_is_refused(sdf_heads):
    stored = sdf_heads[0].landmarks.astype(np.float64)
    np.testing.assert_allclose(corrected("sdf", sdf_heads[0].seed, stored, None), stored, atol=1e-5)
    with pytest.raises(PsheadError, match="do not fit"):
        corrected("sdf", sdf_heads[1].seed, stored, None)
    with pytest.raises(PsheadError, match="assets"):
        corrected("makehuman", 0, stored, None)
