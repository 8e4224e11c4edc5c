"""Publishing: tiny stand-ins in the layout of the miniature checkpoints are shipped, loaded, tampered with, carded."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from pshead_core.errors import PsheadError
from pshead_core.models.files import component_folder, verify_checkpoint, verify_folder
from tests.training.mini_stand_ins import NAMES, ON_PIXELS, write_stand_ins

mini = pytest.importorskip("pshead_checkpoints_mini")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of diffusers and what it imports
    diffusers = pytest.importorskip("diffusers", reason="needs diffusers (training/requirements.txt)")
    transformers = pytest.importorskip("transformers", reason="needs transformers (training/requirements.txt)")
    from huggingface_hub import ModelCard

    from training.publish.layout import LAYOUT
    from training.publish.place import publish

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
SPECS = {spec.name: spec for spec in mini.pshead_checkpoints()}
FACTS = {
    "data": {"heads": {"makehuman": 5000, "sdf": 5000}, "first seed": 0},
    "training": {"steps": 20000, "images_seen": 640000, "core_hours": 3.25},
    "makehuman": {"copy of the front": {"psnr_db": 13.345678}, "25-step samples": {"psnr_db": 19.1, "heads": 64}},
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """What the trainings would have exported, tiny."""
    folder = tmp_path_factory.mktemp("exported")
    write_stand_ins(folder)
    return folder


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    for name in NAMES:
        (folder / f"{name}.json").write_text(json.dumps(FACTS))
        Image.new("RGB", (64, 48), "teal").save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def shipped(exported, figures, tmp_path_factory):
    """The stand-ins, published once; to be read only."""
    data = tmp_path_factory.mktemp("shipped") / "data"
    publish(exported, data, figures)
    return data


@pytest.fixture
def data(shipped, tmp_path, monkeypatch):
    """A copy of them in the place of the distribution's own."""
    shutil.copytree(shipped, tmp_path / "data")
    monkeypatch.setattr(mini, "DATA", tmp_path / "data")
    return tmp_path / "data"


def copy_of(exported, tmp_path):
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def refusal(call, *arguments, **options):
    with pytest.raises(PsheadError) as caught:
        call(*arguments, **options)
    assert caught.value.fix
    return str(caught.value)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- the distribution ------------------------------------------------------------------------------------------------


def test_without_weights_the_message_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(mini, "DATA", tmp_path)
    for spec in SPECS.values():
        message = refusal(spec.folder)
        assert message.startswith("the miniature checkpoints are not there\n  why: ")
        assert str(tmp_path) in message
        assert "are not there" in refusal(verify_checkpoint, spec)


@pytest.mark.parametrize("name", [f"mini/{name}" for name in NAMES if name != "vae" and name not in ON_PIXELS])
def test_every_component_loads_by_its_stock_class(data, name):
    from training.zero123.projection import CLIPCameraProjection

    classes = {
        "vae": diffusers.AutoencoderKL,
        "unet": diffusers.UNet3DConditionModel if name == "mini/video" else diffusers.UNet2DConditionModel,
        "controlnet": diffusers.ControlNetModel,
        "text_encoder": transformers.CLIPTextModel,
        "image_encoder": transformers.CLIPVisionModelWithProjection,
        "clip_camera_projection": CLIPCameraProjection,
        "tokenizer": transformers.CLIPTokenizer,
        "feature_extractor": transformers.CLIPImageProcessor,
        "scheduler": diffusers.DDIMScheduler,
    }
    spec = SPECS[name]
    assert verify_checkpoint(spec) > 0
    for component, place in spec.components:
        loaded = classes[component].from_pretrained(component_folder(spec, component))
        by_subfolder = classes[component].from_pretrained(data, subfolder=place)
        if isinstance(loaded, torch.nn.Module):
            path = next((data / place).glob("*.safetensors"))
            total = sum(value.numel() for value in load_file(path).values())
            assert sum(value.numel() for value in loaded.state_dict().values()) == total
            assert sum(value.numel() for value in by_subfolder.parameters()) > 0
    if "scheduler" in dict(spec.components):
        schedule = diffusers.DDIMScheduler.from_pretrained(component_folder(spec, "scheduler"))
        assert schedule.config.prediction_type == "sample"


def test_recogniser_and_restorer_load_by_their_plugins(data):
    """Through the pool, by name, as a run finds them; every tensor is that of the file."""
    from pshead_guidance_identity.config import IdentityConfig
    from pshead_guidance_identity.weights import load_pooled
    from pshead_refiners_codeformer.restorer import load_restorer

    from pshead_core.testing import tiny_context

    context = tiny_context(data.parent / "cache")
    recogniser = load_pooled(IdentityConfig(checkpoint="mini/identity"), context).get()
    restorer = load_restorer(context.models, "mini/face-restorer", 0.0)
    assert restorer.side_px == 32
    for name, network in (("identity", recogniser), ("face-restorer", restorer.network.get())):
        assert dict(SPECS[f"mini/{name}"].components) == {"model": name}
        stored, found = load_file(data / name / "model.safetensors"), network.state_dict()
        assert stored.keys() == found.keys()
        assert all(torch.equal(found[key], value.to(found[key].dtype)) for key, value in stored.items())


