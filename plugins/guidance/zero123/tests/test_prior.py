"""What the UNet is asked: a spy in its place, everything else as in a run."""

from types import SimpleNamespace

import pytest
import torch
from attrs import evolve
from pshead_guidance_zero123.config import Zero123Config
from pshead_guidance_zero123.prior import make_codec, reference_picture, unconditional_matters
from torch import nn

from pshead_core.api import PluginContractError, PsheadError
from pshead_core.priors.distill.guide import guide
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.testing import tiny_context, tiny_step, tiny_views


class Spy(nn.Module):
    """A network that answers with its first channels and remembers what it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def forward(self, seen, timestep, encoder_hidden_states):
        self.asked.append((seen, timestep, encoder_hidden_states))
        return SimpleNamespace(
            sample=seen[:, : seen.shape[1] // 2] + encoder_hidden_states.mean((1, 2))[:, None, None, None]
        )


def spied(guidance):
    spy = Spy()
    pooled = SimpleNamespace(get=lambda: spy, config=guidance.components.unet.config)
    return evolve(guidance, components=evolve(guidance.components, unet=pooled)), spy


def settings(**changes):
    return Zero123Config(distill=DistillSettings(**changes))


def test_reference_latent_is_the_unscaled_mode(built):
    guidance = built()
    picture = reference_picture(torch.cat([tiny_views(1, side_px=128).rgb[0], torch.ones(128, 128, 1)], -1), 128)
    guidance = built(rgba=torch.cat([picture, torch.ones(128, 128, 1)], -1))
    autoencoder = guidance.components.autoencoder.get()
    with torch.no_grad():
        wanted = autoencoder.encode(picture.permute(2, 0, 1)[None] * 2 - 1).latent_dist.mode()
    torch.testing.assert_close(guidance.reference.latent, wanted, atol=1e-4, rtol=1e-4)
    factor = guidance.components.scaling_factor
    assert abs(factor - 1) > 0.5, "the test would not see a scaled latent"
    guidance, spy = spied(guidance)
    guidance.contribute(tiny_views(2, side_px=128), tiny_step())
    noisy, known = spy.asked[0][0].chunk(2, 1)
    torch.testing.assert_close(known, wanted.expand_as(known), atol=1e-4, rtol=1e-4)
    assert float(noisy.std()) < 2 < 0.5 / factor < float(known.std() / factor), "noisy latents are scaled"


def test_reference_is_over_white_and_reduced_by_area():
    rgba = torch.zeros(4, 4, 4)
    rgba[:2, :2] = torch.tensor([1.0, 0.0, 0.0, 1.0])
    rgba[2:, 2:] = torch.tensor([0.0, 0.0, 1.0, 0.5])
    rgba[0, 2] = torch.tensor([0.0, 0.0, 0.0, 1.0])
    found = reference_picture(rgba, 2)
    wanted = [[[1, 0, 0], [0.75, 0.75, 0.75]], [[1, 1, 1], [0.5, 0.5, 1]]]
    torch.testing.assert_close(found, torch.tensor(wanted))


def test_unconditional_half_sees_neither_token_nor_latent(built):
    guidance, spy = spied(built(settings(guidance_scale=3.0)))
    guidance.contribute(tiny_views(3, side_px=64), tiny_step())
    ((seen, timestep, tokens),) = spy.asked
    assert len(seen) == len(timestep) == len(tokens) == 6
    channels = seen.shape[1] // 2
    assert torch.equal(seen[:3, :channels], seen[3:, :channels])
    assert torch.equal(timestep[:3], timestep[3:])
    assert float(seen[3:, channels:].abs().max()) == 0 < float(seen[:3, channels:].abs().min(0).values.max())
    assert float(tokens[3:].abs().max()) == 0 < float(tokens[:3].abs().max())


@pytest.mark.parametrize(
    ("changes", "both"),
    [
        ({"guidance_scale": 1.0}, False),
        ({"guidance_scale": 1.0, "guidance_rescale": 0.7}, False),
        ({"guidance_scale": 3.0}, True),
        ({"guidance_scale": 0.0}, True),
        ({"guidance_scale": 0.0, "guidance_form": "from_condition"}, False),
        ({"guidance_scale": 1.0, "guidance_form": "from_condition"}, True),
    ],
)
def test_second_half_only_where_it_matters(built, changes, both):
    config = settings(**changes)
    guidance, spy = spied(built(config))
    noisy, timestep = torch.randn(2, 8, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([5, 700])
    tokens = guidance.tokens(torch.eye(4)[:2])
    found = guidance.predict(noisy, timestep, tokens)
    assert unconditional_matters(config) == both
    assert len(spy.asked[0][0]) == (4 if both else 2)
    known, nothing = guidance.reference.latent.expand_as(noisy), torch.zeros_like(noisy)
    conditional = spy(torch.cat([noisy, known], 1), timestep, tokens).sample
    unconditional = spy(torch.cat([noisy, nothing], 1), timestep, torch.zeros_like(tokens)).sample
    torch.testing.assert_close(found, guide(conditional, unconditional, config.distill))


def test_order_of_the_halves_does_not_matter(built):
    """The published implementations differ in it; each row of a batch is its own."""
    config = settings(guidance_scale=2.5)
    guidance = built(config)
    noisy = torch.randn(2, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    timestep, tokens = torch.tensor([300, 900]), guidance.tokens(torch.eye(4)[:2])
    known = guidance.reference.latent.expand_as(noisy)
    seen = torch.cat([torch.cat([noisy, noisy]), torch.cat([torch.zeros_like(known), known])], 1)
    both = torch.cat([torch.zeros_like(tokens), tokens])
    with torch.no_grad():
        found = guidance.components.unet.get()(seen, torch.cat([timestep] * 2), encoder_hidden_states=both).sample
    unconditional, conditional = found.chunk(2)
    wanted = guide(conditional, unconditional, config.distill)
    torch.testing.assert_close(guidance.predict(noisy, timestep, tokens), wanted, atol=1e-5, rtol=1e-4)


def test_chunks_do_not_change_the_prediction(built):
    guidance = built(settings(guidance_scale=2.0))
    noisy = torch.randn(5, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    timestep, tokens = torch.arange(5) * 200, guidance.tokens(torch.randn(5, 4))
    wanted = guidance.predict(noisy, timestep, tokens)
    chunked = evolve(guidance, config=evolve(guidance.config, chunk_views=2))
    torch.testing.assert_close(chunked.predict(noisy, timestep, tokens), wanted, atol=1e-5, rtol=1e-4)


def test_tokens_follow_the_cameras(built):
    """Each view's row carries its own camera: permuting the views permutes tokens, and nothing else."""
    guidance, spy = spied(built())
    views = tiny_views(4, side_px=32)
    guidance.contribute(views, tiny_step())
    order = torch.tensor([2, 0, 3, 1])
    turned = evolve(views, rgb=views.rgb[order], cameras=views.cameras[order])
    guidance.contribute(turned, tiny_step())
    (_, _, tokens), (_, _, permuted) = spy.asked
    assert torch.unique(tokens[:, 0], dim=0).shape[0] == 4
    torch.testing.assert_close(permuted, tokens[order])


