"""The run folder: refused before any work when it cannot hold a run, and never half-written."""

import errno
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pshead_core.config.run import StartConfig
from pshead_core.errors import RunFolderError
from pshead_core.gaussians.start_ball import start_ball
from pshead_core.records import SlotReport, StepReport
from pshead_core.run import atomic, folder
from pshead_core.run.checkpoint import read_checkpoint
from pshead_core.run.start import RunStart

Usage = namedtuple("Usage", "total used free")


def _start():
    model = start_ball(StartConfig(kind="ball", gaussians=16), torch.Generator().manual_seed(0))
    return RunStart(model=model, surface_depth=torch.full((32, 32), 1.7), seen=torch.arange(len(model)) % 2 == 0)


def _files(path):
    return sorted(p.name for p in path.iterdir())


def test_a_new_folder_is_fine_and_not_made_by_the_check(tmp_path):
    folder.check_can_hold_run(tmp_path / "a" / "b", force=False)
    assert _files(tmp_path) == []


def test_a_former_run_needs_force_and_the_message_offers_to_resume(tmp_path):
    (tmp_path / folder.RESOLVED).write_text("")
    with pytest.raises(RunFolderError, match="holds a run already") as error:
        folder.check_can_hold_run(tmp_path, force=False)
    assert f"--resume {tmp_path}" in error.value.fix
    folder.check_can_hold_run(tmp_path, force=True)


def test_foreign_files_are_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match="not a run folder"):
        folder.check_can_hold_run(tmp_path, force=True)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="is a file"):
        folder.check_can_hold_run(tmp_path / "file", force=False)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="/proc is Linux's read-only folder")
def test_unwritable_parent():
    with pytest.raises(RunFolderError, match="cannot write to /proc"):
        folder.check_can_hold_run(Path("/proc/pshead-run"), force=False)


def test_nearly_full_disk_is_refused_before_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**40, 2**40, 5 * 2**20))
    with pytest.raises(RunFolderError, match="has 5 MiB left"):
        folder.check_can_hold_run(tmp_path / "run", force=False)


def _no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_disk_that_fills_up_while_writing_keeps_the_former_file(tmp_path, monkeypatch):
    target = tmp_path / "checkpoint.safetensors"
    atomic.write_bytes(target, b"former")
    monkeypatch.setattr(Path, "write_bytes", _no_space)
    with pytest.raises(RunFolderError, match="cannot write") as error:
        atomic.write_bytes(target, b"newer")
    assert error.value.why == "the disk is full"
    assert "--resume" in error.value.fix
    assert target.read_bytes() == b"former"
    assert _files(tmp_path) == ["checkpoint.safetensors"]


def test_a_writer_that_fails_halfway_leaves_nothing(tmp_path):
    def writer(path):
        path.write_bytes(b"half")
        raise ValueError("broken encoder")

    with pytest.raises(ValueError, match="broken encoder"):
        atomic.write_with(tmp_path / "turntable.mp4", writer)
    assert _files(tmp_path) == []


def test_portrait_survives_the_folder_exactly(tmp_path, portrait):
    folder.create(tmp_path / "run", portrait, _start(), "seed = 0\n", {})
    again = folder.read_portrait(tmp_path / "run", torch.device("cpu"))
    for name in ("rgba", "landmarks_px", "photo_to_frame", "photo_inside"):
        assert torch.equal(getattr(again, name), getattr(portrait, name))
    assert (again.prompt, again.sha256) == (portrait.prompt, portrait.sha256)
    start = folder.read_start(tmp_path / "run", torch.device("cpu"))
    assert torch.equal(start.surface_depth, _start().surface_depth)
    assert torch.equal(start.model.log_scales, _start().model.log_scales)
    assert torch.equal(start.seen, _start().seen)


def test_a_start_of_an_earlier_version_is_refused(tmp_path):
    folder.write_start(tmp_path, _start())
    path = tmp_path / folder.START
    tensors = load_file(path)
    del tensors["seen"]
    save_file(tensors, path)
    with pytest.raises(RunFolderError, match="of an earlier version"):
        folder.read_start(tmp_path, torch.device("cpu"))


def test_create_with_force_removes_only_the_former_runs_files(tmp_path, portrait):
    folder.create(tmp_path, portrait, _start(), "seed = 0\n", {})
    folder.write_summary(tmp_path, {"steps": 1})
    (tmp_path / "note.txt").write_text("mine")
    folder.create(tmp_path, portrait, _start(), "seed = 1\n", {})
    assert not folder.is_finished(tmp_path)
    assert (tmp_path / "note.txt").read_text() == "mine"
    assert (tmp_path / folder.RESOLVED).read_text() == "seed = 1\n"


@pytest.mark.parametrize("name", [folder.PORTRAIT])
def test_damaged_portrait_is_named(tmp_path, portrait, name):
    folder.create(tmp_path, portrait, _start(), "", {})
    (tmp_path / name).write_bytes(b"\x00" * 40)
    with pytest.raises(RunFolderError, match=name):
        folder.read_portrait(tmp_path, torch.device("cpu"))


@pytest.mark.parametrize("content", [None, b"", b"\x08\x00\x00\x00\x00\x00\x00\x00garbage!", b"x" * 100])
def test_missing_or_damaged_checkpoint_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "checkpoint.safetensors").write_bytes(content)
    with pytest.raises(RunFolderError, match=r"checkpoint\.safetensors"):
        read_checkpoint(tmp_path, torch.device("cpu"))


def test_report_is_cut_at_the_checkpoint(tmp_path):
    slot = SlotReport(slot="a", weight=1.0, grad_norm=2.0, views=3, seconds=0.1)
    for step in range(5):
        folder.append_report(tmp_path, StepReport(step=step, side_px=16, gaussians=9, seconds=0.1, slots=(slot,)))
    with (tmp_path / folder.REPORT).open("a") as stream:
        stream.write('{"step": 5, "si')
    folder.cut_report(tmp_path, 3)
    lines = (tmp_path / folder.REPORT).read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ['{"step": 0', '{"step": 1', '{"step": 2']


def test_a_folder_that_cannot_be_filled_is_removed_again(tmp_path, portrait, monkeypatch):
    monkeypatch.setattr(folder, "write_portrait", lambda *_: _no_space())
    with pytest.raises(OSError, match="No space left"):
        folder.create(tmp_path / "run", portrait, _start(), "", {})
    assert _files(tmp_path) == []
