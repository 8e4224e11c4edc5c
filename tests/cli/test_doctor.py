import shutil
from collections import namedtuple

import pytest

from pshead_core.cli import doctor, findings
from pshead_core.cli.main import main
from pshead_core.registry.listing import Scan, list_plugins

Usage = namedtuple("Usage", "total used free")


def test_doctor_prints_one_line_each(capsys):
    assert main(["doctor"]) == 0  # the machine that runs the tests can run pshead
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[1] for line in lines if line.startswith(("ok", "warn"))]
    assert {"python", "torch", "numba", "ffmpeg", "disk", "plugins"} <= set(names)


@pytest.mark.parametrize(("free", "status"), [(2**40, "ok"), (2**30, "warn"), (2**20, "fail")])
def test_disk(free, status, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**41, 0, free))
    (finding,) = findings.check_disk()
    assert finding.status == status
    assert bool(finding.fix) == (status != "ok")


def test_a_failure_exits_1_and_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2**41, 0, 1))
    monkeypatch.setattr(doctor, "machine_findings", findings.check_disk)
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert text.startswith("fail")
    assert "fix: free some space" in text


def test_torchvision_of_another_torch(monkeypatch):
    versions = {"torchvision": "0.29.0", "torch": "2.13.0"}
    monkeypatch.setattr(findings, "_version", versions.get)
    monkeypatch.setattr(findings.metadata, "requires", lambda _: ["numpy", "torch==2.14.0"])
    (finding,) = findings.check_torchvision()
    assert finding.status == "fail"
    assert "built for torch==2.14.0, installed is torch 2.13.0" in finding.text


def test_missing_libraries(monkeypatch):
    monkeypatch.setattr(findings, "_version", lambda _: None)
    assert findings.check_mediapipe()[0].status == "warn"
    assert findings.check_torchvision()[0].status == "ok"

    def refuse(name):
        raise ImportError("no such thing")

    monkeypatch.setattr(findings, "import_module", refuse)
    assert [finding.status for check in (findings.check_torch, findings.check_ffmpeg) for finding in check()] == [
        "fail",
        "fail",
    ]


def test_numba_cache_that_cannot_be_kept(monkeypatch, tmp_path):
    (tmp_path / "kernel.nbi").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert "1 compiled kernels" in findings.check_numba()[1].text
    monkeypatch.setattr(findings.os, "access", lambda *_: False)
    assert findings.check_numba()[1].status == "warn"


def test_plugins_are_judged_without_import(plugin_site):
    plugin_site.install("same", "1 / 0", distribution="dist-one")
    plugin_site.install("same", "1 / 0", distribution="dist-two")
    plugin_site.install("old", "1 / 0", requires=("pshead-core<0.0.1",))
    found = doctor.plugin_findings(Scan(listings=plugin_site.only(), problems=("torn metadata",)))
    told = {(finding.status, finding.name) for finding in found}
    assert {("warn", "same"), ("warn", "old"), ("fail", "plugins"), ("warn", "plugins")} <= told


def test_all_imports_and_asks(plugin_site):
    plugin_site.install("broken", "1 / 0")
    text = "from pshead_core.api import hookimpl\n@hookimpl\ndef pshead_diagnose():\n    return ['no weights']\n"
    plugin_site.install("needy")
    file = plugin_site.folder / "pshead_guidance_needy.py"
    file.write_text(file.read_text() + text)
    found = {listing.name: doctor.imported_findings(listing) for listing in list_plugins()}
    assert "ZeroDivisionError" in found["broken"][0].text
    assert found["needy"][0].text == "no weights (pshead-guidance-needy)"