def test_front_can_be_left_out(built):
    views = tiny_views(6, side_px=32)
    azimuth = views.cameras.azimuth_deg.abs()
    border = float(azimuth.sort().values[1:3].mean())
    whole = built().contribute(views, tiny_step()).rgb
    part = built(Zero123Config(leave_front_deg=border)).contribute(views, tiny_step()).rgb
    near = azimuth < border
    assert 0 < int(near.sum()) < 6
    assert float(part[near].abs().max()) == 0 < float(whole[near].abs().max())
    assert torch.equal(part[~near], whole[~near])


def test_other_size_of_views_than_the_prior(built):
    guidance = built()
    for side_px in (48, 128, 160):
        found = guidance.contribute(tiny_views(1, side_px=side_px), tiny_step()).rgb
        assert found.shape == (1, side_px, side_px, 3)


def test_codec_takes_size_and_scale_from_the_files(built):
    components = built().components
    codec = make_codec(components, torch.float32)
    assert (codec.height_px, codec.width_px) == (components.side_px,) * 2
    assert components.side_px == components.autoencoder.config.sample_size  # the miniature's files agree
    assert codec.scaling_factor == components.autoencoder.config.scaling_factor


def test_checkpoint_without_reference_input_is_refused(built):
    with pytest.raises(PsheadError, match="mini/sd"):
        built(Zero123Config(checkpoint="mini/sd"))


def test_configuration_of_another_plugin_is_refused(tmp_path):
    from pshead_guidance_zero123.prior import build

    from pshead_core.api import PluginConfig

    with pytest.raises(PluginContractError, match="PluginConfig"):
        build(PluginConfig(), tiny_context(tmp_path))


def test_configuration_names_its_weights():
    assert Zero123Config(checkpoint="zero123-xl").checkpoints() == ("zero123-xl",)
