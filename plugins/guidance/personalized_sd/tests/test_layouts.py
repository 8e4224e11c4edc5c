"""The published layouts: their sizes on the meta device, and small twins of them through the guidance."""

import json
import shutil

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from pshead_guidance_personalized_sd.config import PersonaliseSettings, PersonalizedSdConfig
from pshead_guidance_personalized_sd.networks import read_layout, token_ids
from pshead_guidance_personalized_sd.prior import build
from transformers import CLIPTextConfig, CLIPTextModel

from pshead_core.api import PsheadError
from pshead_core.models.pool import ModelPool
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.testing import tiny_step, tiny_views

# Contents of the published config.json files, without the fields that hold what the classes assume anyway.
UNET = {
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
}
UNET_1 = UNET | {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
UNET_2 = UNET | {"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True}
TEXT_1 = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "hidden_act": "quick_gelu",
}
TEXT_2 = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
}
TEXT = {"vocab_size": 49408, "max_position_embeddings": 77}
VAE = {
    "latent_channels": 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
PUBLISHED = {  # UNet, text encoder, millions of parameters of both, side of the pictures in pixels
    "sd15": (UNET_1, TEXT_1, 859.52, 123.06, 512),
    "sd21-base": (UNET_2 | {"sample_size": 64, "upcast_attention": False}, TEXT_2, 865.91, 340.39, 512),
    "sd21": (UNET_2 | {"sample_size": 96, "upcast_attention": True}, TEXT_2, 865.91, 340.39, 768),
}


def millions(network):
    return sum(weight.numel() for weight in network.parameters()) / 1e6


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_architectures_have_the_known_sizes(name):
    unet, text, unet_millions, text_millions, _ = PUBLISHED[name]
    with torch.device("meta"):
        assert millions(UNet2DConditionModel.from_config(unet)) == pytest.approx(unet_millions, abs=0.01)
        assert millions(CLIPTextModel(CLIPTextConfig(**TEXT, **text))) == pytest.approx(text_millions, abs=0.01)
        assert millions(AutoencoderKL.from_config(VAE)) == pytest.approx(83.65, abs=0.01)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_configurations_are_read(name, tmp_path):
    """No weights lie there: building the guidance needs the configurations only."""
    unet, text, _, _, side_px = PUBLISHED[name]
    write(tmp_path, "unet", unet)
    write(tmp_path, "text_encoder", {"model_type": "clip_text_model", **TEXT, **text})
    write(tmp_path, "vae", VAE)
    layout = read_layout(Folders(tmp_path), None)
    assert (layout.channels, layout.side_px, layout.latent_side) == (4, side_px, side_px // 8)
    assert layout.scaling_factor == 0.18215
    assert layout.most_tokens == 77
    assert read_layout(Folders(tmp_path), 256).latent_side == 32
    with pytest.raises(PsheadError, match="multiple of 64"):
        read_layout(Folders(tmp_path), 300)


@pytest.mark.parametrize("kind", ["twin", "twin_v"])
@pytest.mark.parametrize("method", ["none", "full", "lora"])
def test_twins_contribute(kind, method, request, make_context):
    folder = request.getfixturevalue(kind)
    train = PersonaliseSettings(method=method, steps=2, batch=1, class_images=2, class_sampling_steps=2)
    config = PersonalizedSdConfig(
        checkpoint=str(folder), personalise=train, distill=DistillSettings(guidance_scale=7.5)
    )
    context = make_context()
    prior = build(config, context)
    prior.prepare()
    assert prior.personal.model.schedule.prediction == ("epsilon" if kind == "twin" else "v_prediction")
    views = tiny_views(3, side_px=48)
    gradient = prior.contribute(views, tiny_step()).rgb
    assert gradient.shape == views.rgb.shape
    assert bool(gradient.isfinite().all())
    assert float(gradient.abs().max()) > 0


def test_prompts_are_padded_as_the_tokenizer_says(twin, twin_v, make_context):
    tails = []
    for folder in (twin, twin_v):
        prior = build(
            PersonalizedSdConfig(checkpoint=str(folder), personalise=PersonaliseSettings(method="none")), make_context()
        )
        prior.prepare()
        tokenizer = prior.personal.model.tokenizer
        ids = token_ids(tokenizer, ["ab", "a" * 200])
        assert ids.shape == (2, 77)
        assert ids[0, -1] == ids[0, 5] == tokenizer.pad_token_id
        assert ids[1, -1] == tokenizer.eos_token_id  # cut, and still ended
        tails.append(tokenizer.convert_ids_to_tokens(int(ids[0, -1])))
    assert tails == ["<|endoftext|>", "!"]


def test_a_prompt_that_is_too_long_is_told(twin, make_context, caplog):
    config = PersonalizedSdConfig(checkpoint=str(twin), personalise=PersonaliseSettings(method="none"))
    with caplog.at_level("WARNING"):
        build(config, make_context(prompt="photo of a woman, " + "z" * 100)).prepare()
    assert "too long" in caplog.text


@pytest.mark.parametrize(
    ("component", "key", "value", "message"),
    [
        ("unet", "in_channels", 9, "no plain text-to-image model"),
        ("unet", "cross_attention_dim", 768, "do not belong together"),
    ],
)
def test_other_models_are_refused(component, key, value, message, twin, tmp_path, make_context):
    folder = shutil.copytree(twin, tmp_path / "other")
    path = folder / component / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(PsheadError, match=message):
        build(PersonalizedSdConfig(checkpoint=str(folder)), make_context())


def test_a_missing_component_is_named(twin, tmp_path, make_context):
    folder = shutil.copytree(twin, tmp_path / "other")
    shutil.rmtree(folder / "vae")
    with pytest.raises(PsheadError, match="vae"):
        build(PersonalizedSdConfig(checkpoint=str(folder)), make_context())


def test_the_pool_lends_one_copy_and_training_leaves_it_alone(twin, make_context):
    context = make_context()
    assert isinstance(context.models, ModelPool)
    plain = build(PersonalizedSdConfig(checkpoint=str(twin), personalise=PersonaliseSettings(method="none")), context)
    plain.prepare()
    unet = plain.personal.model.unet.get()
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    train = PersonaliseSettings(steps=2, batch=1, class_images=2, class_sampling_steps=2, learning_rate=1e-2)
    personal = build(PersonalizedSdConfig(checkpoint=str(twin), personalise=train), context)
    personal.prepare()
    again = build(PersonalizedSdConfig(checkpoint=str(twin), personalise=PersonaliseSettings(method="none")), context)
    again.prepare()
    assert again.personal.model.unet.get() is unet
    assert all(torch.equal(weight, before[name]) for name, weight in unet.state_dict().items())
    own = personal.personal.model.unet.get().state_dict()
    assert any(not torch.equal(own[name], before[name]) for name in before)
    assert own.keys() == before.keys()


class Folders:
    """Stands for a checkpoint of which only configurations are there."""

    name = "published"

    def __init__(self, root):
        self.root = root

    def folder(self, component):
        return self.root / component


def write(root, component, config):
    (root / component).mkdir()
    (root / component / "config.json").write_text(json.dumps(config))
