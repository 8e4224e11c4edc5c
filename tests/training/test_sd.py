"""The text-to-image prior: tokenizer, prompts, loss, export, sampling against the published pipeline, and the probe."""

from __future__ import annotations

import json
import warnings

import pytest
import torch
from safetensors import safe_open

from training.common.seeds import step_generator
from training.ground_truth import load_ground_truth
from training.heads import HELD_OUT_SEED
from training.heads.attributes import VIEW_WORDS, caption, view_word
from training.heads.sdf.build import sample_draft

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of diffusers and what it imports
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers (training/requirements.txt)")
    transformers = pytest.importorskip("transformers", reason="needs transformers (training/requirements.txt)")
    from training.common.muon import Muon
    from training.diffusion.latents import Latents
    from training.diffusion.network import TOKEN_WIDTH, build_schedule
    from training.sd.export import export_text_to_image, export_tokenizer
    from training.sd.figures import contact_sheet, held_out_captions, sharpness, with_views
    from training.sd.held_out import TruthViews, truth_views, x0_errors
    from training.sd.model import TextToImage, build_text_encoder, build_text_to_image, text_loss
    from training.sd.probe import accuracies, clear_of_borders, fit_probe, view_labels
    from training.sd.prompts import draw_prompts, prompt_ids, read_prompts
    from training.sd.sample import Prior, sample_latents
    from training.sd.tokens import build_tokenizer, learn_merges
    from training.vae.model import VaeSettings, build_vae

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
STRANGE = "Photo of a Woman-of-Zürich, 42 sks ☃!! <|nothing|> 't-shirt, unheard-of words"


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The real sizes, untrained."""
    torch.manual_seed(3)
    model = build_text_to_image().eval()
    folder = tmp_path_factory.mktemp("checkpoint")
    export_text_to_image(model, folder)
    return model, folder


def small_model(tokenizer):
    torch.manual_seed(1)
    unet = diffusers.UNet2DConditionModel(
        sample_size=4,
        in_channels=2,
        out_channels=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(16, 32),
        layers_per_block=1,
        cross_attention_dim=TOKEN_WIDTH,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    return TextToImage(unet, build_text_encoder(tokenizer))


def toy_latents():
    """Two heads, three views each: six constant latents that only the prompt tells apart."""
    latent = torch.randn(2, 3, 2, 1, 1, generator=torch.Generator().manual_seed(5)).expand(2, 3, 2, 4, 4)
    return Latents(
        latent=latent.half(),
        azimuth_deg=torch.tensor([[0.0, 90.0, 180.0]] * 2),
        front=torch.zeros(2, 3, 64, 64, dtype=torch.uint8),
        focus=torch.zeros(2, 3, 1, 4, 4),
        landmarks=torch.zeros(2, 478, 3),
        mirrored=torch.zeros(2, dtype=torch.bool),
        captions=("photo of a man, green shirt", "photo of a woman, red top"),
        sources=("sdf", "sdf"),
        scaling_factor=1.0,
    )


def test_every_word_of_real_captions_is_one_token(tokenizer):
    captions = [head.caption for head in load_ground_truth()]  # both sources
    captions += [caption(sample_draft(seed).attributes, VIEW_WORDS[seed % 3]) for seed in range(300)]
    words = {word for text in captions for word in text.replace(",", " ").replace("-", " ").split()} | {"sks"}
    assert len(words) > 60
    assert [word for word in sorted(words) if len(tokenizer.tokenize(word)) != 1] == []
    assert max(len(tokenizer(text).input_ids) for text in captions) <= 77


def test_merges_are_those_of_the_published_algorithm():
    # Sennrich et al., figure 1: words ending in "est" merge their most frequent pairs first.
    merges = learn_merges(["newest", "widest", "lowest"])
    assert merges[:2] == [("e", "s"), ("es", "t</w>")]
    assert len(learn_merges(["aaaa"])) == 3  # aa, then a + a</w>, then both halves


def test_all_text_becomes_tokens_and_comes_back(tokenizer):
    assert len(tokenizer) <= 1000
    ids = tokenizer(STRANGE).input_ids
    assert tokenizer.unk_token_id not in ids[1:-1]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    assert text.replace(" ", "") == STRANGE.lower().replace(" ", "")
    assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)


@pytest.mark.parametrize("left_out", ["vocab.json", "tokenizer.json"])
def test_the_tokenizer_survives_a_round_trip_through_either_file_format(tokenizer, tmp_path, left_out):
    export_tokenizer(tokenizer, tmp_path)
    (tmp_path / left_out).unlink()
    loaded = transformers.CLIPTokenizer.from_pretrained(tmp_path)
    prompts = [*held_out_captions(12), STRANGE, "", "view " * 100]
    assert torch.equal(prompt_ids(prompts, loaded), prompt_ids(prompts, tokenizer))
    assert loaded.model_max_length == 77
    assert loaded.vocab_size == tokenizer.vocab_size


def test_cached_clauses_give_the_ids_of_the_whole_prompt(tokenizer):
    captions = held_out_captions(20)
    prompts = read_prompts(captions, tokenizer)
    found = torch.stack([prompts.ids([*prompts.clauses[n], prompts.views["side view"]]) for n in range(20)])
    assert torch.equal(found, prompt_ids([f"{text}, side view" for text in captions], tokenizer))
    long = [prompts.views["front view"]] * 60
    assert torch.equal(prompts.ids(long), prompt_ids([", ".join(["front view"] * 60)], tokenizer)[0])


def test_drawn_prompts_have_the_wanted_shares_and_tell_the_truth(tokenizer):
    captions = ["photo of a man, tan skin, bald, red shirt", "photo of a girl, pale skin, bob red hair, blue suit"]
    count = 3000
    generator = torch.Generator().manual_seed(7)
    head, azimuth = torch.arange(count) % 2, torch.rand(count, generator=generator) * 720 - 360
    ids = draw_prompts(read_prompts(captions, tokenizer), head, azimuth, generator)
    texts = [tokenizer.decode(row, skip_special_tokens=True).replace(" ,", ",") for row in ids]
    kinds = {"empty": 0, "view": 0, "none": 0, "whole": 0}
    for number, text in enumerate(texts):
        clauses = text.split(", ")
        view = clauses.pop() if clauses[-1] in VIEW_WORDS else None
        kinds["empty" if not text else "view" if view else "none"] += 1
        whole = captions[number % 2].split(", ")
        if text:
            assert view in (None, view_word(float(azimuth[number])))
            assert clauses[0] == whole[0]
            assert [clause for clause in whole if clause in clauses] == clauses
            kinds["whole"] += clauses == whole
    assert kinds["empty"] / count == pytest.approx(0.10, abs=0.02)
    assert kinds["none"] / count == pytest.approx(0.05, abs=0.02)
    assert kinds["view"] / count == pytest.approx(0.85, abs=0.02)
    unshortened = 2 / 3 + 1 / 3 * 0.5**3  # of three clauses that may go, by chance none does
    assert kinds["whole"] / (0.9 * count) == pytest.approx(unshortened, abs=0.03)


def test_the_text_encoder_knows_the_ids_of_the_tokenizer(tokenizer, exported):
    config = exported[0].text_encoder.config
    assert (config.bos_token_id, config.eos_token_id) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    assert config.pad_token_id == tokenizer.pad_token_id
    assert config.vocab_size == len(tokenizer) == max(tokenizer.get_vocab().values()) + 1
    assert config.hidden_size == exported[0].unet.config.cross_attention_dim
    assert sum(value.numel() for value in exported[0].text_encoder.parameters()) < 600_000


def test_the_export_loads_by_subfolder_with_every_key(exported):
    model, folder = exported
    unet, report = diffusers.UNet2DConditionModel.from_pretrained(folder, subfolder="sd/unet", output_loading_info=True)
    encoder, other = transformers.CLIPTextModel.from_pretrained(
        folder, subfolder="sd/text_encoder", dtype=torch.float32, output_loading_info=True
    )
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        assert not report[kind]
        assert not other[kind]
    assert transformers.CLIPTokenizer.from_pretrained(folder, subfolder="sd/tokenizer").model_max_length == 77
    scheduler = diffusers.DDIMScheduler.from_pretrained(folder, subfolder="sd/scheduler")
    assert scheduler.config.prediction_type == "sample"
    for loaded, own in ((unet, model.unet), (encoder, model.text_encoder)):
        for name, value in own.state_dict().items():
            assert torch.equal(loaded.state_dict()[name].half(), value.half()), name
            assert value.dtype == torch.float32  # the training's model is left as it was


def test_names_and_types_on_disk_are_the_published_ones(exported):
    folder = exported[1] / "sd"
    with safe_open(folder / "text_encoder" / "model.safetensors", framework="pt") as handle:
        names = set(handle.keys())
        assert {handle.get_tensor(name).dtype for name in names} == {torch.float16}
    assert "text_model.embeddings.token_embedding.weight" in names
    assert "text_model.encoder.layers.1.self_attn.q_proj.weight" in names
    assert "text_model.final_layer_norm.weight" in names
    with safe_open(folder / "unet" / "diffusion_pytorch_model.safetensors", framework="pt") as handle:
        assert handle.get_tensor("conv_in.weight").dtype == torch.float16
        assert "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight" in handle.keys()  # noqa: SIM118
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    assert index["requires_safety_checker"] is False
    assert index["safety_checker"] == [None, None]
    for part in ("unet", "text_encoder", "tokenizer", "scheduler"):
        assert (folder / part).is_dir()
        assert index[part][1]


def test_samples_are_those_of_the_published_pipeline(exported):
    folder = exported[1]
    vae = build_vae(VaeSettings(widths=(8, 8, 8, 8), latent_channels=8)).eval()
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder / "sd", vae=vae, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    prior = Prior(
        unet=pipeline.unet.eval(),
        text_encoder=pipeline.text_encoder.eval(),
        tokenizer=pipeline.tokenizer,
        scheduler=pipeline.scheduler,
        vae=vae,
    )
    noise = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    prompt = "photo of a man, green shirt, side view"
    samples = {}
    for guidance in (3.0, 1.0):
        samples[guidance] = sample_latents(prior, [prompt], noise, guidance=guidance, steps=4, bf16=False)
        expected = pipeline(
            prompt, latents=noise, guidance_scale=guidance, num_inference_steps=4, output_type="latent"
        ).images
        assert torch.allclose(samples[guidance], expected, atol=1e-4)
    assert not torch.allclose(samples[3.0], samples[1.0], atol=1e-4)


def test_the_loss_depends_on_the_generator_only(tokenizer):
    latents, model = toy_latents(), small_model(tokenizer).eval()
    prompts = read_prompts(latents.captions, tokenizer)
    found = []
    for step in (4, 4, 5):
        torch.manual_seed(len(found))
        loss, _ = text_loss(model, latents, prompts, build_schedule(), step_generator(0, step), batch=8, device="cpu")
        found.append(float(loss.detach()))
    assert found[0] == found[1] != found[2]


def test_training_learns_what_only_the_words_tell(tokenizer):
    latents, model, schedule = toy_latents(), small_model(tokenizer), build_schedule()
    prompts = read_prompts(latents.captions, tokenizer)
    optimiser = Muon(model.parameters(), lr=1e-2)
    truth = latents.latent.float().flatten(0, 1)
    views = TruthViews(
        rgba=torch.zeros(6, 4, 1, 1),
        azimuth_deg=latents.azimuth_deg.flatten(),
        captions=tuple(text for text in latents.captions for _ in range(3)),
    )
    losses = []
    for step in range(60):
        loss, _ = text_loss(model, latents, prompts, schedule, step_generator(1, step), batch=24, device="cpu")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    model.eval()
    with torch.no_grad():
        errors = x0_errors(lambda noisy, step, words: model(noisy, step, prompt_ids(words, tokenizer)), truth, views)
    constant = float((truth - truth.mean(0)).square().mean())  # the best answer of a prior deaf to words
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert errors["x0_error_980"] < 0.5 * constant
    assert errors["x0_error_980_wrong_view"] > 2 * errors["x0_error_980"]


def test_views_near_borders_are_left_out():
    azimuth = torch.tensor([0.0, 49.9, 50.1, 69.9, 70.1, -60, 300.0, 110.1, 180, -131])
    assert clear_of_borders(azimuth).tolist() == [True, True, False, False, True, False, False, False, True, True]
    assert view_labels(azimuth).tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 2, 2]


def test_the_probe_tells_true_views_and_fails_on_shuffled_labels():
    truth = truth_views(32)
    clear = clear_of_borders(truth.azimuth_deg)
    image, labels = truth.image[clear], view_labels(truth.azimuth_deg[clear])
    heads = torch.arange(12).repeat_interleave(25)[clear]
    fitted, asked = heads % 3 != 0, heads % 3 == 0  # eight heads to learn from, four others to tell
    right = accuracies(fit_probe(image[fitted], labels[fitted]), image[asked], labels[asked])
    order = torch.randperm(int(fitted.sum()), generator=torch.Generator().manual_seed(0))
    wrong = accuracies(fit_probe(image[fitted], labels[fitted][order]), image[asked], labels[asked])
    for name in ("nearest", "linear"):
        assert right[name] > 0.7
        assert wrong[name] < 0.55  # chance is a third


def test_truth_views_stand_beside_their_captions_and_words():
    views, heads = truth_views(32, every=5), load_ground_truth()
    assert views.rgba.shape == (60, 4, 32, 32)
    assert views.words[:5] == ["front view", "side view", "back view", "back view", "side view"]
    by_caption = {head.caption: head for head in heads}
    for number in (0, 7, 33, 59):
        head = by_caption[views.captions[number]]
        off = head.cameras.azimuth_deg - views.azimuth_deg[number]
        view = int(((off + 180) % 360 - 180).abs().argmin())
        alpha = torch.from_numpy(head.images[view, ..., 3]).reshape(32, 8, 32, 8).mean((1, 3))
        assert torch.allclose(views.rgba[number, 3], alpha, atol=0.003)


def test_sharpness_is_the_slope_and_the_sheet_has_its_rows():
    ramp = torch.linspace(0, 1, 33).expand(2, 3, 33, 33)
    assert sharpness(ramp) == pytest.approx(1 / 32, rel=1e-4)
    assert sharpness((ramp + ramp.mT) / 2) == pytest.approx(2**0.5 / 64, rel=1e-4)
    captions = held_out_captions(3)
    prompts, labels = with_views(captions)
    assert prompts[4] == f"{captions[1]}, side view"
    assert labels.tolist() == [0, 1, 2] * 3
    pictures = {"guided": torch.full((9, 3, 16, 16), 0.5), "unguided": torch.zeros(9, 3, 16, 16)}
    sheet = contact_sheet(captions, pictures)
    assert sheet.height == 5 * (16 + 14)
    assert sheet.getpixel((8, 14 + 8)) == (128, 128, 128)
    assert sheet.getpixel((8, 3 * 30 + 14 + 8)) == (0, 0, 0)


def test_held_out_captions_are_not_of_training_seeds():
    captions = held_out_captions(16)
    truth = {head.caption for head in load_ground_truth()}
    assert set(captions[:12]) == truth
    assert captions[13] == caption(sample_draft(HELD_OUT_SEED + 101).attributes)
