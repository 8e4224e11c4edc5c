"""The video prior: it begins as the image prior, frame order, the clean front frame, export, consistency figures."""

from __future__ import annotations

import json
import math
import warnings

import pytest
import torch
from torch import nn

from pshead_core.errors import PsheadError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of diffusers and what it imports
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers (training/requirements.txt)")
    transformers = pytest.importorskip("transformers", reason="needs transformers (training/requirements.txt)")
    from diffusers import DDIMScheduler, TextToVideoSDPipeline, UNet3DConditionModel

    from training.common.muon import Muon
    from training.diffusion.latents import Latents
    from training.diffusion.network import build_schedule, build_unet
    from training.diffusion.objective import sample_loss
    from training.vae.model import VaeSettings, build_vae, export_vae
    from training.video.__main__ import held_out_error, video_task
    from training.video.clips import Orbits, clip_order, take_clips, take_focus, truth_orbits
    from training.video.consistency import acceleration, clip_figures, matched_difference, neighbour_difference
    from training.video.export import export_video
    from training.video.figures import contact_sheet, draw_sets, load_video, measure_sets, sample_clips
    from training.video.model import build_video, embed_empty_prompt, video_loss

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
TOKENS = 6
RING_DEG = torch.arange(25) * 14.4


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def image_unet():
    torch.manual_seed(1)
    unet = build_unet().eval()
    with torch.no_grad():
        for value in unet.parameters():  # a fresh network has zeros and ones that would hide a weight not copied
            value.add_(torch.randn(value.shape), alpha=0.02)
    return unet


@pytest.fixture(scope="module")
def prompt():
    return torch.randn(1, TOKENS, 96, generator=seeded(2))


@pytest.fixture(scope="module")
def sd(tmp_path_factory):
    """A folder like the exported image prior's, with a tokenizer of letters and a tiny text encoder."""
    folder = tmp_path_factory.mktemp("sd")
    letters = [chr(code) for code in range(97, 123)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=TOKENS
    )
    tokenizer.save_pretrained(folder / "tokenizer")
    torch.manual_seed(3)
    sizes = {"hidden_size": 96, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    special = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1}
    config = transformers.CLIPTextConfig(vocab_size=len(words), max_position_embeddings=TOKENS, **sizes, **special)
    transformers.CLIPTextModel(config).half().save_pretrained(folder / "text_encoder")
    return folder


class Known(nn.Module):
    """Stands for the network: keeps what it was given, answers with what it was told."""

    def __init__(self, answer):
        super().__init__()
        self.answer = nn.Parameter(answer)

    def forward(self, clip, timestep):
        self.given, self.timestep = clip.detach().clone(), timestep
        return self.answer


def test_the_untrained_video_model_is_the_image_model_frame_by_frame(image_unet, prompt):
    torch.manual_seed(4)
    model = build_video(image_unet, prompt).eval()
    clip = torch.randn(2, 8, 25, 16, 16, generator=seeded(5))
    with torch.no_grad():
        found = model(clip, torch.tensor([950, 30]))
        for row, step in ((0, 950), (1, 30)):
            frames = clip[row].transpose(0, 1)
            truth = image_unet(frames, torch.full((25,), step), prompt.expand(25, -1, -1)).sample
            assert float(truth.std()) > 0.1
            assert float((found[row].transpose(0, 1) - truth).abs().max()) < 1e-4


def test_every_temporal_layer_passes_frames_through_and_one_step_makes_frames_meet(image_unet, prompt):
    torch.manual_seed(4)
    model = build_video(image_unet, prompt)
    clip = torch.randn(1, 8, 25, 4, 4, generator=seeded(6))
    changed = clip.clone()
    changed[:, :, 3] += 1
    others = [frame for frame in range(25) if frame != 3]

    def reach():
        with torch.no_grad():
            return (model(clip, torch.tensor([500])) - model(changed, torch.tensor([500])))[:, :, others].abs().max()

    assert float(reach()) < 1e-5
    model(clip, torch.tensor([500])).square().mean().backward()
    with torch.no_grad():
        for value in model.parameters():
            value.sub_(value.grad, alpha=0.1)
    assert float(reach()) > 1e-3


