"""`rival.toml`: what a system's heads or pictures do not say of themselves."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen, validators

from pshead_core.config.convert import structure
from pshead_core.config.problems import Problem, located
from pshead_core.errors import ConfigError

FILE = "rival.toml"
FIX = "docs/benchmark.md describes rival.toml and the folders"

Axis = Literal["+x", "-x", "+y", "-y", "+z", "-z"]
Align = Literal["landmarks", "silhouette", "none"]
Depth = Literal["brow", "own"]

PLY_KEYS = ("up", "front", "scale", "depth")
"""Keys about 3D Gaussians."""
PICTURE_KEYS = ("azimuth_deg", "clockwise", "front_deg", "fovy_deg", "distance", "elevation_deg")
"""Keys about numbered pictures."""
_some: Any = validators.min_len(1)
_turn: Any = validators.and_(validators.ge(-360), validators.le(360))


@frozen(kw_only=True)
class RivalSettings:
    """How a system counts, and where its heads stand."""

    up: Axis = "-y"
    """Axis of the PLY file's own numbers that points to the top of the head."""
    front: Axis = "-z"
    """Axis of the PLY file's own numbers along which the face looks. The two defaults are the habit of the layout and
    what pshead writes."""
    scale: float = field(default=1.0, validator=validators.gt(0))
    """By which the PLY is enlarged before anything else."""
    depth: Depth = "brow"
    """With an alignment, where a PLY's head stands along the viewing direction: `brow`, where pshead's own rule puts a
    head; `own`, as far from its own vertical axis as it stands, in proportion."""
    azimuth_deg: tuple[float, ...] | None = field(
        default=None,
        validator=validators.optional(validators.and_(_some, validators.deep_iterable(_turn))),
    )
    """Azimuths of the numbered pictures, in their order; None: evenly spaced from 0 on."""
    clockwise: bool = False
    """Whether the system's azimuths grow when the camera moves to the viewer's left (ours grow to the right)."""
    front_deg: float = field(default=0.0, validator=_turn)
    """Azimuth, as the system counts, from which its camera sees the face."""
    fovy_deg: float | None = field(
        default=None, validator=validators.optional(validators.and_(validators.gt(0), validators.lt(180)))
    )
    """Vertical field of view of the numbered pictures; None: ours."""
    distance: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    """Of their cameras from the axis of the head, in our world units; None: ours."""
    elevation_deg: float = field(default=0.0, validator=[validators.gt(-90), validators.lt(90)])
    """Of their cameras."""
    align: Align = "landmarks"
    """What brings a head into the photo's frame: the landmarks of its face, its outline, or nothing."""
    url: str = ""
    licence: str = ""
    note: str = ""

    def __attrs_post_init__(self) -> None:
        if self.up[1] == self.front[1]:
            raise ValueError(f"up = '{self.up}' and front = '{self.front}' lie on one axis")


@frozen(kw_only=True)
class ReadSettings:
    """Settings, and which of them the file states."""

    settings: RivalSettings = field(factory=RivalSettings)
    stated: frozenset[str] = frozenset()


def read_settings(folder: Path) -> ReadSettings:
    """Return the settings of a system's folder; the default ones if it has no `rival.toml`.

    Raises:
        ConfigError: the file cannot be read, or says something that it may not; all mistakes are named.
    """
    path = folder / FILE
    if not path.exists():
        return ReadSettings()
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read", why=str(error), fix=FIX) from error
    problems: list[Problem] = []
    settings = structure(table, RivalSettings, (), problems)
    if settings is None:
        lines = [located(problem, str(path)) for problem in problems]
        raise ConfigError(f"{path} is wrong", why="; ".join(lines), fix=FIX)
    return ReadSettings(settings=settings, stated=frozenset(table))
