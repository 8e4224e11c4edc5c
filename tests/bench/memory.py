"""What each slot of the full-size presets needs on a GPU: `python -m tests.bench.memory`. Needs no GPU and no weights.

Every network is built at its published size without storage, and the calls that a slot makes are traced: which tensors
are alive at once, and how large. So these are computed figures, of bfloat16 networks with attention that keeps no
matrix of scores; workspaces of libraries, fragmentation and the Gaussians themselves come on top.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from attrs import frozen
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel, UNet3DConditionModel
from pshead_guidance_identity.iresnet import R100, IResNet
from pshead_refiners_codeformer.restorer import build_codeformer
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torchvision.models import vgg16
from transformers import CLIPTextModel

from tests.bench.random_weights import layouts

GIB = 2**30
CHUNK = 8
"""Views per pass through an autoencoder: `chunk_views` of `DistillSettings`."""
TRAINING_FACTOR = 4
"""What DreamBooth keeps per parameter: weight, gradient, two moments of Adam."""


@frozen(kw_only=True)
class Slot:
    """A slot's networks and what it does with them."""

    name: str
    networks: Callable[[], Sequence[nn.Module]]
    call: Callable[..., None]
    dtype: torch.dtype = torch.bfloat16
    trains: bool = False


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of the storages that operations made and that still live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count what it returns."""
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return found

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key not in self._seen:
            self._seen.add(key)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._drop, key, storage.nbytes())

    def _drop(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def encode_with_graph(vae: AutoencoderKL, views: int, height_px: int, width_px: int) -> Tensor:
    """Return the latents of views that are to get a gradient."""
    return vae.encode(torch.rand(views, 3, height_px, width_px, requires_grad=True)).latent_dist.mean


def distil(vae: AutoencoderKL, unet: Callable[[int], object], views: int, height_px: int, width_px: int) -> None:
    """Do what score distillation does: with one chunk its graph is held beside the UNet, else it is made again."""
    if views <= CHUNK:
        latents = encode_with_graph(vae, views, height_px, width_px)
        with torch.no_grad():
            unet(views)
        latents.sum().backward()
        return
    with torch.no_grad():
        vae.encode(torch.rand(CHUNK, 3, height_px, width_px))
        unet(views)
    encode_with_graph(vae, CHUNK, height_px, width_px).sum().backward()


def flat(unet: nn.Module, channels: int, side: int, tokens: int, width: int) -> Callable[[int], object]:
    """Return a guided call of a UNet: with and without condition in one pass."""
    return lambda views: unet(
        torch.rand(2 * views, channels, side, side),
        torch.ones(2 * views),
        encoder_hidden_states=torch.rand(2 * views, tokens, width),
    )


def person(unet: UNet2DConditionModel, vae: AutoencoderKL, text: CLIPTextModel) -> None:
    """T2I SDS: 8 views of 512 px, guided."""
    distil(vae, flat(unet, 4, 64, 77, 768), 8, 512, 512)


def novel(unet: UNet2DConditionModel, vae: AutoencoderKL, vision: nn.Module) -> None:
    """I2I SDS: 25 views at 256 px, guided."""
    distil(vae, flat(unet, 8, 32, 1, 768), 25, 256, 256)


def orbit(unet: UNet3DConditionModel, vae: AutoencoderKL, text: CLIPTextModel) -> None:
    """T2V SDS: one clip of 25 frames of 320 x 576; the null prompt needs one pass."""
    clip = lambda _: unet(torch.rand(1, 4, 25, 40, 72), torch.ones(1), torch.rand(1, 77, 1024))  # noqa: E731
    distil(vae, clip, 25, 320, 576)


def refine(unet: UNet2DConditionModel, vae: AutoencoderKL, text: CLIPTextModel) -> None:
    """T2I refinement: 8 views of 512 px, guided, no gradient."""
    with torch.no_grad():
        vae.encode(torch.rand(8, 3, 512, 512))
        flat(unet, 4, 64, 77, 768)(8)
        vae.decode(torch.rand(8, 4, 64, 64))


def refine_face(control: ControlNetModel, unet: UNet2DConditionModel, vae: AutoencoderKL, text: CLIPTextModel) -> None:
    """Landmark ControlNet: 4 views of 512 px at once, guided, no gradient."""
    with torch.no_grad():
        vae.encode(torch.rand(4, 3, 512, 512))
        latents, words = torch.rand(8, 4, 64, 64), torch.rand(8, 77, 768)
        down, middle = control(latents, torch.ones(8), words, torch.rand(8, 3, 512, 512), return_dict=False)
        unet(latents, torch.ones(8), words, down_block_additional_residuals=down, mid_block_additional_residual=middle)
        del down, middle
        vae.decode(torch.rand(4, 4, 64, 64))


def restore(network: nn.Module) -> None:
    """CodeFormer: one face of 512 px, no gradient."""
    with torch.no_grad():
        network(torch.rand(1, 3, 512, 512), weight=0.5)


def identify(network: nn.Module) -> None:
    """ArcFace: nine crops of 112 px, there and back, and the photo's."""
    network(torch.rand(9, 3, 112, 112, requires_grad=True)).sum().backward()