def test_the_video_model_adds_only_temporal_weights_and_is_small_enough(image_unet, prompt):
    model = build_video(image_unet, prompt)
    names, known = dict(model.named_parameters()), dict(image_unet.named_parameters())
    assert all(torch.equal(names[f"unet.{name}"], value) for name, value in known.items())
    fresh = [name for name in names if name.removeprefix("unet.") not in known]
    assert all(any(word in name for word in ("temp_convs", "temp_attentions", "transformer_in")) for name in fresh)
    assert sum(value.numel() for value in names.values()) < 14.6e6
    assert "empty_prompt" not in model.state_dict()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("offset_deg", [0.0, 7.0, -7.0])
def test_frames_stand_in_azimuth_order_with_the_front_in_the_middle(sign, offset_deg):
    views = torch.randperm(25, generator=seeded(7))
    azimuth_deg = sign * (RING_DEG + offset_deg)[views]
    order = clip_order(azimuth_deg[None])[0]
    degrees = [math.remainder(float(azimuth_deg[view]), 360.0) for view in order]
    assert degrees == sorted(degrees)
    assert degrees[0] == pytest.approx(-172.8 + sign * offset_deg, abs=1e-3)
    assert degrees[12] == pytest.approx(sign * offset_deg, abs=1e-3)


def test_views_that_are_no_orbit_are_refused():
    for azimuth_deg in (RING_DEG[:24], RING_DEG + 7.5 * (torch.arange(25) == 4), torch.arange(12) * 30.0):
        with pytest.raises(PsheadError, match="no orbit"):
            clip_order(azimuth_deg[None])


def make_latents(heads=4, side=16):
    """Latents whose first channel says the azimuth: every second head is turned over."""
    turned = torch.arange(heads) % 2 == 1
    azimuth_deg = torch.where(turned[:, None], -RING_DEG, RING_DEG)
    latent = torch.randn(heads, 25, 8, side, side, generator=seeded(8)) * 0.1
    latent[:, :, 0] = torch.sin(torch.deg2rad(azimuth_deg))[:, :, None, None]
    return Latents(
        latent=latent.half(),
        azimuth_deg=azimuth_deg,
        front=torch.zeros(heads, 3, 64, 64, dtype=torch.uint8),
        landmarks=torch.zeros(heads, 478, 3),
        focus=(azimuth_deg[:, :, None, None, None] % 360 == 0).half().expand(-1, -1, 1, side, side),
        mirrored=turned,
        captions=("",) * heads,
        sources=("sdf",) * heads,
        scaling_factor=2.0,
    )


def test_clips_are_scaled_latents_in_frame_order_for_turned_heads_too():
    latents = make_latents()
    clips = take_clips(latents, clip_order(latents.azimuth_deg), torch.tensor([0, 1, 3]))
    assert clips.shape == (3, 8, 25, 16, 16)
    truth = 2.0 * torch.sin(torch.deg2rad(torch.arange(-12, 13) * 14.4))
    for clip in clips:
        assert torch.allclose(clip[0, :, 5, 5], truth, atol=2e-3)
    assert torch.equal(clips[1, :, 12], latents.latent[1, 0].float() * 2.0)
    focus = take_focus(latents, clip_order(latents.azimuth_deg), torch.tensor([0, 1, 3]))
    assert focus.shape == (3, 1, 25, 16, 16)
    assert torch.equal(focus.mean((0, 1, 3, 4)), (torch.arange(25) == 12).float())  # the front alone shows a face here


def test_a_given_front_frame_is_clean_in_the_input_and_absent_from_the_loss():
    schedule, clip = build_schedule(), torch.randn(8, 8, 25, 4, 4, generator=seeded(9))
    answer = clip + torch.randn(clip.shape, generator=seeded(10))
    model = Known(answer)
    loss, figures = video_loss(model, clip, schedule, seeded(11))
    loss.backward()
    same = (model.given == clip).flatten(3).all(3).all(1)  # [clip, frame]
    known = same[:, 12]
    assert 0 < int(known.sum()) < 8
    assert figures["known_share"] == pytest.approx(float(known.float().mean()))
    assert int(same.sum()) == int(known.sum())  # no other frame is clean
    counted = model.answer.grad.abs().flatten(3).sum(3).sum(1) > 0
    assert torch.equal(counted, ~same)
    error = (answer - clip) * ~same[:, None, :, None, None]
    assert float(loss) == pytest.approx(float(sample_loss(clip + error, clip, model.timestep, schedule)), rel=1e-5)


