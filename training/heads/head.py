"""A synthetic head: a mesh with coloured vertices, its landmarks, and what it shows."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from training.heads.attributes import HeadAttributes

Floats = NDArray[np.float32]

HELD_OUT_SEED = 1_000_000
"""Seeds from here on are never trained on: tests, held-out figures and the ground-truth set take theirs from here."""


@frozen(kw_only=True, eq=False)
class Head:
    """Head and bust, framed: the camera at azimuth 0 sees it as the framed portrait of a photo."""

    vertices: Floats
    """`[vertex, 3]`, world (+y up, the face looks along +z, the subject's left is +x)."""
    triangles: NDArray[np.int32]
    """`[triangle, 3]`; both sides may be seen (hair is made of sheets)."""
    colours: Floats
    """`[vertex, 3]` in 0..1, display-referred sRGB, without light (soft occlusion is painted in)."""
    normals: Floats
    """`[vertex, 3]`, unit, outwards."""
    landmarks: Floats
    """`[478, 3]`, world: MediaPipe's face mesh with irises."""
    attributes: HeadAttributes
    source: str
    """Which generator: `makehuman` or `sdf`."""
    seed: int
