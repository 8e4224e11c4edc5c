"""mini/zero123: camera convention, baselines against closed forms, layout."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from diffusers import UNet2DConditionModel
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from pshead_core.cameras.camera import orbit
from training.diffusion.figures import gradient_magnitude, view_figures
from training.diffusion.network import build_schedule, build_unet
from training.diffusion.objective import HIGHEST_WEIGHT, draw_timesteps, sample_loss
from training.diffusion.sampling import ddim
from training.zero123.baselines import FEATURE_PX, RingHeads, _weights, mean_views, turned_over
from training.zero123.model import Reference, Zero123, camera_vector, export
from training.zero123.projection import CLIPCameraProjection


@pytest.fixture(scope="module")
def model() -> Zero123:
    torch.manual_seed(0)
    return Zero123(build_unet()).eval()


def _reference(heads: int) -> Reference:
    generator = torch.Generator().manual_seed(3)
    return Reference(
        latent=torch.randn(heads, 8, 16, 16, generator=generator),
        front=torch.rand(heads, 3, 64, 64, generator=generator),
    )


def test_camera_vector_follows_the_position_of_the_core_camera():
    azimuth = torch.tensor([0.0, 90.0, -30.0, 180.0])
    cameras = orbit(azimuth.double(), torch.zeros(4).double(), distance=2.0, fovy_deg=49.1, side_px=32)
    centre = cameras.positions.double() / 2.0
    vector = camera_vector(azimuth)
    torch.testing.assert_close(vector[:, 1], centre[:, 0].float(), atol=1e-6, rtol=0)  # sine: towards the left ear
    torch.testing.assert_close(vector[:, 2], centre[:, 2].float(), atol=1e-6, rtol=0)
    assert vector[:, [0, 3]].abs().max() == 0


def test_a_fresh_model_ignores_the_reference_latent_and_dropping_takes_everything_away(model):
    noisy, timestep = torch.randn(2, 8, 16, 16), torch.full((2,), 500)
    one, other = _reference(1), _reference(2)
    camera = camera_vector(torch.tensor([10.0, 70.0]))
    with torch.no_grad():
        same_front = Reference(latent=other.latent[1:], front=one.front)
        torch.testing.assert_close(
            model(noisy, timestep, one, camera), model(noisy, timestep, same_front, camera), atol=1e-6, rtol=0
        )
        dropped = [
            model(noisy, timestep, some, camera, torch.zeros(2, dtype=torch.bool))
            for some in (one, Reference(latent=other.latent[1:], front=other.front[1:]))
        ]
        torch.testing.assert_close(*dropped)
        assert not torch.allclose(dropped[0], model(noisy, timestep, one, camera), atol=1e-3)


def test_views_belong_to_their_head(model):
    reference = _reference(2)
    noisy, timestep = torch.randn(6, 8, 16, 16), torch.full((6,), 980)
    camera = camera_vector(torch.arange(6) * 20.0)
    with torch.no_grad():
        together = model(noisy, timestep, reference, camera)
        second = Reference(latent=reference.latent[1:], front=reference.front[1:])
        alone = model(noisy[3:], timestep[3:], second, camera[3:])
    torch.testing.assert_close(together[3:], alone, atol=1e-5, rtol=1e-5)


def test_export_has_the_published_layout_and_loads_without_missing_keys(model, tmp_path):
    export(model, build_schedule(), tmp_path / "zero123")
    model.float()
    for component, kind in {
        "unet": UNet2DConditionModel,
        "image_encoder": CLIPVisionModelWithProjection,
        "clip_camera_projection": CLIPCameraProjection,
    }.items():
        loaded, info = kind.from_pretrained(tmp_path / "zero123", subfolder=component, output_loading_info=True)
        assert not info["missing_keys"]
        assert not info["unexpected_keys"]
        assert sum(p.numel() for p in loaded.parameters()) == sum(
            p.numel() for p in getattr(model, component).parameters()
        )
    assert UNet2DConditionModel.from_pretrained(tmp_path / "zero123" / "unet").config.in_channels == 16
    processor = CLIPImageProcessor.from_pretrained(tmp_path / "zero123" / "feature_extractor")
    assert processor.size == {"height": 64, "width": 64}
    scheduler = json.loads((tmp_path / "zero123/scheduler/scheduler_config.json").read_text())
    assert scheduler["prediction_type"] == "sample"


def test_dual_ridge_equals_the_primal_closed_form():
    generator = np.random.default_rng(0)
    known, new = generator.normal(size=(12, 5)), generator.normal(size=(3, 5))
    views = generator.normal(size=(12, 7))
    weights = _weights(torch.from_numpy(known), torch.from_numpy(new), penalty=0.1)
    penalty = 0.1 * np.mean(np.sum(known**2, 1))
    primal = np.linalg.solve(known.T @ known + penalty * np.eye(5), known.T @ views)
    np.testing.assert_allclose(weights.numpy() @ views, new @ primal, rtol=1e-4, atol=1e-5)


def test_turning_over_mirrors_pictures_and_azimuths():
    image = torch.randint(0, 255, (2, 25, 4, 4, 3), dtype=torch.uint8)
    both = turned_over(RingHeads(image=image, source=("sdf", "makehuman")))
    assert both.source == ("sdf", "makehuman", "sdf", "makehuman")
    torch.testing.assert_close(both.image[2, 3], image[0, 22].flip(1))
    torch.testing.assert_close(both.image[3, 0], image[1, 0].flip(1))
    torch.testing.assert_close(
        mean_views(both)[2], both.image[:, 3].float().mean(0).permute(2, 0, 1) / 255, atol=1e-6, rtol=0
    )


def test_features_are_small_enough_to_solve():
    assert FEATURE_PX**2 * 3 < 5000


def test_sharpness_of_blurred_and_equal_pictures():
    picture = torch.rand(2, 3, 32, 32)
    blurred = torch.nn.functional.avg_pool2d(picture, 3, stride=1, padding=1)
    assert view_figures(picture, picture)["sharpness"] == pytest.approx(1.0)
    assert view_figures(picture, blurred)["sharpness"] < 0.6
    ramp = torch.linspace(0, 1, 11).expand(1, 3, 11, 11)
    assert float(gradient_magnitude(ramp)) == pytest.approx(0.1, abs=1e-6)


def test_ddim_with_the_true_sample_as_prediction_returns_it():
    truth = torch.randn(2, 8, 16, 16)
    found = ddim(lambda noisy, timestep: truth, build_schedule(), torch.randn(2, 8, 16, 16))
    remaining = 1 - build_schedule().alphas_cumprod[0]
    assert float((found - truth).abs().mean()) < 2 * float(remaining.sqrt())


def test_loss_weights_and_timesteps():
    schedule = build_schedule()
    found, truth = torch.ones(1, 8, 16, 16), torch.zeros(1, 8, 16, 16)
    noisy = sample_loss(found, truth, torch.tensor([999]), schedule)
    clear = sample_loss(found, truth, torch.tensor([0]), schedule)
    assert float(noisy) == pytest.approx(1.1)
    assert float(clear / noisy) == pytest.approx(HIGHEST_WEIGHT)
    drawn = draw_timesteps(20_000, torch.Generator().manual_seed(0), skew=1.0).float()
    assert float(drawn.mean()) == pytest.approx(667, abs=5)  # of a density that grows linearly
    assert int(drawn.max()) == 999


def test_ring_pictures_lie_over_white(tmp_path):
    from training.common.files import write_tensors
    from training.zero123.baselines import open_ring

    rgba = torch.randint(0, 256, (2, 25, 8, 8, 4), dtype=torch.uint8)
    rgba[0, 0, 0, 0] = torch.tensor([10, 20, 30, 0])
    write_tensors(tmp_path / "sdf.safetensors", {"rgba": rgba}, {"job": {"source": "sdf"}})
    ring = open_ring(tmp_path)
    colour, alpha = rgba[..., :3].double() / 255, rgba[..., 3:].double() / 255
    expected = colour * alpha + 1 - alpha
    assert ring.image[0, 0, 0, 0].tolist() == [255, 255, 255]
    assert float((ring.image.double() / 255 - expected).abs().max()) < 0.5 / 255 + 1e-6
    assert ring.source == ("sdf", "sdf")
