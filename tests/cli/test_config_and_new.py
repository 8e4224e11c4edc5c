import tomllib

from pshead_core.cli.main import main


def test_config_show_prints_toml_that_says_where_values_come_from(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PSHEAD_PLUGINS", "")
    file = tmp_path / "mine.toml"
    file.write_text("[losses]\nalpha = 3\n")
    assert main(["config", "show", "--config", str(file), "--seed", "5", "--losses.rgb", "7"]) == 0
    printed = capsys.readouterr()
    table = tomllib.loads(printed.out)
    assert (table["seed"], table["losses"]["alpha"], table["losses"]["rgb"]) == (5, 3.0, 7.0)
    assert f"alpha = 3.0  # {file}" in printed.out
    assert "rgb = 7.0  # command line" in printed.out
    assert printed.err == ""


def test_new_writes_a_package_and_says_what_next(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["new", "guidance", "my_prior"]) == 0
    folder = tmp_path / "pshead-guidance-my-prior"
    assert tomllib.loads((folder / "pyproject.toml").read_text())["project"]["name"] == "pshead-guidance-my-prior"
    assert "pip install" in capsys.readouterr().out
    assert main(["new", "guidance", "my_prior"]) == 2
    assert "exists already" in capsys.readouterr().err
