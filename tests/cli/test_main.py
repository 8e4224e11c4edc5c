import os
import resource
import subprocess
import sys
from importlib import import_module

import pytest

from pshead_core import __version__
from pshead_core.cli import main as cli
from pshead_core.cli.main import VERBS, main
from pshead_core.errors import PsheadError


@pytest.fixture(autouse=True)
def _no_list(monkeypatch):
    monkeypatch.delenv("PSHEAD_PLUGINS", raising=False)


def test_help_and_version_name_all_verbs(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS)
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == text
    assert main(["--version"]) == 0
    assert __version__ in capsys.readouterr().out
    assert max(len(line) for line in text.splitlines()) <= 100


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_module_and_a_help_page(verb, capsys):
    assert callable(import_module(f"pshead_core.cli.{verb}").main)
    assert main([verb, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: pshead {verb}")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["rnu"], "pshead does not know 'rnu', did you mean 'run'?"),
        (["photo.jpg"], "fix: pshead run photo.jpg"),
        (["plugins", "lst"], "pshead plugins does not know 'lst', did you mean 'list'?"),
        (["plugins", "list", "--jsn"], "pshead plugins list does not know '--jsn', did you mean '--json'?"),
        (["plugins", "show"], "required: NAME"),
        (["plugins", "show", "no_such"], "no plugin named 'no_such'"),
        (["plugins", "check", "x", "--all"], "takes a NAME or --all, not both"),
        (["config", "shw"], "did you mean 'show'?"),
        (["config", "show", "--preset", "mni"], "there is no preset 'mni', did you mean 'mini'?"),
        (["config", "show", "--config", "no_such.toml"], "cannot be read: no such file or directory @ no_such.toml"),
        (["config", "show", "--plugins", "flat_colr"], "@ --plugins"),
        (["config", "show", "--plugins", "", "--steps", "0"], "'steps' must be >= 1: 0 @ command line: steps"),
        (["run"], "pshead run needs a photo"),
        (["run", "--losses.rgb", "3", "x.jpg"], "the photo stands before them"),
        (["run", "x.jpg", "--step", "3"], "'--step', did you mean '--steps'?"),
        (["run", "x.jpg", "--steps", "three"], "invalid int value: 'three'"),
        (["run", "x.jpg", "--out"], "expected one argument"),
        (["run", "x.jpg", "--quiet", "--json"], "not allowed with"),
        (["run", "x.jpg", "--checkpoint-every", "0"], "must be at least 1: 0"),
        (["run", "x.jpg", "--plugins", "", "--losses.rbg", "3"], "'--losses.rbg', did you mean '--losses.rgb'?"),
        (["run", "x.jpg", "--plugins", "", "--losses.rgb", "x"], "'x' is not a number or a TOML inline table"),
        (["run", "x.jpg", "--plugins", "", "--start.opacity", "3"], "'opacity' must be < 1: 3.0"),
        (["run", "x.jpg", "--plugins", "", "--start.kind", "bal"], "invalid choice 'bal'"),
        (["run", "x.jpg", "--plugins", "", "--losses.rgb"], "Missing value"),
        (["run", "x.jpg", "--plugins", "", "--schedule.0.use", "guidance.x"], "no instance 'guidance.x'"),
        (["run", "--resume", "no_such_folder"], "no_such_folder cannot be resumed"),
        (["run", "--resume", ".", "--seed", "3"], "--seed cannot be given with --resume"),
        (["run", "--resume", ".", "--losses.rgb", "3"], "--losses.rgb cannot be given with --resume"),
        (["new", "guidance"], "required: NAME"),
        (["new", "guidence", "my_prior"], "guidance"),
        (["doctor", "--al"], "did you mean '--all'?"),
    ],
)
def test_mistakes_exit_2_with_one_message(argv, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert message in printed.err
    assert "Traceback" not in printed.err
    assert list(tmp_path.iterdir()) == []  # nothing is left behind


def test_a_misplaced_resume_beside_a_photo_is_an_error(capsys):
    assert main(["run", "photo.jpg", "--resume", "runs/x"]) == 2
    assert "photo.jpg cannot be given with --resume" in capsys.readouterr().err


@pytest.fixture
def failing_verb(monkeypatch):
    """Replaces the dispatch by something that raises."""

    def install(error):
        def raise_it(argv):
            raise error

        monkeypatch.setattr(cli, "_dispatch", raise_it)

    return install


def test_the_shape_of_an_error_and_its_traceback(failing_verb, capsys):
    failing_verb(PsheadError("no light", why="the sun has set", fix="wait"))
    assert main(["x"]) == 2
    assert capsys.readouterr().err == "error: no light\n  why: the sun has set\n  fix: wait\n"
    assert main(["x", "--debug"]) == 2
    assert capsys.readouterr().err.startswith("Traceback")


def test_ctrl_c_exits_130_and_says_what_it_was_told(failing_verb, capsys):
    failing_verb(KeyboardInterrupt("stopped after 3 steps"))
    assert main(["x"]) == 130
    assert "stopped after 3 steps" in capsys.readouterr().err


def test_a_defect_keeps_its_traceback(failing_verb):
    failing_verb(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["x"])


def test_the_installed_command_exits_with_the_code():
    code = "import sys; sys.argv = ['pshead', 'rnu']; from pshead_core.cli.main import run_and_exit; run_and_exit()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")


def test_listing_is_quick_and_imports_no_torch(plugin_site):
    """`pshead plugins list` with a broken plugin installed: below 0.5 s, without torch, numpy or any plugin.

    Processor time is what is compared: it is the wall time of an idle machine, and other processes do not change it.
    """
    plugin_site.install("broken", "raise RuntimeError('imported')")
    code = (
        "import sys; from pshead_core.cli.main import main; code = main(['plugins', 'list']);"
        "heavy = [name for name in ('torch', 'numpy', 'tyro', 'numba') if name in sys.modules];"
        "plugins = [name for name in sys.modules if name.startswith(('pshead_guidance', 'pshead_analyzers'))];"
        "sys.exit(code or bool(heavy or plugins))"
    )
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(plugin_site.folder)},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.returncode == 0, done.stderr
        assert "broken" in done.stdout
    assert min(seconds) < 0.5