def test_all_frames_of_a_clip_have_the_noise_of_one_time_step():
    schedule, clip = build_schedule(), torch.zeros(8, 8, 25, 16, 16)
    model = Known(clip)
    video_loss(model, clip, schedule, seeded(12))
    assert model.timestep.shape == (8,)
    spread = (1 - schedule.alphas_cumprod[model.timestep]).sqrt()
    frames = [frame for frame in range(25) if frame != 12]
    found = model.given[:, :, frames].transpose(1, 2).flatten(2).std(2)
    assert torch.allclose(found, spread[:, None].expand_as(found), rtol=0.1)


def test_a_few_steps_lower_the_held_out_error(image_unet, prompt):
    latents = make_latents(side=4)
    clip = take_clips(latents, clip_order(latents.azimuth_deg), torch.arange(1))
    orbits = Orbits(picture=torch.zeros(1), clip=clip, azimuth_deg=RING_DEG, sources=("sdf",))
    task = video_task(latents, orbits, batch=1, start="test", device="cpu")
    model = build_video(image_unet, prompt)
    optimiser = Muon(model.parameters(), lr=2e-3)
    before = task.evaluate(model.eval())[task.figure]
    for step in range(4):
        optimiser.zero_grad()
        task.loss(model.train(), step, seeded(step))[0].backward()
        optimiser.step()
    assert task.evaluate(model.eval())[task.figure] > before


def test_the_held_out_error_is_the_mean_square_without_the_front_frame():
    class Nothing(Known):
        def forward(self, clip, timestep):
            return torch.zeros_like(clip)

    clip = torch.randn(3, 8, 25, 4, 4, generator=seeded(21))
    clip[:, :, 12] = 100
    found = held_out_error(Nothing(torch.zeros(1)), clip, bf16=False)
    truth = sum(float(clip[:, :, frame].square().mean()) for frame in range(25) if frame != 12) / 24
    words = [f"error_{step}_{word}" for step in (980, 500, 200) for word in ("front", "alone")]
    assert found == pytest.approx({**dict.fromkeys(words, truth), "score": -truth}, rel=1e-5)


def test_sampling_keeps_the_front_and_the_network_sees_it_clean_at_every_step():
    truth = torch.randn(1, 8, 25, 4, 4, generator=seeded(13))
    front = torch.randn(1, 8, 4, 4, generator=seeded(14))
    seen = []

    class Listening(Known):
        def forward(self, clip, timestep):
            seen.append(clip[:, :, 12].clone())
            return super().forward(clip, timestep)

    noise = torch.randn(truth.shape, generator=seeded(15))
    found = sample_clips(Listening(truth), build_schedule(), noise, front, steps=5)
    assert len(seen) == 5
    assert all(torch.equal(part, front) for part in seen)
    assert torch.equal(found[:, :, 12], front)
    frames = [frame for frame in range(25) if frame != 12]
    schedule = build_schedule()  # the right answer from the first step on: the noise found there stays, less each step
    schedule.set_timesteps(5)
    first, last = schedule.alphas_cumprod[schedule.timesteps[0]], schedule.final_alpha_cumprod
    whole = last.sqrt() * truth + (1 - last).sqrt() * (noise - first.sqrt() * truth) / (1 - first).sqrt()
    assert torch.allclose(found[:, :, frames], whole[:, :, frames], atol=1e-3)
    alone = sample_clips(Listening(truth), build_schedule(), noise, None, steps=5)
    assert torch.allclose(alone, whole, atol=1e-3)
    assert not torch.equal(seen[5], front)


