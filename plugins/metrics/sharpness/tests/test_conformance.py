"""The contract, checked by the core's own list."""

import pshead_metrics_sharpness as plugin

from pshead_core.testing import parametrize_with_checks

DIRECTED = "a ratio to the truth: exchanged, it is turned over"


@parametrize_with_checks(plugin, expected_failures={"check_metric_symmetric": DIRECTED})
def test_conformance(subject, check):
    check(subject)
