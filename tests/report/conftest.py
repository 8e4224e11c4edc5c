"""An evaluation of the tiny head, with numbers, penalties and gaps written by hand, and a run folder."""

import json
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch

from pshead_core.config.run import CameraConfig, RunConfig
from pshead_core.evaluation.folder import TrueHead
from pshead_core.evaluation.measure import Measured
from pshead_core.evaluation.scene import scene_of_head
from pshead_core.render.reference import ReferenceRenderer
from pshead_core.run.evaluate import Evaluation
from pshead_core.run.pictures import view_images
from pshead_core.specs import Figure
from pshead_core.testing.scenes import tiny_model, tiny_portrait, tiny_views

SIDE_PX = 48
NASTY = "<script>alert('x')</script> & \"co\" $name"
REASON = "the weights <b>'vgg'</b> are not here"

PSNR = Figure(name="psnr_db", summary="noise <ratio>", best=float("inf"), range=(0.0, 120.0), unit="dB")
ALIKE = Figure(name="alike", summary="likeness", best=1.0, range=(-1.0, 1.0))
LPIPS = Figure(name="lpips", summary="distance", best=0.0, range=(0.0, float("inf")))
SHARP = Figure(name="sharpness", summary="ratio", best=1.0, range=(0.0, float("inf")))

MEASURED = (
    Measured(metric="fidelity", figure=PSNR, part="reference", compares="truth", value=31.4159),
    Measured(metric="lpips", figure=LPIPS, part="reference", compares="truth", missing=REASON),
    Measured(metric="fidelity", figure=PSNR, part="novel", compares="truth", value=17.25),
    Measured(metric="lpips", figure=LPIPS, part="novel", compares="truth", missing=REASON),
    Measured(metric="clip", figure=ALIKE, part="novel", compares="photo", value=0.51234, penalised=True),
    Measured(metric="sharp", figure=SHARP, part="novel", compares="nothing", value=0.0),
)

SIDES = ((0, 32), (4, 64), (6, 128))


def truth():
    """True views from seven cameras, the front among them."""
    ring = tiny_views(6, side_px=SIDE_PX, view_set="back_and_side")
    front = tiny_views(1, side_px=SIDE_PX, view_set="reference")
    rgb, alpha = (torch.cat([getattr(front, name), getattr(ring, name)]) for name in ("rgb", "alpha"))
    cameras = attrs.evolve(
        ring.cameras,
        **{
            name: torch.cat([getattr(front.cameras, name), getattr(ring.cameras, name)])
            for name in ("T_world_camera", "azimuth_deg", "elevation_deg")
        },
    )
    rgba = (torch.cat([rgb, alpha[..., None]], -1) * 255).round().byte().numpy()
    return TrueHead(name="true", rgba=rgba, has_alpha=True, cameras=cameras)


@pytest.fixture(scope="session")
def whole():
    """An evaluation with photo and truth, without a run."""
    config = RunConfig(cameras=CameraConfig(ring_views=5))
    model, renderer, white = tiny_model(200), ReferenceRenderer(), torch.ones(3)
    portrait = tiny_portrait(64)
    scene = scene_of_head(model, renderer, config.cameras, white, portrait=portrait, truth=truth(), side_px=SIDE_PX)
    return Evaluation(
        name="anna",
        head=Path("somewhere/head.ply"),
        model=model,
        config=config,
        run=None,
        scene=scene,
        sheet=view_images(model, renderer, config.cameras, white, views=8, side_px=SIDE_PX),
        measured=MEASURED,
        seconds={"rendering": 1.5, "fidelity": 0.25},
        licences={"fidelity": ("Apache-2.0",), "lpips": ("BSD-2-Clause", "<i>own</i>")},
    )


@pytest.fixture(scope="session")
def bare(whole):
    """The same without photo and truth."""
    scene = attrs.evolve(whole.scene, photo=None, truth=None, truth_outputs=frozenset())
    return attrs.evolve(whole, scene=scene)


def lines(steps=8):
    """What a run of some steps reports; two slots, one of which is due at every other step and 0 at first."""
    draw = np.random.default_rng(0)
    for step in range(steps):
        slots = [{"slot": "novel", "weight": 1.0, "grad_norm": float(draw.uniform(1, 90)), "views": 4, "seconds": 0.1}]
        if step % 2 == 0:
            norm = 0.0 if step == 0 else float(draw.uniform(0.02, 0.5))
            slots.append({"slot": NASTY, "weight": 1.0, "grad_norm": norm, "views": 2, "seconds": 0.25})
        yield {
            "step": step,
            "side_px": [side for first, side in SIDES if step >= first][-1],
            "gaussians": 1000 + 130 * step,
            "seconds": 1.0,
            "losses": {"rgb": float(draw.uniform(10, 100)), "scale": float(draw.uniform(1e-4, 1e-3))},
            "slots": slots,
        }


@pytest.fixture
def run(tmp_path):
    """A run folder with what the report reads."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "report.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines()))
    (folder / "run.json").write_text(json.dumps({"pshead": "0.1.0", "steps": 8, "seconds": 65.4, "metrics": {}}))
    plugin = {"kind": "guidance", "name": NASTY, "distribution": "pshead-x", "version": "9.8.7", "licences": ["MIT"]}
    weights = {"name": "mini/sd", "origin": "bundled", "fingerprint": "41c8af9d74a2428d", "licences": ["Apache-2.0"]}
    used = {"plugins": [plugin], "weights": [weights], "strictest_licence": "MIT"}
    (folder / "plugins.json").write_text(json.dumps(used))
    return folder
