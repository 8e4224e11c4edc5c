"""RetinaFace (arXiv 1905.00641) of facexlib: the published network; boxes are decoded here, on the device.

The network sees blue, green, red in 0..255 minus their means. Each cell of its three feature maps (strides 8, 16, 32)
has two square priors; the heads give for each prior a box, two logits and five points, as offsets from it.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import torch
from attrs import frozen
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from pshead_core.api import ModelPool, PooledModel, PsheadError, Step, Views
from pshead_core.models.checkpoint import SINGLE, weights_of
from pshead_refiners_codeformer.found import Faces
from pshead_refiners_codeformer.restorer import differing

MEANS_BGR = (104.0, 117.0, 123.0)
STRIDES_PX = (8, 16, 32)
PRIORS_PX = ((16, 32), (64, 128), (256, 512))  # sides of the two priors of each stride
VARIANCES = (0.1, 0.2)  # units of the offsets of centres and points, and of the logarithm of sides
NMS_OVERLAP = 0.4  # of two boxes that overlap more (intersection over union), the better stays
_PREFIX = "module."  # the published names are those of a parallel training


@frozen(kw_only=True, eq=False)
class RetinaFaceDetector:
    """Looks for faces in each view by itself."""

    network: PooledModel
    side_px: int
    """Views are enlarged to at least this side."""
    min_score: float
    chunk_views: int | None
    """Most views per pass."""

    def find(self, views: Views, step: Step) -> Faces:
        """Return the faces of all views; `step` is not needed."""
        most = self.chunk_views or max(len(views.rgb), 1)
        with torch.no_grad():
            found = [face for part in views.rgb.split(most) for face in self._look(part)]
        points = [face[0, 5:].view(5, 2) if len(face) == 1 else face.new_zeros(5, 2) for face in found]
        count = torch.tensor([len(face) for face in found], dtype=torch.int64, device=views.rgb.device)
        return Faces(count=count, points_px=torch.stack(points) if points else views.rgb.new_zeros(0, 5, 2))

    def _look(self, rgb: Tensor) -> list[Tensor]:
        """Return the faces `[face, 15]` of each view: box, score, points, in its pixels."""
        picture, scale = enlarged(rgb, self.side_px)
        means = picture.new_tensor(MEANS_BGR)[:, None, None]
        boxes, scores, points = self.network.get()(picture.flip(1) * 255 - means)
        priors = priors_of(picture.shape[2], picture.shape[3]).to(boxes)
        rows = torch.cat([decode_boxes(boxes, priors), scores[..., 1:], decode_points(points, priors)], -1).float()
        rows[..., [*range(4), *range(5, 15)]] /= scale
        return [kept(view, self.min_score) for view in rows]


def enlarged(rgb: Tensor, side_px: int) -> tuple[Tensor, float]:
    """Return views `[view, h, w, 3]` as `[view, 3, H, W]` whose shorter side is at least `side_px`, and the factor."""
    picture = rgb.permute(0, 3, 1, 2)
    shorter = min(picture.shape[2:])
    if shorter >= side_px:
        return picture, 1.0
    scale = side_px / shorter
    size = (round(picture.shape[2] * scale), round(picture.shape[3] * scale))
    return functional.interpolate(picture, size=size, mode="bilinear", align_corners=False), scale


def priors_of(height_px: int, width_px: int) -> Tensor:
    """Return the priors `[prior, 4]`: centre x, centre y, width, height in pixels, in the order of the heads."""
    parts = []
    for stride, sides in zip(STRIDES_PX, PRIORS_PX, strict=True):
        down = (torch.arange(math.ceil(height_px / stride)) + 0.5) * stride
        across = (torch.arange(math.ceil(width_px / stride)) + 0.5) * stride
        y, x = torch.meshgrid(down, across, indexing="ij")
        cells = torch.stack([x, y], -1).reshape(-1, 1, 2).expand(-1, len(sides), 2)
        size = torch.tensor(sides, dtype=torch.float32)[None, :, None].expand(len(cells), -1, 2)
        parts.append(torch.cat([cells, size], -1).reshape(-1, 4))
    return torch.cat(parts)


def decode_boxes(offsets: Tensor, priors: Tensor) -> Tensor:
    """Return left, top, right, bottom `[view, prior, 4]`, pixels."""
    centre = priors[:, :2] + offsets[..., :2] * VARIANCES[0] * priors[:, 2:]
    half = priors[:, 2:] * (offsets[..., 2:] * VARIANCES[1]).exp() / 2
    return torch.cat([centre - half, centre + half], -1)


def decode_points(offsets: Tensor, priors: Tensor) -> Tensor:
    """Return five points `[view, prior, 10]` as x, y, x, y, ..., pixels."""
    moved = priors[:, None, :2] + offsets.unflatten(-1, (5, 2)) * VARIANCES[0] * priors[:, None, 2:]
    return moved.flatten(-2)


def kept(rows: Tensor, min_score: float) -> Tensor:
    """Return those rows `[face, 15]` that score enough and are no second sight of a better one, best first."""
    rows = rows[rows[:, 4] > min_score]
    rows = rows[rows[:, 4].argsort(descending=True, stable=True)]
    best = []
    while len(rows):
        best.append(rows[0])
        rows = rows[1:][overlap(rows[0, :4], rows[1:, :4]) <= NMS_OVERLAP]
    return torch.stack(best) if best else rows


def overlap(box: Tensor, boxes: Tensor) -> Tensor:
    """Return intersection over union `[box]` of one box `[4]` with others `[box, 4]`."""
    inner = (torch.minimum(box[2:], boxes[:, 2:]) - torch.maximum(box[:2], boxes[:, :2])).clamp_min(0).prod(1)
    return inner / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - inner)


def load_detector(
    pool: ModelPool, name: str, *, side_px: int, min_score: float, chunk: int | None
) -> RetinaFaceDetector:
    """Return the detector with the weights of a checkpoint.

    Raises:
        PsheadError: facexlib or the checkpoint is not there, or the weights are of another network.
    """
    network = pool.load(pool.checkpoint(name), SINGLE, load_network, dtype=torch.float32)
    return RetinaFaceDetector(network=network, side_px=side_px, min_score=min_score, chunk_views=chunk)


def build_retinaface() -> nn.Module:
    """Return RetinaFace with a ResNet-50, random weights; downloads nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torchvision, whose old spelling facexlib uses
            from facexlib.detection.retinaface import RetinaFace  # noqa: PLC0415 - optional

            network: nn.Module = RetinaFace(network_name="resnet50", device=torch.get_default_device())
    except ImportError as error:
        raise PsheadError(
            "the face detector RetinaFace cannot be built",
            why=str(error),
            fix="pip install 'pshead-refiners-codeformer[retinaface]', or set detector = 'landmarks'",
        ) from error
    return network


def load_network(folder: Path) -> nn.Module:
    """Return RetinaFace with the weights in a component folder."""
    files = weights_of(folder)
    tensors = {n.removeprefix(_PREFIX): t for n, t in load_file(files[0]).items()} if len(files) == 1 else {}
    with torch.device("meta"):
        network = build_retinaface()
    wanted = network.state_dict()
    wrong = differing(wanted, tensors)
    if wrong:
        raise PsheadError(
            f"{folder} does not hold RetinaFace's weights",
            why=f"{len(files)} safetensors files; {len(wrong)} of {len(wanted)} tensors differ: {', '.join(wrong[:3])}",
            fix="pshead models pull retinaface-resnet50 --convert",
        )
    network.load_state_dict(tensors, assign=True)
    return network
