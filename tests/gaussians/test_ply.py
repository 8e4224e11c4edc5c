"""PLY files, against bytes written by hand and against plyfile."""

import io
import struct

import numpy as np
import pytest
import torch
from plyfile import PlyData

from pshead_core.errors import PsheadError
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.ply import AXES_COMMENT, BYTES_PER_VERTEX, read_ply, turn_about_x, write_ply
from pshead_core.gaussians.sh import colours


def model_of_degree(degree: int, n: int = 7) -> GaussianModel:
    generator = torch.Generator().manual_seed(degree)
    return GaussianModel(
        means=torch.randn(n, 3, generator=generator),
        quaternions=torch.randn(n, 4, generator=generator),
        log_scales=torch.randn(n, 3, generator=generator),
        opacity_logits=torch.randn(n, generator=generator),
        sh=torch.randn(n, (degree + 1) ** 2, 3, generator=generator),
    )


def rotation(quaternions):
    """Rotation matrices by rotating the unit vectors with Hamilton products, apart from any code of the project."""

    def product(a, b):
        w = a[..., 0] * b[..., 0] - (a[..., 1:] * b[..., 1:]).sum(-1)
        v = a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:] + torch.linalg.cross(a[..., 1:], b[..., 1:])
        return torch.cat([w[..., None], v], dim=-1)

    q = torch.nn.functional.normalize(quaternions.double(), dim=-1)
    conjugate = q * q.new_tensor([1.0, -1.0, -1.0, -1.0])
    columns = []
    for axis in range(3):
        unit = torch.zeros_like(q)
        unit[:, 1 + axis] = 1.0
        columns.append(product(product(q, unit), conjugate)[:, 1:])
    return torch.stack(columns, dim=-1)


HAND_NAMES = (
    ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2"]
    + [f"f_rest_{k}" for k in range(45)]
    + ["opacity", "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3"]
)


def hand_written_vertex() -> bytes:
    """One Gaussian at (1, 2, 3), unrotated, with a degree-1 coefficient for each of y, z, x in red, green, blue."""
    rest = [0.0] * 45
    rest[0] = -0.5  # red, y: turned over
    rest[15 + 1] = -0.25  # green, z: turned over
    rest[30 + 2] = 0.75  # blue, x: kept
    turned = [1.0, -2.0, -3.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3, *rest, 1.5, -4.0, -5.0, -6.0, 0.0, 1.0, 0.0, 0.0]
    return struct.pack("<62f", *turned)


def hand_written_model() -> GaussianModel:
    sh = torch.zeros(1, 16, 3)
    sh[0, 0] = torch.tensor([0.1, 0.2, 0.3])
    sh[0, 1, 0], sh[0, 2, 1], sh[0, 3, 2] = 0.5, 0.25, 0.75
    return GaussianModel(
        means=torch.tensor([[1.0, 2.0, 3.0]]),
        quaternions=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        log_scales=torch.tensor([[-4.0, -5.0, -6.0]]),
        opacity_logits=torch.tensor([1.5]),
        sh=sh,
    )


def test_bytes_are_those_written_by_hand():
    stream = io.BytesIO()
    write_ply(hand_written_model(), stream, ["made by a test"])
    header, payload = stream.getvalue().split(b"end_header\n", 1)
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert f"comment {AXES_COMMENT}" in lines
    assert "comment made by a test" in lines
    assert [line for line in lines if line.startswith("element")] == ["element vertex 1"]
    assert [line for line in lines if line.startswith("property")] == [f"property float {n}" for n in HAND_NAMES]
    assert payload == hand_written_vertex()


def test_reads_a_file_written_by_hand(tmp_path):
    header = "\n".join(
        ["ply", "format binary_little_endian 1.0", "element vertex 1", *(f"property float {n}" for n in HAND_NAMES)]
    )
    path = tmp_path / "hand.ply"
    path.write_bytes(f"{header}\nend_header\n".encode() + hand_written_vertex())
    model, wanted = read_ply(path), hand_written_model()
    for name, values in wanted.tensors().items():
        assert torch.equal(getattr(model, name), values), name


