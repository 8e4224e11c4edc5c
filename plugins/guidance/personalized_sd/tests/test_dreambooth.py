"""DreamBooth: what it teaches, what it leaves, that it goes on after a kill, and what the cache knows apart."""

import copy

import pytest
import torch
from attrs import evolve
from pshead_guidance_personalized_sd import dreambooth, lessons, lora, personalise
from pshead_guidance_personalized_sd.config import PersonaliseSettings, PersonalizedSdConfig, PromptSettings
from pshead_guidance_personalized_sd.model import PersonalModel, wording
from pshead_guidance_personalized_sd.networks import load_text_encoder, load_unet, read_layout
from pshead_guidance_personalized_sd.store import key_of, read_tensors, write_tensors

from pshead_core.api import PsheadError
from pshead_core.priors.distill.noise import add_noise, noise_schedule, to_clean
from pshead_core.priors.distill.sampling import ddim, ddim_timesteps
from training.ground_truth.load import load_ground_truth

SHORT = PersonaliseSettings(
    steps=5, batch=1, class_images=3, class_sampling_steps=2, save_every_steps=2, learning_rate=1e-3, words="noun"
)


def personal(config, context):
    model = PersonalModel(config, context)
    model.prepare()
    return model


def own_weights(model):
    return {name: weight.clone() for name, weight in model.model.unet.get().state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Killed(Exception):
    """Stands for the end of the process."""


def killed_at(step, monkeypatch):
    """Let training die at a step, after whatever it has saved until then."""
    plain = dreambooth.step_loss

    def dying(pupil, taught, ids, settings, now):
        if now == step:
            raise Killed
        return plain(pupil, taught, ids, settings, now)

    monkeypatch.setattr(dreambooth, "step_loss", dying)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_killed_training_ends_with_the_same_weights(method, twin, make_context, monkeypatch):
    config = PersonalizedSdConfig(checkpoint=str(twin), personalise=evolve(SHORT, method=method))
    whole = personal(config, make_context(cache="whole"))
    context = make_context(cache="killed")
    with monkeypatch.context() as patch:
        killed_at(3, patch)
        with pytest.raises(Killed):
            personal(config, context)
    (state,) = context.cache_folder.rglob("training.safetensors")
    assert int(read_tensors(state)["step"]) == 2
    steps = []
    plain = dreambooth.step_loss
    monkeypatch.setattr(dreambooth, "step_loss", lambda *given: (steps.append(given[-1]), plain(*given))[1])
    resumed = personal(config, context)
    assert steps == [2, 3, 4]
    assert same(own_weights(resumed), own_weights(whole))
    assert not state.exists()


def test_class_pictures_go_on_where_they_stopped(twin, make_context, monkeypatch):
    monkeypatch.setattr(lessons, "CLASS_CHUNK", 2)
    config = PersonalizedSdConfig(checkpoint=str(twin), personalise=SHORT)
    whole, context = make_context(cache="whole"), make_context(cache="killed")
    personal(config, whole)
    drawn = lessons._draw
    with monkeypatch.context() as patch:
        patch.setattr(lessons, "_draw", lambda *given: drawn(*given) if given[-1] == 0 else raise_killed())
        with pytest.raises(Killed):
            personal(config, context)
    starts = []
    monkeypatch.setattr(lessons, "_draw", lambda *given: (starts.append(given[-1]), drawn(*given))[1])
    personal(config, context)
    assert starts == [2]
    files = [sorted(made.cache_folder.rglob("class-*/*.safetensors")) for made in (whole, context)]
    assert [path.name for path in files[0]] == ["00000.safetensors", "00002.safetensors"]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


def raise_killed():
    raise Killed


def test_the_second_run_finds_the_weights(twin, make_context, monkeypatch):
    config = PersonalizedSdConfig(checkpoint=str(twin), personalise=SHORT)
    first = own_weights(personal(config, make_context()))
    monkeypatch.setattr(dreambooth, "train", raise_killed)
    assert same(own_weights(personal(config, make_context())), first)


def test_the_key_knows_everything_that_matters(twin, twin_v, make_context):
    def key(folder=twin, settings=SHORT, text="photo of a man", **context):
        made = make_context(**context)
        config = PersonalizedSdConfig(checkpoint=str(folder), personalise=settings, prompt=PromptSettings(text=text))
        model = PersonalModel(config, made)
        checkpoint, teaching = model._checkpoint, model._wording.teaching
        return key_of(personalise.result_facts(checkpoint, read_layout(checkpoint, None), settings, teaching, made))

    plain = key()
    assert key() == plain
    assert key(settings=evolve(SHORT, save_every_steps=7, gradient_checkpointing=True)) == plain
    others = [
        key(folder=twin_v),
        key(sha256="2" * 64),
        key(rgba=torch.rand(64, 64, 4, generator=torch.Generator().manual_seed(0))),
        key(text="photo of a woman"),
        key(dtype=torch.bfloat16),
        *(key(settings=evolve(SHORT, **{name: value})) for name, value in CHANGES.items()),
    ]
    assert len({plain, *others}) == 1 + len(others)


CHANGES = {
    "method": "lora",
    "token": "zwx",
    "steps": 6,
    "learning_rate": 1e-4,
    "text_learning_rate": 1e-4,
    "prior_weight": 0.5,
    "class_images": 4,
    "backgrounds": "five",
    "flip": True,
    "words": "all",
    "hold_views": False,
    "seed": 1,
}


def test_gradient_checkpointing_gives_the_same_gradients(twin):
    losses = []
    for checkpointing in (False, True):
        pupil, taught, ids = lesson(twin)
        settings = evolve(SHORT, gradient_checkpointing=checkpointing)
        weights = dreambooth.trainable(pupil, settings)
        dreambooth.step_loss(pupil, taught, ids, settings, 0).backward()
        losses.append({name: weight.grad for name, weight in weights.items() if weight.grad is not None})
    assert losses[0].keys() == losses[1].keys()
    for name, gradient in losses[0].items():
        torch.testing.assert_close(losses[1][name], gradient, msg=name)


def lesson(folder, prior_weight=1.0):
    """Return untrained networks and random lessons for them."""
    generator = torch.Generator().manual_seed(0)
    person, others = torch.randn(2, 3, 4, 8, 8, generator=generator)
    config = PersonalizedSdConfig(personalise=SHORT)
    taught = lessons.Lessons(person=person, others=others, teaching=wording("photo of a man", config).teaching)
    pupil = dreambooth.Pupil(
        unet=load_unet(folder / "unet"),
        text_encoder=load_text_encoder(folder / "text_encoder"),
        schedule=noise_schedule({"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}),
        device=torch.device("cpu"),
        bf16=False,
    )
    ids = torch.randint(500, (len(taught.teaching.all), 77), generator=generator)
    return pupil, taught, ids


def test_the_loss_is_the_person_s_plus_the_weighted_class_s(twin):
    """The two parts come from the same draws, so they add up exactly as the weight says."""
    pupil, taught, ids = lesson(twin)
    with torch.no_grad():
        values = [
            float(dreambooth.step_loss(pupil, taught, ids, evolve(SHORT, prior_weight=weight), 4))
            for weight in (0.0, 1.0, 3.0)
        ]
    assert values[2] - values[0] == pytest.approx(3 * (values[1] - values[0]), rel=1e-4)
    assert values[1] > values[0]


@pytest.mark.parametrize("form", ["epsilon", "v_prediction", "sample"])
def test_the_target_is_what_a_perfect_network_says(form):
    schedule = noise_schedule({"beta_schedule": "scaled_linear", "prediction_type": form})
    generator = torch.Generator().manual_seed(1)
    clean, noise = torch.randn(2, 3, 4, 5, 5, generator=generator, dtype=torch.float64)
    timestep = torch.tensor([3, 400, 900])
    wanted = dreambooth.target(schedule, clean, noise, timestep)
    noisy = add_noise(schedule, clean, noise, timestep)
    torch.testing.assert_close(to_clean(schedule, wanted, noisy, timestep), clean)


def test_low_rank_factors_bake_into_what_was_trained(twin):
    network = load_unet(twin / "unet")
    plain = copy.deepcopy(network)
    factors = lora.attach(network, 4, torch.Generator().manual_seed(0))
    assert sum(weight.requires_grad for weight in network.parameters()) == len(factors) == 2 * attentions(plain)
    generator = torch.Generator().manual_seed(2)
    noisy, tokens = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 77, 32, generator=generator)
    with torch.no_grad():
        torch.testing.assert_close(network(noisy, 5, tokens).sample, plain(noisy, 5, tokens).sample)
        for factor in factors.values():
            factor.add_(0.05 * torch.randn(factor.shape, generator=generator))
        trained = network(noisy, 5, tokens).sample
        assert float((trained - plain(noisy, 5, tokens).sample).abs().max()) > 1e-2
        lora.bake(plain, {name: factor.detach() for name, factor in factors.items()})
        torch.testing.assert_close(plain(noisy, 5, tokens).sample, trained, rtol=1e-4, atol=1e-5)


def attentions(network):
    return sum(name.endswith((".to_q", ".to_k", ".to_v", ".to_out.0")) for name, _ in network.named_modules())


def test_a_training_that_runs_away_is_stopped(twin, make_context, monkeypatch):
    monkeypatch.setattr(dreambooth, "target", lambda schedule, clean, noise, timestep: clean * float("inf"))
    with pytest.raises(PsheadError, match="step 0"):
        personal(PersonalizedSdConfig(checkpoint=str(twin), personalise=SHORT), make_context())


def test_a_folder_of_backgrounds_needs_a_name(twin, make_context):
    settings = evolve(SHORT, backgrounds="folder")
    with pytest.raises(PsheadError, match="no folder is named"):
        personal(PersonalizedSdConfig(checkpoint=str(twin), personalise=settings), make_context())


def test_a_damaged_file_of_the_cache_is_named(tmp_path):
    path = tmp_path / "deep" / "x.safetensors"
    assert read_tensors(path) is None
    write_tensors(path, {"a": torch.arange(3)})
    assert read_tensors(path)["a"].tolist() == [0, 1, 2]
    assert [file.name for file in path.parent.iterdir()] == ["x.safetensors"]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(PsheadError, match="damaged"):
        read_tensors(path)


def pictures(model, prompt, noise):
    """Return samples `[sample, side, side, 3]` of a prompt from given noise."""
    asked = model.model
    tokens = asked.embed([prompt]).expand(len(noise), -1, -1)
    latents = ddim(
        asked.schedule, lambda noisy, t: asked.predict(noisy, t, tokens), noise, ddim_timesteps(asked.schedule, 10)
    )
    with torch.no_grad():
        return asked.codec().decode(latents)


def psnr_db(one, other):
    return float(-10 * torch.log10((one - other).square().mean((-3, -2, -1))).mean())


def colours(image):
    """Return the shares of the 512 colours of an 8 x 8 x 8 histogram."""
    place = (image.clamp(0, 1) * 7.999).long() @ torch.tensor([64, 8, 1])
    return torch.bincount(place.flatten(), minlength=512) / place.numel()


@pytest.mark.slow
def test_the_token_comes_to_mean_the_person_and_the_class_stays(make_context):
    """mini/sd, a head that it has never seen, a third of the default's work."""
    head = load_ground_truth()[0]
    rgba = torch.nn.functional.interpolate(
        torch.from_numpy(head.images[0]).permute(2, 0, 1)[None], (128, 128), mode="area"
    )[0].permute(1, 2, 0)
    photo = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
    context = make_context(rgba=rgba, prompt=head.caption)
    before = personal(PersonalizedSdConfig(personalise=PersonaliseSettings(method="none")), context)
    train = PersonaliseSettings(steps=50, batch=2, class_images=12, class_sampling_steps=8, learning_rate=1e-4)
    after = personal(PersonalizedSdConfig(personalise=train), context)
    noise = torch.randn(4, 8, 16, 16, generator=torch.Generator().manual_seed(5))
    token, others = "photo of a sks woman, front view", "photo of a woman, front view"
    was, now = pictures(before, token, noise), pictures(after, token, noise)
    distance = [float((colours(seen) - colours(photo)).abs().sum() / 2) for seen in (was, now)]
    moved = [(pictures(after, text, noise) - pictures(before, text, noise)).square().mean() for text in (token, others)]
    named = f"{head.caption}, front view".replace("photo of a", "photo of a sks")
    front, side = (pictures(after, named.replace("front", view), noise) for view in ("front", "side"))
    assert psnr_db(now, photo) > psnr_db(was, photo) + 5
    assert distance[1] < 0.8 * distance[0]
    assert moved[1] < 0.6 * moved[0]
    assert psnr_db(front, photo) > psnr_db(side, photo) + 4  # a side view has not become the front
