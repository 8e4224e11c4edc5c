"""The recognisers: the published architecture and layout, files of all kinds, and what is said when there are none."""

import sys
import warnings

import pytest
import torch
from pshead_guidance_identity.config import IdentityConfig, local_weights
from pshead_guidance_identity.iresnet import R50, R100, IResNet, Sizes, from_state, sizes_of
from pshead_guidance_identity.prior import build
from pshead_guidance_identity.toy import TOY, toy_folder, toy_recogniser, write_folder
from pshead_guidance_identity.weights import load_pooled, load_recogniser
from torch import nn

from pshead_core.api import PsheadError
from pshead_core.models.catalogue import CATALOGUE
from pshead_core.models.pulled import Pulled, write_record
from pshead_core.testing import tiny_context, tiny_step, tiny_views


def faces(count=2, seed=0):
    return torch.rand(count, 3, 112, 112, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def parameters(sizes):
    """Count by hand: convolutions without bias, two numbers per normalised channel, one per PReLU channel."""
    total = 3 * 9 * 64 + 2 * 64 + 64
    before = 64
    for blocks, width in zip(sizes.blocks, (64, 128, 256, 512), strict=True):
        for block in range(blocks):
            first = before if block == 0 else width
            total += 2 * first + 9 * first * width + 2 * width + width + 9 * width * width + 2 * width
        total += before * width + 2 * width  # projection beside the first block
        before = width
    return total + 2 * 512 + (512 * 49 * 512 + 512) + 2 * 512


@pytest.mark.parametrize(("sizes", "millions"), [(R50, 43.59), (R100, 65.16)])
def test_published_sizes(sizes, millions):
    with torch.device("meta"):
        network = IResNet(sizes)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == parameters(sizes)
    assert round(count / 1e6, 2) == millions
    with torch.no_grad():
        assert network.eval()(torch.zeros(2, 3, 112, 112, device="meta")).shape == (2, 512)


def test_published_layout():
    """The names of arcface_torch, written down here once more, from its description."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    wanted = {"conv1.weight", "prelu.weight", "fc.weight", "fc.bias"}
    wanted |= {f"{name}.{part}" for name in ("bn1", "bn2", "features") for part in norm}
    for stage, blocks in enumerate((3, 13, 30, 3), 1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            wanted |= {f"{at}.conv1.weight", f"{at}.conv2.weight", f"{at}.prelu.weight"}
            wanted |= {f"{at}.{name}.{part}" for name in ("bn1", "bn2", "bn3") for part in norm}
        wanted |= {f"layer{stage}.0.downsample.0.weight"}
        wanted |= {f"layer{stage}.0.downsample.1.{part}" for part in norm}
    with torch.device("meta"):
        state = IResNet(R100).state_dict()
    assert set(state) == wanted
    assert state["fc.weight"].shape == (512, 25088)
    assert sizes_of(state, "r100") == R100


def test_block_is_batch_norm_first():
    """One block of the stage with a stride, computed again with functions."""
    network = toy_recogniser()
    block, x = network.layer2[0], torch.randn(2, 8, 10, 10, generator=torch.Generator().manual_seed(1))

    def norm(value, layer):
        return nn.functional.batch_norm(
            value, layer.running_mean, layer.running_var, layer.weight, layer.bias, eps=1e-5
        )

    inner = nn.functional.conv2d(norm(x, block.bn1), block.conv1.weight, padding=1)
    inner = nn.functional.prelu(norm(inner, block.bn2), block.prelu.weight)
    inner = norm(nn.functional.conv2d(inner, block.conv2.weight, padding=1, stride=2), block.bn3)
    beside = norm(nn.functional.conv2d(x, block.downsample[0].weight, stride=2), block.downsample[1])
    with torch.no_grad():
        torch.testing.assert_close(block(x), inner + beside)


def test_toy_tells_pictures_apart_and_leaves_random_state_alone():
    before = torch.get_rng_state()
    one, other = toy_recogniser(), toy_recogniser()
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        first, second = one(faces()), other(faces())
        cosine = nn.functional.cosine_similarity(one(faces(1, seed=1)), one(faces(1, seed=1).flip(3) * 0.5), dim=1)
    assert torch.equal(first, second)
    assert float(cosine) < 0.9


def test_safetensors_and_pickle_give_the_same_network(tmp_path):
    network = toy_recogniser()
    torch.save(network.state_dict(), tmp_path / "backbone.pth")
    write_folder(network.state_dict(), tmp_path / "folder")
    with torch.no_grad():
        wanted = network(faces())
        for place in ("backbone.pth", "folder", "folder/model.safetensors"):
            assert torch.equal(load_recogniser(tmp_path / place)(faces()), wanted)


def test_old_state_dicts_without_counters_load():
    state = {name: value for name, value in toy_recogniser().state_dict().items() if "num_batches" not in name}
    with torch.no_grad():
        assert torch.equal(from_state(state, "old")(faces()), toy_recogniser()(faces()))


class Malice:
    def __reduce__(self):
        return (print, ("code was run",))


def test_a_pickle_with_code_is_refused_unrun(tmp_path, capsys):
    torch.save({"conv1.weight": Malice()}, tmp_path / "backbone.pth")
    with pytest.raises(PsheadError, match="cannot be read"):
        load_recogniser(tmp_path / "backbone.pth")
    assert "code was run" not in capsys.readouterr().out


def test_wrong_weights_are_named(tmp_path):
    state = toy_recogniser().state_dict()
    with pytest.raises(PsheadError, match="does not hold an ArcFace recogniser"):
        from_state({"unet.weight": torch.zeros(1)}, "x")
    with pytest.raises(PsheadError, match="does not fit"):
        from_state({**state, "bn2.weight": torch.zeros(5)}, "x")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(PsheadError, match="not a table of named tensors"):
        load_recogniser(tmp_path / "list.pth")
    (tmp_path / "broken.safetensors").write_bytes(b"12345678901")
    with pytest.raises(PsheadError, match="damaged"):
        load_recogniser(tmp_path / "broken.safetensors")
    (tmp_path / "note.txt").write_text("hello")
    with pytest.raises(PsheadError, match="not a file of weights"):
        load_recogniser(tmp_path / "note.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PsheadError, match="no recogniser"):
        load_recogniser(tmp_path / "empty")


def test_missing_weights_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PSHEAD_MODELS", str(tmp_path / "models"))
    with pytest.raises(PsheadError) as caught:
        build(IdentityConfig(), tiny_context(tmp_path))
    assert "'auraface' are not here" in caught.value.what
    assert "pshead models pull auraface" in caught.value.fix
    with pytest.raises(PsheadError, match="no weights in"):
        build(IdentityConfig(checkpoint="./nowhere/backbone.pth"), tiny_context(tmp_path))


def test_the_core_finds_names_and_the_plugin_finds_files(tmp_path):
    assert IdentityConfig().checkpoints() == ("auraface",)
    assert IdentityConfig(checkpoint=str(toy_folder())).checkpoints() == (str(toy_folder()),)
    file = tmp_path / "backbone.pth"
    file.touch()
    assert IdentityConfig(checkpoint=str(file)).checkpoints() == ()
    assert local_weights(str(tmp_path)) == tmp_path
    assert IdentityConfig(checkpoint=str(tmp_path / "gone.onnx")).checkpoints() == (str(tmp_path / "gone.onnx"),)


def test_catalogue_names_the_permissive_recogniser():
    entry = CATALOGUE["auraface"]
    assert (entry.licence, entry.commercial) == ("Apache-2.0", True)
    assert [file.name for file in entry.files] == ["glintr100.onnx"]


def export(network, file, *, opset=13):
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # dynamo=False goes, but needs no onnxscript
        torch.onnx.export(
            network,
            (faces(1),),
            str(file),
            dynamo=False,
            opset_version=opset,
            input_names=["data"],
            output_names=["out"],
            dynamic_axes={"data": {0: "n"}, "out": {0: "n"}},
        )
    return file


class Pixels(nn.Module):
    """A recogniser that normalises pixels itself, as exports from MXNet do."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, pixels):
        return self.inner((pixels - 127.5) * 0.0078125)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Two recognisers in folders of their own."""
    root = tmp_path_factory.mktemp("packs")
    for name, network in (("unit", toy_recogniser()), ("pixels", Pixels(toy_recogniser()))):
        (root / name).mkdir()
        export(network, root / name / "recognition.onnx")
    return root


def test_onnx_gives_the_same_numbers_and_gradients(exported):
    network = toy_recogniser()
    converted = load_recogniser(exported / "unit" / "recognition.onnx").eval()
    results = []
    for one in (network, converted):
        pixels = faces(3, seed=2).requires_grad_()
        embedded = one(pixels)
        (gradient,) = torch.autograd.grad(embedded.square().sum(), pixels)
        results.append((embedded.detach(), gradient))
    (wanted, wanted_gradient), (found, gradient) = results
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    torch.testing.assert_close(gradient, wanted_gradient, rtol=1e-3, atol=1e-4 * float(wanted_gradient.abs().max()))


def test_onnx_equals_onnxruntime(exported):
    onnxruntime = pytest.importorskip("onnxruntime")
    for name in ("unit", "pixels"):
        file = exported / name / "recognition.onnx"
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        given = faces(2, seed=3)
        asked = given if name == "unit" else given * 127.5 + 127.5
        wanted = torch.from_numpy(session.run(None, {"data": asked.numpy()})[0])
        with torch.no_grad():
            found = load_recogniser(file).eval()(given)
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))


def test_graphs_with_identities_convert(exported, tmp_path):
    """Exporters that merge equal initialisers leave Identity nodes, which onnx2torch refuses."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(exported / "unit" / "recognition.onnx"))
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    node = onnx.helper.make_node("Identity", [first.input[1]], ["same_weight"])
    first.input[1] = "same_weight"
    model.graph.node.insert(0, node)
    onnx.save(model, str(tmp_path / "identity.onnx"))
    with torch.no_grad():
        found = load_recogniser(tmp_path / "identity.onnx").eval()(faces())
        torch.testing.assert_close(found, toy_recogniser()(faces()), rtol=1e-3, atol=1e-3)


def test_the_recogniser_of_a_pack_is_known_by_its_shapes(exported, tmp_path):
    pack = tmp_path / "pack"
    pack.mkdir()
    onnx = pytest.importorskip("onnx")
    detector = onnx.load(str(exported / "unit" / "recognition.onnx"))
    detector.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 192
    onnx.save(detector, str(pack / "landmarks.onnx"))
    (pack / "w.onnx").write_bytes((exported / "unit" / "recognition.onnx").read_bytes())
    with torch.no_grad():
        assert load_recogniser(pack).eval()(faces()).shape == (2, TOY.features)
    with pytest.raises(PsheadError, match="is no recogniser"):
        load_recogniser(pack / "landmarks.onnx")
    (pack / "second.onnx").write_bytes((pack / "w.onnx").read_bytes())
    with pytest.raises(PsheadError, match="several recognisers"):
        load_recogniser(pack)
    (pack / "w.onnx").write_bytes(b"not a graph")
    with pytest.raises(PsheadError, match=r"damaged|no recogniser"):
        load_recogniser(pack / "w.onnx")


def test_without_onnx2torch_the_message_says_what_to_install(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(PsheadError) as caught:
        load_recogniser(exported / "unit" / "recognition.onnx")
    assert "pshead-guidance-identity[onnx]" in caught.value.fix


def test_pulled_weights_are_found_by_their_name(exported, tmp_path, monkeypatch):
    """A folder as `pshead models pull auraface` leaves it, with a toy in place of the network."""
    monkeypatch.setenv("PSHEAD_MODELS", str(tmp_path))
    entry = CATALOGUE["auraface"]
    folder = tmp_path / "auraface" / entry.revision
    folder.mkdir(parents=True)
    (folder / "glintr100.onnx").write_bytes((exported / "unit" / "recognition.onnx").read_bytes())
    record = Pulled(
        name="auraface", repo=entry.repo, revision=entry.revision, licence=entry.licence, components={"model": ""}
    )
    write_record(folder, record)
    context = tiny_context(tmp_path / "cache")
    network = load_pooled(IdentityConfig(), context).get()
    with torch.no_grad():
        torch.testing.assert_close(network(faces()), toy_recogniser()(faces()), rtol=1e-3, atol=1e-3)
    assert context.models.checkpoint("auraface").licences == ("Apache-2.0",)


def test_onnx_pack_runs_in_the_guidance(exported, tmp_path):
    """From a file to a built guidance, in bfloat16 too."""
    config = IdentityConfig(checkpoint=str(exported / "pixels" / "recognition.onnx"), min_face_px=1.0)
    for dtype in (torch.float32, torch.bfloat16):
        prior = build(config, tiny_context(tmp_path, dtype=dtype))
        step = tiny_step(reference=tiny_views(1, view_set="reference"))
        gradient = prior.contribute(tiny_views(2, view_set="front"), step).rgb
        assert gradient.dtype == torch.float32
        assert bool(gradient.flatten(1).any(1).all())


def test_sizes_of_other_depths():
    sizes = Sizes(blocks=(2, 3, 1, 2), widths=(4, 8, 4, 8), features=6)
    assert sizes_of(IResNet(sizes).state_dict(), "x") == sizes
