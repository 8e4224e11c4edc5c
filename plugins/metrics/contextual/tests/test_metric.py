"""The formula against loops in float64, the features against torchvision's own, and how the distance behaves."""

import logging
import math

import pytest
import torch
from attrs import evolve
from pshead_metrics_contextual.config import CONVOLUTIONS, RANDOM, ContextualConfig, layers_until
from pshead_metrics_contextual.distance import contextual_distance
from pshead_metrics_contextual.metric import build
from pshead_metrics_contextual.network import random_network
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional
from torchvision.models import vgg19

from pshead_core.api import PsheadError, Views
from pshead_core.models.catalogue import CATALOGUE
from pshead_core.testing import tiny_context, tiny_views
from training.ground_truth import load_ground_truth

SMALL = {"backbone": RANDOM, "layer": "relu3_4", "side_px": 64}


def features(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) + 0.5


def by_loops(found, wanted, bandwidth):
    """Equations 1 to 4 of the paper, number by number, for one view."""
    mean = [sum(row[c] for row in wanted) / len(wanted) for c in range(len(wanted[0]))]

    def cosine(one, other):
        one, other = ([v - m for v, m in zip(row, mean, strict=True)] for row in (one, other))
        product = sum(a * b for a, b in zip(one, other, strict=True))
        return product / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))

    similar = []
    for row in found:
        distance = [1 - cosine(row, other) for other in wanted]
        weight = [math.exp((1 - d / (min(distance) + 1e-5)) / bandwidth) for d in distance]
        similar.append([w / sum(weight) for w in weight])
    best = [max(row[j] for row in similar) for j in range(len(wanted))]
    return -math.log(sum(best) / len(best) + 1e-5)


@pytest.mark.parametrize("bandwidth", [0.1, 0.5, 2.0])
def test_distance_is_the_formula(bandwidth):
    views, photo = features(3, 7, 5), features(9, 5, seed=1)
    found = contextual_distance(views, photo, bandwidth)
    wanted = [by_loops(view.tolist(), photo.tolist(), bandwidth) for view in views]
    assert found.tolist() == pytest.approx(wanted, rel=1e-9)
    assert min(wanted) > 0.1


def test_distance_ignores_places_and_is_directed():
    photo = features(20, 8)
    moved = photo[torch.randperm(20, generator=torch.Generator().manual_seed(2))]
    assert contextual_distance(moved[None], photo, 0.5).item() == 0  # -1e-5 by the formula
    half = photo[:10]
    assert contextual_distance(photo[None], half, 0.5).item() < contextual_distance(half[None], photo, 0.5).item()
    same = torch.ones(1, 16, 8) + 1e-3 * features(1, 1, 8)
    assert math.isfinite(contextual_distance(same, photo, 0.5).item())
    assert contextual_distance(torch.ones(1, 16, 8), torch.ones(16, 8), 0.5).item() == pytest.approx(math.log(16), 1e-3)


def test_layers_are_counted_as_torchvision_does():
    with torch.device("meta"):
        layers = list(vgg19(weights=None).features)
    block, convolution, seen = 1, 0, 0
    for index, layer in enumerate(layers):
        if isinstance(layer, nn.MaxPool2d):
            block, convolution = block + 1, 0
        if isinstance(layer, nn.ReLU):
            convolution, seen = convolution + 1, seen + 1
            assert layers_until(f"relu{block}_{convolution}") == index + 1
    assert seen == sum(CONVOLUTIONS) == 16
    for wrong in ("relu1_3", "relu6_1", "conv5_4"):
        with pytest.raises(ValueError, match="relu"):
            ContextualConfig(layer=wrong)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """torchvision's feature layers with random numbers, and a folder with them."""
    network = random_network(layers_until("relu5_4") + 1)
    folder = tmp_path_factory.mktemp("weights")
    (folder / "config.json").write_text("{}")
    save_file({f"features.{name}": value for name, value in network.state_dict().items()}, folder / "vgg.safetensors")
    return network, folder


@pytest.mark.parametrize(("given", "layer", "index"), [("imagenet", "relu5_4", 35), ("authors", "relu5_2", 31)])
def test_measure_is_the_formula_of_torchvisions_features(published, tmp_path, given, layer, index):
    network, folder = published
    config = ContextualConfig(backbone=str(folder), layer=layer, side_px=96, input_range=given)
    coarse = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    pictures = functional.interpolate(coarse, size=(96, 96), mode="bilinear").permute(0, 2, 3, 1)
    views = evolve(tiny_views(5, side_px=96), rgb=pictures[:5])
    photo = evolve(tiny_views(1, side_px=96, view_set="reference"), rgb=pictures[5:])
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

    def places(rgb):
        rgb = rgb * 2 - 1 if given == "authors" else rgb
        seen = ((rgb - mean) / deviation).permute(0, 3, 1, 2)
        for convolution in network[: index + 1]:
            seen = convolution(seen)
        return seen.flatten(2).permute(0, 2, 1)

    with torch.no_grad():
        wanted = places(photo.rgb)[0].tolist()
        each = [by_loops(places(view[None])[0].tolist(), wanted, 0.5) for view in views.rgb]
    found = build(config, tiny_context(tmp_path)).measure(views, photo)
    assert found == {"contextual_distance": pytest.approx(sum(each) / 5, rel=1e-4)}
    assert min(each) > 0.1
    assert config.checkpoints() == (str(folder),)


