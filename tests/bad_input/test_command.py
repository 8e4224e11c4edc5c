"""What a user can get wrong, through the command line: one message, exit code 2, nothing half-written."""

import shutil
import struct
import zlib
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from pshead_core.cli.main import main

HEADS = Path(__file__).parents[2] / "plugins" / "analyzers" / "mediapipe_face" / "tests" / "data"
Usage = namedtuple("Usage", "total used free")
# As small as a run can be; the photo and the portrait are treated as in any other.
SMALL = ["--steps", "2", "--start.gaussians", "600", "--resolution.sides-px", "64", "--resolution.from-steps", "0"]


@pytest.fixture
def refused(tmp_path, capsys):
    """Return a function that runs pshead and checks that it refuses well; it returns the message."""

    def run(*arguments, out=None):
        folder = out or tmp_path / "new" / "run"
        assert main(["run", *map(str, arguments), "--out", str(folder)]) == 2
        err = capsys.readouterr().err
        assert err.count("error:") == 1, err
        assert "  fix: " in err, err
        assert "Traceback" not in err
        if out is None:
            assert not (tmp_path / "new").exists()
        return err

    return run


@pytest.fixture
def succeeds(tmp_path, capsys):
    """Return a function that runs pshead on a photo to its end; it returns what was said."""

    def run(photo, *arguments):
        code = main(["run", str(photo), "--out", str(tmp_path / "done"), *arguments, *SMALL])
        err = capsys.readouterr().err
        assert code == 0, err
        assert (tmp_path / "done" / "head.ply").is_file()
        return err

    return run


def _save(image, path, **options):
    Image.fromarray(image).save(path, **options)
    return path


def _png_that_claims(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("notes.jpg", b"Dear diary, today I reconstructed a head.", "not a photo"),
        ("empty.jpg", b"", "0 bytes"),
        pytest.param("huge.png", _png_that_claims(20000, 10000), "too many pixels", id="huge"),
    ],
)
def test_files_that_are_no_photo(refused, tmp_path, name, content, word):
    (tmp_path / name).write_bytes(content)
    assert word in refused(tmp_path / name)


def test_truncated_photo(refused, tmp_path):
    whole = _save(astronaut(), tmp_path / "photo.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in refused(tmp_path / "cut.jpg")


def test_missing_photo(refused, tmp_path):
    assert "no file" in refused(tmp_path / "anna.jpg")


def test_no_face(refused, tmp_path):
    stripes = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3))
    assert "no face" in refused(_save(stripes, tmp_path / "stripes.png")).lower()


def test_sixty_pixel_face(refused, tmp_path):
    # The astronaut's face is 128 px high in 512; at 0.47 of the size it is 60.
    small = np.asarray(Image.fromarray(astronaut()).resize((240, 240), Image.Resampling.LANCZOS))
    assert "64 are needed" in refused(_save(small, tmp_path / "far.png"))


def test_face_from_the_side(refused):
    (profile,) = HEADS.glob("*50*")
    assert "side" in refused(profile)


def test_face_number_that_does_not_exist(refused, tmp_path):
    assert "--face" in refused(_save(astronaut(), tmp_path / "one.png"), "--face", "4")


def test_three_faces_take_the_largest_and_say_so(succeeds, tmp_path):
    person = Image.fromarray(astronaut()).crop((130, 0, 330, 240))
    group = Image.new("RGB", (900, 400), (90, 110, 130))
    for left, scale in ((20, 0.8), (260, 1.4), (640, 1.0)):
        group.paste(person.resize((int(200 * scale), int(240 * scale))), (left, 20))
    group.save(tmp_path / "group.png")
    said = succeeds(tmp_path / "group.png")
    assert "3 faces" in said
    assert "--face" in said


def test_photo_turned_by_exif_gives_the_same_portrait(succeeds, tmp_path):
    upright, turned = tmp_path / "upright.png", tmp_path / "turned.png"
    _save(astronaut(), upright)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: to be shown rotated by 90° clockwise
    _save(np.rot90(astronaut()), turned, exif=exif)
    succeeds(upright)
    wanted = np.asarray(Image.open(tmp_path / "done" / "portrait.png"))
    shutil.rmtree(tmp_path / "done")
    succeeds(turned)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "done" / "portrait.png")), wanted)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="/proc is Linux's read-only folder")
def test_unwritable_folder(refused):
    assert "cannot write" in refused("demo", out=Path("/proc/run"))


def test_full_disk(refused, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 2**20))
    assert "MiB left" in refused("demo")


def test_existing_run(refused, tmp_path):
    run = tmp_path / "old"
    run.mkdir()
    (run / "resolved.toml").write_text("seed = 7\n")
    message = refused("demo", out=run)
    assert "--resume" in message
    assert "--force" in message
    assert (run / "resolved.toml").read_text() == "seed = 7\n"


def test_folder_of_somebody_else(refused, tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    assert "not a run folder" in refused("demo", "--force", out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_unknown_plugin_is_answered_with_the_nearest(refused):
    assert "flat_color" in refused("demo", "--plugins", "flat_colour")


def test_misspelt_key_and_wrong_type_come_out_together(refused, tmp_path):
    config = tmp_path / "anna.toml"
    config.write_text('stepps = 5\n[losses]\nrgb = "much"\n[guidance.flat_color]\nstrenght = 2.0\n')
    message = refused("demo", "--config", config)
    assert "'steps'" in message
    assert "'strength'" in message
    assert "losses.rgb" in message
    assert message.count("anna.toml") >= 3


def test_gsplat_without_a_gpu(refused):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    message = refused("demo", "--render.renderer", "gsplat")
    assert "CUDA" in message
    assert "cpu" in message


def test_resume_of_nothing(capsys, tmp_path):
    assert main(["run", "--resume", str(tmp_path)]) == 2
    assert "error:" in capsys.readouterr().err


def test_render_of_nothing(capsys, tmp_path):
    assert main(["render", str(tmp_path)]) == 2
    assert "holds no head" in capsys.readouterr().err
