"""The small network in CodeFormer's place: what its fidelity means, and what its loader refuses."""

import json

import pytest
import torch
from pshead_refiners_codeformer.config import CodeFormerConfig
from pshead_refiners_codeformer.mini import MiniConfig, MiniRestorer, load_mini
from pshead_refiners_codeformer.prior import build
from pshead_refiners_codeformer.restorer import load_network, load_restorer
from safetensors.torch import save_file

from pshead_core.api import ModelPool, PsheadError
from pshead_core.testing import tiny_context, tiny_step

from .conftest import part

SMALL = MiniConfig(side_px=64, widths=(4, 6, 8))


def drawn(config=SMALL):
    """Return a network that changes something: the fresh one's last layers are zero."""
    network = MiniRestorer(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(0.1 * torch.randn(value.shape, generator=generator))
    return network


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "mini"
    root.mkdir()
    save_file({name: value.half() for name, value in drawn().state_dict().items()}, root / "model.safetensors")
    (root / "config.json").write_text(json.dumps(SMALL.facts()))
    return root


@pytest.fixture
def crops():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_fresh_network_changes_nothing(crops):
    with torch.no_grad():
        (found,) = MiniRestorer(SMALL)(crops)
    assert torch.equal(found, crops)


def test_fidelity_goes_straight_from_the_answer_to_the_crop(crops):
    network = drawn()
    with torch.no_grad():
        answer, half, same = (network(crops, weight=weight)[0] for weight in (0.0, 0.5, 1.0))
    assert float((answer - crops).abs().max()) > 0.05
    assert torch.equal(same, crops)
    torch.testing.assert_close(half, (answer + crops) / 2)


def test_a_change_reaches_across_the_face(crops):
    """One pixel is seen 20 px away: the third level's convolutions reach that far."""
    network = drawn()
    other = crops.clone()
    other[:, :, 32, 32] += 1
    with torch.no_grad():
        change = (network(other)[0] - network(crops)[0]).abs().amax((0, 1))
    assert float(change[32, 12]) > 0
    assert float(change[32, 32]) > 0.5


def test_shipped_size_is_small():
    count = sum(value.numel() for value in MiniRestorer(MiniConfig()).parameters())
    first, second, third = MiniConfig().widths
    by_hand = (12 * 9 + 1) * first + (first * 9 + 1) * second + (second * 9 + 1) * third + (third * 9 + 1) * second
    by_hand += (second * 9 + 1) * first + (first * 9 + 1) * 12
    by_hand += 4 * (first * 9 + 1) * first + 4 * (second * 9 + 1) * second + 2 * (third * 9 + 1) * third
    assert count == by_hand < 1.5e6


def test_the_loader_gives_the_stored_network_and_its_side(folder, crops):
    loaded = load_network(folder)
    assert type(loaded) is MiniRestorer
    with torch.no_grad():
        torch.testing.assert_close(loaded(crops)[0], drawn()(crops)[0], atol=5e-3, rtol=0)
    restorer = load_restorer(ModelPool(device=torch.device("cpu"), dtype=torch.float32), str(folder), 0.25)
    assert (restorer.side_px, restorer.fidelity) == (64, 0.25)


def test_it_runs_in_the_refiner(folder, tmp_path, portrait, views):
    config = CodeFormerConfig(checkpoint=str(folder), detector="landmarks", fidelity=0.0)
    refiner = build(config, tiny_context(tmp_path / "cache", portrait=portrait))
    front = part(views, [0])
    found = refiner.refine(front, tiny_step(reference=front))
    assert float(found.weight.max()) > 0.99
    assert float((found.rgb - front.rgb).abs().max()) > 0.02
    assert torch.equal(found.rgb[:, :8], front.rgb[:, :8]), "above the crop nothing changes"


@pytest.mark.parametrize(
    ("facts", "words"),
    [({}, "widths"), ({"widths": [4, 6]}, "unpack"), ({"widths": [4, 6, 8], "side_px": 2}, "side_px")],
)
def test_a_configuration_that_describes_none_is_refused(folder, facts, words):
    (folder / "config.json").write_text(json.dumps({"_class_name": "MiniRestorer", **facts}))
    with pytest.raises(PsheadError, match=rf"describes no MiniRestorer[\s\S]*{words}"):
        load_mini(folder)


def test_weights_of_another_network_are_refused(folder):
    (folder / "config.json").write_text(json.dumps(MiniConfig(side_px=64, widths=(4, 6, 9)).facts()))
    with pytest.raises(PsheadError, match=r"does not fit its config.json[\s\S]*size mismatch"):
        load_mini(folder)
    (folder / "model.safetensors").write_bytes(b"12345678901")
    with pytest.raises(PsheadError, match="does not fit"):
        load_mini(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(PsheadError, match="one safetensors file is wanted"):
        load_mini(folder)
