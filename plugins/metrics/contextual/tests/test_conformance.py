"""The contract, checked by the core's own list."""

import pshead_metrics_contextual as plugin

from pshead_core.testing import parametrize_with_checks


@parametrize_with_checks(plugin)
def test_conformance(subject, check):
    check(subject)
