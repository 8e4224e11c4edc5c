"""From names to folders: the order of look-up, and every reason for which weights are refused."""

import sys
from pathlib import Path

import pytest

from pshead_core.errors import PluginConflict, PsheadError
from pshead_core.models.catalogue import CATALOGUE
from pshead_core.models.checkpoint import Checkpoint
from pshead_core.models.licences import strictness_of
from pshead_core.models.names import CheckpointNames, resolve_checkpoint
from pshead_core.models.pulled import Pulled, hub_folder, parse_hub_name, published_folder, write_record
from pshead_core.specs import CheckpointSpec
from tests.models.conftest import component, refusal, stable_diffusion

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def pulled(folder, name, *, repo="owner/thing", licence="MIT", **components):
    stable_diffusion(folder)
    parts = components or {"unet": "unet", "vae": "vae"}
    write_record(folder, Pulled(name=name, repo=repo, revision=COMMIT, licence=licence, components=parts))


def test_order_is_plugin_then_published_then_folder_then_hub(downloads, install_checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stable_diffusion(tmp_path / "bundle")
    stable_diffusion(tmp_path / "sd15")
    names = CheckpointNames()
    assert "pshead models pull sd15" in refusal(names.resolve, "sd15")  # published, though a folder has its name
    assert names.resolve("./sd15").origin == "folder"
    pulled(published_folder(CATALOGUE["sd15"]), "sd15", licence="openrail")
    found = names.resolve("sd15")
    assert (found.origin, found.licences, found.revision) == ("hub", ("openrail",), COMMIT)
    install_checkpoint("sd15", tmp_path / "bundle")
    found = CheckpointNames().resolve("sd15")
    assert (found.origin, found.licences) == ("bundled", ("CC0-1.0",))
    assert found.folder("unet") == tmp_path / "bundle" / "unet"
    pulled(hub_folder(parse_hub_name(f"owner/thing@{COMMIT}")), f"owner/thing@{COMMIT}")
    assert names.resolve(f"owner/thing@{COMMIT}").origin == "hub"
    stable_diffusion(tmp_path / "owner" / f"thing@{COMMIT}")
    assert names.resolve(f"owner/thing@{COMMIT}").origin == "folder"


def test_only_the_named_checkpoint_plugin_is_imported(install_checkpoint, tmp_path):
    stable_diffusion(tmp_path / "one")
    wanted, other = install_checkpoint("one", tmp_path / "one"), install_checkpoint("two", tmp_path)
    assert set(CheckpointNames().resolve("one").folders) == {"unet", "vae", "text_encoder", "tokenizer", "scheduler"}
    assert wanted in sys.modules
    assert other not in sys.modules


def test_two_distributions_of_one_name(install_checkpoint, tmp_path):
    for letter in "ab":
        stable_diffusion(tmp_path / letter, ord(letter))
        install_checkpoint("same", tmp_path / letter, distribution=f"dist-{letter}")
    with pytest.raises(PluginConflict, match="2 distributions offer the checkpoints plugin 'same'"):
        CheckpointNames().resolve("same")
    assert CheckpointNames().resolve("same@dist-b").folder("unet") == tmp_path / "b" / "unet"


def test_bundled_minis_resolve_with_their_shared_autoencoder():
    sd, video = resolve_checkpoint("mini/sd"), resolve_checkpoint("mini/video")
    assert set(sd.folders) == {"unet", "vae", "text_encoder", "tokenizer", "scheduler"}
    assert sd.folder("vae") == video.folder("vae")
    assert sd.folder("unet") != video.folder("unet")
    assert sd.licences == ("Apache-2.0",)


def test_loaded_specs_are_used_without_looking_at_what_is_installed(tmp_path):
    component(tmp_path / "shop" / "unet")
    spec = CheckpointSpec(
        name="held", summary="s", folder=lambda: tmp_path, components=(("net", "shop/unet"),), licences=("MIT",)
    )
    found = CheckpointNames({"held": spec}, ()).resolve("held")
    assert found == Checkpoint(
        name="held", folders={"net": tmp_path / "shop/unet"}, licences=("MIT",), origin="bundled"
    )
    assert "no component 'vae'" in refusal(found.folder, "vae")
    assert found.has("net")
    assert not found.has("vae")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mini/ds", "no checkpoint is called 'mini/ds', did you mean 'mini/sd'?"),
        ("sd1.5", "did you mean 'sd15'?"),
        ("owner/name", "write owner/name@<commit of 40 hexadecimal digits>"),
        ("owner/name@main", "a branch or tag may hold other weights tomorrow"),
        ("owner/name@0123456", "does not name the full commit"),
        (f"owner/name@{COMMIT}", f"pshead models pull owner/name@{COMMIT}"),
        (f"cerspense/zeroscope_v2_576w@{COMMIT}", "3.7 GB, CC-BY-NC-4.0, no commercial use"),
        ("./nowhere", "there is no such folder"),
        ("/nowhere/at/all", "there is no such folder"),
    ],
)
def test_names_that_mean_nothing_here(downloads, name, words):
    assert words in refusal(resolve_checkpoint, name)


def test_a_mini_that_is_not_installed_says_what_to_install():
    assert "pip install pshead-checkpoints-mini" in refusal(CheckpointNames({}, ()).resolve, "mini/sd")


def test_missing_published_weights_say_size_licence_command_and_what_does_without(downloads):
    message = refusal(resolve_checkpoint, "zeroscope")
    for words in ("3.7 GB", "CC-BY-NC-4.0", "no commercial use", "models pull zeroscope --convert", "'mini/video'"):
        assert words in message


