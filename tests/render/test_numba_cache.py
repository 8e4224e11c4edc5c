"""The cache of compiled functions is dropped when a source changes, and only then."""

from __future__ import annotations

from pshead_core.render.numba_cache import drop_stale_cache


def test_stale_cache_is_dropped_once(tmp_path):
    source = tmp_path / "maths.py"
    source.write_text("x = 1\n")
    assert drop_stale_cache(tmp_path, [source])
    compiled = tmp_path / "__pycache__" / "maths.f-1.py311.nbi"
    compiled.write_text("machine code")
    assert not drop_stale_cache(tmp_path, [source])
    assert compiled.exists()
    source.write_text("x = 2\n")
    assert drop_stale_cache(tmp_path, [source])
    assert not compiled.exists()
