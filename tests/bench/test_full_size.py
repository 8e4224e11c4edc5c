"""The benchmark of full-size networks, tried with tiny ones: all its lines, and the arithmetic of what it says."""

import json
import time

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from . import full_size
from .random_weights import GUIDANCES, constants, layouts, write_weights
from .watched import CallTimes, Clock, medians, store_channels_last


def test_tiny_run(tmp_path, capsys):
    """All lines are measured, the parts of a call fill it, and a second run finds the weights of the first."""
    file = tmp_path / "figures.json"
    arguments = ["--work", str(tmp_path / "work"), "--tiny", "--repeats", "1", "--json", str(file)]
    full_size.main([*arguments, "--channels-last"])
    printed = capsys.readouterr()
    rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    names = [full_size.I2I, full_size.T2V, full_size.T2I, full_size.T2V_PUBLISHED, full_size.T2I_ALL]
    assert [row["branch"] for row in rows] == names * 2
    assert [row["variant"] for row in rows] == ["plain"] * 5 + ["channels last"] * 5
    assert [row["views"] for row in rows] == [9, 9, 8, 9, 9] * 2
    for row in rows:
        parts = [row["times"][name] for name in ("encoder", "network", "pull_back")]
        assert min(parts) > 0
        assert 0.9 * row["times"]["seconds"] <= sum(parts) <= row["times"]["seconds"]
        assert row["peak_gib"] is None
        assert f"| {row['variant']} | {row['branch']} |" in printed.out
    assert printed.out.count("the priors of 2000 steps take") == 4
    assert "not measured" in printed.out
    assert not list((tmp_path / "work" / "tiny").glob("*.part"))


def test_weights_are_written_once(tmp_path):
    layout = layouts(tiny=True)["sd"]
    folder = tmp_path / "deep" / "sd"
    size = write_weights(folder, layout, torch.device("cpu"))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert write_weights(folder, layout, torch.device("cpu")) == size > 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    stored = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}


@pytest.mark.parametrize(
    ("name", "component", "millions"),
    [
        ("zero123", "unet", 859.53),
        ("zero123", "image_encoder", 304.0),
        ("video", "unet", 1411.23),
        ("video", "text_encoder", 340.39),
        ("sd", "unet", 859.52),
        ("sd", "vae", 83.65),
        ("sd", "text_encoder", 123.06),
    ],
)
def test_full_layouts_have_the_published_sizes(name, component, millions):
    with torch.device("meta"):
        network = layouts(tiny=False)[name].networks[component]()
    assert sum(weight.numel() for weight in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_constants_are_read_and_nothing_else_runs(tmp_path):
    file = tmp_path / "module.py"
    file.write_text("import nothing_of_this_name\nA = {'x': 1}\nB = A | {'y': 2}\nB |= {'x': 3}\nraise SystemExit\n")
    assert constants(file) == {"A": {"x": 1}, "B": {"x": 3, "y": 2}}
    read = constants(GUIDANCES / "zero123" / "tests" / "test_layout.py")
    assert read["UNET"]["in_channels"] == 8


def test_projection_is_that_of_the_papers_branches():
    """500 steps each of I2I and T2V; 350 of novel views between 300 and 1000, of which 0.7 ask T2I: 245."""
    assert full_size.projected_seconds(1, 0, 0) == 500
    assert full_size.projected_seconds(0, 1, 0) == 500
    assert full_size.projected_seconds(0, 0, 1) == pytest.approx(245)


def test_projection_needs_all_three_branches():
    def row(branch, seconds):
        times = CallTimes(seconds=seconds, encoder=0, network=0, pull_back=0)
        return full_size.Row(variant="plain", branch=branch, views=1, times=times, first_call=1, peak_gib=None)

    some = [row(full_size.I2I, 1.0), row(full_size.T2V, 2.0)]
    assert full_size.projections(some) == []
    (sentence,) = full_size.projections([*some, row(full_size.T2I, 4.0)])
    assert "take 2480 s = 41.3 min, 45.9% of the 1.5 h" in sentence


def test_clock_splits_a_call():
    clock = Clock(torch.device("cpu"))

    def call():
        time.sleep(0.01)
        for _ in range(2):  # two passes and what lies between them are the network's
            clock.enter()
            time.sleep(0.02)
            clock.leave()
            time.sleep(0.03)

    times = clock.time(call)
    assert times.encoder >= 0.01
    assert times.network >= 0.07
    assert times.pull_back >= 0.03
    assert times.encoder + times.network + times.pull_back <= times.seconds
    with pytest.raises(RuntimeError, match="never asked"):
        clock.time(lambda: None)  # the marks of the call before do not count


def test_medians_are_taken_per_figure():
    times = [CallTimes(seconds=a, encoder=b, network=1, pull_back=2) for a, b in ((1, 9), (3, 7), (8, 8))]
    assert medians(times) == CallTimes(seconds=3, encoder=8, network=1, pull_back=2)


def test_channels_last_keeps_the_values():
    module = nn.ModuleList([nn.Conv2d(4, 8, 3), nn.Conv3d(4, 8, 3), nn.Linear(4, 8)])
    before = [weight.clone() for weight in module.parameters()]
    store_channels_last(module)
    assert all(torch.equal(one, other) for one, other in zip(module.parameters(), before, strict=True))
    assert module[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert module[1].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert not module[0].weight.is_contiguous()
