"""The order of licences, and which names belong to which class."""

from itertools import permutations

import pytest

from pshead_core.models.licences import ORDER, strictest, strictness_of


@pytest.mark.parametrize(
    ("licence", "strictness"),
    [
        ("Apache-2.0", "permissive"),
        ("mit", "permissive"),
        ("MIT-0", "permissive"),
        ("BSD-3-Clause", "permissive"),
        ("CC0-1.0", "permissive"),
        ("CC-BY-4.0", "permissive"),
        ("CreativeML-OpenRAIL-M", "openrail"),
        ("openrail++", "openrail"),
        ("OpenRAIL", "openrail"),
        ("BigScience Open RAIL-M", "openrail"),
        ("CC-BY-NC-4.0", "non-commercial"),
        ("cc-by-nc-nd-4.0", "non-commercial"),
        ("S-Lab License 1.0", "non-commercial"),
        ("Stability AI Non-Commercial Research Community License", "non-commercial"),
        ("sai-nc-community", "non-commercial"),
        ("noncommercial", "non-commercial"),
        ("research only", "non-commercial"),
        ("Stability AI Community License", "other"),
        ("GPL-3.0-only", "other"),
        ("not stated", "other"),
        ("emit-1.0", "other"),
        ("Mitsubishi terms", "other"),
    ],
)
def test_class_of_a_licence(licence, strictness):
    assert strictness_of(licence) == strictness


def test_the_strictest_wins_whatever_the_order():
    ranked = ["CC-BY-NC-4.0", "OpenRAIL", "Stability AI Community License", "MIT"]
    assert [strictness_of(licence) for licence in ranked] == list(ORDER)
    for first in range(len(ranked)):
        for order in permutations(ranked[first:]):
            assert strictest(order) == ranked[first]
    assert strictest(["MIT", "Apache-2.0"]) == "MIT"
    assert strictest([]) is None
