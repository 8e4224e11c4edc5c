"""Every check can fail: each is shown a spec that breaks just its sentence of the contract."""

import sys
import textwrap
from importlib import import_module

import pytest
from attrs import evolve

from pshead_core.errors import PluginContractError, PsheadError
from pshead_core.priors.contribution import DenoisedTarget
from pshead_core.specs import CheckpointSpec, ViewNeeds
from pshead_core.testing import (
    CHECKS,
    checks_build,
    fakes,
    parametrize_with_checks,
    run_checks,
    subject_of,
    subjects_of,
)
from pshead_core.testing.subject import no_network
from tests.testing.broken import BROKEN, OTHERS, pickled

BY_NAME = {check.name: check for check in CHECKS}


def message_of(name, spec):
    check = BY_NAME[name]
    subject = subject_of(spec)
    assert check.applies(subject)
    try:
        check.run(subject)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


@pytest.mark.parametrize(("name", "spec"), [*BROKEN.items(), *OTHERS], ids=lambda item: item if item in BY_NAME else "")
def test_check_refuses_what_is_broken(name, spec, monkeypatch):
    monkeypatch.setattr(checks_build, "LIMIT_S", 0.2)
    message = message_of(name, spec)
    assert message.startswith(("PluginContractError", "ConfigError"))
    assert "fix: " in message


def test_every_check_is_shown_something_broken():
    elsewhere = {check.name for check in CHECKS if check.group in ("package", "checkpoints")}
    elsewhere |= {"check_config_unknown_key"}  # the core's converter, tested with the configuration
    assert set(BROKEN) | elsewhere == set(BY_NAME)


def test_messages_name_plugin_and_remedy():
    message = message_of("check_gradient_shape", OTHERS[5][1])
    assert "(2, 4, 4, 3)" in message
    assert "(2, 32, 32, 3)" in message
    assert "'broken'" in message
    assert "fix: contributions are in image space" in message


def test_checks_are_documented():
    for check in CHECKS:
        assert check.run.__doc__, check.name
        assert check.name.startswith("check_")


def test_checkpoint_folder(tmp_path):
    assert "pickles" in message_of("check_checkpoint_folder", pickled(tmp_path))
    empty = tmp_path / "empty"
    empty.mkdir()
    spec = CheckpointSpec(name="c", summary="c", folder=lambda: empty, licences=("MIT",))
    assert "no files" in message_of("check_checkpoint_folder", spec)
    (empty / "model.safetensors").write_bytes(b"x")
    assert message_of("check_checkpoint_folder", spec) == ""


def test_run_checks_reports_all_and_goes_on():
    results = run_checks(fakes.wrong_shape())
    assert [result.name for result in results if result.passed]
    assert all(bool(result.message) != result.passed and result.seconds >= 0 for result in results)
    assert all(result.name.startswith("check_config") for result in run_checks(fakes.noisy(), groups={"config"}))


def test_no_network_is_undone():
    import socket

    before = (socket.socket.connect, socket.getaddrinfo)
    with no_network(), pytest.raises(PluginContractError, match="network"):
        socket.getaddrinfo("example.org", 80)
    assert (socket.socket.connect, socket.getaddrinfo) == before


def marks_of(decorator):
    return {parameter.id: parameter.marks for parameter in decorator.mark.args[1]}


def test_parametrize_gives_ids_and_strict_xfails():
    plugin = fakes.as_plugin(fakes.noisy())
    marks = marks_of(parametrize_with_checks(plugin, {"check_views_reach_result": "noise is blind"}))
    (mark,) = marks["noisy-check_views_reach_result"]
    assert (mark.name, mark.kwargs) == ("xfail", {"reason": "noise is blind", "strict": True})
    assert [name for name, others in marks.items() if others] == ["noisy-check_views_reach_result"]


