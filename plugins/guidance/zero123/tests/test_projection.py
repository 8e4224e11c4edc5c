"""Both published layouts of the camera projection, and files that are none."""

import pytest
import torch
from pshead_guidance_zero123.projection import load_projection
from safetensors.torch import save_file

from pshead_core.api import PsheadError

FILE = "diffusion_pytorch_model.safetensors"
WIDTH = 6


def write(folder, layer="proj", name=FILE, token=WIDTH, seen=WIDTH + 4):
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(token, seen, generator=generator), torch.randn(token, generator=generator)
    folder.mkdir(exist_ok=True)
    save_file({f"{layer}.weight": weight, f"{layer}.bias": bias}, folder / name)
    return weight, bias


@pytest.mark.parametrize("layer", ["proj", "projection"])
def test_token_is_the_affine_map_of_embedding_and_camera(tmp_path, layer):
    weight, bias = write(tmp_path / "projection", layer)
    embedding, camera = torch.randn(1, WIDTH), torch.randn(3, 4)
    with torch.no_grad():
        found = load_projection(tmp_path / "projection")(embedding, camera)
    wanted = torch.stack([weight[:, :WIDTH] @ embedding[0] + weight[:, WIDTH:] @ row + bias for row in camera])
    torch.testing.assert_close(found, wanted[:, None])


def test_any_single_file_is_read(tmp_path):
    weight, _ = write(tmp_path, name="model.fp16.safetensors")
    torch.testing.assert_close(load_projection(tmp_path).linear.weight.data, weight)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"layer": "other"}, "other.bias, other.weight"),
        ({"seen": 4}, r"its weight is \[6, 4\]"),
        ({"name": "diffusion_pytorch_model.bin"}, "reads no pickles"),
    ],
)
def test_other_files_are_refused(tmp_path, written, message):
    write(tmp_path, **written)
    with pytest.raises(PsheadError, match=message):
        load_projection(tmp_path)