def test_the_sets_to_compare_start_from_the_same_front():
    torch.manual_seed(22)
    vae = build_vae(VaeSettings(widths=(8, 8, 8, 8))).eval()
    vae.register_to_config(scaling_factor=0.5)
    clip = torch.randn(1, 8, 25, 4, 4, generator=seeded(23))
    picture = torch.rand(1, 25, 3, 32, 32, generator=seeded(24))
    orbits = Orbits(picture=picture, clip=clip, azimuth_deg=RING_DEG - 172.8, sources=("sdf",))

    def independent(front, azimuth_deg):
        assert torch.equal(front, picture[:, 12])
        return front[:, None] * (azimuth_deg > 0)[None, :, None, None, None]

    model = Known(torch.zeros_like(clip))
    sets = draw_sets(model, build_schedule(), vae, orbits, independent=independent, steps=2)
    assert all(clips.shape == picture.shape for clips in sets.values())
    with torch.no_grad():
        decoded = (vae.decode(clip[:, :, 3] / 0.5).sample / 2 + 0.5).clamp(0, 1)
    assert torch.allclose(sets["autoencoded"][:, 3], decoded, atol=1e-5)
    assert torch.allclose(sets["with_front"][:, 12], sets["autoencoded"][:, 12], atol=1e-5)
    assert float((sets["without_front"][:, 12] - sets["autoencoded"][:, 12]).abs().max()) > 0.01
    assert torch.equal(sets["copied_front"][:, 0], picture[:, 12])
    assert torch.equal(sets["independent"][:, 24], picture[:, 12])


def test_the_empty_prompt_is_embedded_by_the_text_encoder_itself(sd):
    found = embed_empty_prompt(sd)
    encoder = transformers.CLIPTextModel.from_pretrained(sd / "text_encoder").float().eval()
    words = torch.tensor([[52] + [53] * (TOKENS - 1)])  # begin, end, and the end again as padding
    with torch.no_grad():
        truth = encoder(input_ids=words).last_hidden_state
    assert found.shape == (1, TOKENS, 96)
    assert torch.allclose(found, truth, atol=1e-6)
    assert not found.requires_grad


def test_the_export_loads_through_the_stock_classes_with_every_key(sd, image_unet, tmp_path):
    model = build_video(image_unet, embed_empty_prompt(sd)).eval()
    export_video(model, sd, tmp_path)
    folder = tmp_path / "video"
    parts = {"model_index.json", "scheduler", "text_encoder", "tokenizer", "unet"}
    assert {path.name for path in folder.iterdir()} == parts
    unet, report = UNet3DConditionModel.from_pretrained(folder, subfolder="unet", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))
    assert DDIMScheduler.from_pretrained(folder, subfolder="scheduler").config.prediction_type == "sample"
    assert (folder / "unet" / "diffusion_pytorch_model.safetensors").stat().st_size < 30e6  # fp16
    clip = torch.randn(1, 8, 25, 8, 8, generator=seeded(16))
    with torch.no_grad():
        truth = model(clip, torch.tensor([700]))
        stock = unet(clip, torch.tensor([700]), model.empty_prompt).sample
        ours = load_video(tmp_path)(clip, torch.tensor([700]))
    for found in (stock, ours):
        assert float((found - truth).abs().max()) < 0.03 * float(truth.std())
    assert next(model.parameters()).dtype == torch.float32  # the training's model is left as it was
    with pytest.raises(PsheadError, match="no text_encoder"):
        export_video(model, tmp_path / "nothing", tmp_path)
    torch.manual_seed(17)
    export_vae(build_vae(VaeSettings(widths=(8, 8, 8, 8))), 0.2, tmp_path / "vae")
    vae = diffusers.AutoencoderKL.from_pretrained(tmp_path / "vae")
    pipeline = TextToVideoSDPipeline.from_pretrained(folder, vae=vae)
    assert isinstance(pipeline.unet, UNet3DConditionModel)
    assert isinstance(pipeline.text_encoder, transformers.CLIPTextModel)


