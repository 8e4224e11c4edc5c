"""`pshead eval`: a head beside its photo and its truth."""

import json

import pytest
import torch

from pshead_core.cli.main import main
from pshead_core.config.run import StartConfig
from pshead_core.gaussians.ply import write_ply
from pshead_core.gaussians.start_ball import start_ball
from training.ground_truth import DATA

TRUTH = DATA / "sdf-1000006"


@pytest.fixture
def ply(tmp_path):
    path = tmp_path / "head.ply"
    write_ply(start_ball(StartConfig(kind="ball", gaussians=300), torch.Generator().manual_seed(0)), path)
    return path


@pytest.fixture(autouse=True)
def _no_list(monkeypatch):
    monkeypatch.delenv("PSHEAD_PLUGINS", raising=False)


def numbers(folder):
    told = json.loads((folder / "metrics.json").read_text())
    return {one["key"]: one for one in told["metrics"]}


def test_a_head_is_measured_beside_its_truth(ply, tmp_path, capsys):
    out = tmp_path / "out"
    chosen = "fidelity,silhouette,sharpness,lpips"
    assert (
        main(["eval", str(ply), "--truth", str(TRUTH), "--side-px", "64", "--metrics", chosen, "--out", str(out)]) == 0
    )
    told = capsys.readouterr()
    assert "measure silhouette" in told.err
    assert "novel views" in told.out
    assert "the weights 'torchvision-alexnet' are not here" in told.out
    found = numbers(out)
    assert 0 < found["novel.silhouette_iou"]["value"] < 1
    assert 3 < found["novel.psnr_db"]["value"] < 30
    assert found["reference.psnr_db"]["compared_with"] == "photo"
    assert found["novel.lpips_alex"]["value"] is None
    assert "torchvision-alexnet" in found["novel.lpips_alex"]["missing"]
    assert "<html" in (out / "report.html").read_text()


def test_a_configuration_file_chooses_the_metrics(tmp_path, capsys):
    file = tmp_path / "metrics.toml"
    file.write_text('[metrics.near]\nplugin = "lpips"\nbackbone = "random-untrained"\nside_px = 32\n')
    ply = tmp_path / "head.ply"
    write_ply(start_ball(StartConfig(kind="ball", gaussians=50), torch.Generator().manual_seed(0)), ply)
    arguments = ["eval", str(ply), "--truth", str(TRUTH), "--side-px", "32", "--config", str(file)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert set(numbers(tmp_path / "out")) == {"reference.untrained_alex", "novel.untrained_alex"}
    assert main([*arguments, "--metrics", "fidelity"]) == 2
    assert "exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such"], "no_such holds no head"),
        (["HEAD"], "there is nothing to compare"),
        (["HEAD", "--truth", "no_such"], "no_such holds no views"),
        (["HEAD", "--truth", "TRUTH", "--side-px", "512"], "the true views of 'sdf-1000006' have 256 px"),
        (["HEAD", "--truth", "TRUTH", "--side-px", "31"], "must be even and at least 32: 31"),
        (["HEAD", "--truth", "TRUTH", "--metrics", "sharp"], "no metric is called 'sharp'"),
        (["HEAD", "--photo", "no_such.jpg"], "no_such.jpg"),
        (["HEAD", "--photo", "PLAIN"], "face"),
    ],
)
def test_what_cannot_be_measured_is_refused_and_leaves_nothing(ply, tmp_path, capsys, arguments, message):
    from PIL import Image

    plain = tmp_path / "plain.png"
    Image.new("RGB", (256, 256), "grey").save(plain)
    places = {"HEAD": str(ply), "TRUTH": str(TRUTH), "PLAIN": str(plain)}
    before = sorted(tmp_path.iterdir())
    assert main(["eval", *(places.get(word, word) for word in arguments)]) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