def test_reads_ascii_without_normals_and_without_rest(tmp_path):
    names = ["opacity", "z", "y", "x", "f_dc_0", "f_dc_1", "f_dc_2", "scale_0", "scale_1", "scale_2"]
    names += ["rot_0", "rot_1", "rot_2", "rot_3"]
    header = "\n".join(["ply", "format ascii 1.0", "element vertex 1", *(f"property float {n}" for n in names)])
    path = tmp_path / "ascii.ply"
    path.write_text(f"{header}\nend_header\n1.5 -3 -2 1 0.1 0.2 0.3 -4 -5 -6 0 1 0 0\n")
    model = read_ply(path)
    assert model.sh_degree == 0
    assert model.means.tolist() == [[1.0, 2.0, 3.0]]
    assert model.quaternions.tolist() == [[1.0, 0.0, 0.0, 0.0]]
    assert model.opacity_logits.tolist() == [1.5]


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_round_trip_is_exact(degree, tmp_path):
    model, path = model_of_degree(degree), tmp_path / "head.ply"
    write_ply(model, path)
    again = read_ply(path)
    for name, values in model.tensors().items():
        assert torch.equal(getattr(again, name), values), name


@pytest.mark.parametrize("degree", [0, 3])
def test_size_is_header_plus_248_bytes_a_vertex(degree, tmp_path):
    path = tmp_path / "head.ply"
    write_ply(model_of_degree(degree, n=11), path)
    data = path.read_bytes()
    assert BYTES_PER_VERTEX == 248
    assert len(data) == data.index(b"end_header\n") + len(b"end_header\n") + 248 * 11


def test_plyfile_finds_channels_one_after_the_other(tmp_path):
    model, path = model_of_degree(2), tmp_path / "head.ply"
    write_ply(model, path)
    vertex = PlyData.read(str(path))["vertex"]
    turned = turn_about_x(model).sh.numpy()
    for channel in range(3):
        for coefficient in range(15):
            wanted = turned[:, 1 + coefficient, channel] if coefficient < 8 else np.zeros(len(model))
            np.testing.assert_array_equal(vertex[f"f_rest_{15 * channel + coefficient}"], wanted)


def test_turning_rotates_covariances():
    model = model_of_degree(0)
    half_turn = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    spread = torch.diag_embed((2 * model.log_scales.double()).exp())

    def covariance(m):
        r = rotation(m.quaternions)
        return r @ spread @ r.transpose(1, 2)

    torch.testing.assert_close(covariance(turn_about_x(model)), half_turn @ covariance(model) @ half_turn)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_turning_keeps_the_colours_that_a_turned_camera_sees(degree):
    model = model_of_degree(degree, n=40)
    cameras = torch.randn(5, 3, generator=torch.Generator().manual_seed(9)) * 3
    turned = turn_about_x(model)
    here = colours(model.sh, model.means, cameras)
    there = colours(turned.sh, turned.means, cameras * torch.tensor([1.0, -1.0, -1.0]))
    torch.testing.assert_close(here, there)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a whole PLY"),
        (b"\xff\xd8\xff\xe0 a photo", "not a whole PLY"),
        (b"ply\nformat ascii 1.0\nelement face 0\nproperty list uchar int i\nend_header\n", "no element 'vertex'"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n0\n", "holds no 3D Gaussians"),
    ],
)
def test_other_files_are_refused(content, message, tmp_path):
    path = tmp_path / "other.ply"
    path.write_bytes(content)
    with pytest.raises(PsheadError, match=message):
        read_ply(path)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "head.ply"
    write_ply(model_of_degree(1), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with pytest.raises(PsheadError, match="not a whole PLY"):
        read_ply(path)
    path.write_bytes(whole[:-4] + struct.pack("<f", float("nan")))
    with pytest.raises(PsheadError, match="damaged"):
        read_ply(path)
    path.write_bytes(whole.replace(b"f_rest_44", b"g_rest_44"))
    with pytest.raises(PsheadError, match="44 properties f_rest"):
        read_ply(path)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(PsheadError, match=r"nowhere\.ply"):
        read_ply(tmp_path / "nowhere.ply")
    with pytest.raises(PsheadError, match="cannot be written"):
        write_ply(model_of_degree(0), tmp_path / "no" / "folder.ply")


def test_numbers_that_are_not_finite_are_not_written(tmp_path):
    model = model_of_degree(0)
    model.means[0, 0] = float("inf")
    with pytest.raises(PsheadError, match="not a finite number"):
        write_ply(model, tmp_path / "head.ply")
    assert not (tmp_path / "head.ply").exists()


def test_comments_are_single_ascii_lines(tmp_path):
    with pytest.raises(PsheadError, match="one ASCII line"):
        write_ply(model_of_degree(0), tmp_path / "head.ply", ["two\nlines"])
