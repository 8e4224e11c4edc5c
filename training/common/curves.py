"""Curves of a training as JSON and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from training.common.files import write_atomically, write_json


def write_curves(folder: Path, curves: list[dict[str, Any]]) -> None:
    """Write `curves.json` and `curves.png`: one panel per figure, training and held-out, over the step."""
    write_json(folder / "curves.json", curves)
    kinds = ("train", "held_out")
    panels = [(kind, name) for kind in kinds for name in curves[-1][kind]]
    figure = Figure(figsize=(4 * len(panels), 3), layout="constrained")
    for place, (kind, name) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        axes.plot([entry["step"] for entry in curves], [entry[kind][name] for entry in curves], marker=".")
        axes.set_title(f"{kind.replace('_', ' ')}: {name}")
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
    canvas = FigureCanvasAgg(figure)
    write_atomically(folder / "curves.png", canvas.print_png)
