"""Each `bad/<mistake>.toml` has its expected message beside it in `bad/<mistake>.txt`.

Below them lies a file that names a preset without plugins, unless the file says a preset of its own: the default preset
needs plugins that HOST lacks, and would add mistakes.
"""

from pathlib import Path

import pytest

from pshead_core.config.resolve import resolve
from pshead_core.errors import PsheadError
from tests.config.plugins import HOST
from tests.config.presets import BARE

BAD = Path(__file__).parent / "bad"


@pytest.fixture
def below(tmp_path):
    path = tmp_path / "below.toml"
    path.write_text(f'preset = "{BARE}"\n', encoding="utf-8")
    return path


def message_of(monkeypatch, below, *names, plugins=None):
    monkeypatch.chdir(BAD)
    monkeypatch.delenv("PSHEAD_PLUGINS", raising=False)
    with pytest.raises(PsheadError) as caught:
        resolve(files=[below, *(Path(name) for name in names)], host=HOST, plugins=plugins)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.toml")))
def test_message(name, monkeypatch, below):
    assert message_of(monkeypatch, below, f"{name}.toml") == (BAD / f"{name}.txt").read_text().rstrip("\n")


def test_no_message_is_left_over():
    assert {path.stem for path in BAD.glob("*.txt")} == {path.stem for path in BAD.glob("*.toml")}


def test_mistakes_of_all_files_come_out_together(monkeypatch, below):
    message = message_of(monkeypatch, below, "unknown_key.toml", "nan.toml", "no_such_file.toml", "syntax.toml")
    for line in (
        "the configuration has 4 problems",
        "@ unknown_key.toml: guidance.text",
        "@ nan.toml: losses.rgb",
        "the file cannot be read: no such file or directory @ no_such_file.toml",
        "@ syntax.toml",
    ):
        assert line in message
