"""Gaussians in PLY files of the Inria layout, which every splat viewer reads.

Layout (Kerbl et al. 2023, reference implementation): binary little endian, one element `vertex`, all float32: x y z,
nx ny nz (zeros), f_dc_0..2, f_rest_0..44 (all of red, then green, then blue), opacity (logit), scale_0..2 (natural
logarithm), rot_0..3 (wxyz). Always 248 bytes a vertex: some viewers insist on degree 3, so lower degrees are padded
with zeros.

Axes: files of this layout are RDF by habit (x right, y down, z away from the camera that took the picture), and viewers
turn them upright on that assumption. The world here has y up and the face looks along +z, so writing rotates everything
by 180° about x (positions, rotations and spherical harmonics) and reading rotates back. A header comment says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from attrs import evolve
from numpy.typing import NDArray
from plyfile import PlyData, PlyElement, PlyParseError
from torch import Tensor

from pshead_core.errors import PsheadError
from pshead_core.gaussians.model import GaussianModel

AXES_COMMENT = "pshead axes: RDF (x right, y down, z forward; the world rotated by 180 degrees about x)"
DEGREE_COMMENT = "pshead sh_degree: "
REST_OF_DEGREE = {0: 0, 1: 9, 2: 24, 3: 45}
BYTES_PER_VERTEX = 248

# Values of the 16 basis functions at (x, -y, -z) over those at (x, y, z): a basis function that is odd in y and z
# together changes its sign, the others stay. Order as in `sh.basis`.
SH_SIGNS = (1, -1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1, -1, 1, -1, 1)

PROPERTIES = (
    *("x", "y", "z", "nx", "ny", "nz"),
    *(f"f_dc_{k}" for k in range(3)),
    *(f"f_rest_{k}" for k in range(45)),
    "opacity",
    *(f"scale_{k}" for k in range(3)),
    *(f"rot_{k}" for k in range(4)),
)


def turn_about_x(model: GaussianModel) -> GaussianModel:
    """Return the model rotated by 180° about the world's x axis; doing it twice gives the same Gaussians again."""
    flip = model.means.new_tensor([1.0, -1.0, -1.0])
    w, x, y, z = model.quaternions.unbind(-1)
    signs = model.sh.new_tensor(SH_SIGNS[: model.sh.shape[1]])
    return GaussianModel(
        means=model.means * flip,
        quaternions=torch.stack([-x, w, -z, y], dim=-1),  # i (w + xi + yj + zk)
        log_scales=model.log_scales,
        opacity_logits=model.opacity_logits,
        sh=model.sh * signs[:, None],
    )


def write_ply(model: GaussianModel, target: Path | BinaryIO, comments: Sequence[str] = ()) -> None:
    """Write the model with SH degree 3 in the full Inria layout.

    Args:
        model: world axes; lower degrees are padded.
        target: a path, or a binary stream open for writing.
        comments: further header lines, ASCII without line breaks.

    Raises:
        PsheadError: a comment cannot be written, a number is not finite, or the file cannot be written.
    """
    for comment in comments:
        if not comment.isascii() or "\n" in comment or "\r" in comment:
            raise PsheadError(f"a PLY comment is not one ASCII line: {comment!r}")
    turned = turn_about_x(model.detach().to(torch.device("cpu")).to(torch.float32))
    rows = np.zeros((len(model), len(PROPERTIES)), dtype="<f4")
    rows[:, 0:3] = turned.means.numpy()
    rows[:, 6:9] = turned.sh[:, 0].numpy()
    rest = turned.sh.new_zeros(len(model), 15, 3)
    rest[:, : turned.sh.shape[1] - 1] = turned.sh[:, 1:]
    rows[:, 9:54] = rest.transpose(1, 2).reshape(len(model), 45).numpy()
    rows[:, 54] = turned.opacity_logits.numpy()
    rows[:, 55:58] = turned.log_scales.numpy()
    rows[:, 58:62] = turned.quaternions.numpy()
    rows += 0.0  # turns -0.0 into 0.0
    if not np.isfinite(rows).all():
        raise PsheadError(
            "the Gaussians cannot be written as PLY: a parameter is not a finite number",
            why="the optimisation diverged, or the model was built wrongly",
        )
    table = np.ascontiguousarray(rows).view([(name, "<f4") for name in PROPERTIES]).reshape(-1)
    element = PlyElement.describe(table, "vertex")
    header = [AXES_COMMENT, f"{DEGREE_COMMENT}{model.sh_degree}", *comments]
    data = PlyData([element], text=False, byte_order="<", comments=header)
    try:
        data.write(str(target) if isinstance(target, Path) else target)
    except OSError as error:
        raise PsheadError(f"the PLY file '{target}' cannot be written", why=str(error)) from error


