"""The metric against the package's own forward pass; the backbones are random numbers in torchvision's layout."""

import logging
import warnings

import lpips
import pytest
import torch
from attrs import evolve
from pshead_metrics_lpips.config import PUBLISHED, RANDOM, LpipsConfig
from pshead_metrics_lpips.metric import build
from safetensors.torch import save_file
from torchvision import models

from pshead_core.api import DifferentiableMetric, PsheadError
from pshead_core.models.catalogue import CATALOGUE
from pshead_core.testing import tiny_context, tiny_views

TORCHVISION = {"alex": models.alexnet, "squeeze": models.squeezenet1_1, "vgg": models.vgg16}


def _backbone(net):
    """torchvision's own network with its own random start; of vgg only the features, its classifier is large."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        with torch.device("meta") if net == "vgg" else torch.device("cpu"):
            network = TORCHVISION[net](weights=None)
        return network.features.to_empty(device="cpu").apply(_start) if net == "vgg" else network


def _start(layer):
    if isinstance(layer, torch.nn.Conv2d):
        layer.reset_parameters()


def _save(network, folder):
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    prefix = "" if hasattr(network, "features") else "features."
    save_file(
        {prefix + name: value.contiguous() for name, value in network.state_dict().items()}, folder / "a.safetensors"
    )


@pytest.fixture(params=["alex", "squeeze", "vgg"])
def case(request, tmp_path):
    """A metric that was built from a folder, and the package's own module with the same backbone put in by hand."""
    net = request.param
    network = _backbone(net)
    _save(network, tmp_path / "weights")
    config = LpipsConfig(net=net, backbone=str(tmp_path / "weights"))
    metric = build(config, tiny_context(tmp_path))
    features = network.features if hasattr(network, "features") else network
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        if net == "vgg":  # the package would start the classifier, a hundred million numbers, only to drop it
            return net, metric, _package_by_hand(features)
        package = lpips.LPIPS(pretrained=True, pnet_rand=True, net=net, verbose=False)
    for _, layers in package.net.named_children():
        for index, layer in layers.named_children():
            layer.load_state_dict(features[int(index)].state_dict())
    return net, metric, package


def _package_by_hand(features):
    """The paper's equation 1 for vgg: unit features, squared differences, the heads' weights, means over pixels."""
    heads = torch.load(f"{lpips.__path__[0]}/weights/v0.1/vgg.pth", weights_only=True, map_location="cpu")
    shift = torch.tensor([-0.030, -0.088, -0.188])[:, None, None]
    scale = torch.tensor([0.458, 0.448, 0.450])[:, None, None]

    def forward(one, other, normalize):
        assert normalize
        one, other = ((2 * picture - 1 - shift) / scale for picture in (one, other))
        total, taps = 0, (3, 8, 15, 22, 29)  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3
        for index, layer in enumerate(features):
            one, other = layer(one), layer(other)
            if index in taps:
                difference = functional_normalize(one) - functional_normalize(other)
                head = heads[f"lin{taps.index(index)}.model.1.weight"]
                total = total + (difference**2 * head[0]).sum(1, keepdim=True).mean((2, 3), keepdim=True)
        return total

    return forward


def functional_normalize(picture):
    return torch.nn.functional.normalize(picture, dim=1, eps=1e-10)


def _pictures(side_px=64):
    generator = torch.Generator().manual_seed(0)
    views = tiny_views(2, side_px=side_px)
    return views.rgb, (views.rgb + 0.2 * torch.randn(views.rgb.shape, generator=generator)).clamp(0, 1)


def test_distance_and_its_gradient_are_the_packages(case):
    net, metric, package = case
    true, shown = _pictures()
    ours, theirs = shown.clone().requires_grad_(), shown.clone().requires_grad_()
    found = metric.distance(ours, true)
    wanted = package(theirs.permute(0, 3, 1, 2), true.permute(0, 3, 1, 2), normalize=True).flatten()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-7)
    assert float(found.detach().min()) > 1e-4
    found.sum().backward()
    wanted.sum().backward()
    assert (ours.grad - theirs.grad).norm() <= 1e-3 * theirs.grad.norm()
    assert theirs.grad.norm() > 0
    measured = metric.measure(evolve(tiny_views(2, side_px=64), rgb=shown), tiny_views(2, side_px=64))
    assert measured == {f"lpips_{net}": pytest.approx(wanted.mean().item(), rel=1e-4)}


def test_side_px_reduces_by_area_and_never_enlarges(tmp_path):
    whole, small = (build(LpipsConfig(backbone=RANDOM, side_px=side), tiny_context(tmp_path)) for side in (None, 32))
    true, shown = _pictures(64)

    def halved(rgb):  # the mean of each 2 x 2 pixels
        return rgb.reshape(2, 32, 2, 32, 2, 3).mean((2, 4))

    torch.testing.assert_close(small.distance(shown, true), whole.distance(halved(shown), halved(true)))
    torch.testing.assert_close(small.distance(halved(shown), halved(true)), whole.distance(halved(shown), halved(true)))


def test_a_random_backbone_is_named_so_and_says_so(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        metric = build(LpipsConfig(backbone=RANDOM), tiny_context(tmp_path))
    assert "untrained" in caplog.text
    views = tiny_views(1)
    assert metric.measure(views, views) == {"untrained_alex": 0.0}
    assert LpipsConfig(backbone=RANDOM).checkpoints() == ()
    assert isinstance(metric, DifferentiableMetric)


def test_missing_weights_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PSHEAD_MODELS", str(tmp_path / "none"))
    for net, name in PUBLISHED.items():
        assert name in CATALOGUE
        with pytest.raises(PsheadError) as caught:
            build(LpipsConfig(net=net), tiny_context(tmp_path))
        assert f"the weights '{name}' are not here" in str(caught.value)
        assert f"pshead models pull {name} --convert" in str(caught.value)


def test_another_networks_weights_are_refused(tmp_path):
    _save(_backbone("squeeze"), tmp_path / "weights")
    with pytest.raises(PsheadError, match="no backbone 'alex'") as caught:
        build(LpipsConfig(net="alex", backbone=str(tmp_path / "weights")), tiny_context(tmp_path))
    assert "features.0.weight is [64, 3, 3, 3], expected is [64, 3, 11, 11]" in str(caught.value)
