"""The shared autoencoder: layout of the export, losses, figures, and that training lowers the loss."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional

from training.common.data import Batch, as_pictures, plain_batch
from training.common.loop import LoopSettings, train

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of diffusers and what it imports
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers (training/requirements.txt)")
    from training.vae.__main__ import vae_task
    from training.vae.export import settings_of
    from training.vae.figures import contact_sheet, evenly, measure, reduced
    from training.vae.model import VaeSettings, build_vae, export_vae, latent_scale, reconstruct, vae_loss

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
SMALL = VaeSettings(widths=(8, 8, 8, 8), norm_groups=4, latent_channels=4, side_px=64)


@pytest.fixture(scope="module")
def pictures():
    """Discs of random colours: something to learn that costs nothing."""
    generator = torch.Generator().manual_seed(2)
    grid = torch.linspace(-1, 1, 64)
    inside = (grid[:, None] ** 2 + grid[None, :] ** 2 < 0.6).float()[None, :, :, None].expand(8, -1, -1, -1)
    colour = torch.rand(8, 1, 1, 3, generator=generator).expand(8, 64, 64, 3) * inside
    return as_pictures([(torch.cat([colour, inside], 3) * 255).round().to(torch.uint8)])


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(4)
    return build_vae(SMALL).eval()


def test_the_export_loads_with_every_key_and_the_measured_scale(vae, pictures, tmp_path):
    image = plain_batch(evenly(pictures, 8)).image
    scale = latent_scale(vae, image)
    export_vae(vae, scale, tmp_path)
    loaded, report = diffusers.AutoencoderKL.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"))
    assert loaded.config.scaling_factor == scale
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    with safe_open(tmp_path / "diffusion_pytorch_model.safetensors", framework="pt") as handle:
        kinds = {handle.get_tensor(name).dtype for name in handle.keys()}  # noqa: SIM118 (not a mapping)
        assert set(handle.keys()) == set(vae.state_dict())
    assert kinds == {torch.float16}
    with torch.no_grad():
        latent = loaded.encode(image).latent_dist.mean
    assert latent.shape == (8, 4, 8, 8)
    assert float((latent * loaded.config.scaling_factor).std()) == pytest.approx(1, abs=0.02)
    assert float((reconstruct(loaded, image) - reconstruct(vae, image)).abs().max()) < 0.02
    assert next(vae.parameters()).dtype == torch.float32  # the training's model is left as it was


def test_the_names_are_those_of_stable_diffusion(vae):
    names = set(vae.state_dict())
    for name in (
        "encoder.conv_in.weight",
        "encoder.down_blocks.0.downsamplers.0.conv.weight",
        "encoder.mid_block.attentions.0.to_q.weight",
        "decoder.up_blocks.3.resnets.0.norm1.weight",
        "quant_conv.weight",
        "post_quant_conv.bias",
    ):
        assert name in names


def test_the_loss_is_the_sum_of_its_parts_and_each_part_is_the_formula(vae):
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(2, 3, 64, 64, generator=generator) * 2 - 1
    noise = torch.zeros(2, 4, 8, 8)
    with torch.no_grad():
        loss, parts = vae_loss(
            vae, Batch(image=truth, mask=torch.ones(2, 1, 64, 64), focus=torch.zeros(2, 1, 64, 64)), SMALL, noise
        )
        posterior = vae.encode(truth).latent_dist
        found = vae.decode(posterior.mean).sample
    error = (found - truth).numpy().astype(np.float64)
    assert parts["pixel"] == pytest.approx(np.abs(error).mean() + np.square(error).mean(), rel=1e-4)
    steps = np.abs(error[:, :, 1:] - error[:, :, :-1]).mean() + np.abs(error[..., 1:] - error[..., :-1]).mean()
    assert parts["gradient"] == pytest.approx(steps, rel=1e-4)
    assert parts["cells"] == pytest.approx(np.abs(error.reshape(2, 3, 8, 8, 8, 8).mean((3, 5))).mean(), rel=1e-4)
    normal = torch.distributions.Normal
    kl = torch.distributions.kl_divergence(normal(posterior.mean, posterior.std), normal(0.0, 1.0)).mean()
    assert parts["kl"] == pytest.approx(float(kl), rel=1e-3)
    weights = {"pixel": 1, "gradient": 1, "chroma": 2, "cells": 1, "kl": 1e-5}
    assert float(loss) == pytest.approx(sum(weight * parts[name] for name, weight in weights.items()), rel=1e-5)


def test_grey_errors_are_no_chroma(vae):
    truth = torch.zeros(1, 3, 64, 64)
    twin = build_vae(SMALL)
    for value in twin.parameters():
        torch.nn.init.zeros_(value)
    torch.nn.init.constant_(twin.decoder.conv_out.bias, 0.3)
    batch = Batch(image=truth, mask=truth[:, :1], focus=torch.zeros_like(truth[:, :1]))
    _, parts = vae_loss(twin, batch, SMALL, torch.zeros(1, 4, 8, 8))
    assert parts["chroma"] == pytest.approx(0, abs=1e-6)
    assert parts["cells"] == pytest.approx(0.3, abs=1e-5)
    with torch.no_grad():
        twin.decoder.conv_out.bias[2] = -0.3
    assert vae_loss(twin, batch, SMALL, torch.zeros(1, 4, 8, 8))[1]["chroma"] > 0.1


def test_training_beats_an_untrained_model_and_goes_on_from_its_state(pictures, tmp_path):
    some = evenly(pictures, 8)
    task = vae_task(pictures, SMALL, (some, torch.zeros_like(some[:, :1])), batch=4, crops_until=30, device="cpu")
    settings = LoopSettings(
        steps=40, learning_rate=1e-2, evaluate_every=40, warmup_steps=5, average_decay=0.9, bf16=False
    )
    torch.manual_seed(settings.seed)
    untrained = build_vae(SMALL).eval()
    before = measure(some, lambda image: reconstruct(untrained, image))
    state = train(lambda: build_vae(SMALL), task, settings, tmp_path)
    assert state.curves[-1]["held_out"]["psnr_db"] > before["psnr_db"] + 1.0
    assert settings_of(tmp_path) == SMALL
    assert train(lambda: build_vae(SMALL), task, settings, tmp_path).step == 40


def test_figures_of_perfect_and_of_reduced_pictures(pictures):
    rgba = evenly(pictures, 8)
    darker = measure(rgba, lambda image: image - 0.02)
    assert darker["psnr_db"] == pytest.approx(40, abs=0.01)  # 0.02 of -1..1 is 0.01 of 0..1
    assert darker["head_psnr_db"] == pytest.approx(40, abs=0.01)
    image = plain_batch(rgba).image
    small = functional.interpolate(image, scale_factor=1 / 8, mode="area")
    expected = functional.interpolate(small, size=(64, 64), mode="bilinear")
    assert torch.allclose(reduced(image), expected, atol=1e-6)
    assert measure(rgba, reduced)["psnr_db"] < 40


def test_the_contact_sheet_shows_truth_beside_reconstruction(pictures):
    rgba = evenly(pictures, 8)
    sheet = np.asarray(contact_sheet(plain_batch(rgba).image, lambda image: -torch.ones_like(image), columns=4, zoom=1))
    assert sheet.shape == (2 * 68, 4 * 132, 3)
    truth = (plain_batch(rgba).image[5].permute(1, 2, 0) / 2 + 0.5).numpy() * 255
    cell = sheet[68 : 68 + 64, 132 : 132 + 128].astype(float)
    assert np.abs(cell[:, :64] - truth).max() < 1
    assert cell[:, 64:].max() == 0


def test_a_training_without_evaluation_cannot_be_exported(tmp_path):
    from pshead_core.errors import PsheadError

    with pytest.raises(PsheadError, match="no autoencoder"):
        settings_of(tmp_path)


def test_the_untrained_network_carries_colours_linearly(vae):
    # Before the last norm the network is linear: a change of one colour reaches the latents in proportion.
    hidden = []
    hook = vae.encoder.conv_norm_out.register_forward_hook(lambda module, inputs, output: hidden.append(inputs[0]))
    generator = torch.Generator().manual_seed(5)
    first, second = torch.rand(2, 1, 3, 64, 64, generator=generator)
    with torch.no_grad():
        for image in (first, second, (first + second) / 2):
            vae.encode(image)
        posterior = vae.encode(first).latent_dist
    hook.remove()
    assert torch.allclose(hidden[2], (hidden[0] + hidden[1]) / 2, atol=1e-5)
    assert float(hidden[0].std()) > 0.01
    assert torch.allclose(posterior.std, torch.tensor(np.exp(-3.0), dtype=torch.float32), atol=1e-4)


def test_a_sampler_begins_as_a_filter_of_its_own_channel(vae):
    image = torch.rand(1, 8, 16, 16, generator=torch.Generator().manual_seed(6))
    down = vae.encoder.down_blocks[0].downsamplers[0]
    up = vae.decoder.up_blocks[0].upsamplers[0]
    with torch.no_grad():
        assert torch.allclose(down(image), functional.avg_pool2d(image, 2), atol=1e-6)
        bilinear = functional.interpolate(image, scale_factor=2, mode="bilinear")
        assert torch.allclose(up(image)[..., 1:-1, 1:-1], bilinear[..., 1:-1, 1:-1], atol=1e-6)


def test_face_error_counts_at_the_focus_only():
    rgba = torch.ones(2, 4, 16, 16)
    focus = torch.zeros(2, 1, 16, 16)
    focus[0, :, 4:8, 4:8] = 1.0
    spoilt = torch.ones(2, 3, 16, 16)
    spoilt[:, :, :4] = -1.0  # beside the face
    assert measure(rgba, lambda image: spoilt, focus)["face_psnr_db"] > 100
    spoilt = torch.where(focus.bool().expand(2, 3, 16, 16), torch.full((2, 3, 16, 16), 0.8), spoilt)
    assert measure(rgba, lambda image: spoilt, focus)["face_psnr_db"] == pytest.approx(20.0, abs=1e-3)
    assert "face_psnr_db" not in measure(rgba, lambda image: spoilt)
