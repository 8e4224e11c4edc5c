"""Notices a collapse of the CPU renderer's speed; the exact figures come from `python -m tests.bench.rasteriser`."""

from __future__ import annotations

import pytest
import torch

from pshead_core.render.cpu import CpuRenderer
from pshead_core.render.reference import ReferenceRenderer

from .rasteriser import BACKWARD_BAR, FORWARD_BAR, REFERENCE_BAR, time_kernels, time_renderer

SLACK = 2  # other processes on the machine slow the kernels by up to 1.5, measured


@pytest.mark.slow
def test_raster_kernels_stay_near_the_limit_of_the_machine() -> None:
    CpuRenderer(threads=1)
    times = time_kernels(20_000, 256)
    assert times.forward_ratio <= SLACK * FORWARD_BAR
    assert times.backward_ratio <= SLACK * BACKWARD_BAR
    # below 1 the limit itself would be wrong: the kernels do more than the counted operations
    assert times.forward_ratio >= 1
    assert times.backward_ratio >= 1


@pytest.mark.slow
def test_much_faster_than_dense_torch() -> None:
    """A quarter of the benchmark's Gaussians: the reference's time is proportional to them, the renderer's less so."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _, fast = time_renderer(CpuRenderer(threads=1), 1250, 128, repeats=5)
        _, slow = time_renderer(ReferenceRenderer(), 1250, 128, repeats=1)
    finally:
        torch.set_num_threads(threads)
    assert slow / fast >= REFERENCE_BAR / SLACK
