"""Meshes and heads seen by the project's cameras."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from pshead_core.cameras.camera import Cameras
from training.heads.head import Head
from training.render.kernel import SAMPLES_PER_SIDE, nearest_triangles, project_vertices, resolve
from training.render.lights import DEFAULT_LIGHTS, Lights, shade

Floats = NDArray[np.float32]


@frozen(kw_only=True, eq=False)
class Pictures:
    """What cameras see."""

    rgba: Floats
    """`[view, height, width, 4]` in 0..1, straight (not premultiplied) display-referred colour; 0 where alpha is 0."""
    depth: Floats
    """`[view, height, width]`, along the camera's +z, world units, mean of the covered samples; 0 where alpha is 0."""

    def on(self, background: Floats) -> Floats:
        """Return `[view, height, width, 3]` over a background that broadcasts against it, such as a colour `[3]`."""
        alpha = self.rgba[..., 3:]
        return np.asarray(self.rgba[..., :3] * alpha + np.asarray(background, np.float32) * (1 - alpha))


def render_mesh(vertices: Floats, triangles: NDArray[np.int32], colours: Floats, cameras: Cameras) -> Pictures:
    """Draw a mesh from all cameras; both sides of every triangle are seen.

    Args:
        vertices: `[vertex, 3]`, world.
        triangles: `[triangle, 3]`, corner indices.
        colours: `[vertex, 3]` in 0..1, drawn as they are (no light).
        cameras: any pinhole cameras of the project.
    """
    height, width = cameras.height_px, cameras.width_px
    poses = cameras.T_camera_world.numpy().astype(np.float32)
    rgba = np.empty((len(cameras), height, width, 4), dtype=np.float32)
    depth = np.empty((len(cameras), height, width), dtype=np.float32)
    rows, columns = height * SAMPLES_PER_SIDE, width * SAMPLES_PER_SIDE
    for view, pose in enumerate(poses):
        points = project_vertices(
            vertices,
            pose,
            np.float32(cameras.focal_px * SAMPLES_PER_SIDE),
            np.float32(columns / 2),
            np.float32(rows / 2),
        )
        nearest, inverse_z = nearest_triangles(points, triangles, rows, columns)
        resolve(points, triangles, colours, nearest, inverse_z, rgba[view], depth[view])
    return Pictures(rgba=rgba, depth=depth)


def render_head(head: Head, cameras: Cameras, lights: Lights = DEFAULT_LIGHTS) -> Pictures:
    """Draw a head under lights that are fixed to the world, so that all views agree."""
    return render_mesh(head.vertices, head.triangles, shade(head.colours, head.normals, lights), cameras)
