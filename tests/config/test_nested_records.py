"""Records inside a plugin's configuration, such as the settings of score distillation: TOML, dump and flags."""

import pytest
from attrs import field, frozen

from pshead_core.api import GuidanceSpec, PluginConfig
from pshead_core.cli.flags import apply_flags, flag_names, flags_help
from pshead_core.config.dump import dump_annotated, dump_toml
from pshead_core.config.fields import describe_fields
from pshead_core.config.resolve import resolve
from pshead_core.config.schedule import CurveConfig
from pshead_core.errors import ConfigError
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.registry.host import PluginHost
from tests.config.plugins import plugin, spec

FALLING = CurveConfig(from_step=50, to_step=200, start=0.98, end=0.5)

DISTILL = DistillSettings(guidance_scale=25.0, min_t_frac=0.1, max_t_frac=FALLING)


@frozen(kw_only=True)
class Inner:
    low: int = 1
    high: int = 2


@frozen(kw_only=True)
class Outer:
    inner: Inner = Inner(low=10)
    rate: float = 0.5


@frozen(kw_only=True)
class TextConfig(PluginConfig):
    """A guidance with settings."""

    distill: DistillSettings = DISTILL
    """How it distils."""
    outer: Outer = field(factory=lambda: Outer(inner=Inner(high=20)))
    """Records in records."""
    model: str = "mini/sd"
    """Weights."""


HOST = PluginHost.of(plugin(guidance=[spec(GuidanceSpec, "text", TextConfig)]))
PREFIX = "--guidance.text.distill."


@pytest.fixture
def read(tmp_path, monkeypatch):
    monkeypatch.delenv("PSHEAD_PLUGINS", raising=False)

    def read(text):
        path = tmp_path / "mine.toml"
        path.write_text(f'preset = "none"\n[guidance.text]\n{text}', encoding="utf-8")
        return resolve(files=[path], host=HOST)

    return read


def settings(resolved):
    return resolved.config.guidance["text"].distill


def test_a_table_changes_only_what_it_names(read):
    """The plugin's own defaults stay, not those of the settings' class, which has other ones."""
    assert settings(read("")) == DISTILL
    found = settings(read('[guidance.text.distill]\nweighting = "uniform"\nclip_norm = 2\n'))
    assert found == DistillSettings(
        guidance_scale=25.0, min_t_frac=0.1, max_t_frac=FALLING, weighting="uniform", clip_norm=2.0
    )
    nested = read("[guidance.text.outer.inner]\nlow = 7\n").config.guidance["text"].outer
    assert nested == Outer(inner=Inner(low=7, high=20))


def test_a_curve_is_replaced_as_a_whole(read):
    """A curve is one value: half a curve is a mistake, not the other half of the default."""
    curve = "{from_step = 0, to_step = 10, start = 0.9, end = 0.5}"
    found = settings(read(f"[guidance.text.distill]\nmin_t_frac = {curve}\nmax_t_frac = 0.9\n"))
    assert found.min_t_frac == CurveConfig(from_step=0, to_step=10, start=0.9, end=0.5)
    assert found.max_t_frac == 0.9
    with pytest.raises(ConfigError, match="required, but missing"):
        read("[guidance.text.distill]\nmax_t_frac = {start = 0.9}\n")


def test_all_mistakes_of_a_nested_table_at_once(read):
    with pytest.raises(ConfigError) as caught:
        read(
            "[guidance.text.distill]\n"
            "guidence_scale = 7\n"
            'guidance_form = "standart"\n'
            'min_t_frac = "low"\n'
            "clip_norm = -1\n"
            "max_t_frac = {from_step = 0, to_step = 9, start = 0.9, end = 1.5}\n"
        )
    lines = str(caught.value).splitlines()
    assert lines[0] == "the configuration has 5 problems"
    assert sorted(line.split(" @ ")[0].strip(" -") for line in lines[1:6]) == [
        "'clip_norm' must be > 0.0: -1.0",
        "'max_t_frac' must lie in 0..1: 0.9, 1.5",
        "must be a number, not a text 'low'",
        "must be one of 'standard', 'from_condition', not 'standart', did you mean 'standard'?",
        "unknown key 'guidence_scale', did you mean 'guidance_scale'?",
    ]
    assert all("mine.toml: guidance.text.distill" in line for line in lines[1:6])


def test_a_missing_key_does_not_hide_a_bad_number(read):
    with pytest.raises(ConfigError) as caught:
        read("[guidance.text.outer]\nrate = true\n[guidance.text.distill]\nchunk_views = 0\nmax_t_frac = {start = 1}\n")
    text = str(caught.value)
    assert "must be a number, not a boolean" in text
    assert "required, but missing" in text
    assert "'chunk_views' must be >= 1: 0" in text


def test_what_is_dumped_reads_back(read, tmp_path):
    resolved = read('[guidance.text.distill]\ndraw = "shared"\nmin_t_frac = 0.3\n')
    path = tmp_path / "resolved.toml"
    path.write_text(dump_toml(resolved), encoding="utf-8")
    again = resolve(files=[path], host=HOST)
    assert again.config == resolved.config
    assert dump_toml(again) == dump_toml(resolved)
    annotated = dump_annotated(resolved).splitlines()
    assert f'draw = "shared"  # {tmp_path / "mine.toml"}' in annotated
    assert "guidance_scale = 25.0" in annotated
    assert "[guidance.text.distill.max_t_frac]" in annotated


def test_flags_reach_into_the_record(read):
    flags = ["min-t-frac", "0.3", "max-t-frac", "{from_step=0, to_step=9, start=0.9, end=0.6}", "clip-norm", "1"]
    arguments = [PREFIX + word if index % 2 == 0 else word for index, word in enumerate(flags)]
    resolved = apply_flags(read('[guidance.text.distill]\ndraw = "shared"\n'), arguments, "pshead run")
    assert settings(resolved) == DistillSettings(
        guidance_scale=25.0,
        draw="shared",
        min_t_frac=0.3,
        max_t_frac=CurveConfig(from_step=0, to_step=9, start=0.9, end=0.6),
        clip_norm=1.0,
    )
    assert resolved.origins["guidance", "text", "distill", "min_t_frac"] == "command line"
    back = apply_flags(resolved, [f"{PREFIX}clip-norm", "None"], "pshead run")
    assert settings(back).clip_norm is None


def test_flags_are_named_and_explained(read):
    resolved = read("")
    assert f"{PREFIX}max-t-frac" in flag_names(resolved.config)
    assert "--guidance.text.outer.inner.low" in flag_names(resolved.config)
    words = " ".join(flags_help(resolved, "pshead run").split())
    assert f"{PREFIX}max-t-frac FLOAT|CURVE" in words
    assert "Noisiest timestep, as a part of the noise schedule" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([f"{PREFIX}min-t-frac", "1.3"], "'min_t_frac' must lie in 0..1"),
        ([f"{PREFIX}weighting", "sd"], "'sds', 'uniform', 'fantasia3d'"),
        ([f"{PREFIX}wieghting", "sds"], f"did you mean '{PREFIX}weighting'"),
    ],
)
def test_wrong_flags_are_refused(read, arguments, words):
    with pytest.raises(ConfigError, match=words):
        apply_flags(read(""), arguments, "pshead run")


def test_fields_show_the_plugins_own_default():
    facts = {fact.name: fact for fact in describe_fields(TextConfig)}
    assert facts["distill"].default["guidance_scale"] == 25.0
    assert facts["distill"].text == "How it distils."
    assert facts["outer"].default == {"inner": {"low": 1, "high": 20}, "rate": 0.5}
