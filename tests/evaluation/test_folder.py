"""Folders of views: read back exactly, and wrong ones refused."""

import json

import numpy as np
import pytest
from PIL import Image

from pshead_core.errors import PsheadError
from pshead_core.evaluation.folder import FACTS, is_views_folder, read_views, write_views

CAMERAS = {"azimuth_deg": [0, 120, 240], "elevation_deg": 10, "distance": 2.5, "fovy_deg": 40}


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (3, 24, 24, 4), dtype=np.uint8)


def test_a_sheet_is_read_back_exactly(tmp_path, pictures):
    write_views(tmp_path / "anna", pictures, {**CAMERAS, "caption": "photo of anna"})
    assert is_views_folder(tmp_path / "anna")
    found = read_views(tmp_path / "anna")
    np.testing.assert_array_equal(found.rgba, pictures)
    assert (found.name, found.caption, found.has_alpha, found.front) == ("anna", "photo of anna", True, 0)
    assert found.cameras.azimuth_deg.tolist() == [0, 120, -120]
    assert found.cameras.fovy_deg == 40
    assert float(found.cameras.positions[1].norm()) == pytest.approx(2.5)
    assert float(found.cameras.positions[1, 1]) == pytest.approx(2.5 * np.sin(np.radians(10)), abs=1e-6)


def test_single_pictures_are_read_in_the_stated_order(tmp_path, pictures):
    for index in range(3):
        Image.fromarray(pictures[index, ..., :3]).save(tmp_path / f"{index}.png")
    (tmp_path / FACTS).write_text(json.dumps({**CAMERAS, "files": ["2.png", "0.png", "1.png"]}))
    found = read_views(tmp_path)
    np.testing.assert_array_equal(found.rgba[..., :3], pictures[[2, 0, 1], ..., :3])
    assert not found.has_alpha
    assert bool((found.rgba[..., 3] == 255).all())


def test_a_sheet_that_is_opaque_everywhere_has_no_alpha(tmp_path, pictures):
    pictures[..., 3] = 255
    write_views(tmp_path, pictures, CAMERAS)
    assert not read_views(tmp_path).has_alpha
    pictures[1, 0, 0, 3] = 254
    write_views(tmp_path, pictures, CAMERAS)
    assert read_views(tmp_path).has_alpha


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": ["0.png", "1.png"]}, "3 azimuths, 2 pictures"),
        ({"files": ["0.png", "1.png", "wide.png"]}, "wide.png has size 30x24"),
        ({"files": ["0.png", "1.png", "none.png"]}, "none.png is no picture"),
        ({"files": ["0.png", "1.png", "text.png"]}, "text.png is no picture"),
        ({"azimuth_deg": "front"}, "views.json is wrong"),
        ({"distance": None}, "views.json is wrong"),
    ],
)
def test_wrong_folders_are_refused_by_name(tmp_path, pictures, change, message):
    for index in range(2):
        Image.fromarray(pictures[index]).save(tmp_path / f"{index}.png")
    Image.new("RGB", (30, 24)).save(tmp_path / "wide.png")
    (tmp_path / "text.png").write_text("not a picture")
    told = {**CAMERAS, "files": ["0.png", "1.png", "1.png"], **change}
    (tmp_path / FACTS).write_text(json.dumps(told))
    with pytest.raises(PsheadError) as error:
        read_views(tmp_path)
    assert message in f"{error.value.what} {error.value.why}"


def test_a_folder_without_facts_holds_no_views(tmp_path):
    assert not is_views_folder(tmp_path)
    with pytest.raises(PsheadError, match="holds no views"):
        read_views(tmp_path)
    (tmp_path / FACTS).write_text("{")
    with pytest.raises(PsheadError, match="holds no views"):
        read_views(tmp_path)
