"""The real architecture, once with (random) weights from a file, elsewhere without; folders that hold no restorer."""

import json
from pathlib import Path

import pytest
import torch
from attrs import evolve
from pshead_refiners_codeformer.config import CodeFormerConfig
from pshead_refiners_codeformer.found import USED
from pshead_refiners_codeformer.prior import build
from pshead_refiners_codeformer.restorer import CODEFORMER_SIDE_PX, build_codeformer, load_network, load_restorer
from safetensors.torch import save_file

from pshead_core.api import ModelPool, PsheadError
from pshead_core.models.convert import convert_pickle
from pshead_core.testing import tiny_context, tiny_step

from .conftest import part


def folder_of(root: Path, **config: object) -> Path:
    (root / "config.json").write_text(json.dumps({"_class_name": "CodeFormer", **config}))
    return root


def test_architecture_has_the_published_size():
    with torch.device("meta"):
        network = build_codeformer()
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(94.11e6, abs=5e3)
    assert len(network.state_dict()) == 515
    assert network.position_emb.shape == (16 * 16, 512)  # hence 512 px, and no other size
    assert CODEFORMER_SIDE_PX == 16 * 2**5


@pytest.mark.slow
@pytest.mark.timeout(600)  # one forward is 13-20 s on two free cores
def test_one_view_end_to_end_with_the_real_architecture(tmp_path, portrait, views):
    """Random weights in the published file's form: converted, loaded, and asked about one view. What comes out is no
    better face; that it is a picture, made from the view by this network and pasted where the face is, is what counts.
    """
    torch.manual_seed(0)  # the library's constructors draw
    network = build_codeformer().eval()
    torch.save({"params_ema": network.state_dict()}, tmp_path / "codeformer.pth")
    convert_pickle(tmp_path / "codeformer.pth", "params_ema")
    config = CodeFormerConfig(checkpoint=str(folder_of(tmp_path)), detector="landmarks")
    refiner = build(config, tiny_context(tmp_path / "cache", portrait=portrait))
    loaded = refiner.restorer.network.get()
    assert all(
        torch.equal(a, b) for a, b in zip(loaded.state_dict().values(), network.state_dict().values(), strict=True)
    )
    seen = []
    loaded.register_forward_hook(lambda _, given, named, out: seen.append((given[0], named, out[0])), with_kwargs=True)
    front = part(views, [0])
    found = refiner.refine(front, tiny_step(reference=front))
    assert refiner.tally.counts == {USED: 1}
    ((given, named, answer),) = seen
    assert given.shape == answer.shape == (1, 3, 512, 512)
    assert -1 <= float(given.min()) < -0.3, "the network is given -1..1"
    assert named == {"weight": 0.5}
    assert float((found.rgb - front.rgb).abs().max()) > 0.05
    assert torch.equal(found.rgb[:, :8], front.rgb[:, :8]), "above the crop nothing changes"
    assert bool(found.rgb.isfinite().all())


def test_other_weights_are_refused(tmp_path):
    save_file({"conv_first.weight": torch.zeros(4)}, tmp_path / "model.safetensors")
    with pytest.raises(PsheadError, match=r"not CodeFormer's[\s\S]*516 of 515"):
        load_network(folder_of(tmp_path))


def test_a_folder_without_weights_says_how_to_get_them(tmp_path):
    with pytest.raises(PsheadError, match="pull codeformer --convert"):
        load_network(folder_of(tmp_path))


def test_another_kind_of_network_is_refused(tmp_path):
    with pytest.raises(PsheadError, match="GFPGAN"):
        load_network(folder_of(tmp_path, _class_name="GFPGAN"))


def test_missing_weights_name_licence_and_command(tmp_path, monkeypatch):
    monkeypatch.setenv("PSHEAD_MODELS", str(tmp_path))
    pool = ModelPool(device=torch.device("cpu"), dtype=torch.float32)
    with pytest.raises(PsheadError, match=r"S-Lab License[\s\S]*no commercial use[\s\S]*pull codeformer --convert"):
        load_restorer(pool, "codeformer", 0.5)


def test_toy_is_a_toy(built, views):
    """Its change is what a sharpening mask of 5 pixels adds, nothing that knows of faces."""
    crops = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    refiner = built()
    found = refiner.restorer.restore(crops)
    mean = crops[:, 10:15, 20:25].mean((1, 2))
    torch.testing.assert_close(found[:, 12, 22], crops[:, 12, 22] + 0.5 * (crops[:, 12, 22] - mean), atol=1e-5, rtol=0)
    assert evolve(refiner.restorer, fidelity=1.0).restore(crops).sub(crops).abs().max() < 1e-6
