"""The contract, checked by the core's own list."""

import pshead_guidance_identity as plugin

from pshead_core.testing import parametrize_with_checks

# in the checks' worse views the same faces are found; test_metric.py asks for the order of `identity`
STEADY = {"check_metric_order": "faces_found_frac does not fall as long as the face is found"}


@parametrize_with_checks(plugin, expected_failures=STEADY)
def test_conformance(subject, check):
    check(subject)
