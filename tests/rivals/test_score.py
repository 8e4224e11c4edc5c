"""`pshead bench rivals` and `compare` as commands, on the shipped baselines."""

from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from pshead_core.bench.results import read_results
from pshead_core.cli.main import main
from pshead_core.evaluation.folder import read_views
from training.ground_truth import DATA

RIVALS = DATA.parent / "rivals"
HEAD = "sdf-1000006"


def over_white(folder: Path) -> np.ndarray:
    """The novel views, `[view, 128, 128, 3]`; those of 256 px reduced by areas."""
    pictures = read_views(folder).rgba[1:].astype(np.float64) / 255
    white = pictures[..., :3] * pictures[..., 3:] + 1 - pictures[..., 3:]
    fold = white.shape[1] // 128
    return white.reshape(len(white), 128, fold, 128, fold, 3).mean((2, 4))


def test_baselines_are_scored_and_compared(tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--heads", str(DATA), "--only", HEAD, "--metrics", "fidelity,silhouette", "--out", str(out)]
    assert main(["bench", "rivals", str(RIVALS), *arguments]) == 0
    told = capsys.readouterr().out
    found = read_results(out)
    truth = over_white(DATA / HEAD)
    for system in ("mean view", "ridge regression"):
        views = over_white(RIVALS / system / HEAD)
        expected = np.mean([peak_signal_noise_ratio(a, b, data_range=1.0) for a, b in zip(truth, views, strict=True)])
        assert found.values[system][HEAD]["novel.psnr_db"] == pytest.approx(expected, abs=1e-3)
    assert "* silhouette: missing: the head is given without alpha" in told
    assert main(["bench", "compare", f"{out}#mean view", f"{out}#ridge regression"]) == 0
    assert "| mean view → ridge regression | novel.psnr_db, dB | 1 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rivals", "no_such", "--heads", str(DATA)], "no_such is no folder"),
        (["rivals", str(RIVALS)], "there is nobody to benchmark"),
        (["compare", "no_such", "no_such"], "holds no results of a benchmark"),
        (["compare", "#S2", "no_such"], "names no folder"),
        (["ablate"], "did you mean 'ablation'?"),
    ],
)
def test_wrong_commands_are_refused(tmp_path, capsys, arguments, message):
    out = ["--out", str(tmp_path / "out")] if arguments[0] == "rivals" else []
    assert main(["bench", *arguments, *out]) == 2
    assert message in capsys.readouterr().err


def test_systems_of_unknown_subjects_are_refused(tmp_path, capsys):
    (tmp_path / "others" / "system" / "somebody").mkdir(parents=True)
    (tmp_path / "others" / "system" / "somebody" / "head.ply").write_text("ply")
    arguments = ["bench", "rivals", str(tmp_path / "others"), "--heads", str(DATA), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--metrics", "fidelity"]) == 2
    assert "is about nobody known" in capsys.readouterr().err
