"""Headers against the safetensors library; published folders against every way of tampering."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from pshead_core.errors import PsheadError
from pshead_core.models.files import (
    CHECKSUMS,
    component_folder,
    component_folders,
    describe_folder,
    verify_checkpoint,
    verify_folder,
)
from pshead_core.models.header import read_header
from pshead_core.specs import CheckpointSpec

TENSORS = {
    "conv.weight": np.arange(48, dtype=np.float16).reshape(4, 3, 2, 2),
    "conv.bias": np.ones(4, np.float16),
    "ids": np.arange(5, dtype=np.int64)[None],
    "scale": np.array(2.0, np.float32),
}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "shop/unet/model.safetensors"
    path.parent.mkdir(parents=True)
    save_file(TENSORS, path, metadata={"format": "pt"})
    return path


@pytest.fixture
def folder(weights):
    """A published folder of one component."""
    folder = weights.parents[1]
    (weights.parent / "config.json").write_text('{"width": 4}\n')
    publish(folder)
    (folder / "README.md").write_text("a card")
    return folder


def publish(folder):
    (folder / CHECKSUMS).write_text(json.dumps(describe_folder(folder)))


def refusal(call, *arguments):
    with pytest.raises(PsheadError) as caught:
        call(*arguments)
    assert caught.value.fix
    return str(caught.value)


def raw(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def test_header_is_what_the_library_wrote(weights):
    found = read_header(weights)
    assert {name: facts.shape for name, facts in found.items()} == {n: v.shape for n, v in TENSORS.items()}
    assert {name: facts.dtype for name, facts in found.items()} == {
        "conv.weight": "F16",
        "conv.bias": "F16",
        "ids": "I64",
        "scale": "F32",
    }
    assert str(found["conv.weight"]) == "F16[4, 3, 2, 2]"
    assert found["conv.weight"].count == 48
    assert found["scale"].count == 1


ROW = {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"abc", "truncated"),
        (raw({"a": ROW}, b"1234", length=10**6), "truncated"),
        (b"PK\x03\x04 a zip file, as torch.save writes it", "no safetensors file"),
        (raw({"a": ROW}, b"123"), "truncated: its tensors have 4 bytes, 3 are there"),
        (raw({"a": ROW}, b"12345"), "1 bytes follow its last tensor"),
        (raw(b"{no json"), "not JSON"),
        (raw(b"\xff\xfe"), "not JSON"),
        (raw(b"[" * 100_000), "not JSON"),
        (raw([1, 2]), "a list"),
        (raw({"a": {"dtype": "F16"}}), "'a' is not of the format"),
        (raw({"a": 3}), "'a' is not of the format"),
        (raw({"a": {**ROW, "shape": [3]}}, b"1234"), "'a' contradicts itself"),
        (raw({"a": {**ROW, "shape": [-2]}}, b"1234"), "'a' contradicts itself"),
        (raw({"a": {**ROW, "dtype": "Q9"}}, b"1234"), "'a' contradicts itself"),
        (raw({"a": ROW, "b": ROW}, b"1234"), "begins at byte 0 instead of 4"),
        (raw({"a": ROW, "b": {**ROW, "data_offsets": [6, 10]}}, b"1234567890"), "begins at byte 6 instead of 4"),
    ],
)
def test_damaged_headers_are_refused(tmp_path, content, words):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    message = refusal(read_header, path)
    assert words in message
    assert str(path) in message


def test_every_truncation_is_refused(weights):
    whole = weights.read_bytes()
    for length in range(0, len(whole), 7):
        weights.write_bytes(whole[:length])
        assert "truncated" in refusal(read_header, weights)


def test_published_folder_verifies(folder):
    assert verify_folder(folder) == 2  # the card is no file of weights and may be corrected
    (folder / "README.md").write_text("a better card")
    assert verify_folder(folder) == 2


def without(path):
    save_file({name: value for name, value in load_file(path).items() if name != "conv.bias"}, path)


def renamed(path):
    tensors = load_file(path)
    save_file({**tensors, "conv.extra": tensors["conv.bias"]}, path)


def transposed(path):
    tensors = load_file(path)
    save_file({**tensors, "conv.weight": tensors["conv.weight"].reshape(3, 4, 2, 2)}, path)


def other_type(path):
    save_file({**load_file(path), "conv.bias": np.ones(4, np.int16)}, path)


def one_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (Path.unlink, "is missing: "),
        (without, "tensor 'conv.bias' is missing"),
        (renamed, "tensor 'conv.extra' was not published"),
        (transposed, "tensor 'conv.weight' is F16[3, 4, 2, 2] instead of F16[4, 3, 2, 2]"),
        (other_type, "tensor 'conv.bias' is I16[4] instead of F16[4]"),
        (one_bit, "SHA-256 differs"),
        (cut, "truncated"),
    ],
)
def test_tampered_weights_are_refused(folder, tamper, words):
    path = folder / "unet/model.safetensors"
    tamper(path)
    message = refusal(verify_folder, folder)
    assert words in message
    assert str(path) in message


def test_other_tampering_is_refused(folder):
    config = folder / "unet/config.json"
    config.write_text('{"width": 8}\n')
    assert "SHA-256 differs" in refusal(verify_folder, folder)
    config.write_text('{"width": 16}\n')
    assert "has 14 bytes instead of 13" in refusal(verify_folder, folder)
    config.write_text('{"width": 4}\n')
    pickle = folder / "unet/pytorch_model.bin"
    pickle.write_bytes(b"\x80")
    assert f"was not published: {pickle}" in refusal(verify_folder, folder)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 2, "files": {}}', '{"format": 1, "files": {"a": {}}}', '{"format": 1, "files": 3}'],
)
def test_damaged_checksums_are_refused(folder, content):
    (folder / CHECKSUMS).write_text(content)
    assert "cannot be verified" in refusal(verify_folder, folder)
    (folder / CHECKSUMS).unlink()
    assert "is not there" in refusal(verify_folder, folder)


def spec_of(folder, **components):
    return CheckpointSpec(
        name="shop", summary="s", folder=lambda: folder, components=tuple(components.items()), licences=("MIT",)
    )


def test_components_may_lie_anywhere_below_the_folder(folder, tmp_path):
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae/config.json").write_text("{}")
    publish(tmp_path / "vae")
    spec = spec_of(tmp_path, unet="shop/unet", vae="vae")
    assert component_folders(spec) == {"unet": folder / "unet", "vae": tmp_path / "vae"}
    assert component_folder(spec, "unet") == folder / "unet"
    assert verify_checkpoint(spec) == 3
    assert "its components are: unet, vae" in refusal(component_folder, spec, "tokenizer")
    assert "lacks its component 'text'" in refusal(verify_checkpoint, spec_of(tmp_path, text="shop/text"))
    (folder / "unet/config.json").write_text("{}")
    assert "not the published one" in refusal(verify_checkpoint, spec)


def test_without_a_list_components_lie_under_their_names(folder):
    spec = spec_of(folder)
    assert component_folder(spec, "unet") == folder / "unet"
    assert "its components are: unet" in refusal(component_folder, spec, "vae")
    assert verify_checkpoint(spec) == 2
    (folder / CHECKSUMS).unlink()
    assert "there is no checksums.json" in refusal(verify_checkpoint, spec)


def test_no_torch_is_needed():
    code = "import sys, pshead_core.models.files; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
