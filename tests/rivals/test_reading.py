"""Folders of systems: what is found, how it is counted, and what is refused with which words."""

from __future__ import annotations

import pytest

from pshead_core.bench.rival import our_azimuth_deg, read_rivals
from pshead_core.bench.rival_settings import RivalSettings
from pshead_core.errors import ConfigError, PsheadError
from tests.rivals.folders import numbered, settings


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"")


def test_each_form_is_found_by_system_and_subject(tmp_path):
    touch(tmp_path / "b" / "two", "head.ply", "preview.png")
    touch(tmp_path / "b" / "one", "HEAD.PLY")
    touch(tmp_path / "a" / "one", "views.json", "000.png")
    touch(tmp_path / "c" / "one", "2.png", "1.png", "10.png", *(f"{i}.png" for i in range(3, 10)))
    touch(tmp_path / "d" / "one", "az_-90.png", "az_0.png", "az_90.5.webp")
    touch(tmp_path / ".git" / "one", "x.ply")
    touch(tmp_path / "b", "README.md")
    found = read_rivals(tmp_path)
    assert [(r.system, r.subject, r.kind) for r in found] == [
        ("a", "one", "views"),
        ("b", "one", "ply"),
        ("b", "two", "ply"),
        ("c", "one", "pictures"),
        ("d", "one", "pictures"),
    ]
    assert [path.name for path in found[2].files] == ["head.ply"]
    assert [path.stem for path in found[3].files] == [str(i) for i in range(1, 11)]
    assert found[3].azimuth_deg == tuple(range(0, 360, 36))
    assert found[4].azimuth_deg == (-90.0, 0.0, 90.5)


@pytest.mark.parametrize(
    ("azimuth", "text", "ours"),
    [
        (0, {}, 0),
        (90, {}, 90),
        (350, {}, -10),
        (180, {}, 180),
        (-180, {}, 180),
        (90, {"clockwise": True}, -90),
        (100, {"front_deg": 90.0}, 10),
        (100, {"front_deg": 90.0, "clockwise": True}, -10),
        (270, {"front_deg": 90.0, "clockwise": True}, 180),
        (10, {"front_deg": 350.0}, 20),
    ],
)
def test_azimuths_are_turned_into_ours(azimuth, text, ours):
    assert our_azimuth_deg(azimuth, RivalSettings(**text)) == pytest.approx(ours)


def test_stated_azimuths_follow_the_numbers(tmp_path):
    touch(tmp_path / "s" / "one", "1.png", "2.png", "3.png")
    settings(tmp_path / "s", "azimuth_deg = [0, -30, 30.5]")
    assert read_rivals(tmp_path)[0].azimuth_deg == (0.0, -30.0, 30.5)


def said(tmp_path):
    with pytest.raises(PsheadError) as caught:
        read_rivals(tmp_path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), ("neither a PLY nor views", "it is empty")),
        (("notes.txt",), ("neither a PLY nor views", "notes.txt")),
        (("a.ply", "b.ply"), ("a.ply, b.ply", "one head")),
        (("a.ply", "views.json"), ("a.ply, views.json",)),
        (("0.png", "2.png"), ("one row", "without a gap")),
        (("5.png", "6.png"), ("one row",)),
        (("1.png", "01.png"), ("one row",)),
        (("0.png", "1.png", "input.png"), ("input.png", "no azimuth")),
        (("az_0.png", "az-45.png"), ("az-45.png", "one underscore")),
        (("az_0.png", "az_nan.png"), ("az_nan.png",)),
        (("az_0.png", "az_360.png"), ("the same azimuth",)),
        (("az_0.png", "azimuth_000.png"), ("the same azimuth",)),
    ],
)
def test_a_folder_that_is_not_understood_is_named(tmp_path, names, words):
    touch(tmp_path / "s" / "one", *names)
    told = said(tmp_path)
    assert str(tmp_path / "s" / "one") in told
    for word in words:
        assert word in told


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("clockwize = true", ("unknown key 'clockwize'", "did you mean 'clockwise'?")),
        ('align = "landmark"', ("'landmark'", "did you mean 'landmarks'?", "align")),
        ('up = "y"', ("must be one of", "up")),
        ("clockwise = 1", ("must be true or false", "clockwise")),
        ("azimuth_deg = [0, 720]", ("azimuth_deg", "<= 360")),
        ("azimuth_deg = []", ("azimuth_deg",)),
        ("elevation_deg = 90", ("elevation_deg", "< 90")),
        ("fovy_deg = 0\ndistance = -1", ("fovy_deg", "distance")),
        ("scale = 0", ("scale",)),
        ('up = "+z"', ("lie on one axis",)),
        ("up = ", ("cannot be read",)),
    ],
)
def test_mistakes_in_rival_toml_are_named(tmp_path, toml, words):
    touch(tmp_path / "s" / "one", "0.png")
    settings(tmp_path / "s", toml)
    with pytest.raises(ConfigError) as caught:
        read_rivals(tmp_path)
    for word in (str(tmp_path / "s" / "rival.toml"), *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "toml", "words"),
    [
        ("0.png", "scale = 2.0", ("scale", "PLY files", "would do nothing")),
        ("a.ply", "clockwise = true", ("clockwise", "numbered pictures")),
        ("views.json", "front_deg = 90.0", ("front_deg", "views.json says itself")),
        ("0.png", "azimuth_deg = [0, 1]", ("1 pictures", "2 azimuths")),
        ("az_0.png", "azimuth_deg = [0]", ("say their azimuths themselves",)),
    ],
)
def test_keys_that_would_do_nothing_are_refused(tmp_path, name, toml, words):
    touch(tmp_path / "s" / "one", name)
    settings(tmp_path / "s", toml)
    told = said(tmp_path)
    for word in words:
        assert word in told


def test_views_json_beside_numbered_subjects_refuses_their_keys(tmp_path):
    touch(tmp_path / "s" / "one", "0.png")
    touch(tmp_path / "s" / "two", "views.json")
    assert len(read_rivals(tmp_path)) == 2
    settings(tmp_path / "s", "clockwise = true")
    assert "the same form" in said(tmp_path)


def test_empty_folders_are_named(tmp_path):
    assert "no system" in said(tmp_path)
    (tmp_path / "s").mkdir()
    assert "no subject" in said(tmp_path)
    with pytest.raises(PsheadError, match="is no folder"):
        read_rivals(tmp_path / "nowhere")


def test_numbers_are_by_value_not_by_text(tmp_path):
    touch(tmp_path / "s" / "one", *(f"{name}.png" for name in numbered(3, first=1)), "4.png", "5.png")
    assert [path.stem for path in read_rivals(tmp_path)[0].files] == ["001", "002", "003", "4", "5"]