def test_specs_and_layout_name_the_same_components(data):
    own = {f"mini/{name}": set(parts) for name, parts in LAYOUT.items() if "unet" in parts}
    for name, parts in own.items():
        assert {component for component, _ in SPECS[name].components} == parts | {"vae"}
    assert set(SPECS) == {*own, "mini/landmark-controlnet", *(f"mini/{name}" for name in ON_PIXELS)}


def test_a_wheel_carries_the_weights(shipped, tmp_path):
    root = Path(__file__).resolve().parents[2] / "plugins/checkpoints/mini"
    copy = shutil.copytree(root, tmp_path / "mini", ignore=shutil.ignore_patterns("data", "*.egg-info", "__pycache__"))
    shutil.copytree(shipped, copy / "pshead_checkpoints_mini/data")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(copy)], check=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as archive:
        prefix = "pshead_checkpoints_mini/data/"
        packed = {name.removeprefix(prefix): archive.read(name) for name in archive.namelist() if prefix in name}
        entry_points = archive.read(next(name for name in archive.namelist() if name.endswith("entry_points.txt")))
    assert packed == {path.as_posix(): content for path, content in contents(shipped).items()}
    assert b"[pshead.checkpoints]" in entry_points
    assert b"mini/landmark-controlnet = pshead_checkpoints_mini" in entry_points


def test_shipped_weights_are_what_was_published():
    present = [name for name in NAMES if (mini.DATA / name).is_dir()]
    if not present:
        pytest.skip("the distribution holds no weights yet")
    for name in present:
        assert verify_folder(mini.DATA / name) > 0
    assert sum(map(len, contents(mini.DATA).values())) <= 80e6


# ---- publishing ------------------------------------------------------------------------------------------------------


def test_publishing_copies_every_file_and_leaves_nothing_else(exported, shipped):
    added = {Path(name) / file for name in NAMES for file in ("README.md", "contact_sheet.webp", "checksums.json")}
    before, after = contents(exported), contents(shipped)
    assert set(after) == set(before) | added
    assert all(after[path] == content for path, content in before.items())
    checksums = json.loads((shipped / "vae/checksums.json").read_text())
    entry = checksums["files"]["diffusion_pytorch_model.safetensors"]
    tensors = load_file(exported / "vae/diffusion_pytorch_model.safetensors")
    assert entry["tensors"] == {name: f"F16{list(value.shape)}" for name, value in sorted(tensors.items())}


def test_a_subset_replaces_only_itself(exported, data, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(exported / "sd", part / "sd")
    config = part / "sd/scheduler/scheduler_config.json"
    config.write_text(config.read_text().replace('"sample"', '"epsilon"'))
    before = contents(data)
    done = publish(part, data)
    after = contents(data)
    changed = {path.as_posix() for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert done.names == ("sd",)
    assert changed == {
        "sd/scheduler/scheduler_config.json",
        "sd/README.md",
        "sd/checksums.json",
        "sd/contact_sheet.webp",
    }
    assert done.total_bytes == sum(map(len, after.values()))


def drop_tensor(copy):
    path = copy / "sd/unet/diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    del tensors["conv_in.bias"]
    save_file(tensors, path)


def add_tensor(copy):
    path = copy / "sd/text_encoder/model.safetensors"
    save_file(
        {**load_file(path), "foreign.weight": torch.ones(2, dtype=torch.float16)}, path, metadata={"format": "pt"}
    )


def reshape_tensor(copy):
    path = copy / "zero123/clip_camera_projection/diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "proj.weight": tensors["proj.weight"].T.contiguous()}, path)


def widen_tensors(copy):
    path = copy / "landmark-controlnet/diffusion_pytorch_model.safetensors"
    save_file({name: value.float() for name, value in load_file(path).items()}, path)


def drop_from_recogniser(copy):
    path = copy / "identity/model.safetensors"
    save_file({name: value for name, value in load_file(path).items() if name != "bn2.bias"}, path)


def reshape_in_restorer(copy):
    path = copy / "face-restorer/model.safetensors"
    save_file({**load_file(path), "stem.bias": torch.zeros(5, dtype=torch.float16)}, path)


def name_a_folder(copy):
    path = copy / "video/text_encoder/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "_name_or_path": "/somewhere/sd"}))


def truncate(copy):
    path = copy / "video/unet/diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (drop_tensor, ["sd/unet does not load as UNet2DConditionModel", "conv_in.bias"]),
        (add_tensor, ["sd/text_encoder does not load as CLIPTextModel", "unexpected", "foreign.weight"]),
        (reshape_tensor, ["clip_camera_projection does not load as CLIPCameraProjection", "proj.weight"]),
        (widen_tensors, ["landmark-controlnet", "is F32", "shipped as F16"]),
        (drop_from_recogniser, ["identity/model.safetensors does not fit", "bn2.bias"]),
        (reshape_in_restorer, ["face-restorer/model.safetensors does not fit its config.json", "stem.bias"]),
        (name_a_folder, ["video/text_encoder/config.json names a folder of this machine"]),
        (truncate, ["video/unet", "truncated"]),
        (lambda copy: shutil.rmtree(copy / "video/tokenizer"), ["video/tokenizer", "the folder is not there"]),
        (lambda copy: (copy / "sd/unet/config.json").unlink(), ["sd/unet does not load"]),
        (
            lambda copy: (copy / "sd/unet/pytorch_model.bin").write_bytes(b"\x80"),
            ["pytorch_model.bin is not published"],
        ),
    ],
)
def test_what_does_not_load_is_refused_and_nothing_changes(exported, tmp_path, break_it, words):
    copy = copy_of(exported, tmp_path)
    break_it(copy)
    data = tmp_path / "data"
    (data / "sd").mkdir(parents=True)
    (data / "sd/old.txt").write_text("as it was")
    message = refusal(publish, copy, data)
    assert all(word in message for word in words), message
    assert contents(data) == {Path("sd/old.txt"): b"as it was"}


