"""The maths of the guidance on networks whose answers are known."""

from __future__ import annotations

import pytest
import torch
from attrs import evolve
from pshead_guidance_video.clip import clip_order
from pshead_guidance_video.config import VideoConfig
from pshead_guidance_video.prior import ClipPredictor, Frame, Texts, guidance_matters

from plugins.guidance.video.tests.closed_form import (
    SCALE,
    SETTINGS,
    SIDE_PX,
    LinearVae,
    SpyUNet,
    guidance,
    ring,
    schedule_of,
    views_at,
)
from pshead_core.errors import PluginContractError
from pshead_core.priors.distill.codec import LatentCodec
from pshead_core.priors.distill.gradient import distill
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.testing import tiny_portrait, tiny_step


def shuffled(azimuth_deg: torch.Tensor) -> torch.Tensor:
    return azimuth_deg[torch.randperm(len(azimuth_deg), generator=torch.Generator().manual_seed(3))]


def codec() -> LatentCodec:
    return LatentCodec(LinearVae(), height_px=SIDE_PX, width_px=SIDE_PX, scaling_factor=SCALE, dtype=torch.float32)


@pytest.mark.parametrize("azimuth_deg", [ring(), shuffled(ring(25, 5.0)), shuffled(ring(7, 20.0)), torch.zeros(1)])
def test_gradient_is_the_closed_form(azimuth_deg):
    """w(t) (predicted noise - noise) / views through J^T, all written out; the noise is read off what the spy saw."""
    views, unet, vae = views_at(azimuth_deg), SpyUNet(schedule_of()), LinearVae()
    with torch.no_grad():
        got = guidance(unet).contribute(views, tiny_step()).rgb
        order = clip_order(azimuth_deg)
        clean = vae.latents(views.rgb)[order].transpose(0, 1)[None]
        alpha_bar = float(unet.schedule.alpha_bar[unet.timesteps[0]])
        noise = (unet.clips[0] - alpha_bar**0.5 * clean) / (1 - alpha_bar) ** 0.5
        away = unet.clips[0] - alpha_bar**0.5 * unet.means(len(azimuth_deg))
        noise_hat = (1 - alpha_bar) ** 0.5 * away / (alpha_bar * 0.25 + 1 - alpha_bar)
        latent = (1 - alpha_bar) * (noise_hat - noise)[0].transpose(0, 1) / len(azimuth_deg)
        wanted = torch.empty_like(got)
        wanted[order] = vae.pulled(latent)
    assert abs(float(noise.std()) - 1) < 0.2
    torch.testing.assert_close(got, wanted, atol=2e-6, rtol=1e-4)


def test_clip_path_equals_the_path_view_by_view():
    """A denoiser that treats frames one by one gives the same gradient, whether asked for a clip or for pictures."""
    azimuth = shuffled(ring(25, 2.0))
    views, unet = views_at(azimuth), SpyUNet(schedule_of())
    order = clip_order(azimuth)
    frame_of_view = order.argsort()

    def predict(noisy, timestep):
        mean = unet.means(25)[0, :, frame_of_view].transpose(0, 1)
        alpha_bar = unet.schedule.alpha_bar[timestep].float().view(-1, 1, 1, 1)
        return (1 - alpha_bar).sqrt() * (noisy - alpha_bar.sqrt() * mean) / (alpha_bar * 0.25 + 1 - alpha_bar)

    wanted = distill(views, codec(), predict, unet.schedule, SETTINGS, tiny_step(4))
    got = guidance(unet).contribute(views, tiny_step(4))
    torch.testing.assert_close(got.rgb, wanted.rgb, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("prediction", ["v_prediction", "sample"])
def test_every_form_of_prediction_gives_the_same_gradient(prediction):
    class Converted(SpyUNet):
        def predict(self, clip, timestep, words):
            noise = super().predict(clip, timestep, words)
            alpha_bar = self.schedule.alpha_bar[timestep].float().view(-1, 1, 1, 1, 1)
            clean = (clip - (1 - alpha_bar).sqrt() * noise) / alpha_bar.sqrt()
            velocity = alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * clean
            return clean if prediction == "sample" else velocity

    views = views_at(ring(9))
    wanted = guidance().contribute(views, tiny_step()).rgb
    got = guidance(Converted(schedule_of()), schedule=schedule_of(prediction)).contribute(views, tiny_step()).rgb
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-4)


def test_the_whole_clip_has_one_timestep():
    seen = set()
    for index in range(6):
        unet = SpyUNet(schedule_of())
        guidance(unet).contribute(views_at(ring(5)), tiny_step(index))
        assert [clip.shape for clip in unet.clips] == [(1, 4, 5, 2, 2)]
        assert unet.timesteps[0].shape == (1,)
        seen.add(int(unet.timesteps[0]))
    assert len(seen) > 3
    assert min(seen) >= 300
    assert max(seen) <= 800


def test_a_timestep_per_view_is_refused():
    with pytest.raises(ValueError, match="draw"):
        VideoConfig(distill=DistillSettings())
    predictor = ClipPredictor(
        unet=SpyUNet(schedule_of()),
        texts=guidance().texts,
        order=torch.arange(2),
        front=None,
        settings=SETTINGS,
        dtype=torch.float32,
    )
    with pytest.raises(PluginContractError, match="timesteps"):
        predictor(torch.zeros(2, 4, 2, 2), torch.tensor([400, 401]))


