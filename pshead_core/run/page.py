"""`head.html`: the head in a page that needs no server and no network (viser's self-contained viewer)."""

from __future__ import annotations

import contextlib
import io
import socket

import numpy as np
import torch
import viser
from torch import Tensor

from pshead_core.config.run import CameraConfig
from pshead_core.gaussians.model import GaussianModel
from pshead_core.gaussians.sh import C0
from pshead_core.render.projection import covariances

WORKER_FIX = """<script>
if (location.protocol === "file:") {
  window.Blob = class extends Blob {
    constructor(parts, options) {
      const asClassic = (part) =>
        typeof part === "string" ? part.replaceAll("import.meta.url", "self.location.href") : part;
      super(/javascript/.test(options?.type) ? Array.from(parts, asClassic) : parts, options);
    }
  };
  window.Worker = class extends Worker {
    constructor(url, options) {
      super(url, { ...options, type: "classic" });
    }
  };
}
</script>"""
"""viser 1.1.1 sorts the Gaussians in a module worker made from a blob, which Chrome refuses in a page opened from a
file; the far side is then drawn over the near one. As a classic script the same worker is allowed."""


def page(model: GaussianModel, cameras: CameraConfig) -> str:
    """Return the page as HTML. The viewer has no spherical harmonics, so it shows the view-independent colour.

    Args:
        model: the head.
        cameras: where the first view stands.
    """
    spread = covariances(model.quaternions, model.log_scales)
    with contextlib.redirect_stdout(io.StringIO()):  # viser announces the end of its server
        return _serialise(model, spread, cameras).replace("<head>", f"<head>{WORKER_FIX}", 1)


def _serialise(model: GaussianModel, spread: Tensor, cameras: CameraConfig) -> str:
    """Return viser's page. Its server is needed only to build the scene and listens to this machine alone."""
    server = viser.ViserServer(host="127.0.0.1", port=_free_port(), verbose=False)
    try:
        server.scene.set_up_direction("+y")
        server.initial_camera.position = (0.0, 0.0, cameras.distance)
        server.initial_camera.look_at = (0.0, 0.0, 0.0)
        server.initial_camera.up = (0.0, 1.0, 0.0)
        server.initial_camera.fov = float(np.radians(cameras.fovy_deg))
        server.scene.add_gaussian_splats(
            "/head",
            centers=model.means.cpu().numpy(),
            covariances=spread.cpu().numpy(),
            rgbs=(model.sh[:, 0] * C0 + 0.5).clamp(0, 1).cpu().numpy(),
            opacities=torch.sigmoid(model.opacity_logits)[:, None].cpu().numpy(),
        )
        html: str = server.get_scene_serializer().as_html()
        return html
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
