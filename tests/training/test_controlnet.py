"""The landmark ControlNet: projection, a start without effect, loss, export, probe."""

from __future__ import annotations

import functools
import string
import warnings

import numpy as np
import pytest
import torch
from safetensors import safe_open

from pshead_core.cameras.camera import Cameras
from pshead_core.errors import PsheadError
from training.controlnet import drawing as parts_of
from training.controlnet.drawing import conditioning

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of diffusers and what it imports
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers (training/requirements.txt)")
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    from training.common.loop import LoopSettings, train
    from training.controlnet import model as control
    from training.controlnet import probe as probing
    from training.controlnet.__main__ import check_latents, control_task
    from training.controlnet.export import load_best
    from training.controlnet.figures import contact_sheet, draw_samples, measure
    from training.controlnet.held_out import HeldOutBatch, clean_errors, ground_truth_views
    from training.controlnet.views import drawings, front_views, picture_points, ring_cameras
    from training.diffusion.latents import Latents
    from training.diffusion.network import TOKEN_WIDTH, build_schedule, build_unet
    from training.ground_truth import load_ground_truth

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@functools.cache
def true_heads():
    return load_ground_truth()


def face_points(view=0, head=0):
    truth = true_heads()[head]
    return picture_points(torch.from_numpy(truth.landmarks), truth.cameras[torch.tensor([view])])[0]


@pytest.fixture(scope="module")
def poses():
    return [face_points(view, head) for view, head in ((0, 0), (3, 7), (22, 9))]


# --- views


def test_batches_hold_the_small_drawings(poses):
    batch = drawings(np.stack(poses), 128)
    assert batch.shape == (3, 3, 128, 128)
    assert float(batch.max()) <= 1
    assert torch.equal((batch[1] * 255).round().byte(), torch.from_numpy(conditioning(poses[1], 128)).permute(2, 0, 1))


def test_projection_is_that_of_the_camera_matrices():
    cameras = ring_cameras(torch.tensor([0.0, 40.0, -64.0]))
    points = torch.randn(478, 3, generator=torch.Generator().manual_seed(1)) * 0.2
    found = picture_points(points, cameras)
    assert isinstance(cameras, Cameras)
    for place, pose in enumerate(cameras.T_world_camera.double().numpy()):
        focal = 0.5 / np.tan(np.radians(cameras.fovy_deg) / 2)  # of a picture of side 1
        lens = np.array([[focal, 0, 0.5], [0, focal, 0.5], [0, 0, 1]])
        whole = np.concatenate([points.double().numpy(), np.ones((478, 1))], 1) @ (np.linalg.inv(pose)[:3].T @ lens.T)
        assert np.abs(found[place] - whole[:, :2] / whole[:, 2:]).max() < 1e-5


def test_the_nose_of_a_true_head_turns_to_the_pictures_left_at_positive_azimuths():
    truth = true_heads()[0]
    frontal, right = picture_points(torch.from_numpy(truth.landmarks), truth.cameras[torch.tensor([0, 2])])
    assert truth.cameras.azimuth_deg[2] > 0
    assert right[1, 0] < frontal[1, 0] - 0.03
    again = picture_points(torch.from_numpy(truth.landmarks), ring_cameras(truth.cameras.azimuth_deg[[0, 2]]))
    assert np.allclose(again, [frontal, right], atol=1e-6)  # the ring of the training is that of the set


def make_latents(heads=2):
    generator = torch.Generator().manual_seed(3)
    true = torch.from_numpy(true_heads()[0].landmarks)
    return Latents(
        latent=torch.randn(2 * heads, 4, 8, 16, 16, generator=generator).half(),
        azimuth_deg=torch.tensor([[0.0, 64.9, 65.1, 180.0]] * heads + [[0.0, -64.9, -65.1, 180.0]] * heads),
        focus=torch.rand(2 * heads, 4, 1, 16, 16, generator=generator).half(),
        front=torch.zeros(2 * heads, 3, 64, 64, dtype=torch.uint8),
        landmarks=true.expand(2 * heads, -1, -1),
        mirrored=torch.arange(2 * heads) >= heads,
        captions=tuple(f"photo {number}" for number in range(heads)) * 2,
        sources=("sdf",) * 2 * heads,
        scaling_factor=0.5,
    )


