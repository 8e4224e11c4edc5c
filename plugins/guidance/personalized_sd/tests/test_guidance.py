"""The guidance: prompts by view, passes through the network, and the way that descent takes."""

import pytest
import torch
from attrs import evolve
from pshead_guidance_personalized_sd.config import PersonaliseSettings, PersonalizedSdConfig, PromptSettings
from pshead_guidance_personalized_sd.prior import build

from pshead_core.api import PluginContractError
from pshead_core.cameras.camera import orbit
from pshead_core.priors.distill.guide import guide
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.testing import tiny_step, tiny_views

PLAIN = PersonaliseSettings(method="none")


def prepared(context, **config):
    prior = build(PersonalizedSdConfig(**{"personalise": PLAIN, **config}), context)
    prior.prepare()
    return prior


def batches(prior, monkeypatch):
    """Record the prompts' embeddings of every pass through the UNet."""
    seen, unet = [], prior.personal.model.unet.get()
    forward = unet.forward

    def listening(noisy, timestep, encoder_hidden_states):
        seen.append(encoder_hidden_states)
        return forward(noisy, timestep, encoder_hidden_states)

    monkeypatch.setattr(unet, "forward", listening)
    return seen


@pytest.mark.parametrize(
    ("settings", "negative", "passes"),
    [
        (DistillSettings(guidance_scale=1.0), "", [3]),
        (DistillSettings(guidance_scale=0.0, guidance_form="from_condition"), "", [3]),
        (DistillSettings(guidance_scale=1.0, guidance_form="from_condition"), "", [6]),
        (DistillSettings(guidance_scale=7.5), "", [6]),
        (DistillSettings(guidance_scale=7.5, chunk_views=2), "", [4, 2]),
        (DistillSettings(guidance_scale=100.0), "same", [3]),
    ],
)
def test_no_pass_that_guidance_does_not_need(settings, negative, passes, twin, make_context, monkeypatch):
    prompt = PromptSettings(text="same", negative=negative, front="", side="", back="")
    prior = prepared(make_context(), checkpoint=str(twin), prompt=prompt, distill=settings)
    seen = batches(prior, monkeypatch)
    prior.contribute(tiny_views(3), tiny_step())
    assert [len(tokens) for tokens in seen] == passes


def test_each_view_has_its_prompt_and_the_negative_one_beside_it(twin, make_context, monkeypatch):
    prompt = PromptSettings(negative="blurry", front_deg=30, back_deg=150)
    prior = prepared(make_context(), checkpoint=str(twin), prompt=prompt, distill=DistillSettings(guidance_scale=3.0))
    seen = batches(prior, monkeypatch)
    azimuth = torch.tensor([0.0, 45.0, -170.0, -29.0])
    views = evolve(tiny_views(4), cameras=orbit(azimuth, torch.zeros(4), distance=2.0, fovy_deg=49.1, side_px=32))
    prior.contribute(views, tiny_step())
    said = [f"photo of a woman, red hair, {words} view" for words in ("front", "side", "back", "front")]
    wanted = prior.personal.model.embed([*said, *["blurry"] * 4])
    torch.testing.assert_close(torch.cat(seen), wanted)


def test_guidance_is_that_of_two_separate_passes(twin, make_context):
    prior = prepared(make_context(), checkpoint=str(twin))
    model = prior.personal.model
    settings = DistillSettings(guidance_scale=4.0, guidance_rescale=0.3)
    azimuth, generator = torch.tensor([0.0, 180.0]), torch.Generator().manual_seed(3)
    noisy, timestep = torch.randn(2, 4, 8, 8, generator=generator), torch.tensor([20, 700])
    tokens = model.embed(["photo of a woman, red hair, front view", "photo of a woman, red hair, back view", "", ""])
    with torch.no_grad():
        found = prior.personal.predictor(azimuth, settings)(noisy, timestep)
        one, other = (model.predict(noisy, timestep, part) for part in tokens.chunk(2))
    torch.testing.assert_close(found, guide(one, other, settings))


def test_chunks_do_not_change_the_gradient(twin, make_context):
    views = tiny_views(5)
    gradients = [
        prepared(make_context(), checkpoint=str(twin), distill=DistillSettings(guidance_scale=5.0, chunk_views=size))
        .contribute(views, tiny_step())
        .rgb
        for size in (2, 8)
    ]
    # Rounding differs with the size of a batch, and guidance magnifies it; other noise would change whole values.
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4 * float(gradients[0].abs().max()))


def test_asking_before_preparing_is_a_fault_of_the_caller(twin, make_context):
    prior = build(PersonalizedSdConfig(checkpoint=str(twin)), make_context())
    with pytest.raises(PluginContractError, match="before it was prepared"):
        prior.contribute(tiny_views(1), tiny_step())


def test_descent_paints_what_the_prompt_says(make_context):
    """From a blank picture, a green shirt in words becomes a green shirt in pixels, and a red one a red one."""
    tint = {}
    for colour in ("green", "red"):
        prompt = PromptSettings(text=f"photo of a man, light skin, short brown hair, {colour} shirt")
        prior = prepared(make_context(), prompt=prompt, distill=DistillSettings(guidance_scale=3.0, min_t_frac=0.3))
        rgb = torch.full((1, 128, 128, 3), 0.7)
        cameras = orbit(torch.zeros(1), torch.zeros(1), distance=2.0, fovy_deg=49.1, side_px=128)
        for index in range(8):
            views = evolve(tiny_views(1, side_px=128), rgb=rgb, cameras=cameras)
            gradient = prior.contribute(views, tiny_step(index)).rgb
            rgb = (rgb - 0.05 * gradient / gradient.square().mean().sqrt()).clamp(0, 1)
        shirt = rgb[0, 100:, 40:88].mean((0, 1))
        tint[colour] = float(shirt[1] - shirt[0])
    assert tint["green"] > tint["red"] + 0.1, tint