def test_all_that_is_missing_is_said_at_once(downloads):
    names = CheckpointNames()
    message = refusal(names.resolve_all, ["mini/sd", "sd15", "zero123-xl", "sd15"])
    assert message.startswith("2 checkpoints cannot be used")
    assert "pull sd15" in message
    assert "pull zero123-xl" in message
    assert refusal(names.resolve_all, ["sd15"]) == refusal(names.resolve, "sd15")
    assert [one.name for one in names.resolve_all(["mini/sd", "mini/video", "mini/sd"])] == ["mini/sd", "mini/video"]


def test_folders_of_only_pickles_are_refused(tmp_path):
    folder = stable_diffusion(tmp_path / "sd")
    resolve_checkpoint(str(folder))
    (folder / "unet/diffusion_pytorch_model.bin").write_bytes(b"never read")
    resolve_checkpoint(str(folder))  # safetensors lie beside it
    (folder / "unet/diffusion_pytorch_model.safetensors").unlink()
    message = refusal(resolve_checkpoint, str(folder))
    assert "component 'unet'" in message
    assert "holds only pickles: diffusion_pytorch_model.bin" in message
    assert "can run any code" in message
    component(folder / "unet")
    (component(folder / "safety_checker", weights=None) / "pytorch_model.bin").write_bytes(b"nobody loads it")
    assert "safety_checker" not in resolve_checkpoint(str(folder)).folders
    (tmp_path / "old").mkdir()
    (tmp_path / "old/model.ckpt").write_bytes(b"never read")
    assert "holds only pickles (model.ckpt)" in refusal(resolve_checkpoint, str(tmp_path / "old"))


def test_damaged_and_unfinished_folders_are_refused(tmp_path, downloads):
    folder = stable_diffusion(tmp_path / "sd")
    path = folder / "vae/diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    message = refusal(resolve_checkpoint, str(folder))
    assert "truncated" in message
    assert str(path) in message
    path.rename(path.with_name("diffusion_pytorch_model.fp16.safetensors"))
    assert "only a variant" in refusal(resolve_checkpoint, str(folder))
    (tmp_path / "empty").mkdir()
    assert "holds no component" in refusal(resolve_checkpoint, str(tmp_path / "empty"))
    torn = hub_folder(parse_hub_name(f"owner/thing@{COMMIT}"))
    pulled(torn, f"owner/thing@{COMMIT}", unet="unet", gone="gone")
    assert "lacks its component 'gone'" in refusal(resolve_checkpoint, f"owner/thing@{COMMIT}")
    (torn / "pshead.json").write_text("{")
    assert "is damaged" in refusal(resolve_checkpoint, f"owner/thing@{COMMIT}")


def test_a_folder_of_one_model_is_one_component(tmp_path):
    component(tmp_path / "net")
    assert set(resolve_checkpoint(str(tmp_path / "net")).folders) == {"model"}
    (tmp_path / "net/config.json").write_text('{"_class_name": "ControlNetModel"}')
    assert resolve_checkpoint(str(tmp_path / "net")).folder("controlnet") == tmp_path / "net"
    (tmp_path / "net/config.json").write_text("{")
    assert "not JSON" in refusal(resolve_checkpoint, str(tmp_path / "net"))


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: openrail++\ntags: [a]\n---\n# A card\nlicense: mit\n", "openrail++"),
        ("---\nlicense: other\nlicense_name: 'sai-nc-community'\n---\n", "sai-nc-community"),
        ("# A card without a header\nlicense: mit\n", "not stated"),
        (None, "not stated"),
    ],
)
def test_licence_of_a_folder_is_that_of_its_card(tmp_path, card, licence):
    folder = stable_diffusion(tmp_path / "sd")
    if card is not None:
        (folder / "README.md").write_text(card)
    assert resolve_checkpoint(str(folder)).licences == (licence,)


def test_fingerprint_follows_contents_not_places(tmp_path):
    first, second = stable_diffusion(tmp_path / "a"), stable_diffusion(tmp_path / "b")
    before = resolve_checkpoint(str(first)).fingerprint()
    assert len(before) == 64
    assert resolve_checkpoint(str(second)).fingerprint() == before
    (second / "unet/README.md").write_text("a card is no weight")
    assert resolve_checkpoint(str(second)).fingerprint() == before
    seen = {before}
    for path in [second / "unet/diffusion_pytorch_model.safetensors", second / "scheduler/scheduler_config.json"]:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        seen.add(resolve_checkpoint(str(second)).fingerprint())
    (second / "scheduler/scheduler_config.json").rename(second / "scheduler/other.json")
    seen.add(
        Checkpoint(name="b", folders={p: second / p for p in resolve_checkpoint(str(first)).folders}).fingerprint()
    )
    assert len(seen) == 4


def test_catalogue_is_sound():
    for name, entry in CATALOGUE.items():
        assert name == entry.name
        if entry.files:
            assert entry.files[0].sha256.startswith(entry.revision)
            assert all(
                file.url.startswith(("https://", "torchvision:")) and file.size_bytes > 10**6 for file in entry.files
            )
        else:
            assert entry.revision is None or parse_hub_name(f"{entry.repo}@{entry.revision}")
            assert entry.download_bytes > 10**8
        assert entry.components
        assert entry.commercial == (strictness_of(entry.licence) != "non-commercial")
        assert not Path(name).is_absolute()
        if entry.instead:
            assert resolve_checkpoint(entry.instead)
    with pytest.raises(PsheadError):
        parse_hub_name("owner/name@HEAD")
