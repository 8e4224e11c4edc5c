"""The loader on a miniature set of assets, people's weights, and whole heads where the real assets are there."""

from __future__ import annotations

import numpy as np
import pytest

from pshead_core.errors import PsheadError
from tests.training.test_sdf_heads import assert_framed, assert_landmarks_on_the_face
from training.ground_truth import load_ground_truth
from training.heads import HELD_OUT_SEED, make_head, open_assets
from training.heads.makehuman.formats import read_fit, read_obj, read_target
from training.heads.makehuman.landmarks import TABLE, skin_landmarks
from training.heads.makehuman.lips import CORNERS, LOWER, UPPER, Lip, closest, mirror_pairs, places_on_lip
from training.heads.makehuman.people import ETHNICITIES, _pair, macro_weights, sample_person

OBJ = """# a square and a triangle
v 0 0 0
v 2 0 0
v 2 2 0
v 0 2 0
v 1 3 4
vt 0 0
vt 1 0
vt 1 1
vt 0 1
g body
f 1/1 2/2 3/3 4/4
g helper-hat
f 3/3 4/4 5/1
"""
MHCLO = """# comment
name tiny
obj_file tiny.obj
x_scale 0 1 1.0
z_scale 2 4 2.0
y_scale 0 3 4.0
verts 0
material tiny.mhmat

4
 0 1 2 0.5 0.25 0.25 1 2 3
 -1 1 2 1 0 0 0 0 0
delete_verts
0 2 - 4
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "3dobjs").mkdir()
    (tmp_path / "3dobjs" / "base.obj").write_text(OBJ)
    (tmp_path / "targets" / "nose").mkdir(parents=True)
    (tmp_path / "targets" / "nose" / "nose-up.target").write_text("# moves two\n1 0 .5 -1\n4 1 0 0\n")
    (tmp_path / "hair" / "tiny").mkdir(parents=True)
    (tmp_path / "hair" / "tiny" / "tiny.mhclo").write_text(MHCLO.replace(" -1 1 2 1 0 0 0 0 0\n", ""))
    (tmp_path / "hair" / "tiny" / "tiny.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    return tmp_path


def test_obj(folder):
    mesh = read_obj(folder / "3dobjs" / "base.obj")
    assert mesh.vertices.shape == (5, 3)
    assert mesh.quads.tolist() == [[0, 1, 2, 3], [2, 3, 4, 4]]
    assert {name: rows.tolist() for name, rows in mesh.groups.items()} == {"body": [0], "helper-hat": [1]}
    np.testing.assert_array_equal(mesh.uv[2], [1, 1])


def test_targets_are_added_by_weight(folder):
    assets = open_assets(folder)
    assert assets.target_names == ("nose/nose-up",)
    target = read_target(folder / "targets" / "nose" / "nose-up.target")
    assert target.index.tolist() == [1, 4]
    moved = assets.morph({"nose/nose-up": 0.5}) - assets.base.vertices
    np.testing.assert_allclose(moved, [[0, 0, 0], [0, 0.25, -0.5], [0, 0, 0], [0, 0, 0], [0.5, 0, 0]])


def test_clothes_follow_the_base_mesh(folder):
    assets = open_assets(folder)
    hair = assets.garment("hair", "tiny")
    base = assets.base.vertices
    # Factors by hand: x |0-2|/1 = 2, y |0-2|/4 = 0.5, z |0-4|/2 = 2.
    np.testing.assert_allclose(hair.fit.place(base), [base[4], [1.0 + 2, 0.5 + 1, 0 + 6]])
    wide = base * np.array([3, 1, 1], np.float32)
    np.testing.assert_allclose(hair.fit.place(wide)[1], [3 + 6, 1.5, 6])
    assert hair.fit.hidden.tolist() == [0, 2, 3, 4]


def test_assets_are_found_one_folder_down(folder):
    nested = folder.parent / "outer"
    nested.mkdir()
    folder.rename(nested / "inner")
    assert open_assets(nested).folder == nested / "inner"


def test_broken_assets_are_refused(folder):
    with pytest.raises(PsheadError, match="no MakeHuman assets"):
        open_assets(folder / "hair")
    with pytest.raises(PsheadError, match="missing"):
        read_target(folder / "none.target")
    (folder / "bad.target").write_text("1 2 3\n")
    with pytest.raises(PsheadError, match="not a target"):
        read_target(folder / "bad.target")
    (folder / "bad.obj").write_text("v 0 0 0\nf 1 1\n")
    with pytest.raises(PsheadError, match="2 corners"):
        read_obj(folder / "bad.obj")
    (folder / "bad.mhclo").write_text("name x\nverts 0\n1\n")
    with pytest.raises(PsheadError, match="binds no mesh"):
        read_fit(folder / "bad.mhclo")
    with pytest.raises(PsheadError, match="no single hair"):
        open_assets(folder).garment("hair", "none")


@pytest.mark.parametrize("years", [10, 14, 25, 60, 90])
def test_macro_weights_of_each_family_sum_to_one(years):
    weights = macro_weights(0.3, years, np.array([0.2, 0.3, 0.5]), 0.8, 0.1)
    ethnic = sum(share for name, share in weights.items() if name.split("/")[1].startswith(ETHNICITIES))
    universal = sum(share for name, share in weights.items() if "universal" in name)
    assert ethnic == pytest.approx(1, abs=0.02)
    assert universal == pytest.approx(1, abs=0.02)
    assert ("child" in " ".join(weights)) == (years < 25)
    assert ("old" in " ".join(weights)) == (years > 25)


def test_opposite_targets_are_paired():
    assert _pair("nose-hump-incr") == ("nose-hump", 1.0)
    assert _pair("nose-hump-decr") == ("nose-hump", -1.0)
    assert _pair("chin-triangle") == ("chin-triangle", 0.0)


def test_real_heads(makehuman_assets):
    heads = [make_head("makehuman", HELD_OUT_SEED + number, makehuman_assets) for number in (200, 201, 202)]
    again = make_head("makehuman", heads[0].seed, makehuman_assets)
    np.testing.assert_array_equal(again.vertices, heads[0].vertices)
    np.testing.assert_array_equal(again.colours, heads[0].colours)
    for head in heads:
        assert_framed(head)
        assert_landmarks_on_the_face(head, 0.4)


def test_a_head_does_not_depend_on_those_before_it(makehuman_assets):
    seed = HELD_OUT_SEED + 203
    after = make_head("makehuman", seed, makehuman_assets)
    fresh = make_head("makehuman", seed, open_assets(makehuman_assets.folder))
    np.testing.assert_array_equal(after.vertices, fresh.vertices)
    np.testing.assert_array_equal(after.colours, fresh.colours)


def stored_places():
    """The table's corners and weights."""
    with np.load(TABLE) as table:
        return table["corners"], table["weights"]


