"""Every error that pshead raises on purpose.

A message has four parts: what happened, where, why, and what to do. The command line prints such an error without a
traceback and exits with code 2; any other exception is a defect and keeps its traceback.
"""

from __future__ import annotations


class PsheadError(Exception):
    """Root of all expected errors.

    Args:
        what: one sentence, what happened and where.
        why: the reason, if it is not plain from `what`.
        fix: what the user can do now, phrased as an instruction.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class ConfigError(PsheadError):
    """The configuration (file, flag or environment variable) is wrong."""


class PluginError(PsheadError):
    """Root of the errors that concern one plugin."""


class PluginNotFound(PluginError):
    """No installed plugin has the wanted name."""


class PluginConflict(PluginError):
    """Two distributions offer the wanted name, or two chosen plugins exclude each other."""


class PluginLoadError(PluginError):
    """A wanted plugin cannot be imported or does not fit this version of the core."""


class PluginContractError(PluginError):
    """A plugin returned something that its contract does not allow."""


class PhotoError(PsheadError):
    """The photo cannot be used."""


class RenderError(PsheadError):
    """A renderer cannot run here or was given inconsistent input."""


class RunFolderError(PsheadError):
    """The run folder cannot be written, read or resumed."""