@pytest.mark.parametrize("azimuth_deg", [ring(25, 5.0), shuffled(ring(25, 5.0)), shuffled(ring(6))])
@pytest.mark.parametrize("background", [(1.0, 1.0, 1.0), (0.2, 0.5, 0.0)])
def test_portrait_stands_clean_in_the_clip_and_its_view_gets_no_gradient(azimuth_deg, background):
    portrait = tiny_portrait(SIDE_PX)
    views = views_at(azimuth_deg, background=background)
    front = int(azimuth_deg.abs().argmin())
    frame = int((clip_order(azimuth_deg) == front).nonzero())
    over = portrait.rgba[..., :3] * portrait.rgba[..., 3:] + torch.tensor(background) * (1 - portrait.rgba[..., 3:])
    with torch.no_grad():
        wanted = LinearVae().latents(over[None])[0]
    others = [row for row in range(len(azimuth_deg)) if row != front]
    for index in range(3):
        unet, plain = SpyUNet(schedule_of()), SpyUNet(schedule_of())
        got = guidance(unet, portrait=portrait).contribute(views, tiny_step(index)).rgb
        without = guidance(plain).contribute(views, tiny_step(index)).rgb
        torch.testing.assert_close(unet.clips[0][0, :, frame], wanted)
        rest = [row for row in range(len(azimuth_deg)) if row != frame]
        assert torch.equal(unet.clips[0][:, :, rest], plain.clips[0][:, :, rest])
        assert (got[front] == 0).all()
        assert torch.equal(got[others], without[others])  # the spy's frames do not look at each other
        assert (got[others].abs().amax((1, 2, 3)) > 0).all()


def test_without_a_front_view_the_portrait_stays_out():
    azimuth = torch.tensor([100.0, 170.0, -120.0])
    unet, plain = SpyUNet(schedule_of()), SpyUNet(schedule_of())
    got = guidance(unet, portrait=tiny_portrait(SIDE_PX)).contribute(views_at(azimuth), tiny_step()).rgb
    assert torch.equal(got, guidance(plain).contribute(views_at(azimuth), tiny_step()).rgb)
    assert torch.equal(unet.clips[0], plain.clips[0])


def test_a_prompt_needs_two_texts_in_one_batch():
    unet = SpyUNet(schedule_of(), word_shift=1.0)
    texts = Texts(conditional=torch.full((1, 2, 3), 0.4), unconditional=torch.full((1, 2, 3), -0.2))
    settings = evolve(SETTINGS, guidance_scale=3.0)
    views = views_at(ring(5))
    got = guidance(unet, texts=texts, settings=settings).contribute(views, tiny_step()).rgb
    assert [len(clip) for clip in unet.clips] == [2]
    assert torch.equal(unet.clips[0][0], unet.clips[0][1])
    # The predictions are linear in the text's mean: scale 3 equals one pass at -0.2 + 3 (0.4 - -0.2).
    one = Texts(conditional=torch.full((1, 2, 3), 1.6), unconditional=None)
    wanted = guidance(SpyUNet(schedule_of(), word_shift=1.0), texts=one).contribute(views, tiny_step()).rgb
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("scale", [0.0, 7.5, 100.0])
def test_equal_texts_make_every_scale_a_no_op(scale):
    """Why the null prompt needs one pass only: the paper's scale of 100 multiplies a difference of zero."""
    text = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(0))
    views = views_at(ring(5))
    once = guidance(SpyUNet(schedule_of(), word_shift=1.0), texts=Texts(conditional=text, unconditional=None))
    unet = SpyUNet(schedule_of(), word_shift=1.0)
    settings = evolve(SETTINGS, guidance_scale=scale, guidance_rescale=0.7)
    twice = guidance(unet, texts=Texts(conditional=text, unconditional=text), settings=settings)
    torch.testing.assert_close(
        twice.contribute(views, tiny_step()).rgb, once.contribute(views, tiny_step()).rgb, atol=1e-6, rtol=1e-4
    )
    assert [len(clip) for clip in unet.clips] == [2]


@pytest.mark.parametrize(
    ("prompt", "negative", "scale", "form", "matters"),
    [
        ("", "", 100.0, "from_condition", False),
        ("a head", "a head", 100.0, "standard", False),
        ("a head", "", 1.0, "standard", False),
        ("a head", "", 0.0, "from_condition", False),
        ("a head", "", 7.5, "standard", True),
        ("a head", "", 1.0, "from_condition", True),
        ("", "blurry", 7.5, "standard", True),
    ],
)
def test_when_a_second_pass_matters(prompt, negative, scale, form, matters):
    distill_settings = evolve(SETTINGS, guidance_scale=scale, guidance_form=form)
    config = VideoConfig(prompt=prompt, negative_prompt=negative, distill=distill_settings)
    assert guidance_matters(config) is matters


def test_published_frame_is_stretched_and_pulled_back_to_square_views():
    unet = SpyUNet(schedule_of())
    frame = Frame(height_px=40, width_px=72, scaling_factor=SCALE)
    got = guidance(unet, frame=frame).contribute(views_at(ring(5)), tiny_step()).rgb
    assert unet.clips[0].shape == (1, 4, 5, 5, 9)
    assert got.shape == (5, SIDE_PX, SIDE_PX, 3)
    assert (got.abs() > 0).all()


def test_chunks_do_not_change_the_gradient():
    views = views_at(ring())
    whole = guidance(settings=evolve(SETTINGS, chunk_views=25)).contribute(views, tiny_step()).rgb
    for chunk_views in (1, 4, 24):
        part = guidance(settings=evolve(SETTINGS, chunk_views=chunk_views)).contribute(views, tiny_step()).rgb
        torch.testing.assert_close(part, whole, atol=1e-8, rtol=1e-6)
