"""`pshead models`: quick, without torch, and never a download that nobody agreed to."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pshead_core.cli import models
from pshead_core.cli.main import main
from pshead_core.models.catalogue import CATALOGUE
from pshead_core.models.inventory import rows
from tests.models.conftest import FolderHub, stable_diffusion

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_NAME = f"owner/thing@{COMMIT}"


@pytest.fixture
def downloads(tmp_path, monkeypatch):
    monkeypatch.setenv("PSHEAD_MODELS", str(tmp_path / "downloads"))
    return tmp_path / "downloads"


@pytest.fixture
def hub(tmp_path, downloads, monkeypatch):
    """A hub that is a folder, in place of the real one."""
    hub = FolderHub(stable_diffusion(tmp_path / "repository"), licence="openrail")
    monkeypatch.setattr(models, "hub_of", lambda name: hub)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return hub


def test_verbs_import_no_torch(downloads):
    code = (
        "import sys\nfrom pshead_core.cli.main import main\n"
        "for argv in (['list'], ['where', 'mini/sd'], ['verify', 'mini/sd'], ['pull', 'no-such-name']):\n"
        "    main(['models', *argv])\n"
        "heavy = {'torch', 'huggingface_hub', 'numpy', 'diffusers'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mini/zero123" in done.stdout


def test_list_names_bundled_published_and_pulled(hub, capsys):
    assert main(["models", "pull", HUB_NAME, "--accept-licence"]) == 0
    capsys.readouterr()
    assert main(["models", "list", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows["mini/sd"]["kind"], rows["mini/sd"]["here"], rows["mini/sd"]["licence"]) == (
        "bundled",
        True,
        "Apache-2.0",
    )
    assert rows["mini/sd"]["size_bytes"] > 10**6
    assert {name for name, row in rows.items() if row["kind"] == "published"} == set(CATALOGUE)
    assert (rows[HUB_NAME]["kind"], rows[HUB_NAME]["here"], rows[HUB_NAME]["licence"]) == ("hub", True, "openrail")
    assert main(["models", "list"]) == 0
    text = capsys.readouterr().out
    assert "pshead models pull sd15" in text
    assert "CC-BY-NC-4.0" in text


def test_pull_asks_for_consent_and_never_assumes_it(hub, downloads, capsys, monkeypatch):
    assert main(["models", "pull", HUB_NAME]) == 2  # nobody is there to ask
    printed = capsys.readouterr()
    assert "licence: openrail" in printed.out
    assert "--accept-licence" in printed.err
    assert not hub.fetched
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert main(["models", "pull", HUB_NAME]) == 2
    assert not downloads.exists()
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert main(["models", "pull", HUB_NAME]) == 0
    assert str(downloads) in capsys.readouterr().out


def test_where_prints_a_folder_that_a_shell_can_use(hub, downloads, capsys):
    assert main(["models", "where", HUB_NAME]) == 2
    assert "pshead models pull" in capsys.readouterr().err
    main(["models", "pull", HUB_NAME, "--accept-licence"])
    capsys.readouterr()
    assert main(["models", "where", HUB_NAME]) == 0
    assert Path(capsys.readouterr().out.strip()) == downloads / "owner--thing" / COMMIT
    assert main(["models", "where", HUB_NAME, "--components"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert Path(lines["unet"]) == downloads / "owner--thing" / COMMIT / "unet"


def test_verify_finds_a_changed_byte(hub, downloads, capsys, monkeypatch):
    monkeypatch.setattr(models, "rows", lambda names: [row for row in rows(names) if row.kind == "hub"])
    main(["models", "pull", HUB_NAME, "--accept-licence"])
    assert main(["models", "verify"]) == 0
    assert f"ok   {HUB_NAME}" in capsys.readouterr().out
    path = downloads / "owner--thing" / COMMIT / "unet/diffusion_pytorch_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert main(["models", "verify"]) == 1
    text = capsys.readouterr().out
    assert f"FAIL {HUB_NAME}" in text
    assert "SHA-256 differs" in text
    assert main(["models", "verify", HUB_NAME]) == 2
    path.unlink()
    path.with_suffix(".bin").write_bytes(b"never read")
    assert main(["models", "list"]) == 0
    assert "holds only pickles" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["lst"], "pshead models does not know 'lst', did you mean 'list'?"),
        (["pull"], "required: NAME"),
        (["pull", "sd15", "--acept-licence"], "did you mean '--accept-licence'?"),
        (["where", "mini/ds"], "did you mean 'mini/sd'?"),
    ],
)
def test_wrong_arguments(argv, words, downloads, capsys):
    assert main(["models", *argv]) == 2
    assert words in capsys.readouterr().err


def test_bundled_weights_need_no_download(hub, capsys):
    assert main(["models", "pull", "mini/sd"]) == 0
    assert "needs no download" in capsys.readouterr().out
    assert not hub.asked
