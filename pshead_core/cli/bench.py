"""`pshead bench`: ablations, comparisons, and heads of other systems, all measured alike."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pshead_core.cli.eval import names_of
from pshead_core.cli.parser import Parser
from pshead_core.errors import ConfigError, PsheadError
from pshead_core.registry.nearest import did_you_mean

PROG = "pshead bench"
VERBS: dict[str, str] = {
    "ablation": "the rows of the paper's table 3 over heads and photos",
    "rivals": "score heads or views that other systems made",
    "compare": "two sets of results side by side",
}


def main(argv: Sequence[str]) -> int:
    """Run the verb and return the exit code."""
    if not argv or argv[0] in ("-h", "--help"):
        lines = [f"usage: {PROG} VERB ...", "", *(f"  {verb:<10} {text}" for verb, text in VERBS.items())]
        print("\n".join([*lines, "", "The benchmark is described in docs/benchmark.md."]))
        return 0
    verbs = {"ablation": _ablation, "rivals": _rivals, "compare": _compare}
    if argv[0] not in verbs:
        hint = did_you_mean(argv[0], VERBS)
        raise ConfigError(f"{PROG} does not know {argv[0]!r}{hint}", fix=f"{PROG} --help")
    return verbs[argv[0]](argv[1:])


def _add_subjects(parser: Parser) -> None:
    parser.add_argument("--heads", metavar="DIR", type=Path, help="heads whose views are known (docs/benchmark.md)")
    parser.add_argument("--photos", metavar="DIR", type=Path, help="a folder of photos")
    parser.add_argument("--only", metavar="A,B", help="only these subjects")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="results; goes on from what is there")
    parser.add_argument("--metrics", metavar="A,B", help="only these (default: all that are installed)")
    parser.add_argument(
        "--metric-config", metavar="FILE", action="append", default=[], type=Path, help="TOML with [metrics]"
    )


def _ablation(argv: Sequence[str]) -> int:
    parser = Parser(
        f"{PROG} ablation",
        "Reconstruct and measure subjects with the schedules of the paper's table 3.",
        "example:\n  pshead bench ablation --heads training/ground_truth/data --out runs/ablation",
    )
    _add_subjects(parser)
    parser.add_argument(
        "--preset", metavar="NAME", help="what the rows are taken from (default: the miniatures at 128 px)"
    )
    parser.add_argument("--config", metavar="FILE", action="append", default=[], type=Path, help="TOML over the preset")
    parser.add_argument("--row-file", metavar="FILE", type=Path, help="other rows (default: those of table 3)")
    parser.add_argument("--rows", metavar="A,B", help="only these rows")
    parser.add_argument("--rivals", metavar="DIR", type=Path, help="other systems or baselines, for rows below ours")
    parser.add_argument("--workers", metavar="N", type=int, default=2, help="processes of one thread (default: 2)")
    known = parser.parse(argv)
    if known.workers < 1:
        raise ConfigError(f"--workers must be at least 1: {known.workers}")

    from pshead_core.bench.ablation import Ablation, run_ablation  # noqa: PLC0415 - imports torch
    from pshead_core.bench.rows import Settings, chosen, mini_metrics, mini_settings, read_rows  # noqa: PLC0415
    from pshead_core.bench.subjects import chosen_subjects, find_subjects  # noqa: PLC0415

    files = tuple(known.config)
    settings = mini_settings(files) if known.preset is None else Settings(preset=known.preset, files=files)
    names = names_of(known.metrics)
    own_metrics = (mini_metrics(),) if known.preset is None and names is None else ()
    ablation = Ablation(
        subjects=chosen_subjects(find_subjects(known.heads, known.photos), names_of(known.only)),
        rows=chosen(read_rows(known.row_file), names_of(known.rows)),
        settings=settings,
        metric_files=tuple(known.metric_config) or own_metrics,
        metric_names=None if names is None else tuple(names),
        out=known.out,
        workers=known.workers,
        rivals=known.rivals,
    )
    results = run_ablation(ablation, _say)
    print((known.out / "table.md").read_text(encoding="utf-8"))
    print(f"wrote results.json, results.csv, table.md and grid.jpg in {known.out}")
    return 0 if len(results.subjects) == len(ablation.subjects) else 1


def _rivals(argv: Sequence[str]) -> int:
    parser = Parser(
        f"{PROG} rivals",
        "Score heads or views that other systems made: FOLDER/<system>/<subject>/ (docs/benchmark.md).",
        "example:\n  pshead bench rivals others --heads training/ground_truth/data --out runs/others",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="one folder for each system")
    _add_subjects(parser)
    parser.add_argument("--side-px", metavar="N", type=int, default=128, help="side of a view (default: 128)")
    known = parser.parse(argv)

    from pshead_core.bench.score import score_rivals  # noqa: PLC0415 - imports torch
    from pshead_core.bench.subjects import chosen_subjects, find_subjects  # noqa: PLC0415
    from pshead_core.bench.table import table  # noqa: PLC0415

    results = score_rivals(
        known.folder,
        chosen_subjects(find_subjects(known.heads, known.photos), names_of(known.only)),
        metric_files=known.metric_config,
        metric_names=names_of(known.metrics),
        side_px=known.side_px,
        out=known.out,
        say=_say,
    )
    print(table(results))
    print(f"\nwrote results.json, results.csv and table.md in {known.out}")
    return 0


def _compare(argv: Sequence[str]) -> int:
    parser = Parser(
        f"{PROG} compare",
        "Compare two sets of results, row by row, over the subjects that both have.",
        "examples:\n  pshead bench compare runs/before runs/after\n  pshead bench compare 'runs/a#S2' 'runs/a#S3'",
    )
    parser.add_argument("before", metavar="A[#ROW]", help="folder of results, and one of its rows")
    parser.add_argument("after", metavar="B[#ROW]", help="the same")
    known = parser.parse(argv)

    from pshead_core.bench.compare import comparison_table, differences, row_pairs  # noqa: PLC0415 - imports scipy
    from pshead_core.bench.results import read_results  # noqa: PLC0415

    (one, row), (other, other_row) = _place(known.before), _place(known.after)
    before, after = read_results(one), read_results(other)
    print(comparison_table(differences(before, after, row_pairs(before, after, row, other_row))))
    return 0


def _place(text: str) -> tuple[Path, str | None]:
    folder, _, row = text.partition("#")
    if not folder:
        raise PsheadError(f"'{text}' names no folder", fix="write FOLDER or FOLDER#ROW")
    return Path(folder), row or None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
