"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

from pshead_core.bench.results import Results
from pshead_core.bench.statistics import CONFIDENCE, Mean, mean_of

HEADLINES: dict[str, str] = {
    "reference.psnr_masked_db": "PSNR, reference view",
    "reference.lpips_alex": "LPIPS, reference view",
    "novel.psnr_db": "PSNR",
    "novel.ssim": "SSIM",
    "novel.lpips_alex": "LPIPS",
    "novel.sharpness": "sharpness",
    "novel.silhouette_iou": "silhouette IoU",
    "novel.contextual_distance": "CD",
    "novel.clip_similarity": "CLIP",
    "novel.identity": "ID",
    "novel.faces_at_back_frac": "faces at the back",
    "novel.reprojection_psnr_db": "consistency",
}
"""Columns of the printed table, those of the paper's table 3 among them; everything else is in the CSV and JSON."""
_DIGITS = 3


def digits_of(unit: str) -> int:
    """Return how many digits after the point a number of some unit is given with."""
    return 2 if unit == "dB" else _DIGITS


def table(results: Results, *, intervals: Sequence[str] = ("novel.psnr_db",), emphasised: Sequence[str] = ()) -> str:
    """Return the means over subjects as a Markdown table, and below it what is missing and why.

    Args:
        results: of the benchmark.
        intervals: keys whose interval is shown.
        emphasised: rows in italics.
    """
    keys = [key for key in HEADLINES if key in results.figures]
    titles = ["row", "subjects", *(f"{HEADLINES[key]}{_unit(results, key)}" for key in keys)]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row, subjects in results.values.items():
        cells = [_cell(results, row, key, key in intervals) for key in keys]
        name = f"*{row}*" if row in emphasised else row
        lines.append(f"| {' | '.join([name, str(len(subjects)), *cells])} |")
    notes = [f"* {name}: by {', '.join(used)}" for name, used in results.weights.items()]
    notes += [f"* {name}: missing: {reason}" for name, reason in results.missing.items()]
    told = f"Means over subjects; in brackets the {CONFIDENCE:.0%} interval of the bootstrap over subjects."
    return "\n".join([*lines, "", told, *(["", *notes] if notes else [])])


def _cell(results: Results, row: str, key: str, interval: bool) -> str:
    values = list(results.column(row, key).values())
    if not values:
        return "-"
    return text_of(mean_of(values), digits_of(results.figures[key].unit), interval=interval)


def text_of(mean: Mean, digits: int, *, interval: bool, signed: bool = False) -> str:
    """Return `22.65 (21.30 to 23.90)`, or the mean alone."""
    sign = "+" if signed else ""
    centre = f"{mean.value:{sign}.{digits}f}"
    return f"{centre} ({mean.low:{sign}.{digits}f} to {mean.high:{sign}.{digits}f})" if interval else centre


def _unit(results: Results, key: str) -> str:
    unit = results.figures[key].unit
    return f", {unit}" if unit else ""