def test_pictures_are_reduced_by_area_and_enlarged_bilinearly(tmp_path):
    metric = build(ContextualConfig(**SMALL), tiny_context(tmp_path))
    large, small = tiny_views(2, side_px=128), tiny_views(2, side_px=32)
    photo = tiny_views(1, side_px=256, view_set="reference")
    halved = evolve(large, rgb=large.rgb.reshape(2, 64, 2, 64, 2, 3).mean((2, 4)))
    assert metric.measure(large, photo) == pytest.approx(metric.measure(halved, photo), rel=1e-4)
    wide = functional.interpolate(small.rgb.permute(0, 3, 1, 2), scale_factor=2, mode="bilinear", align_corners=False)
    doubled = evolve(small, rgb=wide.permute(0, 2, 3, 1))
    assert metric.measure(small, photo) == pytest.approx(metric.measure(doubled, photo), rel=1e-4)


def front_of(head):
    rgba = torch.from_numpy(head.rgba)[:1].float() / 255
    alpha = rgba[..., 3]
    rgb = rgba[..., :3] * alpha[..., None] + 1 - alpha[..., None]
    return Views(rgb=rgb, alpha=alpha, depth=alpha, cameras=head.cameras[:1], background=torch.ones(3))


def blurred(view, sigma_px):
    reach = torch.arange(-3 * sigma_px, 3 * sigma_px + 1)
    kernel = torch.exp(-(reach**2) / (2 * sigma_px**2))
    weight = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    picture = functional.pad(view.rgb.permute(0, 3, 1, 2), [3 * sigma_px] * 4, mode="replicate")
    for each in (weight, weight.transpose(2, 3)):
        picture = functional.conv2d(picture, each, groups=3)
    return evolve(view, rgb=picture.permute(0, 2, 3, 1))


def noisy(view, amount):
    return evolve(view, rgb=(view.rgb + amount * (features(*view.rgb.shape) - 0.5)).clamp(0, 1))


def shifted(view, pixels):
    return evolve(view, rgb=view.rgb.roll(pixels, 2))


def test_worse_pictures_are_farther(tmp_path):
    """14 x 14 features, as many as by default, of a random network: that much holds without trained weights."""
    heads = load_ground_truth()
    photo = front_of(heads[0])
    metric = build(ContextualConfig(backbone=RANDOM, layer="relu4_4", side_px=112), tiny_context(tmp_path))

    def distance(view):
        return metric.measure(view, photo)["untrained_contextual"]

    assert distance(photo) == 0
    for change, amounts in ((blurred, (2, 4, 8)), (noisy, (0.1, 0.2, 0.4)), (shifted, (4, 8, 16, 32, 64))):
        found = [distance(change(photo, amount)) for amount in amounts]
        assert found == sorted(found), (change.__name__, found)
        assert 0 < found[0] < 0.5 * found[-1]
    assert min(distance(front_of(head)) for head in heads[1:4]) > 0.2


def test_degenerate_pictures(tmp_path):
    metric = build(ContextualConfig(**SMALL), tiny_context(tmp_path))
    views = tiny_views(2)
    photo = tiny_views(1, view_set="reference")
    for flat in (0.0, 0.5):
        value = metric.measure(evolve(views, rgb=torch.full_like(views.rgb, flat)), photo)["untrained_contextual"]
        assert 0.5 < value < 12
    bad = evolve(views, rgb=views.rgb * math.nan)
    for arguments, words in (
        ((bad, photo), "not finite"),
        ((views, views), "one reference view"),
        ((views, None), "needs a reference"),
    ):
        with pytest.raises(PsheadError, match=words):
            metric.measure(*arguments)


def test_missing_weights_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PSHEAD_MODELS", str(tmp_path / "none"))
    assert ContextualConfig().checkpoints() == ("torchvision-vgg19",)
    assert "torchvision-vgg19" in CATALOGUE
    with pytest.raises(PsheadError) as caught:
        build(ContextualConfig(), tiny_context(tmp_path))
    assert "the weights 'torchvision-vgg19' are not here" in str(caught.value)
    assert "pshead models pull torchvision-vgg19 --convert" in str(caught.value)


def test_a_random_backbone_says_so_and_other_weights_are_refused(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        build(ContextualConfig(**SMALL), tiny_context(tmp_path))
    assert "untrained" in caplog.text
    assert ContextualConfig(**SMALL).checkpoints() == ()
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(PsheadError, match="safetensors files there are 0"):
        build(ContextualConfig(backbone=str(tmp_path)), tiny_context(tmp_path))
    save_file({"features.0.weight": torch.zeros(64, 3, 11, 11)}, tmp_path / "other.safetensors")
    with pytest.raises(PsheadError, match=r"features\.0\.weight is \[64, 3, 11, 11\], expected is \[64, 3, 3, 3\]"):
        build(ContextualConfig(backbone=str(tmp_path)), tiny_context(tmp_path))