def perceive(network: nn.Module) -> None:
    """LPIPS on VGG16: four views of 256 px beside their targets, there and back."""
    kept, features = [], torch.rand(8, 3, 256, 256, requires_grad=True)
    for layer in network:
        features = layer(features)
        kept.append(features)
    torch.stack([one.sum() for one in kept]).sum().backward()


def train(unet: UNet2DConditionModel, text: CLIPTextModel) -> None:
    """DreamBooth: one picture of the person and one of the class, 512 px, activations kept once per block."""
    unet.enable_gradient_checkpointing()
    unet.train()
    unet(torch.rand(2, 4, 64, 64), torch.ones(2), torch.rand(2, 77, 768)).sample.sum().backward()


def slots() -> list[Slot]:
    """Return the slots of the full-size presets, in the order of a run."""
    sizes = layouts(tiny=False)

    def made(name: str, *parts: str) -> Callable[[], Sequence[nn.Module]]:
        return lambda: [sizes[name].networks[part]() for part in parts]

    def controlled() -> Sequence[nn.Module]:
        unet, vae, text = made("sd", "unet", "vae", "text_encoder")()
        return [ControlNetModel.from_unet(unet), unet, vae, text]

    def recogniser() -> Sequence[nn.Module]:
        return [IResNet(R100).eval()]

    return [
        Slot(name="DreamBooth (before step 0)", networks=made("sd", "unet", "text_encoder"), call=train,
             dtype=torch.float32, trains=True),
        Slot(name="T2I SDS, 8 views, 512 px", networks=made("sd", "unet", "vae", "text_encoder"), call=person),
        Slot(name="I2I SDS, 25 views, 256 px", networks=made("zero123", "unet", "vae", "image_encoder"), call=novel),
        Slot(name="T2V SDS, 25 frames, 320 x 576", networks=made("video", "unet", "vae", "text_encoder"), call=orbit),
        Slot(name="T2I refinement, 8 views, 512 px", networks=made("sd", "unet", "vae", "text_encoder"), call=refine),
        Slot(name="landmark ControlNet, 4 views at once, 512 px", networks=controlled, call=refine_face),
        Slot(name="CodeFormer, 1 face at once", networks=lambda: [build_codeformer()], call=restore,
             dtype=torch.float32),
        Slot(name="identity, 9 crops", networks=recogniser, call=identify, dtype=torch.float32),
        Slot(name="LPIPS (VGG16), 4 views at 256 px", networks=lambda: [vgg16().features[:30]], call=perceive,
             dtype=torch.float32),
    ]  # fmt: skip


def measured(slot: Slot) -> tuple[int, int]:
    """Return the bytes of a slot's parameters (with what training keeps beside them) and the peak of the rest."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        torch.set_default_dtype(slot.dtype)
        try:
            networks = [network.requires_grad_(slot.trains) for network in slot.networks()]
            size = sum(weight.nbytes for network in networks for weight in network.parameters())
            with LiveBytes() as live:
                slot.call(*networks)
        finally:
            torch.set_default_dtype(torch.float32)
    gradients = size if slot.trains else 0  # they are in the parameters' row
    return size * (TRAINING_FACTOR if slot.trains else 1), live.peak - gradients


def main() -> None:
    """Print the plan as Markdown."""
    print("| slot | parameters | activations | together |\n|---|---|---|---|")
    for slot in slots():
        parameters, activations = measured(slot)
        together = (parameters + activations) / GIB
        print(
            f"| {slot.name} | {parameters / GIB:.1f} GiB | {activations / GIB:.1f} GiB | {together:.1f} GiB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
