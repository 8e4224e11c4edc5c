"""The contract, checked by the core's own list."""

import pshead_checkpoints_mini as plugin
import pytest

from pshead_core.errors import PsheadError
from pshead_core.testing import parametrize_with_checks


def folder_of(spec):
    """Return the folder, or skip: a checkout may lack the weights, which takes hours of training to mend."""
    try:
        return spec.folder()
    except PsheadError as error:
        pytest.skip(f"{error.what}: {error.why}")


@parametrize_with_checks(plugin)
def test_conformance(subject, check):
    if check.__name__ == "check_checkpoint_folder":
        folder_of(subject.spec)
    check(subject)