def _read_table(path: Path) -> tuple[NDArray[np.void], list[str]]:
    """Return the vertices and the comments of a PLY file."""
    try:
        data = PlyData.read(str(path), mmap=False)
    except OSError as error:
        raise PsheadError(f"the PLY file '{path}' cannot be read", why=error.strerror or str(error)) from error
    except (PlyParseError, UnicodeDecodeError, ValueError) as error:
        raise PsheadError(
            f"'{path}' is not a whole PLY file", why=str(error), fix="name a file of 3D Gaussians in the PLY format"
        ) from error
    if "vertex" not in data:
        raise PsheadError(f"the PLY file '{path}' has no element 'vertex'")
    return data["vertex"].data, list(data.comments)


def _columns(table: NDArray[np.void], names: Sequence[str]) -> Tensor:
    """Return the named properties as `[vertex, name]`."""
    return torch.from_numpy(np.stack([table[name].astype(np.float32) for name in names], axis=1))


def _degree(found: int, comments: Sequence[str], path: Path) -> int:
    """Return the SH degree: by the number of `f_rest` properties, or lower if the writer padded and says so."""
    by_count = {count: degree for degree, count in REST_OF_DEGREE.items()}
    if found not in by_count:
        raise PsheadError(
            f"the PLY file '{path}' has {found} properties f_rest_*",
            why="spherical harmonics of degree 0 to 3 have 0, 9, 24 or 45",
        )
    for comment in comments:
        word = comment.removeprefix(DEGREE_COMMENT)
        if word != comment and word in {"0", "1", "2", "3"}:
            return min(by_count[found], int(word))
    return by_count[found]


def read_ply(path: Path) -> GaussianModel:
    """Read Gaussians from a PLY file of the Inria layout, with or without normals, SH degree 0 to 3, ASCII or binary.

    Args:
        path: the file; RDF axes are assumed.

    Raises:
        PsheadError: the file cannot be read, or is not such a file.
    """
    table, comments = _read_table(path)
    names = set(table.dtype.names or ())
    needed = [p for p in PROPERTIES if not p.startswith(("n", "f_rest_"))]
    missing = [name for name in needed if name not in names]
    if missing:
        raise PsheadError(
            f"the PLY file '{path}' holds no 3D Gaussians",
            why=f"its vertices lack {', '.join(missing)}",
            fix="name a file of the Inria 3D Gaussian Splatting layout, not a mesh or a compressed PLY",
        )
    if len(table) == 0:
        raise PsheadError(f"the PLY file '{path}' holds no vertices")
    found = sum(name.startswith("f_rest_") for name in names)
    degree = _degree(found, comments, path)
    sh = _columns(table, [f"f_dc_{k}" for k in range(3)])[:, None]
    if degree > 0:
        rest = _columns(table, [f"f_rest_{k}" for k in range(found)]).reshape(len(table), 3, found // 3)
        sh = torch.cat([sh, rest.transpose(1, 2)[:, : (degree + 1) ** 2 - 1]], dim=1)
    model = GaussianModel(
        means=_columns(table, ["x", "y", "z"]),
        quaternions=_columns(table, [f"rot_{k}" for k in range(4)]),
        log_scales=_columns(table, [f"scale_{k}" for k in range(3)]),
        opacity_logits=_columns(table, ["opacity"])[:, 0],
        sh=sh.contiguous(),
    )
    for name, values in model.tensors().items():
        if not bool(torch.isfinite(values).all()):
            raise PsheadError(f"the PLY file '{path}' is damaged", why=f"{name} holds a number that is not finite")
    turned = turn_about_x(model)
    # Two half turns multiply a quaternion by -1: the same rotation, but not the numbers that were written.
    return evolve(turned, quaternions=-turned.quaternions)
