"""Fits the landmarks of signed-distance heads to MediaPipe: `python -m training.heads.sdf.derive_landmarks`.

Random bare heads are drawn from the front, MediaPipe finds its points, each is cast onto the head's skin, and a ridge
regression maps the head's parameters to the points. Where MediaPipe finds no face the head is left out.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from attrs import evolve
from numpy.typing import NDArray

from pshead_core.cameras.camera import orbit
from training.heads.mediapipe_points import detect
from training.heads.mesh import join
from training.heads.sdf.build import Draft, sample_draft, sdf_parts
from training.heads.sdf.landmarks import TABLE, features
from training.heads.sdf.surface import front_depth
from training.render.lights import DEFAULT_LIGHTS, shade
from training.render.views import render_mesh

Doubles = NDArray[np.float64]

SIDE_PX, SCALE = 512, 0.31
FIRST_SEED = 500_000
"""Seeds of the heads used here: apart from those of trainings and of held-out sets."""


def bare(draft: Draft) -> Draft:
    """Return the head without what hides the face."""
    attributes = evolve(draft.attributes, hat=None, glasses=None)
    shape = draft.shape._replace(style=1, beard=0.0, beard_kind=0)
    return evolve(draft, shape=shape, hat=None, glasses=None, attributes=attributes)


def observe(draft: Draft) -> Doubles | None:
    """Return where MediaPipe sees the 468 points, cast onto the skin, `[468, 3]` local; None if it sees no face."""
    camera = orbit(torch.zeros(1), torch.zeros(1), distance=2.0, fovy_deg=49.1, side_px=SIDE_PX)
    whole = join(sdf_parts(draft, np.zeros((478, 3), np.float32)))
    lit = shade(whole.colours, whole.normals, DEFAULT_LIGHTS)
    picture = render_mesh(whole.vertices * np.float32(SCALE), whole.triangles, lit, camera).on(
        np.full(3, 0.9, np.float32)
    )
    points = detect((picture * 255).round().astype(np.uint8))[0]
    if points is None:
        return None
    rays = (points[:468, :2].astype(np.float64) - SIDE_PX / 2) / camera.focal_px * np.array([1, -1])
    z = np.full(468, 0.7)
    for _ in range(4):  # the ray's x and y depend on the depth at which it meets the skin
        xy = rays * (2.0 - SCALE * z)[:, None] / SCALE
        z = np.clip(front_depth(np.ascontiguousarray(xy), draft.shape), -0.2, 1.4)
    return np.column_stack([xy, z])


def main() -> None:
    """Observe heads, fit, report the error of heads that were left out of the fit, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--heads", type=int, default=300)
    arguments = parser.parse_args()
    inputs, points = [], []
    for number in range(arguments.heads):
        draft = bare(sample_draft(FIRST_SEED + number))
        seen = observe(draft)
        if seen is not None:
            inputs.append(features(draft.shape, draft.lift, draft.angle))
            points.append(seen)
        if number % 20 == 19:
            print(f"{number + 1} heads, {len(points)} faces", flush=True)
    x, y = np.array(inputs), np.array(points)
    outputs = np.concatenate([y[..., 0], y[..., 1]], axis=1)
    fit = slice(0, int(0.85 * len(x)))
    test = slice(fit.stop, None)
    error = (x[test] @ ridge(x[fit], outputs[fit]) - outputs[test]).reshape(-1, 2, 468)
    print(f"held-out mean error {np.hypot(error[:, 0], error[:, 1]).mean() * 100:.2f} mm")
    np.savez_compressed(
        TABLE, coefficients=ridge(x, outputs).astype(np.float32), outline_z=np.median(y[..., 2], axis=0)
    )
    print(f"wrote {TABLE}")


def ridge(x: Doubles, outputs: Doubles) -> Doubles:
    """Return coefficients `[feature, output]`; every feature but the constant is penalised by its spread."""
    spread = x.std(axis=0)
    penalty = np.diag(np.where(spread > 0, 0.02 * len(x) * spread**2, 0.0)) * 0.5
    return np.asarray(np.linalg.solve(x.T @ x + penalty + 1e-9 * np.eye(x.shape[1]), x.T @ outputs))


if __name__ == "__main__":
    main()
