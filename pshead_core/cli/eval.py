"""`pshead eval HEAD`: measure a finished head beside its photo, and beside the truth where that is known."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve

from pshead_core.cli.heads import find_head
from pshead_core.cli.output import paint
from pshead_core.cli.parser import Parser
from pshead_core.errors import PsheadError

PROG = "pshead eval"
_EPILOG = """\
examples:
  pshead eval runs/anna
  pshead eval head.ply --photo anna.jpg --out report
  pshead eval runs/sdf --truth training/ground_truth/data/sdf-1000004 --side-px 256"""


def main(argv: Sequence[str]) -> int:
    """Run the verb and return the exit code."""
    parser = Parser(PROG, "Measure a head: a table, metrics.json and report.html.", _EPILOG)
    parser.add_argument("head", metavar="HEAD", type=Path, help="a run folder, or a PLY file of 3D Gaussians")
    parser.add_argument("--photo", metavar="FILE", type=Path, help="the photo (default: that of the run)")
    parser.add_argument("--truth", metavar="DIR", type=Path, help="true views of the head, with views.json")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where to (default: the folder of the head)")
    parser.add_argument(
        "--side-px", metavar="N", type=int, help="side of a view (default: the run's last, or the truth's)"
    )
    parser.add_argument("--metrics", metavar="A,B", help="only these (default: all that are installed)")
    parser.add_argument(
        "--config", metavar="FILE", action="append", default=[], type=Path, help="TOML with [metrics] and [analyzers]"
    )
    parser.add_argument("--renderer", choices=("cpu", "gsplat", "reference"), help="default: the run's")
    known = parser.parse(argv)
    if known.side_px is not None and (known.side_px < 32 or known.side_px % 2):
        raise PsheadError(f"--side-px must be even and at least 32: {known.side_px}")
    head = find_head(known.head)
    config = head.config
    if known.renderer is not None:
        config = evolve(config, render=evolve(config.render, renderer=known.renderer))

    from pshead_core.evaluation.folder import read_views  # noqa: PLC0415 - these import torch
    from pshead_core.report.html import write_report  # noqa: PLC0415
    from pshead_core.report.table import terminal_table  # noqa: PLC0415
    from pshead_core.run.evaluate import evaluate, resolve_metrics  # noqa: PLC0415

    truth = None if known.truth is None else read_views(known.truth)
    side_px = config.resolution.sides_px[-1] if truth is None else truth.cameras.height_px
    evaluation = evaluate(
        head.ply,
        run=head.run,
        config=config,
        photo=known.photo,
        truth=truth,
        resolved=resolve_metrics(known.config, names_of(known.metrics)),
        side_px=known.side_px or side_px,
        say=lambda line: print(line, file=sys.stderr),
    )
    folder = known.out or head.ply.parent
    write_report(folder, evaluation)
    print("\n".join(terminal_table(evaluation.measured, paint)))
    print(f"\nwrote report.html and metrics.json in {folder}")
    return 0


def names_of(text: str | None) -> list[str] | None:
    """Return the names of a list `a,b`; None stays None."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
