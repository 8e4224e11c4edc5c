"""The row of commands that trains everything."""

import argparse
import importlib
import re

import pytest

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from training.__main__ import AUTOENCODER, DATA, FACES, FIGURES, PRIORS, PUBLISH, words_of

VALUES = {"work": "W o r k", "assets": "A", "heads": "32"}


def test_values_and_steps_are_filled_in():
    words = words_of("vae --data {work}/data --steps [6000]", 0.5, VALUES)
    assert words == ["vae", "--data", "W o r k/data", "--steps", "3000"]
    assert words_of("sd --steps [12]", 0.1, VALUES)[-1] == "10"


@pytest.mark.parametrize("command", [*DATA, *AUTOENCODER, *PRIORS, *FACES, *FIGURES, PUBLISH])
def test_every_command_is_one_that_its_module_understands(command, monkeypatch):
    """Each module's own parser reads the words; nothing is run."""
    module, *words = words_of(command, 1.0, VALUES)
    name = f"training.{module}"
    package = importlib.import_module(name)
    main = importlib.import_module(f"{name}.__main__") if hasattr(package, "__path__") else package
    seen = []

    def stop(parser: argparse.ArgumentParser, *_: object, **__: object) -> argparse.Namespace:
        seen.append(original(parser, words))
        raise SystemExit(0)

    original = argparse.ArgumentParser.parse_args
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    with pytest.raises(SystemExit):
        main.main()
    assert len(seen) == 1


def test_what_one_command_writes_is_what_the_next_reads():
    """Every folder that a command reads was written by an earlier one."""
    written = {"{work}/data", "{work}/ring", "{work}/held-out"}
    for command in (*AUTOENCODER, *PRIORS, *FACES, *FIGURES, PUBLISH):
        pairs = re.findall(r"--(\S+) (\{work\}\S*)", command)
        for flag, folder in pairs:
            if flag in ("out", "json", "sheet") or (flag == "state" and ".export" not in command):
                written.add(folder)
            elif folder == "{work}/checkpoint" or flag in ("figures", "states"):
                assert any(other.startswith(folder) for other in written), (command, folder)
            else:
                assert any(folder.startswith(other) for other in written), (command, folder)
        if command.startswith(("sd.export", "video.export", "controlnet.export")):
            written.add("{work}/checkpoint/" + command.split(".")[0])