def test_the_table_holds_places_on_triangles():
    corners, weights = stored_places()
    assert corners.shape == weights.shape == (468, 3)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)


def test_mirror_pairs_are_those_of_the_face_mesh():
    pairs = mirror_pairs()
    assert len(pairs) == 60
    assert all(pairs[pairs[point]] == point for point in pairs)
    for point, other in ((95, 324), (88, 318), (178, 402), (87, 317), (14, 14), (13, 13), (191, 415), (78, 308)):
        assert pairs[point] == other


def test_the_nearest_place_of_a_triangle_is_that_of_a_dense_search():
    rng = np.random.default_rng(4)
    share = np.stack(np.meshgrid(*[np.linspace(0, 1, 201)] * 2), -1).reshape(-1, 2)
    share = share[share.sum(1) <= 1]
    dense = np.column_stack([1 - share.sum(1), share])
    for dimensions in (2, 3):
        for _ in range(20):
            triangle, point = rng.normal(size=(3, dimensions)), 2 * rng.normal(size=dimensions)
            weights = closest(triangle, point)
            assert weights.min() >= 0
            assert weights.sum() == pytest.approx(1)
            best = np.linalg.norm(dense @ triangle - point, axis=1).min()
            assert np.linalg.norm(weights @ triangle - point) <= best + 1e-9
            assert np.linalg.norm(weights @ triangle - point) >= best - 0.02


def test_a_point_between_the_lips_goes_to_the_rim_that_faces_the_camera():
    # A square that faces the camera, one that faces away right behind the point.
    pixels = np.array([[0, 10], [10, 10], [10, 20], [0, 20], [0, 4], [10, 4], [10, 9], [0, 9]], np.float64)
    front, away = [[0, 2, 1], [0, 3, 2]], [[4, 5, 6], [4, 6, 7]]
    base = np.column_stack([pixels, np.arange(8)])
    lip = Lip(triangles=np.array(front + away, np.int32), points=(95,))
    place = places_on_lip(lip, base, pixels, np.array([[5.0, 8.0]]))
    np.testing.assert_allclose(place[0, :2], [5, 10], atol=1e-9)


def lip_rows(base):
    """Rows of the inner lips on a base mesh, corners included, from the subject's right to the left."""
    marks = skin_landmarks(base)
    return [
        marks[[right, *row, left]] for rows in (LOWER, UPPER) for row, (right, left) in zip(rows, CORNERS, strict=True)
    ]


def test_lip_points_lie_on_smooth_symmetric_curves(makehuman_assets):
    for row in lip_rows(makehuman_assets.base.vertices):
        np.testing.assert_allclose(row, row[::-1] * [-1, 1, 1], atol=0.003)
        assert (np.diff(row[:, 0]) > 0.01).all()
        assert np.abs(row[1:-1] - 0.5 * (row[:-2] + row[2:])).max() < 0.04  # decimetres; the mouth is 0.5 wide


def test_lip_points_of_random_people_stay_smooth(makehuman_assets):
    rng = np.random.default_rng(11)
    for _ in range(3):
        for row in lip_rows(makehuman_assets.morph(sample_person(makehuman_assets, rng).weights)):
            width = row[-1, 0] - row[0, 0]
            assert (np.diff(row[:, 0]) > 0).all()
            assert np.abs(row[1:-1] - 0.5 * (row[:-2] + row[2:])).max() < 0.12 * width


def test_inner_lips_of_the_ground_truth_are_smooth():
    # Needs no assets: the committed landmarks were made from the table.
    for head in load_ground_truth():
        face = head.landmarks[10, 1] - head.landmarks[152, 1]
        for rows in (LOWER, UPPER):
            row = head.landmarks[[78, *rows[0], 308]]
            assert np.abs(row[1:-1] - 0.5 * (row[:-2] + row[2:])).max() < 0.03 * face
        lower, upper = (head.landmarks[[78, *rows[0], 308]] for rows in (LOWER, UPPER))
        above = np.interp(lower[:, 0], upper[:, 0], upper[:, 1])
        assert (above - lower[:, 1] > -0.01 * face).all()
        assert (lower[:, 1] > head.landmarks[17, 1]).all()
