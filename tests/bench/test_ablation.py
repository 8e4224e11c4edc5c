"""The ablation as a command: killed and continued, measured again, refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pshead_core.bench.results import read_results
from pshead_core.cli.main import main
from training.ground_truth import DATA

CONFIG = """
preset = "none"
steps = 6
[start]
gaussians = 600
[resolution]
sides_px = [32]
from_steps = [0]
[density]
every = 0
[guidance.flat_color]
[refiners.personalized_sd]
[refiners.personalized_sd.personalise]
method = "none"
[[schedule]]
use = "reference"
[[schedule]]
use = "guidance.flat_color"
weight = 0.01
max_views = 2
until_step = 4
[[schedule]]
use = "refiners.personalized_sd"
weight = 0.1
from_step = 4
max_views = 1
"""
ROWS = """
[[row]]
name = "bare"
priors = []
[[row]]
name = "colour"
priors = ["guidance.flat_color"]
[[row]]
name = "refined"
priors = ["guidance.flat_color", "refiners.personalized_sd"]
"""
PROGRAM = "import sys; from pshead_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
HEAD = "sdf-1000006"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("settings")
    (folder / "config.toml").write_text(CONFIG)
    (folder / "rows.toml").write_text(ROWS)
    return folder


def arguments(files: Path, out: Path, *more: str) -> list[str]:
    return [
        *("bench", "ablation", "--preset", "none", "--config", str(files / "config.toml")),
        *("--row-file", str(files / "rows.toml"), "--heads", str(DATA), "--out", str(out)),
        *("--metrics", "fidelity,silhouette", "--workers", "1", "--only", HEAD, *more),
    ]


def command(files: Path, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *arguments(files, out, *more)]


@pytest.fixture(scope="module")
def undisturbed(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    assert subprocess.run(command(files, out), capture_output=True, check=False).returncode == 0
    return out


@pytest.mark.slow
def test_every_row_has_numbers_pictures_and_a_head(undisturbed):
    found = read_results(undisturbed)
    assert list(found.values) == ["bare", "colour", "refined"]
    assert found.subjects == (HEAD,)
    numbers = {row: found.values[row][HEAD]["novel.psnr_db"] for row in found.values}
    assert len(set(numbers.values())) == 3
    assert all(5 < value < 60 for value in numbers.values())
    for row in ("bare", "colour", "refined"):
        assert (undisturbed / HEAD / row / "head.ply").is_file()
        assert (undisturbed / HEAD / row / "views.webp").is_file()
    assert (undisturbed / "grid.jpg").is_file()
    assert "| refined | 1 |" in (undisturbed / "table.md").read_text()


@pytest.mark.slow
def test_killed_and_continued_it_gives_the_same_numbers(files, undisturbed, tmp_path):
    out = tmp_path / "killed"
    process = subprocess.Popen(
        command(files, out), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    limit = time.monotonic() + 90
    while not list(out.glob("*/colour/metrics.json")) and time.monotonic() < limit:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = sorted(str(path.relative_to(out)) for path in out.glob("*/*/metrics.json"))
    assert done
    assert len(done) < 3
    assert not (out / "results.json").exists()
    kept = {path: (out / path).stat().st_mtime_ns for path in done}
    again = subprocess.run(command(files, out), capture_output=True, check=False, text=True)
    assert again.returncode == 0, again.stderr
    assert f"{len(done)} of 3 reconstructions are there" in again.stderr
    assert {path: (out / path).stat().st_mtime_ns for path in done} == kept
    assert read_results(out) == read_results(undisturbed)
    assert (out / "results.csv").read_bytes() == (undisturbed / "results.csv").read_bytes()


@pytest.mark.slow
def test_a_row_that_starts_from_a_shared_state_equals_one_that_was_run_whole(files, undisturbed, tmp_path, capsys):
    alone = tmp_path / "alone"
    assert main(arguments(files, alone, "--rows", "refined")) == 0
    capsys.readouterr()
    here, there = (out / HEAD / "refined" / "head.ply" for out in (alone, undisturbed))
    assert here.read_bytes() == there.read_bytes()
    # other metrics: the heads are measured again and not made again
    before = here.stat().st_mtime_ns
    changed = arguments(files, alone, "--rows", "refined")
    changed[changed.index("fidelity,silhouette")] = "sharpness"
    assert main(changed) == 0
    capsys.readouterr()
    assert here.stat().st_mtime_ns == before
    assert set(read_results(alone).figures) == {"reference.sharpness", "novel.sharpness"}


def test_other_settings_are_refused(files, tmp_path, capsys):
    out = tmp_path / "settled"
    out.mkdir()
    (out / "settings.json").write_text(json.dumps({"rows": {"bare": "steps = 7\n"}}))
    assert main(arguments(files, out)) == 2
    assert "other settings" in capsys.readouterr().err
    (out / "settings.json").unlink()
    (out / "mine.txt").write_text("mine")
    assert main(arguments(files, out)) == 2
    assert "is not empty and holds no benchmark" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--only", "anna"], "there is no subject 'anna'"),
        (["--rows", "S9"], "there is no row 'S9'"),
        (["--metrics", "fidelty"], "did you mean 'fidelity'?"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["--heads", "."], "holds no heads"),
        (["--photos", "tests"], "holds no photos"),
    ],
)
def test_wrong_arguments_are_refused(files, tmp_path, capsys, change, message):
    assert main([*arguments(files, tmp_path / "out"), *change]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_rows_without_weights_are_named_and_not_run(files, tmp_path, capsys):
    rows = tmp_path / "rows.toml"
    rows.write_text(
        '[[row]]\nname = "absent"\npriors = ["refiners.personalized_sd"]\n'
        '[row.set.refiners.personalized_sd]\ncheckpoint = "sd15"\n'
    )
    changed = arguments(files, tmp_path / "out")
    changed[changed.index(str(files / "rows.toml"))] = str(rows)
    assert main(changed) == 1
    told = capsys.readouterr()
    assert "not run: absent: the weights 'sd15' are not here" in told.err
    assert "* absent: missing: the weights 'sd15' are not here" in told.out
