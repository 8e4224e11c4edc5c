"""The recogniser of ArcFace (arXiv 1801.07698), in the layout of the published state dicts of arcface_torch.

A residual network for aligned faces of 112 px: no stride at the start, batch norm before and between the convolutions
of a block, PReLU, and a fully connected layer over all 7 x 7 places instead of a pooled one. Its sizes are read off the
state dict, so that every published depth (34, 50, 100, ...) loads, and small ones for tests too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from attrs import frozen
from torch import Tensor, nn

from pshead_core.api import PsheadError

SIDE_PX = 112
"""Of an aligned face."""
_REDUCTION = 16
"""Four stages halve the side: 112 to 7."""
_EPS = 1e-5
"""Of all batch norms, as published."""
_BLOCK = re.compile(r"layer(\d)\.(\d+)\.conv1\.weight")


@frozen(kw_only=True)
class Sizes:
    """What tells one recogniser from another."""

    blocks: tuple[int, int, int, int]
    """Residual blocks of each stage."""
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    """Channels of each stage; the first is also that of the stem."""
    features: int = 512
    """Length of an embedding."""


R50 = Sizes(blocks=(3, 4, 14, 3))
R100 = Sizes(blocks=(3, 13, 30, 3))
"""The paper's."""


class Block(nn.Module):
    """Batch norm, convolution, batch norm, PReLU, convolution, batch norm; beside it the input.

    Args:
        before: channels of the input.
        width: channels of the output.
        stride: of the second convolution; where it is not 1, or the width changes, the input is projected.
    """

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(before, eps=_EPS)
        self.conv1 = nn.Conv2d(before, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width, eps=_EPS)
        self.prelu = nn.PReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width, eps=_EPS)
        self.downsample: nn.Module | None = None
        if stride != 1 or before != width:
            project = nn.Conv2d(before, width, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(project, nn.BatchNorm2d(width, eps=_EPS))

    def forward(self, x: Tensor) -> Tensor:
        """Return `[n, width, h / stride, w / stride]`."""
        beside = x if self.downsample is None else self.downsample(x)
        inner = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        found: Tensor = self.bn3(self.conv2(inner)) + beside
        return found


class IResNet(nn.Module):
    """Embeds aligned faces; the embeddings are not normalised.

    Args:
        sizes: blocks, widths, features.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        stem, last = sizes.widths[0], sizes.widths[-1]
        self.conv1 = nn.Conv2d(3, stem, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(stem, eps=_EPS)
        self.prelu = nn.PReLU(stem)
        before = (stem, *sizes.widths[:-1])
        stages = zip(before, sizes.widths, sizes.blocks, strict=True)
        self.layer1, self.layer2, self.layer3, self.layer4 = (_stage(*stage) for stage in stages)
        self.bn2 = nn.BatchNorm2d(last, eps=_EPS)
        self.fc = nn.Linear(last * (SIDE_PX // _REDUCTION) ** 2, sizes.features)
        self.features = nn.BatchNorm1d(sizes.features, eps=_EPS)

    def forward(self, faces: Tensor) -> Tensor:
        """Return embeddings `[n, features]` of aligned faces `[n, 3, 112, 112]`, RGB in [-1, 1]."""
        x = self.prelu(self.bn1(self.conv1(faces)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        found: Tensor = self.features(self.fc(self.bn2(x).flatten(1)))
        return found


def _stage(before: int, width: int, blocks: int) -> nn.Sequential:
    first = Block(before, width, 2)
    return nn.Sequential(first, *(Block(width, width, 1) for _ in range(blocks - 1)))


def sizes_of(state: Mapping[str, Tensor], source: str) -> Sizes:
    """Return the sizes of the recogniser that a state dict belongs to.

    Args:
        state: as published.
        source: of the state dict, for messages.

    Raises:
        PsheadError: it is not the state dict of such a recogniser.
    """
    blocks = [0, 0, 0, 0]
    for name in state:
        found = _BLOCK.fullmatch(name)
        if found is not None and 1 <= int(found[1]) <= len(blocks):
            blocks[int(found[1]) - 1] += 1
    firsts = [f"layer{stage}.0.conv1.weight" for stage in range(1, 5)]
    if 0 in blocks or "fc.weight" not in state or not all(name in state for name in firsts):
        shown = ", ".join(sorted(state)[:4]) or "none"
        raise PsheadError(
            f"{source} does not hold an ArcFace recogniser",
            why=f"tensors such as {firsts[0]} and fc.weight are not in it; it has: {shown}",
            fix="name backbone.pth of arcface_torch (iresnet50, iresnet100), or an ONNX recogniser",
        )
    one, two, three, four = blocks
    a, b, c, d = (int(state[name].shape[0]) for name in firsts)
    return Sizes(blocks=(one, two, three, four), widths=(a, b, c, d), features=int(state["fc.weight"].shape[0]))


def from_state(state: Mapping[str, Tensor], source: str) -> IResNet:
    """Return the recogniser with the tensors of a state dict, float32, in eval mode.

    Raises:
        PsheadError: a tensor is missing, foreign, or of another shape.
    """
    sizes = sizes_of(state, source)
    with torch.device("meta"):
        network = IResNet(sizes)
    network = network.to_empty(device="cpu")
    try:
        network.load_state_dict({name: value.float() for name, value in state.items()})
    except RuntimeError as error:
        why = " ".join(str(error).split())[:300]
        what = f"{source} does not fit the recogniser that it looks like"
        raise PsheadError(what, why=why, fix="fetch or export it again") from error
    return network.eval()