def test_consistency_figures_of_clips_with_known_answers():
    still = torch.rand(1, 3, 16, 16, generator=seeded(18))[:, None].expand(-1, 25, -1, -1, -1)
    assert neighbour_difference(still) == acceleration(still) == 0
    rising = torch.linspace(0, 1, 25)[None, :, None, None, None].expand(2, -1, 3, 16, 16)
    assert neighbour_difference(rising) == pytest.approx(1 / 24, rel=1e-4)
    assert acceleration(rising) == pytest.approx(0, abs=1e-6)
    flicker = (torch.arange(25) % 2).float()[None, :, None, None, None].expand(1, -1, 3, 16, 16)
    assert neighbour_difference(flicker) == 1
    assert acceleration(flicker) == 2
    assert matched_difference(flicker) == 1  # no shift explains it


def test_shifts_up_to_the_reach_are_matched_and_further_ones_are_not():
    strip = torch.rand(3, 32, 200, generator=seeded(19))
    for shift, matched in ((3, True), (5, True), (9, False)):
        clip = torch.stack([strip[:, :, start : start + 32] for start in range(0, 10 * shift, shift)])[None]
        # The block at the border sees what comes into sight: a quarter of the picture and no more.
        assert (matched_difference(clip, block_px=8, reach_px=6) < 0.25 * neighbour_difference(clip)) == matched


def test_figures_against_the_true_orbit():
    truth = torch.rand(2, 25, 3, 16, 16, generator=seeded(20)) * 0.5
    found = clip_figures(truth + 0.1, truth, same_heads=True)
    assert found["psnr_db"] == pytest.approx(20, abs=0.01)
    assert found["change_error"] == pytest.approx(0, abs=1e-6)
    assert found["sharpness_ratio"] == pytest.approx(1, abs=1e-4)
    spoilt = truth.clone()
    spoilt[:, 12] = 1  # the front frame is given: not in the PSNR
    assert clip_figures(spoilt + 0.1, truth, same_heads=True)["psnr_db"] == pytest.approx(20, abs=0.01)
    flat = clip_figures(truth.mean((3, 4), keepdim=True).expand_as(truth), truth, same_heads=False)
    assert flat["sharpness_ratio"] == pytest.approx(0, abs=1e-6)
    assert "psnr_db" not in flat
    groups = measure_sets({"truth": truth, "without_front": truth * 0.5}, ("sdf", "makehuman"))
    assert sorted(groups) == ["all", "makehuman", "sdf"]
    found = groups["sdf"]["without_front"]
    assert found["neighbour_difference"] == pytest.approx(0.5 * neighbour_difference(truth[:1]))


def test_the_sheet_shows_thirteen_frames_and_the_front_among_them():
    truth = torch.zeros(1, 25, 3, 8, 8)
    truth[:, 12] = 1
    sheet = contact_sheet({"truth": truth, "with_front": truth, "without_front": truth}, [0], side_px=8)
    assert sheet.size == (13 * 10, 3 * 10 + 6)
    assert sheet.getpixel((6 * 10 + 4, 4)) == (255, 255, 255)
    assert sheet.getpixel((5 * 10 + 4, 4)) == (0, 0, 0)


def test_ground_truth_orbits_show_the_front_in_the_middle_frame():
    class Mean(nn.Module):
        """Stands for the autoencoder: latents are mean colours."""

        config = type("Config", (), {"scaling_factor": 3.0})

        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def encode(self, image):
            mean = nn.functional.avg_pool2d(image, 8)
            return type("Output", (), {"latent_dist": type("Posterior", (), {"mean": mean})})

    from training.common.data import plain_batch, truth_pictures

    orbits = truth_orbits(Mean(), heads_per_source=1)
    assert orbits.picture.shape == (2, 25, 3, 128, 128)
    assert orbits.clip.shape == (2, 3, 25, 16, 16)
    assert torch.allclose(orbits.azimuth_deg, torch.arange(-12, 13) * 14.4, atol=1e-3)
    pictures = truth_pictures(128)
    for row, source in enumerate(orbits.sources):
        picture = plain_batch(pictures[source].take(torch.tensor([0, 1]))).image
        assert torch.equal(orbits.picture[row, 12:14], picture / 2 + 0.5)
        mean = nn.functional.avg_pool2d(picture, 8) * 3.0
        assert torch.allclose(orbits.clip[row, :, 12:14].transpose(0, 1), mean, atol=1e-5)
