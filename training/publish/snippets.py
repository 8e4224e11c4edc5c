"""How to load each checkpoint: the runnable example of its card. Tests run them."""

from __future__ import annotations

_DATA = """\
import torch
{diffusers}
{imports}from pshead_checkpoints_mini import DATA  # or the folder that holds `vae` and the others

vae = AutoencoderKL.from_pretrained(DATA / "vae").float()
"""

_VAE = """\
image = torch.rand(1, 3, 128, 128) * 2 - 1  # pictures over white, -1..1
with torch.no_grad():
    latent = vae.encode(image).latent_dist.mean * vae.config.scaling_factor
    again = vae.decode(latent / vae.config.scaling_factor).sample
"""

_TEXT = """\
parts = {
    "vae": vae,
    "unet": UNet2DConditionModel.from_pretrained(DATA / "sd/unet").float(),
    "text_encoder": CLIPTextModel.from_pretrained(DATA / "sd/text_encoder").float(),
    "tokenizer": CLIPTokenizer.from_pretrained(DATA / "sd/tokenizer"),
    "scheduler": DDIMScheduler.from_pretrained(DATA / "sd/scheduler"),
    "safety_checker": None,
    "feature_extractor": None,
    "requires_safety_checker": False,
}
"""

_SD = """\
pipeline = StableDiffusionPipeline(**parts)
prompt = "photo of a man, light skin, short brown hair, green shirt, side view"
image = pipeline(prompt, num_inference_steps=25, guidance_scale=3.0).images[0]
"""

_CONTROL = """\
controlnet = ControlNetModel.from_pretrained(DATA / "landmark-controlnet").float()
pipeline = StableDiffusionControlNetPipeline(controlnet=controlnet, **parts)
side = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
drawing = Image.new("RGB", (side, side))  # draw landmarks with training.controlnet.drawing
prompt = "photo of a man, light skin, short brown hair, green shirt, front view"
image = pipeline(prompt, drawing, num_inference_steps=25, guidance_scale=3.0).images[0]
"""

_ZERO123 = """\
unet = UNet2DConditionModel.from_pretrained(DATA / "zero123/unet").float()
encoder = CLIPVisionModelWithProjection.from_pretrained(DATA / "zero123/image_encoder").float()
processor = CLIPImageProcessor.from_pretrained(DATA / "zero123/feature_extractor")
projection = CLIPCameraProjection.from_pretrained(DATA / "zero123/clip_camera_projection").float()
schedule = DDIMScheduler.from_pretrained(DATA / "zero123/scheduler")

side = unet.config.sample_size * 2 ** (len(vae.config.block_out_channels) - 1)
front = torch.rand(1, 3, side, side)  # the reference view over white, 0..1
azimuth = torch.deg2rad(torch.tensor(90.0))  # camera to the viewer's right: sees the subject's left ear
camera = torch.stack([azimuth * 0, azimuth.sin(), azimuth.cos(), azimuth * 0])[None]
with torch.no_grad():
    pixels = processor(images=front, do_rescale=False, return_tensors="pt").pixel_values
    token = projection(encoder(pixels).image_embeds, camera)
    known = vae.encode(front * 2 - 1).latent_dist.mean  # not scaled, as in Zero123
    latent = torch.randn_like(known)
    schedule.set_timesteps(25)
    for t in schedule.timesteps:
        found = unet(torch.cat([latent, known], 1), t, token).sample
        latent = schedule.step(found, t, latent).prev_sample
    view = vae.decode(latent / vae.config.scaling_factor).sample
"""

_VIDEO = """\
unet = UNet3DConditionModel.from_pretrained(DATA / "video/unet").float()
text_encoder = CLIPTextModel.from_pretrained(DATA / "video/text_encoder").float()
tokenizer = CLIPTokenizer.from_pretrained(DATA / "video/tokenizer")
schedule = DDIMScheduler.from_pretrained(DATA / "video/scheduler")

frames, side = 25, unet.config.sample_size  # azimuths in even steps; frame 12 is the front
with torch.no_grad():
    ids = tokenizer(
        "", padding="max_length", max_length=text_encoder.config.max_position_embeddings, return_tensors="pt"
    ).input_ids
    tokens = text_encoder(ids).last_hidden_state
    latent = torch.randn(1, unet.config.in_channels, frames, side, side)
    schedule.set_timesteps(25)
    for t in schedule.timesteps:
        found = unet(latent, t, tokens).sample
        latent = schedule.step(found, t, latent).prev_sample
    orbit = vae.decode(latent[0].transpose(0, 1) / vae.config.scaling_factor).sample
"""

_IDENTITY = """\
import torch
from pshead_checkpoints_mini import DATA  # or the folder that holds `{name}`
from pshead_guidance_identity.weights import load_recogniser

recogniser = load_recogniser(DATA / "{name}")
faces = torch.rand(2, 3, 112, 112) * 2 - 1  # aligned by pshead_core.priors.faces.ARCFACE_112, RGB in -1..1
with torch.no_grad():
    likeness = torch.cosine_similarity(*recogniser(faces), dim=0)
"""

_RESTORER = """\
import torch
from pshead_checkpoints_mini import DATA  # or the folder that holds `face-restorer`
from pshead_refiners_codeformer.restorer import load_network

restorer = load_network(DATA / "face-restorer")
side = restorer.config.side_px
crops = torch.rand(1, 3, side, side) * 2 - 1  # aligned by pshead_core.priors.faces.FFHQ_512, reduced, RGB in -1..1
with torch.no_grad():
    again = restorer(crops, weight=0.0)[0]
"""


LINE = 120
"""The repository's longest line: its linter reads the cards too."""
_CLIP_TEXT = "from transformers import CLIPTextModel, CLIPTokenizer\n"
_CLIP_VISION = """\
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection
from training.zero123.projection import CLIPCameraProjection  # Linear(width + 4, width), named `proj`
"""
_EXAMPLES = {
    "vae": ("AutoencoderKL", "", _VAE),
    "sd": (
        "AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel",
        _CLIP_TEXT,
        _TEXT + _SD,
    ),
    "zero123": ("AutoencoderKL, DDIMScheduler, UNet2DConditionModel", _CLIP_VISION, _ZERO123),
    "video": ("AutoencoderKL, DDIMScheduler, UNet3DConditionModel", _CLIP_TEXT, _VIDEO),
    "landmark-controlnet": (
        "AutoencoderKL, ControlNetModel, DDIMScheduler, StableDiffusionControlNetPipeline, UNet2DConditionModel",
        "from PIL import Image\n" + _CLIP_TEXT,
        _TEXT + _CONTROL,
    ),
}
"""Checkpoint -> (classes of diffusers, other imports, body)."""
_OWN = {
    "identity": _IDENTITY.format(name="identity"),
    "identity-judge": _IDENTITY.format(name="identity-judge"),
    "face-restorer": _RESTORER,
}
"""Checkpoint of the project's own classes -> the whole example."""


def snippet(name: str) -> str:
    """Return Python that loads the checkpoint `name` and uses it once."""
    if name in _OWN:
        return _OWN[name]
    classes, more, body = _EXAMPLES[name]
    line = f"from diffusers import {classes}"
    if len(line) > LINE:
        line = "from diffusers import (\n" + "".join(f"    {one},\n" for one in classes.split(", ")) + ")"
    return _DATA.format(diffusers=line, imports=more) + body
