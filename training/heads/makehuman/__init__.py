"""Heads from MakeHuman's CC0 assets: plain-text meshes, targets and clothes, random people, painted colours."""

from training.heads.makehuman.assets import MakeHumanAssets
from training.heads.makehuman.build import make_makehuman_head

__all__ = ["MakeHumanAssets", "make_makehuman_head"]
