"""The optimiser against singular value decompositions and torch's Adam."""

import pytest
import torch
from torch import nn

from training.common.muon import ADAM_RMS, Muon, orthogonal


@pytest.mark.parametrize("shape", [(24, 60), (60, 24), (32, 32)])
def test_orthogonal_keeps_directions_and_levels_sizes(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix[None])[0]
    assert float(torch.linalg.svdvals(found).max()) < 1.25
    assert float(torch.linalg.svdvals(found).median()) > 0.65
    cosine = nn.functional.cosine_similarity(found.flatten(), (left @ right).flatten(), dim=0)
    assert float(cosine) > 0.97


def test_vectors_take_adams_steps():
    generator = torch.Generator().manual_seed(1)
    ours, theirs = (nn.Parameter(torch.ones(7)) for _ in range(2))
    muon = Muon([ours], lr=0.01)
    adam = torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.99))
    for _ in range(5):
        gradient = torch.randn(7, generator=generator)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        muon.step()
        adam.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


def test_convolutions_move_as_matrices_of_filters_by_adams_usual_length():
    generator = torch.Generator().manual_seed(2)
    kernel = nn.Parameter(torch.zeros(16, 4, 3, 3))
    kernel.grad = torch.randn(16, 4, 3, 3, generator=generator) * 1e-4
    Muon([kernel], lr=0.01, weight_decay=0.0).step()
    expected = -0.01 * ADAM_RMS * 36**0.5 * orthogonal(kernel.grad.flatten(1)[None])[0].view_as(kernel)
    assert float((kernel.detach() - expected).norm() / expected.norm()) < 0.02  # bf16 inside
    assert 0.1 < float(kernel.detach().square().mean().sqrt()) / (0.01 * ADAM_RMS) < 2.0


def test_weight_decay_is_decoupled():
    matrix = nn.Parameter(torch.eye(4))
    matrix.grad = torch.zeros(4, 4)
    Muon([matrix], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(matrix.detach(), torch.eye(4) * 0.95)
