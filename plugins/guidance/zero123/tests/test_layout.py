"""The published layouts: full size on the meta device for the counts, tiny twins in both layouts for the loading."""

import json

import pytest
import torch
from attrs import evolve
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from pshead_guidance_zero123.config import Zero123Config
from pshead_guidance_zero123.projection import CameraProjection
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from pshead_core.api import PsheadError
from pshead_core.cameras.camera import orbit
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.testing import tiny_step, tiny_views

# What the component folders of Zero123, Zero123-XL and Stable Zero123 (diffusers ports) have in their config.json,
# as far as it decides about shapes.
UNET = {
    "sample_size": 32,
    "in_channels": 8,
    "out_channels": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    "block_out_channels": (320, 640, 1280, 1280),
    "layers_per_block": 2,
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
VAE = {
    "sample_size": 256,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "scaling_factor": 0.18215,
}
VISION = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
    "projection_dim": 768,
    "hidden_act": "quick_gelu",
}
SCHEDULER = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
PROCESSOR = {
    "crop_size": 224,
    "size": 224,
    "resample": 3,
    "do_resize": True,
    "do_center_crop": True,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
LAYOUTS = {"ashawkey": ("clip_camera_projection", "proj"), "kxic": ("cc_projection", "projection")}
"""Folder and layer of the camera projection in the two families of ports."""

# The same with other widths: four levels, latents of 4 channels, an eighth of the picture's side.
TINY_UNET = {
    **UNET,
    "sample_size": 8,
    "block_out_channels": (8, 16, 16, 16),
    "layers_per_block": 1,
    "cross_attention_dim": 24,
    "attention_head_dim": 2,
    "norm_num_groups": 4,
}
TINY_VAE = {
    **VAE,
    "sample_size": 64,
    "block_out_channels": (8, 8, 16, 16),
    "layers_per_block": 1,
    "norm_num_groups": 4,
}
TINY_VISION = {
    **VISION,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 56,
    "projection_dim": 24,
}
TINY_PROCESSOR = {**PROCESSOR, "crop_size": 56, "size": 56}


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_full_size_has_the_published_counts():
    """In millions, from the fact sheets: a wrong block, width or channel count would show here."""
    with torch.device("meta"):
        unet, autoencoder = UNet2DConditionModel(**UNET), AutoencoderKL(**VAE)
        encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION))
        width = VISION["projection_dim"]
        projection = CameraProjection(torch.empty(width, width + 4), torch.empty(width))
    assert count(unet) / 1e6 == pytest.approx(859.53, abs=0.005)
    assert count(encoder) / 1e6 == pytest.approx(304.0, abs=0.05)
    assert count(projection) / 1e6 == pytest.approx(0.594, abs=0.0005)
    assert count(autoencoder) / 1e6 == pytest.approx(83.65, abs=0.005)
    assert unet.conv_in.weight.shape[1] == 2 * VAE["latent_channels"] == 8


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Folders of one set of random weights, written in both layouts."""
    root = tmp_path_factory.mktemp("twins")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        unet, autoencoder = UNet2DConditionModel(**TINY_UNET), AutoencoderKL(**TINY_VAE)
        encoder = CLIPVisionModelWithProjection(CLIPVisionConfig(**TINY_VISION))
        weight, bias = torch.randn(24, 28) / 5, torch.randn(24) / 5
    for name, (folder, layer) in LAYOUTS.items():
        for part, module in {"unet": unet, "vae": autoencoder, "image_encoder": encoder}.items():
            module.save_pretrained(root / name / part, safe_serialization=True)
        DDIMScheduler(**SCHEDULER).save_pretrained(root / name / "scheduler")
        _write(root / name / "feature_extractor" / "preprocessor_config.json", TINY_PROCESSOR)
        _write(root / name / folder / "config.json", {"_class_name": "of a module that is not installed"})
        save_file(
            {f"{layer}.weight": weight, f"{layer}.bias": bias},
            root / name / folder / "diffusion_pytorch_model.safetensors",
        )
    return {name: root / name for name in LAYOUTS}


def _write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def views():
    """Two views above the portrait's plane, so that the three camera vectors differ in every entry."""
    cameras = orbit(torch.tensor([40.0, -120.0]), torch.tensor([10.0, 20.0]), distance=2.0, fovy_deg=49.1, side_px=64)
    return evolve(tiny_views(2, side_px=64), cameras=cameras)


def contributed(built, folder, **changes):
    settings = DistillSettings(guidance_scale=3.0)
    return (
        built(Zero123Config(checkpoint=str(folder), distill=settings, **changes)).contribute(views(), tiny_step()).rgb
    )


@pytest.mark.parametrize("pose", ["original", "xl", "stable"])
def test_both_layouts_contribute_the_same(built, twins, pose):
    first, second = (contributed(built, folder, pose=pose) for folder in twins.values())
    assert torch.equal(first, second)
    assert bool(first.isfinite().all())
    assert float(first.abs().max()) > 0


def test_pose_reaches_the_gradient(built, twins):
    folder = twins["kxic"]
    original, xl, stable = (contributed(built, folder, pose=pose) for pose in ("original", "xl", "stable"))
    assert torch.equal(original, xl)
    assert not torch.equal(original, stable)
    assert not torch.equal(original, contributed(built, folder, reference_distance=1.0))


def test_published_sizes_and_prediction_are_read(built, twins):
    guidance = built(Zero123Config(checkpoint=str(twins["ashawkey"])))
    components = guidance.components
    assert components.side_px == 64
    assert components.scaling_factor == 0.18215
    assert components.schedule.prediction == "epsilon"
    assert components.clip_input.side_px == 56
    assert guidance.reference.latent.shape == (1, 4, 8, 8)


def test_way_of_resizing_reaches_the_embedding(built, twins):
    folder = str(twins["ashawkey"])
    one, other = (built(Zero123Config(checkpoint=folder, clip_resize=way)) for way in ("processor", "original"))
    assert torch.equal(one.reference.latent, other.reference.latent)
    assert not torch.equal(one.reference.embedding, other.reference.embedding)


def test_checkpoint_without_projection_is_refused(built, twins, tmp_path):
    folder = tmp_path / "incomplete"
    folder.mkdir()
    for part in ("unet", "vae", "image_encoder", "scheduler", "feature_extractor"):
        (folder / part).symlink_to(twins["kxic"] / part, target_is_directory=True)
    with pytest.raises(PsheadError, match="no camera projection"):
        built(Zero123Config(checkpoint=str(folder)))
