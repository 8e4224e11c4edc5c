"""For the tests of `training`: the package lies beside the core and is not installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

ASSETS = "PSHEAD_MAKEHUMAN_ASSETS"


@pytest.fixture(scope="session")
def makehuman_assets():
    """The real assets, where there are any."""
    folder = os.environ.get(ASSETS)
    if not folder:
        pytest.skip(f"needs MakeHuman's assets: set {ASSETS} to the folder of makehuman-heads.tar.xz")
    from training.heads import open_assets

    return open_assets(Path(folder))


@pytest.fixture(scope="session")
def sdf_heads():
    """A few heads that differ in hair and dress."""
    from training.heads import HELD_OUT_SEED, make_head

    return [make_head("sdf", HELD_OUT_SEED + number) for number in (100, 101, 102)]