def test_only_front_views_of_heads_that_are_not_turned_over_are_drawn():
    views = front_views(make_latents())
    assert views.head.tolist() == [0, 0, 1, 1]
    assert views.view.tolist() == [0, 1, 0, 1]
    assert np.allclose(views.points[2], face_points(0), atol=1e-6)


# --- the network


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random text-to-image prior, as it is exported."""
    torch.manual_seed(5)
    out = tmp_path_factory.mktemp("checkpoint") / "sd"
    build_unet().save_pretrained(out / "unet")
    build_schedule().save_pretrained(out / "scheduler")
    letters = [*string.printable.strip(), *(letter + "</w>" for letter in string.printable.strip())]
    pieces = [*dict.fromkeys(letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=20).save_pretrained(out / "tokenizer")
    config = CLIPTextConfig(
        vocab_size=len(pieces),
        hidden_size=TOKEN_WIDTH,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=20,
        eos_token_id=len(pieces) - 1,
    )
    CLIPTextModel(config).save_pretrained(out / "text_encoder")
    return out


@pytest.fixture(scope="module")
def base(folder):
    return control.load_base(folder)


@pytest.fixture(scope="module")
def batch(base, poses):
    generator = torch.Generator().manual_seed(6)
    clean = torch.randn(3, 8, 16, 16, generator=generator)
    text = control.embed_texts(base, ["photo of a man, front view", "photo of a woman", ""])
    return HeldOutBatch(clean=clean, text=text, drawing=drawings(np.stack(poses), 128))


@pytest.fixture
def model(base):
    torch.manual_seed(7)
    return control.build_control(base.unet).eval()


def test_a_fresh_controlnet_changes_nothing_and_a_changed_one_does(base, batch, model):
    timestep = torch.tensor([980, 500, 20])
    arguments = (batch.clean, timestep, batch.text, batch.drawing)
    with torch.no_grad():
        plain = control.predict(base, None, *arguments)
        fresh = control.predict(base, model, *arguments)
        model.controlnet.controlnet_mid_block.weight.normal_(generator=torch.Generator().manual_seed(8))
        moved = control.predict(base, model, *arguments)
    assert plain.std() > 0.01
    assert float((fresh - plain).abs().max()) < 1e-6
    assert float((moved - plain).abs().max()) > 1e-3


def test_the_encoder_is_a_copy_and_the_prior_stays_out_of_the_state(base, model):
    own, known = model.controlnet.state_dict(), base.unet.state_dict()
    shared = [name for name in own if name.startswith(("conv_in", "time_embedding", "down_blocks", "mid_block"))]
    assert len(shared) > 50
    for name in shared:
        assert torch.equal(own[name], known[name]), name
    assert all(name.startswith("controlnet.") for name in model.state_dict())
    assert all(value.requires_grad for value in model.parameters())
    assert not any(value.requires_grad for value in base.unet.parameters())
    count = sum(value.numel() for value in model.parameters())
    assert 3e6 < count < 4e6


def test_empty_captions_and_padding_are_as_in_the_published_pipeline(base):
    words = base.tokenizer("ab", padding="max_length", max_length=20, return_tensors="pt").input_ids
    with torch.no_grad():
        expected = base.text_encoder(words)[0]
    found = control.embed_texts(base, ["ab", ""])
    assert found.shape == (2, 20, TOKEN_WIDTH)
    assert torch.allclose(found[:1], expected, atol=1e-6)
    assert not torch.allclose(found[0], found[1], atol=1e-3)


def test_the_loss_is_the_weighted_error_of_the_clean_latents_and_reaches_every_zero_convolution(base, batch, model):
    timestep = torch.tensor([980, 500, 20])
    noise = torch.randn(batch.clean.shape, generator=torch.Generator().manual_seed(9))
    loss = control.control_loss(base, model, batch.clean, noise, timestep, batch.text, batch.drawing)
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2  # "scaled linear"
    signal = torch.from_numpy(np.cumprod(1 - betas))[timestep][:, None, None, None].float()
    noisy = signal.sqrt() * batch.clean + (1 - signal).sqrt() * noise
    with torch.no_grad():
        found = base.unet(noisy, timestep, encoder_hidden_states=batch.text).sample  # fresh: no effect yet
    weight = (signal / (1 - signal)).clamp(1, 5).flatten()
    error = (found - batch.clean).flatten(1)
    expected = (weight * (error.square().mean(1) + 0.1 * error.abs().mean(1))).mean()
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-4)
    left = torch.zeros(3, 1, 16, 16)
    left[..., :8] = 1  # errors in the left half count five times
    focused = control.control_loss(base, model, batch.clean, noise, timestep, batch.text, batch.drawing, left)
    local = (found - batch.clean).square() + 0.1 * (found - batch.clean).abs()
    expected = (weight * (local * (1 + 4 * left)).flatten(1).mean(1)).mean()
    assert float(focused.detach()) == pytest.approx(float(expected), rel=1e-4)
    loss.backward()
    ends = [*model.controlnet.controlnet_down_blocks, model.controlnet.controlnet_mid_block]
    assert all(float(layer.weight.grad.abs().max()) > 0 for layer in ends)
    assert all(value.grad is None for value in base.unet.parameters())


def test_training_moves_the_controlnet_only_and_its_export_loads_with_every_key(base, folder, batch, tmp_path):
    before = {name: value.clone() for name, value in base.unet.state_dict().items()}
    task = control_task(make_latents(), base, batch, batch=4, skew=1.0, device="cpu")
    settings = LoopSettings(
        steps=6, learning_rate=2e-3, evaluate_every=6, warmup_steps=1, average_decay=0.5, bf16=False
    )
    state = train(lambda: control.build_control(base.unet), task, settings, tmp_path / "state")
    assert all(torch.equal(value, before[name]) for name, value in base.unet.state_dict().items())
    entry = state.curves[-1]["held_out"]
    assert entry["minus_error"] == pytest.approx(-(entry["t980"] + entry["t800"] + entry["t500"]) / 3)
    assert entry["t980"] != entry["t980_without"]
    best, facts = load_best(tmp_path / "state", control.load_base(folder))
    assert facts["step"] == 6
    control.export_control(best, tmp_path / "out")
    loaded, report = diffusers.ControlNetModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "config.json",
        "diffusion_pytorch_model.safetensors",
    ]
    with safe_open(tmp_path / "out" / "diffusion_pytorch_model.safetensors", framework="pt") as handle:
        assert {handle.get_tensor(name).dtype for name in handle.keys()} == {torch.float16}  # noqa: SIM118
    with torch.no_grad():
        arguments = (batch.clean, torch.tensor([500]), batch.text, batch.drawing)
        again = control.predict(base, control.LandmarkControl(loaded), *arguments)
        assert float((again - control.predict(base, best, *arguments)).abs().max()) < 0.02
        assert float((again - control.predict(base, None, *arguments)).abs().max()) > 1e-4
    with pytest.raises(PsheadError, match="another text-to-image prior"):
        load_best(tmp_path / "state", control.TextToImage(**{**shallow(base), "fingerprint": "other"}))


def shallow(record):
    return {name: getattr(record, name) for name in type(record).__annotations__}


def test_held_out_errors_without_a_controlnet_are_those_of_a_fresh_one(base, batch, model):
    plain, fresh = clean_errors(base, None, batch), clean_errors(base, model, batch, views_at_once=2)
    assert list(plain) == ["t980", "t800", "t500"]
    for name, value in plain.items():
        assert fresh[name] == pytest.approx(value, rel=1e-3)
        assert value > 0.1


def test_missing_parts_and_foreign_latents_are_refused(tmp_path):
    with pytest.raises(PsheadError, match="no text-to-image prior"):
        control.load_base(tmp_path)
    with pytest.raises(PsheadError, match="no ControlNet"):
        load_best(tmp_path, None)
    (tmp_path / "latents.json").write_text('{"vae": "another", "scaling_factor": 1.0}')
    (tmp_path / "diffusion_pytorch_model.safetensors").write_bytes(b"weights")
    with pytest.raises(PsheadError, match="another autoencoder"):
        check_latents(tmp_path, tmp_path)


# --- figures


def test_the_probe_finds_a_linear_relation_and_counts_in_face_widths():
    generator = torch.Generator().manual_seed(10)
    known = torch.randn(400, 6, generator=generator)
    points = (known @ torch.randn(6, 26, generator=generator) * 0.1 + 0.5).unflatten(1, (13, 2))
    probe = probing.fit_probe(known, points)
    shrunk = 1 / (1 + probing.PENALTIES[0])  # of unit variance: ridge's known factor
    expected = (points - points.mean(0)) * shrunk + points.mean(0)
    found = ((known - probe.mean) @ probe.weight + probe.offset).unflatten(1, (13, 2))
    assert float((found - expected).abs().max()) < 0.02
    assert float((found - points).abs().mean()) < 0.1 * float((points - points.mean(0)).abs().mean())
    apart = points + torch.tensor([0.03, 0.04])
    assert torch.allclose(probing.probe_errors(apart, points, torch.full((400,), 0.25)), torch.tensor(20.0), atol=1e-3)


def test_turned_over_landmarks_are_those_of_the_mirrored_head():
    middle = torch.tensor([-1.0, 1.0, 1.0])
    head = torch.from_numpy(true_heads()[6].landmarks)
    twin = head.clone()  # its mirror image: every left landmark where the right one was
    swapped = [probing.PROBED[place] for place in probing.MIRRORED]
    twin[list(probing.PROBED)] = head[swapped] * middle
    here = torch.from_numpy(picture_points(head, ring_cameras(torch.tensor([25.0]))))[:, probing.PROBED]
    there = torch.from_numpy(picture_points(twin, ring_cameras(torch.tensor([-25.0]))))[:, probing.PROBED]
    assert torch.allclose(probing.turned_over(here), there, atol=1e-5)
    eyes = ((parts_of.RIGHT_EYE, 0, 2), (parts_of.RIGHT_EYE, 1, 3))
    for (part, end, place), other in zip(eyes, (parts_of.LEFT_EYE, parts_of.LEFT_EYE), strict=True):
        corner = (0, -1)[end]
        assert probing.PROBED[probing.MIRRORED[place]] == part.chains[0][corner]
        assert probing.PROBED[place] == other.chains[0][corner]


def test_true_pictures_score_better_than_shuffled_ones(monkeypatch):
    monkeypatch.setattr(probing, "PENALTIES", (0.1,))  # each one costs a second
    truth = ground_truth_views(128)
    assert len(truth) == 12 * 9
    assert float(truth.azimuth_deg.abs().max()) < 65
    assert truth.captions[0].endswith(", front view")
    assert 0.15 < float(truth.face_frac.min()) <= float(truth.face_frac.max()) < 0.4
    points = torch.from_numpy(truth.points)[:, probing.PROBED]
    probe = probing.fit_probe(probing.features(truth.image), points)
    shuffled = truth.image[torch.randperm(len(truth), generator=torch.Generator().manual_seed(0))]
    figures = measure({"true": truth.image, "shuffled": shuffled}, truth, probe)
    assert figures["true"]["all"] < 0.5 * figures["shuffled"]["all"]
    assert figures["mean_landmarks"]["all"] < figures["shuffled"]["all"]
    assert set(figures["true"]) == {"all", "frontal", "turned", "makehuman", "sdf"}


def test_samples_of_a_fresh_controlnet_are_those_without(base, batch, model):
    torch.manual_seed(11)
    vae = diffusers.AutoencoderKL(latent_channels=8, block_out_channels=(4,), norm_num_groups=2, sample_size=16).eval()
    drawn = [draw_samples(base, other, batch, vae, 3, 2) for other in (model, None)]
    assert drawn[0].shape == (3, 3, 16, 16)
    assert torch.allclose(*drawn, atol=0.02)
    assert not torch.allclose(drawn[0], draw_samples(base, model, batch, vae, 4, 2), atol=0.02)


def test_the_contact_sheet_shows_the_columns_of_a_view_side_by_side():
    columns = [torch.full((4, 3, 8, 8), value) for value in (0.0, 0.2, 0.6, 1.0)]
    sheet = np.asarray(contact_sheet(columns, sets=3, zoom=1))
    assert sheet.shape == (2 * 10, 3 * 38, 3)
    assert [int(sheet[4, 38 + 8 * place + 4, 0]) for place in range(4)] == [0, 51, 153, 255]
    assert int(sheet[14, 42, 0]) == 128  # an empty place
