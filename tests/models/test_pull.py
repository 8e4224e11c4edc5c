"""Pulling from a hub that is a folder: what is chosen, what is asked, and what a bad download leaves."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from pshead_core.models import pull as pull_module
from pshead_core.models.catalogue import CATALOGUE, SD_PARTS, Published
from pshead_core.models.checkpoint import Checkpoint
from pshead_core.models.choose import choose_files, places_of
from pshead_core.models.convert import convert_pickle
from pshead_core.models.hub import HubFile, HuggingFaceHub
from pshead_core.models.inventory import rows
from pshead_core.models.names import CheckpointNames, resolve_checkpoint
from pshead_core.models.pull import pull
from pshead_core.models.verify import verify
from tests.models.conftest import FolderHub, component, record_of, refusal, stable_diffusion

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HUB_NAME = f"owner/thing@{COMMIT}"


@pytest.fixture
def hub(tmp_path, downloads):
    """A repository with fp16 variants, a safety checker, pickles beside safetensors and a whole-model file."""
    folder = stable_diffusion(tmp_path / "repository", 1.0)
    for part in ("unet", "vae"):
        component(folder / part, 2.0, weights="diffusion_pytorch_model.fp16.safetensors")
        (folder / part / "diffusion_pytorch_model.bin").write_bytes(b"never read")
    component(folder / "safety_checker", 9.0, weights="model.safetensors")
    component(folder, 9.0, weights="v1-5-pruned.safetensors", config="model_index.json")
    (folder / "README.md").write_text("a card")
    return FolderHub(folder, licence="mit")


def yes(_):
    return True


def test_fp16_is_chosen_stored_under_the_plain_name_and_verified(hub, downloads):
    folder = pull(HUB_NAME, hub, convert=False, accept=lambda _: pytest.fail("MIT needs no consent"))
    assert hub.asked == [("owner/thing", COMMIT)]
    assert not [name for name in hub.fetched if "safety" in name or "pruned" in name or name.endswith((".bin", ".md"))]
    found = resolve_checkpoint(HUB_NAME)
    assert set(found.folders) == set(SD_PARTS)
    assert (found.origin, found.revision, found.licences) == ("hub", COMMIT, ("mit",))
    assert load_file(found.folder("unet") / "diffusion_pytorch_model.safetensors")["weight"][0, 0] == 2
    assert load_file(found.folder("text_encoder") / "model.safetensors")["weight"][0, 0] == 1  # has no variant
    assert verify(found) == "9 files equal their checksums"
    assert [path.name for path in folder.parent.iterdir()] == [COMMIT]  # nothing unfinished stays
    hub.fetched.clear()
    assert pull(HUB_NAME, hub, convert=False, accept=yes) == folder
    assert not hub.fetched


def test_catalogue_entry_keeps_its_licence_and_components(hub, downloads, monkeypatch):
    entry = CATALOGUE["stable-zero123"]
    parts = (("unet", "unet"), ("vae", "vae"))
    short = Published(
        **{name: getattr(entry, name) for name in ("name", "repo", "revision", "licence", "commercial", "note")},
        download_bytes=1,
        components=parts,
    )
    monkeypatch.setitem(CATALOGUE, "stable-zero123", short)
    shown = []
    refused = refusal(pull, "stable-zero123", hub, convert=False, accept=lambda terms: shown.extend(terms.lines))
    assert "was not accepted" in refused
    assert "--accept-licence" in refused
    assert any("Non-Commercial" in line and "no commercial use" in line for line in shown)
    assert not hub.fetched
    assert not downloads.exists()
    pull("stable-zero123", hub, convert=False, accept=yes)
    found = resolve_checkpoint("stable-zero123")
    assert set(found.folders) == {"unet", "vae"}
    assert found.licences == (entry.licence,)  # not what the uploader of the port states
    assert record_of(downloads / "stable-zero123" / entry.revision)["repo"] == entry.repo


def test_a_spoilt_file_is_named_and_fetched_again(hub, downloads):
    weights = "unet/diffusion_pytorch_model.fp16.safetensors"

    def flip(into):
        content = bytearray((into / weights).read_bytes())
        content[-1] ^= 1
        (into / weights).write_bytes(content)

    hub.spoil = flip
    message = refusal(pull, HUB_NAME, hub, convert=False, accept=yes)
    assert weights in message
    assert "SHA-256" in message
    assert "pshead models pull" in refusal(resolve_checkpoint, HUB_NAME)  # nothing is found under the name
    hub.spoil = lambda into: (into / weights).write_bytes(b"short")
    assert "5 bytes instead of" in refusal(pull, HUB_NAME, hub, convert=False, accept=yes)
    hub.spoil = lambda into: (into / "vae/config.json").unlink()
    assert "not there after the download" in refusal(pull, HUB_NAME, hub, convert=False, accept=yes)
    hub.spoil = None
    pull(HUB_NAME, hub, convert=False, accept=yes)
    assert verify(resolve_checkpoint(HUB_NAME))


def pickled(tmp_path):
    """Return a hub whose UNet is published as a pickle only."""
    folder = tmp_path / "pickled"
    component(folder / "unet", weights=None)
    component(folder / "text_encoder", weights=None)
    weight = torch.arange(6, dtype=torch.float16).reshape(2, 3)
    torch.save({"weight": weight, "tied": weight, "turned": weight.T}, folder / "unet/diffusion_pytorch_model.bin")
    torch.save({"ids": torch.arange(3)}, folder / "text_encoder/pytorch_model.bin")
    return FolderHub(folder, licence="cc-by-nc-4.0")


def test_pickles_are_converted_only_on_request(tmp_path, downloads):
    hub = pickled(tmp_path)
    message = refusal(pull, HUB_NAME, hub, convert=False, accept=yes)
    assert "only pickles: text_encoder/pytorch_model.bin, unet/diffusion_pytorch_model.bin" in message
    assert "--convert" in message
    assert not hub.fetched
    folder = pull(HUB_NAME, hub, convert=True, accept=yes)
    assert not list(folder.rglob("*.bin"))
    tensors = load_file(folder / "unet/diffusion_pytorch_model.safetensors")
    expected = np.arange(6, dtype=np.float16).reshape(2, 3)
    assert {name: value.tolist() for name, value in tensors.items()} == {
        "weight": expected.tolist(),
        "tied": expected.tolist(),
        "turned": expected.T.tolist(),
    }
    assert load_file(folder / "text_encoder/model.safetensors")["ids"].dtype == np.int64
    assert resolve_checkpoint(HUB_NAME).licences == ("cc-by-nc-4.0",)


class Runs:
    """A pickle that runs code when it is read."""

    def __reduce__(self):
        return (print, ("this must not run",))


@pytest.mark.parametrize(
    "content", [{"weight": Runs()}, [torch.ones(2)], {"epoch": 3, "weight": torch.ones(2)}, b"no pickle at all"]
)
def test_a_pickle_of_more_than_tensors_is_refused_and_not_run(tmp_path, content, capsys):
    path = tmp_path / "pytorch_model.bin"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    assert "cannot be converted" in refusal(convert_pickle, path)
    assert "this must not run" not in capsys.readouterr().out
    assert not (tmp_path / "model.safetensors").exists()


def test_too_little_disk_is_said_before_the_download(hub, downloads, monkeypatch):
    monkeypatch.setattr(pull_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    message = refusal(pull, HUB_NAME, hub, convert=False, accept=yes)
    assert "has 0 MB left" in message
    assert "PSHEAD_MODELS" in message
    assert not hub.fetched


def test_a_disk_that_fills_up_and_a_folder_in_the_way(hub, downloads, monkeypatch):
    def full(into):
        raise OSError(28, "No space left on device")

    hub.spoil = full
    message = refusal(pull, HUB_NAME, hub, convert=False, accept=yes)
    assert "No space left on device" in message
    hub.spoil = None
    (downloads / "owner--thing" / COMMIT).mkdir()
    assert "is in the way" in refusal(pull, HUB_NAME, hub, convert=False, accept=yes)
    (downloads / "owner--thing" / COMMIT).rmdir()
    ready = downloads / "owner--thing" / f".{COMMIT}.ready"  # as a crash just before the end leaves it
    ready.mkdir()
    (ready / "pshead.json").write_text("{")
    assert [row.name for row in rows(CheckpointNames()) if row.kind == "hub"] == []
    pull(HUB_NAME, hub, convert=False, accept=yes)
    assert [row.name for row in rows(CheckpointNames()) if row.kind == "hub"] == [HUB_NAME]


def test_names_that_cannot_be_pulled(hub, downloads):
    assert "did you mean 'sd15'" in refusal(pull, "sd15x", hub, convert=False, accept=yes)
    assert "full commit" in refusal(pull, "owner/thing@main", hub, convert=False, accept=yes)
    assert not hub.asked


def test_a_name_without_a_confirmed_commit_asks_for_one(hub, downloads, monkeypatch):
    entry = Published(
        name="loose",
        repo="owner/thing",
        revision=None,
        licence="MIT",
        commercial=True,
        download_bytes=1,
        components=(("unet", "unet"),),
    )
    monkeypatch.setitem(CATALOGUE, "loose", entry)
    message = refusal(pull, "loose", hub, convert=False, accept=yes)
    assert "pshead models pull owner/thing@<commit>" in message
    assert "https://huggingface.co/owner/thing/commits/main" in message


def test_offline_is_honoured_before_the_library_is_imported(downloads, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("pshead_core.models.hub.import_module", lambda _: pytest.fail("imported"))
    message = refusal(pull, "sd15", HuggingFaceHub(), convert=False, accept=yes)
    assert "offline mode is on" in message


def test_a_missing_library_is_said(downloads, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr("pshead_core.models.hub.import_module", missing)
    assert "pip install huggingface_hub" in refusal(pull, "sd15", HuggingFaceHub(), convert=False, accept=yes)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("GatedRepoError", "accept its terms"), ("RepositoryNotFoundError", "withdrawn"), ("TimeoutError", "try again")],
)
def test_refusals_of_the_hub_say_what_to_do(downloads, monkeypatch, kind, words):
    def raises(*_, **__):
        raise type(kind, (Exception,), {})("the server's words")

    library = SimpleNamespace(HfApi=lambda: SimpleNamespace(model_info=raises))
    monkeypatch.setattr("pshead_core.models.hub.import_module", lambda _: library)
    message = refusal(pull, "sd15", HuggingFaceHub(), convert=False, accept=yes)
    assert words in message
    assert "the server's words" in message


def test_the_hubs_own_records_are_read(downloads, monkeypatch):
    """The library's real record classes, filled as its server does."""
    hf_api = pytest.importorskip("huggingface_hub.hf_api")
    info = hf_api.ModelInfo(
        id="owner/thing",
        sha=COMMIT,
        private=False,
        downloads=0,
        likes=0,
        tags=[],
        cardData={"license": "other", "license_name": "sai-community"},
        siblings=[
            {"rfilename": "unet/config.json", "size": 3},
            {"rfilename": "unet/w.safetensors", "size": 5, "lfs": {"size": 5, "sha256": "ab", "pointerSize": 1}},
        ],
    )
    asked = {}

    def model_info(repo, **more):
        asked.update(more, repo=repo)
        return info

    library = SimpleNamespace(HfApi=lambda: SimpleNamespace(model_info=model_info))
    monkeypatch.setattr("pshead_core.models.hub.import_module", lambda _: library)
    listing = HuggingFaceHub().look("owner/thing", COMMIT)
    assert asked == {"repo": "owner/thing", "revision": COMMIT, "files_metadata": True}
    assert listing.licence == "sai-community"
    assert listing.files == (
        HubFile(path="unet/config.json", size_bytes=3),
        HubFile(path="unet/w.safetensors", size_bytes=5, sha256="ab"),
    )


