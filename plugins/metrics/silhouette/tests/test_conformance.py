"""The contract, checked by the core's own list."""

import pshead_metrics_silhouette as plugin

from pshead_core.testing import parametrize_with_checks

OUTLINE = "the check spoils colours, and this metric compares alpha; see test_metric.py for its order"


@parametrize_with_checks(plugin, expected_failures={"check_metric_order": OUTLINE})
def test_conformance(subject, check):
    check(subject)
