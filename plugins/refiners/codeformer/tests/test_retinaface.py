"""RetinaFace with random weights: decoding and suppression against facexlib's own, and how many faces a view has."""

import warnings
from types import SimpleNamespace

import pytest
import torch
from attrs import evolve
from pshead_refiners_codeformer.retinaface import (
    RetinaFaceDetector,
    build_retinaface,
    decode_boxes,
    enlarged,
    kept,
    load_network,
    overlap,
    priors_of,
)
from safetensors.torch import save_file

from pshead_core.api import PsheadError
from pshead_core.testing import tiny_step, tiny_views


@pytest.fixture(scope="module")
def network():
    pytest.importorskip("facexlib", reason="the extra `retinaface` is not installed")
    torch.manual_seed(3)
    network = build_retinaface().eval()
    tame(network)
    return network


def tame(network):
    """Make the heads' answers about 1: random weights without normalisation let scores saturate and boxes overflow."""
    heads = (network.BboxHead, network.ClassHead, network.LandmarkHead)
    outputs = []
    hooks = [
        part.conv1x1.register_forward_hook(lambda module, _, out: outputs.append((module, out.std())))
        for head in heads
        for part in head
    ]
    with torch.no_grad():
        network(torch.rand(1, 3, 64, 64) * 255 - 110)
        for module, spread in outputs:
            module.weight /= spread
            module.bias /= spread
    for hook in hooks:
        hook.remove()


def detector(network, side_px=64, min_score=0.97, chunk=None):
    pooled = SimpleNamespace(get=lambda: network)
    return RetinaFaceDetector(network=pooled, side_px=side_px, min_score=min_score, chunk_views=chunk)


def views_of(rgb):
    return evolve(tiny_views(len(rgb), side_px=rgb.shape[1]), rgb=rgb)


def test_faces_are_those_of_facexlib(network):
    """The same network with random weights, and a threshold that some of its many boxes pass."""
    rgb = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = network.detect_faces(rgb[0].flip(-1).numpy() * 255, conf_threshold=0.0)
        best = torch.tensor(every[:, 4]).sort(descending=True).values
        threshold = float(best[5] + best[6]) / 2
        wanted = network.detect_faces(rgb[0].flip(-1).numpy() * 255, conf_threshold=threshold)
        (found,) = detector(network, side_px=64, min_score=threshold)._look(rgb)
    assert 1 < len(wanted) == len(found) < len(every)
    torch.testing.assert_close(found, torch.from_numpy(wanted).float(), atol=1e-2, rtol=1e-4)


def test_small_views_are_enlarged_and_points_come_back_in_their_pixels(network):
    rgb = torch.rand(2, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    picture, scale = enlarged(rgb, 64)
    assert (picture.shape, scale) == ((2, 3, 64, 64), 2.0)
    with torch.no_grad():
        small = detector(network, side_px=64, min_score=0.6)._look(rgb)
        large = detector(network, side_px=64, min_score=0.6)._look(picture.permute(0, 2, 3, 1))
    assert min(len(faces) for faces in small) > 1
    for a, b in zip(small, large, strict=True):
        torch.testing.assert_close(a[:, 4], b[:, 4], atol=1e-5, rtol=0)
        torch.testing.assert_close(a[:, 5:] * 2, b[:, 5:], atol=1e-3, rtol=0)


class Scripted:
    """A network that sees faces where a test wants them: per view a list of (prior, score)."""

    def __init__(self, faces):
        self.faces = iter(faces)

    def __call__(self, picture):
        count, priors = len(picture), len(priors_of(*picture.shape[2:]))
        scores = torch.zeros(count, priors, 2)
        for row in scores:
            for prior, score in next(self.faces):
                row[prior, 1] = score
        return torch.zeros(count, priors, 4), scores, torch.zeros(count, priors, 10)


def test_none_one_two_and_one_seen_twice():
    """Priors of 64 px: 1 and 3 are large neighbours in the first row and overlap by half; 0 and 40 do not touch."""
    script = [[], [(40, 0.99)], [(0, 0.99), (40, 0.98)], [(1, 0.98), (3, 0.99)], [(40, 0.9)]]
    for chunk in (None, 2):
        found = detector(Scripted(script), chunk=chunk).find(views_of(torch.zeros(5, 64, 64, 3)), tiny_step())
        assert found.count.tolist() == [0, 1, 2, 1, 0]
        priors = priors_of(64, 64)
        torch.testing.assert_close(found.points_px[1], priors[40, :2].expand(5, 2))
        torch.testing.assert_close(found.points_px[3], priors[3, :2].expand(5, 2))  # the better of the two


def test_suppression_keeps_the_better_of_overlapping_boxes():
    boxes = decode_boxes(
        torch.zeros(1, 4, 4), torch.tensor([[8.0, 8, 8, 8], [9, 8, 8, 8], [20, 8, 8, 8], [8, 8, 8, 8]])
    )
    torch.testing.assert_close(overlap(boxes[0, 0], boxes[0]), torch.tensor([1.0, 7 / 9, 0.0, 1.0]))
    rows = torch.cat([boxes[0], torch.tensor([[0.98], [0.99], [0.975], [0.5]]), torch.zeros(4, 10)], 1)
    assert kept(rows, 0.97)[:, 4].tolist() == pytest.approx([0.99, 0.975])


def test_weights_of_a_parallel_training_load(network, tmp_path):
    save_file({f"module.{name}": tensor for name, tensor in network.state_dict().items()}, tmp_path / "d.safetensors")
    loaded = load_network(tmp_path)
    assert sum(parameter.numel() for parameter in loaded.parameters()) == pytest.approx(27.3e6, rel=0.01)
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])


def test_other_weights_are_refused(network, tmp_path):
    save_file({"module.body.conv1.weight": torch.zeros(1)}, tmp_path / "d.safetensors")
    with pytest.raises(PsheadError, match="pull retinaface-resnet50 --convert"):
        load_network(tmp_path)