def files(*names):
    return [HubFile(path=name, size_bytes=1) for name in names]


@pytest.mark.parametrize(
    ("names", "stored"),
    [
        (("model.safetensors", "model.fp16.safetensors"), {"model.fp16.safetensors": "model.safetensors"}),
        (
            ("diffusion_pytorch_model.fp16_ema.safetensors", "diffusion_pytorch_model.fp16.safetensors"),
            {"diffusion_pytorch_model.fp16_ema.safetensors": "diffusion_pytorch_model.safetensors"},
        ),
        (("model.non_ema.safetensors", "model.safetensors"), {"model.safetensors": "model.safetensors"}),
        (("pytorch_model.bin", "pytorch_model.fp16.bin"), {"pytorch_model.fp16.bin": "pytorch_model.bin"}),
        (("pytorch_model.bin", "model.safetensors"), {"model.safetensors": "model.safetensors"}),
        (("control_v2p.safetensors", "control_v2p.pth"), {}),
        (
            ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"),
            {
                name: name
                for name in (
                    "model-00001-of-00002.safetensors",
                    "model-00002-of-00002.safetensors",
                    "model.safetensors.index.json",
                )
            },
        ),
    ],
)
def test_which_weights_are_chosen(names, stored):
    found = choose_files("r", files("config.json", *names), [""]).files
    assert {file.path: path for file, path in found.items()} == {"config.json": "config.json", **stored}


def test_places_are_the_folders_with_a_configuration():
    listed = files("unet/config.json", "vae/config.json", "safety_checker/config.json", "samples/a.png", "config.json")
    assert places_of(listed) == ("unet", "vae")
    assert places_of(files("config.json", "model.safetensors")) == ("",)
    assert "no component in vae" in refusal(choose_files, "r", files("unet/config.json"), ["vae"])


def test_verify_says_what_was_compared(tmp_path, downloads, hub):
    bare = stable_diffusion(tmp_path / "bare")
    found = resolve_checkpoint(str(bare))
    assert verify(found).startswith("3 safetensors files have whole headers")
    pull(HUB_NAME, hub, convert=False, accept=yes)
    pulled = resolve_checkpoint(HUB_NAME)
    path = pulled.folder("unet") / "diffusion_pytorch_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "SHA-256 differs" in refusal(verify, pulled)
    shutil.copy(path, path.with_name("foreign.safetensors"))
    assert "not published" in refusal(verify, pulled)
    assert verify(Checkpoint(name="n", folders={"scheduler": bare / "scheduler"})) == "there is nothing to compare"
    assert json.loads((pulled.folder("unet").parent / "checksums.json").read_text())["format"] == 1
