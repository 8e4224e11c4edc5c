"""`pshead render HEAD`: draw a finished head again, from a run folder or from any 3D Gaussian PLY."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pshead_core.cli.heads import find_head
from pshead_core.cli.parser import Parser
from pshead_core.errors import PsheadError

PROG = "pshead render"


def main(argv: Sequence[str]) -> int:
    """Run the verb and return the exit code."""
    parser = Parser(
        PROG,
        "Draw a head: views.png, turntable.mp4 and head.html.",
        "examples:\n  pshead render runs/anna\n  pshead render head.ply --out pictures --side-px 1024",
    )
    parser.add_argument("head", metavar="HEAD", type=Path, help="a run folder, or a PLY file of 3D Gaussians")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where to (default: the folder of the head)")
    parser.add_argument("--side-px", metavar="N", type=int, default=512, help="side of a view (default: 512)")
    parser.add_argument("--renderer", choices=("cpu", "gsplat", "reference"), default="cpu", help="default: cpu")
    known = parser.parse(argv)
    if known.side_px < 16 or known.side_px % 2:  # H.264 stores colour at half the resolution
        raise PsheadError(f"--side-px must be even and at least 16: {known.side_px}")

    head = find_head(known.head)
    folder = known.out or head.ply.parent
    from pshead_core.run.redraw import redraw  # noqa: PLC0415 - imports torch

    redraw(head.ply, folder, head.config, renderer=known.renderer, side_px=known.side_px)
    print(f"wrote views.png, turntable.mp4 and head.html in {folder}")
    return 0