def test_unknown_expected_failures_are_refused():
    plugin = fakes.as_plugin(fakes.noisy())
    with pytest.raises(PsheadError, match="did you mean 'check_gradient_finite'"):
        parametrize_with_checks(plugin, {"check_gradient_finit": "x"})
    with pytest.raises(PsheadError, match="does not apply"):
        parametrize_with_checks(plugin, {"check_metric_order": "x"})


def test_a_plugin_without_specs_is_refused():
    with pytest.raises(PluginContractError, match="registers nothing"):
        subjects_of(fakes.as_plugin())


def test_testing_does_not_import_pytest():
    import subprocess

    code = "import sys, pshead_core.testing as t; t.run_checks; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


ENTRY_MODULE = """
import torch
from pshead_core.api import hookimpl
from pshead_core.testing import fakes

@hookimpl
def pshead_guidance():
    return [fakes.flat_color(name="uninstalled")]
"""


def test_package_checks_refuse_a_module_that_is_not_installed(tmp_path, monkeypatch):
    package = tmp_path / "uninstalled_plugin"
    package.mkdir()
    (package / "__init__.py").write_text(textwrap.dedent(ENTRY_MODULE))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    module = import_module("uninstalled_plugin")
    (subject,) = subjects_of(module)
    results = {r.name: r for r in run_checks(subject.spec, plugin=module, groups={"package"})}
    assert not any(result.passed for result in results.values())
    assert 'entry-points."pshead.guidance"' in results["check_entry_point"].message
    assert "imports torch" in results["check_entry_module_light"].message
    assert "py.typed" in results["check_typed"].message


def fake_distribution(folder, metadata, entry="uninstalled_plugin"):
    info = folder / "pshead_guidance_uninstalled-1.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.4\nName: pshead-guidance-uninstalled\nVersion: 1\n{metadata}"
    )
    info.joinpath("entry_points.txt").write_text(f"[pshead.guidance]\nuninstalled = {entry}\n")


@pytest.mark.parametrize(
    ("metadata", "name", "message"),
    [
        ("", "check_requires_core", "does not require pshead-core"),
        ("Requires-Dist: pshead-core>=7,<8\n", "check_requires_core", "installed is"),
        ("Requires-Dist: pshead-core>=0.1\n", "check_requires_core", "no upper bound"),
        ("", "check_readme_and_licence", "no README"),
        ("\nHello.\n", "check_readme_and_licence", "no licence"),
    ],
)
def test_package_checks_read_the_metadata(tmp_path, monkeypatch, metadata, name, message):
    package = tmp_path / "uninstalled_plugin"
    package.mkdir()
    (package / "__init__.py").write_text(textwrap.dedent(ENTRY_MODULE))
    fake_distribution(tmp_path, metadata)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "uninstalled_plugin", raising=False)
    module = import_module("uninstalled_plugin")
    (subject,) = subjects_of(module)
    BY_NAME["check_entry_point"].run(subject)
    with pytest.raises(PluginContractError, match=message):
        BY_NAME[name].run(subject)


def test_a_prior_that_needs_the_reference_view_is_given_one():
    class Reads:
        def refine(self, views, step):
            assert step.reference.rgb.shape == (1, *views.rgb.shape[1:])
            assert step.reference.cameras.azimuth_deg.tolist() == [0.0]
            return DenoisedTarget(rgb=step.reference.rgb.expand_as(views.rgb).clone(), weight=views.alpha.clone())

    needy = evolve(
        fakes.flat_color_refiner(),
        build=lambda _, __: Reads(),
        needs=ViewNeeds(outputs=frozenset({"rgb", "alpha"}), reference=True),
    )
    results = {result.name: result.message for result in run_checks(needy, groups=["call", "numerics"])}
    assert {name for name, message in results.items() if message} == set()
    deaf = evolve(needy, needs=ViewNeeds(outputs=frozenset({"rgb", "alpha"})))
    assert all("AttributeError" in result.message for result in run_checks(deaf, groups=["call"]))
