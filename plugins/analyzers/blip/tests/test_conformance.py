"""The contract, checked by the core's own list, on a tiny random network."""

import pshead_analyzers_blip as plugin

from pshead_core.testing import parametrize_with_checks


@parametrize_with_checks(plugin)
def test_conformance(subject, check):
    check(subject)