def test_too_large_is_refused(exported, data):
    before = contents(data)
    message = refusal(publish, exported, data, most_bytes=1000)
    assert "too large" in message
    assert "more than 0.001 MB" in message
    assert contents(data) == before


def test_priors_keep_their_autoencoder(exported, data, tmp_path):
    part = tmp_path / "part"
    shutil.copytree(exported / "vae", part / "vae")
    publish(part, data)  # the same one
    path = part / "vae/diffusion_pytorch_model.safetensors"
    save_file({name: value * 2 for name, value in load_file(path).items()}, path)
    assert "the autoencoder is another one" in refusal(publish, part, data)
    alone = tmp_path / "alone"
    shutil.copytree(exported / "video", alone / "video")
    assert "the priors have no autoencoder" in refusal(publish, alone, tmp_path / "empty")


def test_networks_on_pixels_need_no_autoencoder(exported, tmp_path):
    """They are published alone, and are not stale when the autoencoder changes."""
    for name in ON_PIXELS:
        shutil.copytree(exported / name, tmp_path / "part" / name)
    assert publish(tmp_path / "part", tmp_path / "data").names == ON_PIXELS
    shutil.copytree(exported / "vae", tmp_path / "other/vae")
    publish(tmp_path / "other", tmp_path / "data")
    path = tmp_path / "other/vae/diffusion_pytorch_model.safetensors"
    save_file({name: value * 2 for name, value in load_file(path).items()}, path)
    assert publish(tmp_path / "other", tmp_path / "data").names == ("vae",)


def test_nothing_to_publish_and_no_figures(exported, tmp_path):
    assert "nothing to publish" in refusal(publish, tmp_path, tmp_path / "data")
    assert "vae.json is not there" in refusal(publish, exported, tmp_path / "data", tmp_path)
    (tmp_path / "vae.json").write_text("{")
    assert "vae.json is not JSON" in refusal(publish, exported, tmp_path / "data", tmp_path)


# ---- cards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_cards_are_read_by_the_hub_and_state_the_facts(shipped, name):
    card = ModelCard((shipped / name / "README.md").read_text())
    assert (card.data.license, card.data.library_name) == ("apache-2.0", "pshead" if name in ON_PIXELS else "diffusers")
    assert "pshead" in card.data.tags
    for line in (
        "trained on synthetic heads only",
        "It is not ",
        "| copy of the front | 13.35 |  |",
        "| 25-step samples | 19.1 | 64 |",
        "| images seen | 640,000 |",
        "| heads | 5,000 | 5,000 |",
        "(contact_sheet.webp)",
    ):
        assert line in card.text, line
    assert "None" not in re.sub(r"```.*?```", "", card.text, flags=re.S)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_the_card_runs(data, name):
    code = re.search(r"```python\n(.*?)```", (data / name / "README.md").read_text(), re.S)[1]
    space: dict = {}
    with torch.random.fork_rng(devices=[]):
        exec(compile(code.replace("25", "2"), f"{name}/README.md", "exec"), space)
    made = space.get("again", space.get("view", space.get("orbit")))
    if name in ("sd", "landmark-controlnet"):
        assert space["image"].size == (32, 32)
    elif name.startswith("identity"):
        assert -1 <= float(space["likeness"]) < 1
    else:
        assert made.shape[1] == 3
        assert bool(torch.isfinite(made).all())


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_what_the_linter_wants_and_shipped_cards_have_them(name):
    from training.publish.__main__ import DATA
    from training.publish.snippets import snippet

    assert all(len(line) <= 120 for line in snippet(name).splitlines())
    card = DATA / name / "README.md"
    assert not card.exists() or snippet(name) in card.read_text(encoding="utf-8")
