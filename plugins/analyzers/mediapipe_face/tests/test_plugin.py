"""The plugin around the networks: light import, silence, and clear errors without models."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import mediapipe
import numpy as np
import pytest
from mediapipe.tasks.python.metadata.metadata_writers import metadata_writer
from PIL import Image
from pshead_analyzers_mediapipe_face.analyzer import MediapipeFace
from pshead_analyzers_mediapipe_face.config import MediapipeFaceConfig
from pshead_analyzers_mediapipe_face.quiet import quiet

from pshead_core.errors import PluginError


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=110)


def test_listing_loads_nothing_heavy():
    code = (
        "import sys, pshead_analyzers_mediapipe_face as plugin; plugin.pshead_analyzers();"
        "print(sorted({'mediapipe', 'numpy', 'torch', 'PIL', 'scipy'} & set(sys.modules)))"
    )
    assert run(code).stdout.strip() == "[]"


def test_analysis_prints_nothing():
    code = (
        "from skimage.data import astronaut\n"
        "from pshead_analyzers_mediapipe_face.analyzer import MediapipeFace\n"
        "from pshead_analyzers_mediapipe_face.config import MediapipeFaceConfig\n"
        "from pshead_core.portrait.facts import Photo\n"
        "photo = Photo(rgb=astronaut(), alpha=None, source='', sha256='')\n"
        "assert len(MediapipeFace(MediapipeFaceConfig()).analyze(photo).faces) == 1\n"
    )
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_quiet_hides_only_mediapipes_chatter():
    code = (
        "import os\n"
        "from pshead_analyzers_mediapipe_face.quiet import quiet\n"
        "with quiet():\n"
        "    os.write(2, b'W0000 00:00:1795350091.48 12 inference.cc:114] chatter\\n')\n"
        "    os.write(2, b'E0000 00:00:1.1 1 graph.cc:1] bad\\n')\n"
        "    os.write(2, b'INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\\nmine\\n')\n"
        "os.write(2, b'after\\n')\n"
    )
    assert run(code).stderr.splitlines() == ["E0000 00:00:1.1 1 graph.cc:1] bad", "mine", "after"]


def test_quiet_shows_all_when_the_block_fails(capfd: pytest.CaptureFixture[str]):
    def fail() -> None:
        with quiet():
            print("I0000 00:00:1.1 the last thing that was logged", file=sys.__stderr__, flush=True)
            raise ValueError("lost")

    with pytest.raises(ValueError, match="lost"):
        fail()
    assert "the last thing" in capfd.readouterr().err


def test_photo_with_alpha_needs_no_matte(photo_of, astronaut: Image.Image, analyzer: MediapipeFace):
    from attrs import evolve

    photo = evolve(photo_of(astronaut), alpha=np.tile(np.linspace(0, 1, 512, dtype=np.float32), (512, 1)))
    facts = analyzer.analyze(photo)
    assert facts.matte is None
    assert len(facts.faces) == 1


def test_analysis_is_deterministic(photo_of, astronaut: Image.Image, analyzer: MediapipeFace, facts):
    again = analyzer.analyze(photo_of(astronaut))
    np.testing.assert_array_equal(again.matte, facts.matte)
    np.testing.assert_array_equal(again.faces[0].landmarks_px, facts.faces[0].landmarks_px)


def test_no_models(photo_of, astronaut: Image.Image, analyzer: MediapipeFace, monkeypatch: pytest.MonkeyPatch):
    """As with MediaPipe 0.10.31 and later, where `mediapipe.python.solutions` is gone."""
    monkeypatch.delitem(sys.modules, "pshead_analyzers_mediapipe_face.solutions", raising=False)
    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions", None)
    with pytest.raises(PluginError, match="landmarker_file"):
        analyzer.analyze(photo_of(astronaut))


MODULES = Path(mediapipe.__file__).parent / "modules"


def with_metadata(path: str, mean: float, deviation: float) -> bytes:
    writer = metadata_writer.MetadataWriter.create(bytearray((MODULES / path).read_bytes()))
    writer.add_image_input([mean], [deviation])
    return bytes(writer.populate()[0])


@pytest.fixture(scope="module")
def task_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Files for the Tasks API, put together from the wheel's own models."""
    folder = tmp_path_factory.mktemp("models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MediaPipe's writer leaves temporary files open
        detector = with_metadata("face_detection/face_detection_short_range.tflite", 127.5, 127.5)
        mesh = with_metadata("face_landmark/face_landmark.tflite", 0, 255)
        segmenter = with_metadata("selfie_segmentation/selfie_segmentation.tflite", 0, 255)
        gc.collect()
    with zipfile.ZipFile(folder / "face.task", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("face_detector.tflite", detector)
        archive.writestr("face_landmarks_detector.tflite", mesh)
    (folder / "selfie.tflite").write_bytes(segmenter)
    return folder / "face.task", folder / "selfie.tflite"


def test_tasks_api(task_files, astronaut: Image.Image, facts):
    """Detector and segmenter agree with `mp.solutions`.

    The wheel's mesh of 468 points has another layout than the one in face_landmarker.task, of which only the first
    point is read right: this shows the units, not the mesh.
    """
    with quiet():
        from pshead_analyzers_mediapipe_face.solutions import Solutions
        from pshead_analyzers_mediapipe_face.tasks import Tasks

        rgb = np.asarray(astronaut)
        with contextlib.closing(Tasks(*task_files, 0.5)) as new, contextlib.closing(Solutions(0.5)) as old:
            meshes, detections, person, expected = new.mesh(rgb), new.detect(rgb), new.person(rgb), old.person(rgb)
            empty = new.detect(np.zeros_like(rgb))
    assert len(meshes) == len(detections) == 1
    assert empty == []
    assert meshes[0].shape == (478, 3)
    assert np.linalg.norm(meshes[0][0, :2] - facts.faces[0].landmarks_px[0, :2]) < 3
    assert person.shape == rgb.shape[:2]
    assert np.abs(person - expected).mean() < 0.02


def test_matte_without_segmenter(task_files, astronaut: Image.Image):
    with quiet():
        from pshead_analyzers_mediapipe_face.tasks import Tasks

        networks = Tasks(task_files[0], None, 0.5)
        with contextlib.closing(networks), pytest.raises(PluginError, match="segmenter_file"):
            networks.person(np.asarray(astronaut))


@pytest.mark.parametrize("content", [None, b"not a model"])
def test_bad_model_files(tmp_path: Path, photo_of, astronaut: Image.Image, content: bytes | None):
    path = tmp_path / "face.task"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PluginError, match=r"face\.task"):
        MediapipeFace(MediapipeFaceConfig(landmarker_file=path)).analyze(photo_of(astronaut))
