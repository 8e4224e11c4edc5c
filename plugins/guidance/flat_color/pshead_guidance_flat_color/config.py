"""What a user can set: each field becomes a TOML key and a command-line flag; the text below it becomes its help."""

from __future__ import annotations

from attrs import field, frozen, validators

from pshead_core.api import PluginConfig

_fraction = validators.and_(validators.ge(0.0), validators.le(1.0))  # comparisons also refuse NaN


@frozen(kw_only=True)
class FlatColorConfig(PluginConfig):
    """Which colour, and how strongly."""

    color: tuple[float, float, float] = field(default=(0.5, 0.5, 0.5), validator=validators.deep_iterable(_fraction))
    """Red, green and blue of the wanted colour, 0..1."""
    strength: float = field(default=1.0, validator=validators.ge(0.0))
    """Factor of the gradient; 1 lets a gradient step of size 1 on the pixels reach the colour."""
