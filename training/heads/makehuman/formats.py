"""MakeHuman's plain-text formats: Wavefront OBJ, `.target` and `.mhclo`.

Lengths are decimetres, indices count from 0 (OBJ from 1), lines that start with `#` are comments.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pshead_core.errors import PsheadError

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@frozen(kw_only=True, eq=False)
class ObjMesh:
    """What an OBJ file holds of a mesh."""

    vertices: Floats
    """`[vertex, 3]`."""
    quads: Ints
    """`[face, 4]`; a triangle repeats its last corner."""
    uv: Floats
    """`[vertex, 2]`, the texture coordinate of the last corner that names one; NaN without."""
    groups: dict[str, Ints]
    """Faces of every group, as rows of `quads`."""


@frozen(kw_only=True, eq=False)
class Target:
    """A morph target: some vertices and where they go at weight 1."""

    index: Ints
    """`[moved]`."""
    offset: Floats
    """`[moved, 3]`."""


@frozen(kw_only=True, eq=False)
class Fit:
    """A mesh bound to the base mesh by an `.mhclo` file."""

    corners: Ints
    """`[vertex, 3]`, vertices of the base mesh."""
    weights: Floats
    """`[vertex, 3]`, of the corners."""
    offsets: Floats
    """`[vertex, 3]`, before scaling."""
    scales: tuple[tuple[int, int, float], ...]
    """For x, y and z: two base vertices and the distance at which the factor is 1."""
    hidden: Ints
    """Base vertices under the cloth."""

    def place(self, base: Floats) -> Floats:
        """Return the mesh's vertices `[vertex, 3]` on a base mesh `[base vertex, 3]`."""
        factors = [
            abs(float(base[first, axis] - base[second, axis])) / unit
            for axis, (first, second, unit) in enumerate(self.scales)
        ]
        on_base = np.einsum("vc,vcd->vd", self.weights, base[self.corners])
        return np.asarray(on_base + self.offsets * np.array(factors, np.float32), np.float32)


def _lines(path: Path) -> list[list[str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PsheadError(
            f"a MakeHuman asset is missing: {path}",
            why="the assets folder is not complete, or is not one",
            fix="unpack makehuman-heads.tar.xz and name the folder that holds 3dobjs/ and targets/",
        ) from error
    return [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def read_obj(path: Path) -> ObjMesh:
    """Return the mesh of an OBJ file.

    Raises:
        PsheadError: the file is missing or a face has neither three nor four corners.
    """
    vertices: list[list[float]] = []
    texture: list[list[float]] = []
    quads: list[list[int]] = []
    corner_uv: list[tuple[int, int]] = []
    groups: dict[str, list[int]] = {}
    members = groups.setdefault("", [])
    for word, *rest in _lines(path):
        if word == "v":
            vertices.append([float(value) for value in rest[:3]])
        elif word == "vt":
            texture.append([float(value) for value in rest[:2]])
        elif word == "g":
            members = groups.setdefault(" ".join(rest), [])
        elif word == "f":
            corners = [[int(part) - 1 for part in corner.split("/")[:2] if part] for corner in rest]
            if len(corners) not in (3, 4):
                raise PsheadError(
                    f"a face of {path} has {len(corners)} corners", why="triangles and quads are read", fix="split it"
                )
            corner_uv += [(corner[0], corner[1]) for corner in corners if len(corner) > 1]
            members.append(len(quads))
            quads.append([corner[0] for corner in (corners + corners[2:3] if len(corners) == 3 else corners)])
    uv = np.full((len(vertices), 2), np.nan, np.float32)
    if corner_uv:
        pairs = np.array(corner_uv)
        uv[pairs[:, 0]] = np.array(texture, np.float32)[pairs[:, 1]]
    return ObjMesh(
        vertices=np.array(vertices, np.float32),
        quads=np.array(quads, np.int32),
        uv=uv,
        groups={name: np.array(rows, np.int32) for name, rows in groups.items() if rows},
    )


def read_target(path: Path) -> Target:
    """Return a morph target.

    Raises:
        PsheadError: the file is missing or a line has not four numbers.
    """
    rows = _lines(path)
    if {len(row) for row in rows} - {4}:
        raise PsheadError(f"{path} is not a target", why="each line is `vertex dx dy dz`", fix="restore the file")
    table = np.array([float(word) for row in rows for word in row]).reshape(-1, 4)
    return Target(index=table[:, 0].astype(np.int32), offset=table[:, 1:].astype(np.float32))


def read_fit(path: Path) -> Fit:
    """Return how the mesh of an `.mhclo` file lies on the base mesh.

    Raises:
        PsheadError: the file is missing, or has no scales or no vertices.
    """
    scales: dict[str, tuple[int, int, float]] = {}
    rows: list[list[float]] = []
    hidden: list[str] = []
    section = ""
    for words in _lines(path):
        if words[0] in ("x_scale", "y_scale", "z_scale"):
            scales[words[0][0]] = (int(words[1]), int(words[2]), float(words[3]))
        elif words[0] in ("verts", "delete_verts"):
            section = words[0]
        elif not words[0].lstrip("-").replace(".", "").isdigit():
            continue  # other keywords stand between the section's name and its rows
        elif section == "verts":
            exact = [float(words[0])] * 3 + [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
            rows.append(exact if len(words) == 1 else [float(word) for word in words[:9]])
        elif section == "delete_verts":
            hidden += words
    if sorted(scales) != ["x", "y", "z"] or not rows:
        raise PsheadError(f"{path} binds no mesh", why="it lacks scales or vertices", fix="restore the file")
    table = np.array(rows, np.float64)
    return Fit(
        corners=table[:, :3].astype(np.int32),
        weights=table[:, 3:6].astype(np.float32),
        offsets=table[:, 6:9].astype(np.float32),
        scales=tuple(scales[axis] for axis in "xyz"),
        hidden=_ranges(hidden),
    )


def _ranges(words: list[str]) -> Ints:
    """Return the indices of words such as "3 - 6 9"."""
    out: list[int] = []
    i = 0
    while i < len(words):
        first = int(words[i])
        if i + 2 < len(words) and words[i + 1] == "-":
            out += range(first, int(words[i + 2]) + 1)
            i += 3
        else:
            out.append(first)
            i += 1
    return np.array(out, np.int32)
