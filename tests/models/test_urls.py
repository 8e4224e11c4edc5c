"""Weights that are single files: fetched by their address, known by their hash, converted, and never by a run."""

import hashlib
import io
from urllib.error import URLError

import pytest
import torch
import torchvision
from safetensors.torch import load_file

from pshead_core.models import urls
from pshead_core.models.catalogue import CATALOGUE, Published, PublishedFile
from pshead_core.models.hub import HuggingFaceHub
from pshead_core.models.names import resolve_checkpoint
from pshead_core.models.pull import pull
from pshead_core.models.urls import FileHub, hub_of
from pshead_core.models.verify import verify
from tests.models.conftest import refusal

URL = "https://example.org/net-12345678.pth"
TENSORS = {"features.0.weight": torch.arange(6.0).reshape(2, 3)}


@pytest.fixture(autouse=True)
def _no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def _pickle(content):
    sink = io.BytesIO()
    torch.save(content, sink)
    return sink.getvalue()


def _entry(monkeypatch, content, *, digits=8, inside="", licence="BSD-3-Clause"):
    sha256 = hashlib.sha256(content).hexdigest()[:digits]
    file = PublishedFile(
        name="net-12345678.pth", url=URL, sha256=sha256, size_bytes=7, inside=inside
    )  # the size is only about right
    entry = Published(
        name="net",
        repo="somebody/net",
        revision=sha256[:8],
        licence=licence,
        commercial=True,
        download_bytes=7,
        components=(("model", ""),),
        pickled=True,
        files=(file,),
    )
    monkeypatch.setitem(CATALOGUE, "net", entry)
    return entry


def _hub(entry, content):
    opened = []

    def open_url(url):
        opened.append(url)
        return io.BytesIO(content)

    return FileHub(entry, open_url), opened


def yes(_):
    return True


def never(_):
    pytest.fail("not asked")


@pytest.mark.parametrize("digits", [8, 64])
@pytest.mark.parametrize("inside", ["", "params_ema"])
def test_fetched_converted_found_and_verified(monkeypatch, downloads, digits, inside):
    content = _pickle({inside: TENSORS, "epoch": 3} if inside else TENSORS)
    entry = _entry(monkeypatch, content, digits=digits, inside=inside)
    hub, opened = _hub(entry, content)
    missing = refusal(resolve_checkpoint, "net")
    assert "pshead models pull net --convert" in missing
    assert "only pickles: net-12345678.pth" in refusal(pull, "net", hub, convert=False, accept=yes)
    assert not opened
    folder = pull("net", hub, convert=True, accept=never)
    assert opened == [URL]
    found = resolve_checkpoint("net")
    assert dict(found.folders) == {"model": folder}
    assert (found.licences, found.revision) == (("BSD-3-Clause",), entry.revision)
    assert not list(folder.rglob("*.pth"))
    stored = load_file(folder / "net-12345678.safetensors")
    assert list(stored) == list(TENSORS)
    assert torch.equal(stored["features.0.weight"], TENSORS["features.0.weight"])
    assert verify(found) == "2 files equal their checksums"  # the record is one of them
    pull("net", hub, convert=True, accept=yes)
    assert opened == [URL]


def test_another_hash_is_refused_and_nothing_is_kept(monkeypatch, downloads):
    entry = _entry(monkeypatch, _pickle(TENSORS))
    hub, _ = _hub(entry, _pickle({"other": torch.zeros(2)}))
    message = refusal(pull, "net", hub, convert=True, accept=yes)
    assert "net-12345678.pth" in message
    assert "SHA-256 differs" in message
    assert "are not here" in refusal(resolve_checkpoint, "net")
    good, _ = _hub(entry, _pickle(TENSORS))
    assert pull("net", good, convert=True, accept=yes).is_dir()


def test_code_in_the_pickle_is_refused_and_not_run(monkeypatch, downloads, capsys):
    class Runs:
        def __reduce__(self):
            return (print, ("this must not run",))

    content = _pickle({"weight": Runs()})
    hub, _ = _hub(_entry(monkeypatch, content), content)
    assert "cannot be converted" in refusal(pull, "net", hub, convert=True, accept=yes)
    assert "must not run" not in capsys.readouterr().out


def test_the_part_that_holds_the_tensors_may_be_missing(monkeypatch, downloads):
    content = _pickle(TENSORS)
    hub, _ = _hub(_entry(monkeypatch, content, inside="params_ema"), content)
    assert "has no part 'params_ema'" in refusal(pull, "net", hub, convert=True, accept=yes)


def test_torchs_own_cache_saves_the_download_even_offline(monkeypatch, downloads, tmp_path):
    content = _pickle(TENSORS)
    hub, opened = _hub(_entry(monkeypatch, content), content)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    message = refusal(pull, "net", hub, convert=True, accept=yes)
    assert "offline" in message
    assert str(tmp_path / "torch/hub/checkpoints") in message
    (tmp_path / "torch/hub/checkpoints").mkdir(parents=True)
    (tmp_path / "torch/hub/checkpoints/net-12345678.pth").write_bytes(content)
    pull("net", hub, convert=True, accept=yes)
    assert resolve_checkpoint("net")
    assert not opened


def test_consent_is_asked_with_the_publishers_page(monkeypatch, downloads):
    content = _pickle(TENSORS)
    hub, opened = _hub(_entry(monkeypatch, content, licence="S-Lab License 1.0"), content)
    message = refusal(pull, "net", hub, convert=True, accept=lambda _: False)
    assert "https://github.com/somebody/net" in message
    assert not opened


def test_a_broken_connection_leaves_nothing_half(monkeypatch, downloads):
    class Breaks(io.BytesIO):
        def read(self, *_):
            raise ConnectionResetError("gone")

    def refused(_):
        raise URLError("no route")

    entry = _entry(monkeypatch, _pickle(TENSORS))
    for open_url, words in ((lambda _: Breaks(b"x"), "gone"), (refused, "no route")):
        message = refusal(pull, "net", FileHub(entry, open_url), convert=True, accept=yes)
        assert words in message
        assert URL in message
    assert not [path for path in downloads.rglob("*") if path.is_file()]


def test_torchvisions_own_table_knows_the_addresses():
    """The file's name bears the beginning of the hash, so table, name and catalogue check each other."""
    ours = [entry.files[0] for name, entry in CATALOGUE.items() if name.startswith("torchvision-")]
    assert len(ours) == 4
    for file in ours:
        address = urls.address_of(file)
        assert address.startswith("https://")
        assert address.endswith(f"/{file.name}")
        assert file.sha256.startswith(file.name.removesuffix(".pth").rsplit("-", 1)[-1])
        published = torchvision.models.get_weight(file.url.removeprefix("torchvision:")).meta["_file_size"]  # MiB
        assert file.size_bytes == pytest.approx(published * 2**20, rel=1e-3)
    unknown = PublishedFile(name="x.pth", url="torchvision:No_Weights.X", sha256="0", size_bytes=1)
    assert "x.pth is not known" in refusal(urls.address_of, unknown)


def test_the_catalogue_says_where_weights_come_from(monkeypatch):
    assert isinstance(hub_of("torchvision-vgg16"), FileHub)
    assert isinstance(hub_of("sd15"), HuggingFaceHub)
    assert isinstance(hub_of("owner/name@" + "0" * 40), HuggingFaceHub)
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert urls.torch_cache().as_posix() == "/caches/torch/hub/checkpoints"
