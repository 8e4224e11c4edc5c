"""How a run is watched and saved; unlike the configuration, this does not change its numbers."""

from __future__ import annotations

from attrs import field, frozen, validators


@frozen(kw_only=True)
class RunOptions:
    """Options of `pshead run` that are not part of `resolved.toml`."""

    checkpoint_every: int = field(default=100, validator=validators.ge(1))
    """Steps between two checkpoints."""
    quiet: bool = False
    """Print nothing but errors."""
    json: bool = False
    """Print one JSON object per step instead of a progress bar."""
    force: bool = False
    """Replace the run that the folder holds already."""
