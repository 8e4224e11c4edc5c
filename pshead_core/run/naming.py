"""Errors of plugins get the name of the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pshead_core.errors import PluginError, PsheadError


@contextmanager
def naming_plugin(what: str) -> Iterator[None]:
    """Turn whatever a plugin raises into a `PluginError` that says `what` failed; the original is its cause.

    An error that the plugin itself phrased for the user (a `PsheadError`) keeps its reason and its advice.
    """
    try:
        yield
    except PsheadError as error:
        raise PluginError(what, why=_sentence(error), fix=error.fix) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise PluginError(what, why=reason, fix="see its traceback with --debug, or run without this plugin") from error


def _sentence(error: PsheadError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what
