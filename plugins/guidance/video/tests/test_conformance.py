"""The contract, checked by the core's own list, with mini/video."""

import pshead_guidance_video as plugin
import pytest

from pshead_core.errors import PsheadError
from pshead_core.models.names import resolve_checkpoint
from pshead_core.testing import parametrize_with_checks


def _missing() -> str:
    try:
        resolve_checkpoint("mini/video")
    except PsheadError as error:
        return error.what
    return ""


@pytest.mark.skipif(bool(_missing()), reason=_missing() or "mini/video is there")
@parametrize_with_checks(plugin)
def test_conformance(subject, check):
    check(subject)
