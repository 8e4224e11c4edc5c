"""`report.html`: one page with everything an evaluation found. It makes no request, and its policy allows none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template

from pshead_core import __version__
from pshead_core.evaluation.measure import summary
from pshead_core.report import gallery, tables
from pshead_core.report.curves import curves_of, drawn_curves
from pshead_core.report.run_facts import MINIATURES, RunFacts, read_facts
from pshead_core.report.viewer import viewer_text
from pshead_core.report.words import duration
from pshead_core.run.atomic import naming_disk_errors, write_bytes
from pshead_core.run.evaluate import Evaluation

REPORT_PAGE = "report.html"
METRICS = "metrics.json"


def write_report(folder: Path, evaluation: Evaluation) -> None:
    """Write `report.html` and `metrics.json` into a folder, which is made if it is not there.

    Raises:
        RunFolderError: the folder cannot be written, or that of the head's run is damaged.
    """
    page = report_html(evaluation).encode()
    with naming_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / METRICS, json.dumps(metrics_json(evaluation), indent=2).encode() + b"\n")
    write_bytes(folder / REPORT_PAGE, page)


def metrics_json(evaluation: Evaluation) -> Mapping[str, object]:
    """Return what `metrics.json` holds; a number that is missing is null, with the reason beside it."""
    scene = evaluation.scene
    return {
        "pshead": __version__,
        "name": evaluation.name,
        "head": evaluation.head.name,
        "side_px": gallery.side_px(scene),
        "novel_views": len(scene.novel.rgb),
        "has_photo": scene.photo is not None,
        "has_truth": scene.truth is not None,
        "metrics": summary(evaluation.measured),
        "licences": {name: list(one) for name, one in evaluation.licences.items()},
        "seconds": {name: round(taken, 3) for name, taken in evaluation.seconds.items()},
    }


def report_html(evaluation: Evaluation) -> str:
    """Return the page.

    Raises:
        RunFolderError: the folder of the head's run is damaged.
    """
    facts = None if evaluation.run is None else read_facts(evaluation.run)
    truth = gallery.beside_truth(evaluation)
    sections = [
        _section("Beside the photo", gallery.beside_photo(evaluation)),
        _section("Eight views", gallery.views(evaluation)),
        _section("Turn the head", _viewer(evaluation)),
        _section("Beside the truth", truth),
        _section("Numbers", tables.numbers(evaluation)),
        _section("Licences of the metrics", tables.licences(evaluation.licences)),
        *(() if facts is None else _of_run(facts)),
        _section("Times of the evaluation", tables.measuring_times(evaluation.seconds)),
    ]
    skeleton = Template((resources.files("pshead_core.report") / "page.html.in").read_text(encoding="utf-8"))
    return skeleton.substitute(
        name=escape(evaluation.name),
        facts=_facts(evaluation, facts),
        notice=_notice(evaluation, facts),
        sections="\n".join(sections),
        viewer=viewer_text(evaluation),
        version=escape(__version__),
    )


def _section(title: str, body: str) -> str:
    """Return a part of the page; nothing if it is empty."""
    return f"<section><h2>{title}</h2>{body}</section>" if body else ""


def _facts(evaluation: Evaluation, facts: RunFacts | None) -> str:
    """Return the line of facts under the name."""
    scene = evaluation.scene
    pairs = [("Gaussians", f"{len(evaluation.model):,}".replace(",", "\u2009"))]
    if facts is not None and facts.seconds is not None:
        pairs += [("steps", str(facts.steps)), ("run", duration(facts.seconds)), ("made by", f"pshead {facts.pshead}")]
    elif facts is not None:
        pairs.append(("run", "not finished"))
    pairs += [
        ("measured at", f"{gallery.side_px(scene)} px"),
        ("novel views", str(len(scene.novel.rgb))),
        ("photo", "yes" if scene.photo is not None else "none"),
        ("truth", "known" if scene.truth is not None else "not known"),
    ]
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in pairs)


def _notice(evaluation: Evaluation, facts: RunFacts | None) -> str:
    """Return what a reader must know about the weights of the run and of the metrics."""
    made = () if facts is None else facts.miniatures
    judges = [name for names in evaluation.weights.values() for name in names if name.startswith(MINIATURES)]
    return _small(
        "Made with miniatures.",
        made,
        "are small models trained on synthetic heads. They stand in for the full-size networks: what this page shows "
        "is not what those would make.",
    ) + _small(
        "Measured with miniatures.",
        judges,
        "are small models trained on synthetic heads: their numbers mean nothing for photos.",
    )


def _small(title: str, names: Sequence[str], meaning: str) -> str:
    """Return a notice about small weights; nothing if there are none."""
    if not names:
        return ""
    listed = ", ".join(f"<code>{escape(name)}</code>" for name in names)
    return f'<p class="notice"><strong>{title}</strong> {listed} {meaning}</p>'


def _viewer(evaluation: Evaluation) -> str:
    """Return the place of the viewer: a picture and the button that loads it."""
    poster = gallery.poster(evaluation)
    return (
        f'<div class="stage" id="stage">{poster}<button type="button" id="turn" disabled>Turn the head</button></div>'
        '<p class="quiet">Drag to turn, scroll to zoom. The viewer is part of this page and needs WebGL; it shows the '
        "colours without those that depend on the direction.</p>"
        "<noscript><p>The viewer needs JavaScript; all the rest of the page does without.</p></noscript>"
    )


def _of_run(facts: RunFacts) -> list[str]:
    """Return the parts about the run."""
    curves = ""
    if facts.reports:
        charts = "".join(drawn_curves(curves_of(facts.reports)))
        curves = (
            f'<div class="charts">{charts}</div><p class="quiet">Dashed lines: the side of the views changes. Losses '
            "and norms are weighted and on logarithmic axes, which leave out zeros; all slots have the same axis. Of "
            "long runs each point is the mean of neighbouring steps.</p>"
        )
    terms = "" if facts.strictest_licence is None else f"<p>Strictest licence: {escape(facts.strictest_licence)}.</p>"
    return [
        _section("Curves of the run", curves),
        _section("Times of the run", tables.slot_times(facts.reports)),
        _section("Plugins of the run", tables.plugins(facts)),
        _section("Weights of the run", tables.weights(facts) + terms),
    ]
