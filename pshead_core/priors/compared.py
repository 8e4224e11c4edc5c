"""What every metric asks of its pictures before it measures them."""

from __future__ import annotations

from pshead_core.errors import PsheadError
from pshead_core.priors.measures import check_finite
from pshead_core.render.base import Views


def true_views(metric: str, views: Views, reference: Views | None) -> Views:
    """Return the reference of a metric that compares each view with a true one.

    Raises:
        PsheadError: there is no reference, it has another size or number of views, or a picture is not finite.
    """
    found = _given(metric, reference)
    if found.rgb.shape != views.rgb.shape:
        raise PsheadError(
            f"the metric '{metric}' was given views and reference views of different sizes",
            why=f"views {tuple(views.rgb.shape)}, reference {tuple(found.rgb.shape)}",
            fix="give one reference view for each view, at its size",
        )
    _check_finite(metric, views, found)
    return found


def photo_view(metric: str, views: Views, reference: Views | None) -> Views:
    """Return the reference of a metric that compares every view with the photo: one view.

    Raises:
        PsheadError: there is no reference, it is not one view, or a picture is not finite.
    """
    found = _given(metric, reference)
    if len(found.rgb) != 1:
        raise PsheadError(
            f"the metric '{metric}' compares with the photo, one reference view, and was given {len(found.rgb)}",
            fix="give the photo as its camera sees it",
        )
    _check_finite(metric, views, found)
    return found


def _given(metric: str, reference: Views | None) -> Views:
    if reference is None:
        raise PsheadError(
            f"the metric '{metric}' needs a reference, and there is none", fix="give one, or leave the metric out"
        )
    return reference


def _check_finite(metric: str, views: Views, reference: Views) -> None:
    check_finite(metric, "views' rgb", views.rgb)
    check_finite(metric, "reference views' rgb", reference.rgb)
