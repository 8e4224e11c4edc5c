"""The project's own miniature checkpoints: weights and cards in `data`, and the hook that offers them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pshead_core.api import CheckpointSpec, PsheadError, hookimpl

DATA = Path(__file__).parent / "data"
TEXT = ("unet", "text_encoder", "tokenizer", "scheduler")
VIEW = ("unet", "image_encoder", "feature_extractor", "clip_camera_projection", "scheduler")


def data_folder(*places: str) -> Path:
    """Return `DATA`; raise a PsheadError unless it has all these folders."""
    missing = [place for place in places if not (DATA / place).is_dir()]
    if missing:
        why = f"{DATA / missing[0]} does not exist: this copy of pshead-checkpoints-mini holds no such weights"
        fix = "install a release of pshead-checkpoints-mini, or train them and run `python -m training.publish`"
        raise PsheadError("the miniature checkpoints are not there", why=why, fix=fix)
    return DATA


def _spec(name: str, summary: str, places: dict[str, str]) -> CheckpointSpec:
    folder, components = partial(data_folder, *places.values()), tuple(places.items())
    return CheckpointSpec(name=name, summary=summary, folder=folder, components=components, licences=("Apache-2.0",))


@hookimpl
def pshead_checkpoints() -> list[CheckpointSpec]:
    """Offer the seven checkpoints."""
    vae = {"vae": "vae"}  # stored once, shared by all priors on latents
    sd, video = ({part: f"{name}/{part}" for part in TEXT} | vae for name in ("sd", "video"))
    zero123 = {part: f"zero123/{part}" for part in VIEW} | vae
    net = {"controlnet": "landmark-controlnet"} | vae
    identity, judge, restorer = ({"model": name} for name in ("identity", "identity-judge", "face-restorer"))
    return [
        _spec("mini/sd", "small text-to-image prior of heads, in the layout of Stable Diffusion", sd),
        _spec("mini/zero123", "small prior of novel views of heads, in the layout of Zero123", zero123),
        _spec("mini/video", "small prior of 25-view orbits of heads, in the layout of ModelScope text-to-video", video),
        _spec("mini/landmark-controlnet", "small ControlNet on mini/sd, steered by drawn face landmarks", net),
        _spec("mini/identity", "small recogniser of synthetic heads, in the layout of arcface_torch", identity),
        _spec("mini/identity-judge", "another one, to judge heads that were made with the first", judge),
        _spec("mini/face-restorer", "small face restorer in CodeFormer's place, by regression", restorer),
    ]
