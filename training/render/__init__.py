"""Pictures of meshes with coloured vertices: a z-buffer in numba, fixed lights, and the jitter of training."""

from training.render.jitter import Jitter, apply_jitter, sample_jitter
from training.render.lights import DEFAULT_LIGHTS, Lights, sample_lights, shade
from training.render.views import Pictures, render_head, render_mesh

__all__ = [
    "DEFAULT_LIGHTS",
    "Jitter",
    "Lights",
    "Pictures",
    "apply_jitter",
    "render_head",
    "render_mesh",
    "sample_jitter",
    "sample_lights",
    "shade",
]
