"""Landmarks of a real face: where they must lie, and that size, place, orientation and mirroring change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage import data

from pshead_core.errors import PhotoError
from pshead_core.portrait.choose import choose_face, roll_deg, yaw_deg
from pshead_core.portrait.facts import FaceFacts

# Read off the enlarged picture by eye, in its pixels: (landmark indices, x, y).
BY_EYE = {
    "right pupil": ((468,), 203.5, 101),
    "left pupil": ((473,), 247, 103.5),
    "tip of the nose": ((4,), 223, 127),
    "mouth": ((13, 14), 224, 147),
    "chin": ((152,), 222, 178),
}
TOLERANCE_PX = 2.0


def only_face(analyzer, photo) -> FaceFacts:
    faces = analyzer.analyze(photo).faces
    assert len(faces) == 1
    return faces[0]


def error(points: np.ndarray, expected: np.ndarray, height: float) -> float:
    """Mean distance in heights of the face."""
    return float(np.linalg.norm(points[:, :2] - expected[:, :2], axis=1).mean() / height)


@pytest.mark.parametrize("name", BY_EYE)
def test_places(facts, name: str):
    indices, x, y = BY_EYE[name]
    face = facts.faces[0]
    assert face.landmarks_px.shape == (478, 3)
    assert face.landmarks_px.dtype == np.float32
    assert np.linalg.norm(face.landmarks_px[list(indices), :2].mean(0) - (x, y)) < TOLERANCE_PX


def test_nose_is_nearest(facts):
    z = facts.faces[0].landmarks_px[:, 2]
    assert z[4] < z[[33, 263]].min() < z[[234, 454]].min()


@pytest.mark.parametrize("scale", [0.7, 5.0])
def test_size(analyzer, photo_of, astronaut: Image.Image, facts, scale: float):
    image = astronaut.resize((round(512 * scale),) * 2, Image.Resampling.LANCZOS)
    face = only_face(analyzer, photo_of(image))
    assert error(face.landmarks_px / scale, facts.faces[0].landmarks_px, facts.faces[0].height_px) < 0.01
    assert face.landmarks_px[234, 2] / scale == pytest.approx(facts.faces[0].landmarks_px[234, 2], abs=4)


@pytest.mark.parametrize("turn", [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270])
def test_sideways_photo(analyzer, photo_of, astronaut: Image.Image, facts, turn: Image.Transpose):
    face = only_face(analyzer, photo_of(astronaut.transpose(turn)))
    x, y = facts.faces[0].landmarks_px[:, :2].T
    expected = {
        Image.Transpose.ROTATE_90: (y, 512 - x),
        Image.Transpose.ROTATE_180: (512 - x, 512 - y),
        Image.Transpose.ROTATE_270: (512 - y, x),
    }[turn]
    assert error(face.landmarks_px, np.stack(expected, 1), face.height_px) < 0.01


@pytest.mark.parametrize("angle", [-40, 25])
def test_tilted_head(analyzer, photo_of, astronaut: Image.Image, facts, angle: float):
    tilted = astronaut.rotate(angle, Image.Resampling.BICUBIC, center=(224, 125), fillcolor=(120, 115, 105))
    face = only_face(analyzer, photo_of(tilted))
    turned = roll_deg(face.landmarks_px) - roll_deg(facts.faces[0].landmarks_px)
    assert turned == pytest.approx(-angle, abs=1.5)  # Pillow turns counter-clockwise
    assert face.height_px == pytest.approx(facts.faces[0].height_px, rel=0.03)


def test_small_face_in_a_large_photo(analyzer, photo_of, astronaut: Image.Image, facts):
    canvas = Image.new("RGB", (3000, 2000), (90, 120, 150))
    canvas.paste(astronaut.resize((384, 384), Image.Resampling.LANCZOS), (1900, 1100))
    face = only_face(analyzer, photo_of(canvas))
    expected = facts.faces[0].landmarks_px[:, :2] * 0.75 + (1900, 1100)
    assert error(face.landmarks_px, expected, face.height_px) < 0.01


def group(astronaut: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", (1500, 900), (90, 120, 150))
    for scale, place in ((1.0, (0, 388)), (1.7, (440, 60)), (0.9, (1140, 400))):
        side = round(512 * scale)
        person = astronaut.resize((side, side), Image.Resampling.LANCZOS)
        canvas.paste(person.crop((round(0.2 * side), 0, round(0.7 * side), side)), place)
    return canvas


def test_three_faces(analyzer, photo_of, astronaut: Image.Image):
    photo = photo_of(group(astronaut))
    faces = analyzer.analyze(photo).faces
    heights = [face.height_px for face in faces]
    assert heights == pytest.approx([107 * 1.7, 107, 107 * 0.9], rel=0.03)
    said: list[str] = []
    assert choose_face(photo, faces, None, said.append) is faces[0]
    assert "3 faces" in said[0]
    assert choose_face(photo, faces, 3, said.append).landmarks_px[4, 0] > 1140


def test_max_faces(photo_of, astronaut: Image.Image):
    from pshead_analyzers_mediapipe_face.analyzer import MediapipeFace
    from pshead_analyzers_mediapipe_face.config import MediapipeFaceConfig

    facts = MediapipeFace(MediapipeFaceConfig(max_faces=1, matte=False)).analyze(photo_of(group(astronaut)))
    assert len(facts.faces) == 1
    assert facts.faces[0].height_px == pytest.approx(107 * 1.7, rel=0.03)
    assert facts.matte is None


@pytest.mark.parametrize("name", ["chelsea", "coffee"])
def test_cats_and_cups_have_no_face(analyzer, photo_of, name: str):
    photo = photo_of(Image.fromarray(getattr(data, name)()))
    faces = analyzer.analyze(photo).faces
    assert faces == ()
    with pytest.raises(PhotoError, match="no face found"):
        choose_face(photo, faces, None, lambda _: None)


def test_noise_has_no_face(analyzer, photo_of):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    assert analyzer.analyze(photo_of(Image.fromarray(noise))).faces == ()


def test_painted_over_face_is_no_face(analyzer, photo_of, astronaut: Image.Image):
    image = astronaut.copy()
    ImageDraw.Draw(image).ellipse((165, 60, 285, 190), fill=(150, 110, 90))
    assert analyzer.analyze(photo_of(image)).faces == ()


@pytest.mark.parametrize(("yaw", "tolerance"), [(0, 4), (30, 4), (50, 10)])
def test_yaw_of_rendered_heads(analyzer, rendered, yaw: int, tolerance: float):
    assert yaw_deg(only_face(analyzer, rendered(yaw)).landmarks_px) == pytest.approx(yaw, abs=tolerance)


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("yaw", [50, 90])
def test_profiles_are_refused(analyzer, rendered, photo_of, yaw: int, mirror: bool):
    photo = rendered(yaw)
    if mirror:
        photo = photo_of(Image.fromarray(photo.rgb[:, ::-1].copy()))
    with pytest.raises(PhotoError, match=r"seen from the side" if yaw == 50 else r"from the side"):
        choose_face(photo, analyzer.analyze(photo).faces, None, lambda _: None)


def test_60_pixel_face_is_refused(analyzer, photo_of, astronaut: Image.Image):
    photo = photo_of(astronaut.resize((288, 288), Image.Resampling.LANCZOS))
    with pytest.raises(PhotoError, match=r"it is (59|60|61) pixels high"):
        choose_face(photo, analyzer.analyze(photo).faces, None, lambda _: None)


@pytest.mark.parametrize("box", [(225, 0, 512, 512), (0, 0, 512, 120)])
def test_half_a_face_is_refused(analyzer, photo_of, astronaut: Image.Image, box: tuple[int, int, int, int]):
    photo = photo_of(astronaut.crop(box))
    with pytest.raises(PhotoError, match=r"no face found|cut off"):
        choose_face(photo, analyzer.analyze(photo).faces, None, lambda _: None)
