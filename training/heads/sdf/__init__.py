"""Heads without foreign assets: signed distances, marching cubes, painted regions."""

from pathlib import Path

from pshead_core.render.numba_cache import drop_stale_cache

_folder = Path(__file__).parent
drop_stale_cache(_folder, [*_folder.glob("*.py"), _folder.parent / "noise.py"])  # before numba reads the cache

from training.heads.sdf.build import make_sdf_head  # noqa: E402

__all__ = ["make_sdf_head"]
