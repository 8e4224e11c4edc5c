"""The parts of the page that show pictures: photo, views, truth, each beside its error map."""

from __future__ import annotations

from html import escape

import torch
from torch import Tensor

from pshead_core.evaluation.scene import Scene
from pshead_core.report.pictures import SCALE_END, STOPS, data_uri, difference, error_colours, fitting
from pshead_core.report.words import number
from pshead_core.run.evaluate import Evaluation
from pshead_core.run.pictures import NAMES

TRUE_VIEWS = 6
"""Novel views that are shown beside the truth."""


def beside_photo(evaluation: Evaluation) -> str:
    """Return the photo, the head from the photo's camera, and where they differ."""
    scene = evaluation.scene
    head = scene.reference.rgb[0]
    name = escape(evaluation.name)
    if scene.photo is None:
        return _row("large", [shown(head, "the head", f"{name} from the front")]) + (
            '<p class="quiet">There is no photo to compare with.</p>'
        )
    pictures = triple("photo", scene.photo.rgb[0], head, f"{name} from the front")
    return _row("large", pictures) + scale()


def views(evaluation: Evaluation) -> str:
    """Return the labelled views of the sheet."""
    count = len(evaluation.sheet)
    tiles = []
    for index, picture in enumerate(evaluation.sheet):
        place = view_name(360 * index / count)
        rgb = torch.from_numpy(picture).float() / 255
        tiles.append(shown(rgb, place, f"{escape(evaluation.name)} from {place}"))
    return _row("sheet", tiles)


def beside_truth(evaluation: Evaluation) -> str:
    """Return novel views beside the true ones; empty without a truth."""
    scene = evaluation.scene
    if scene.truth is None:
        return ""
    groups = []
    for index in some_places(len(scene.novel.rgb), TRUE_VIEWS):
        place = view_name(float(scene.novel.cameras.azimuth_deg[index]))
        pictures = triple(
            "truth", scene.truth.rgb[index], scene.novel.rgb[index], f"{escape(evaluation.name)}, {place}"
        )
        groups.append(f'<div class="group"><h3>{place}</h3>{_row("triple", pictures)}</div>')
    return f'<div class="groups">{"".join(groups)}</div>{scale()}'


def poster(evaluation: Evaluation) -> str:
    """Return the picture that stands in the viewer's place: the view half left, without a label."""
    picture = evaluation.sheet[len(evaluation.sheet) // 8]
    small = fitting(torch.from_numpy(picture).float() / 255)
    return f'<img src="{data_uri(small)}" alt="" width="{small.shape[1]}" height="{small.shape[0]}">'


def side_px(scene: Scene) -> int:
    """Return the side at which the head was measured."""
    return scene.novel.cameras.height_px


def some_places(count: int, wanted: int) -> list[int]:
    """Return `wanted` evenly spaced places of `count`, or all."""
    if count <= wanted:
        return list(range(count))
    return [int((index + 0.5) * count / wanted) for index in range(wanted)]


def view_name(azimuth_deg: float) -> str:
    """Return what a view is called: its azimuth in 0..360, and the side that it shows where that has a name."""
    angle = round(azimuth_deg % 360, 1) % 360
    return f"{angle:g}° {NAMES.get(int(angle), '') if angle.is_integer() else ''}".rstrip()


def triple(known: str, true: Tensor, view: Tensor, what: str) -> list[str]:
    """Return a known picture, the head's, and their error map.

    Args:
        known: what the known picture is: photo or truth.
        true: `[side, side, 3]`.
        view: `[side, side, 3]`.
        what: is seen, as HTML; ends the alternative texts.
    """
    error = difference(view, true)
    mean = number(float(error.mean()))
    return [
        shown(true, known, f"The {known}: {what}"),
        shown(view, "head", f"The head: {what}"),
        shown(error_colours(error), "difference", f"Where head and {known} differ: {what}", f"mean {mean}"),
    ]


def shown(picture: Tensor, label: str, alt: str, note: str = "") -> str:
    """Return one picture `[side, side, 3]` with its label; `alt` and `label` are HTML."""
    small = fitting(picture)
    height, width = small.shape[:2]
    more = f' <span class="quiet">{note}</span>' if note else ""
    return (
        f'<figure><img src="{data_uri(small)}" alt="{alt}" width="{width}" height="{height}">'
        f"<figcaption>{label}{more}</figcaption></figure>"
    )


def scale() -> str:
    """Return the colour scale of the error maps, drawn by the browser from the same colours."""
    colours = ", ".join(f"rgb{stop}" for stop in STOPS)
    ticks = "".join(f"<span>{SCALE_END * part / 4:.1f}{'+' if part == 4 else ''}</span>" for part in range(5))
    return (
        f'<div class="scale"><div class="bar" style="background: linear-gradient(to right, {colours})"></div>'
        f'<div class="ticks">{ticks}</div><p class="quiet">Difference: absolute, averaged over the three colours, '
        "which go from 0 to 1; darkest from "
        f"{SCALE_END} on. The scale is the same for all maps and all reports.</p></div>"
    )


def _row(kind: str, tiles: list[str]) -> str:
    return f'<div class="row {kind}">{"".join(tiles)}</div>'
