"""PSNR of known errors, and values that are not finite."""

import math

import pytest
import torch

from pshead_core.errors import PsheadError
from pshead_core.priors.measures import check_finite, psnr_db


def test_psnr_of_known_errors():
    errors = torch.tensor([1.0, 0.1, 0.25, 1e-12, 0.0])
    assert psnr_db(errors).tolist() == pytest.approx([0.0, 10.0, 20 * math.log10(2), 120.0, 120.0], abs=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(bad):
    check_finite("some", "views' depth", torch.zeros(3))
    with pytest.raises(PsheadError, match="the metric 'some' was given views' depth that is not finite") as caught:
        check_finite("some", "views' depth", torch.tensor([0.0, bad, bad]))
    assert "2 of 3 values" in str(caught.value)
