"""The recogniser with the classes that it is trained on, and the loss: additive angular margin (ArcFace, eq. 3)."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from attrs import frozen
from pshead_guidance_identity.iresnet import IResNet, Sizes
from torch import Tensor, nn
from torch.nn import functional


@frozen(kw_only=True)
class IdentitySettings:
    """Sizes and loss. The sizes are as small as they are because all shipped weights share 80 MB."""

    blocks: tuple[int, int, int, int] = (1, 1, 1, 1)
    widths: tuple[int, int, int, int] = (8, 16, 24, 32)
    features: int = 32
    scale: float = 24.0
    """Of the cosines before the softmax. The paper's 64 belongs to 512 features and 85,000 persons."""
    margin_rad: float = 0.3
    """Added to the angle to the own class; the paper's is 0.5, for larger networks."""
    margin_steps: int = 300
    """Over which the margin grows from 0: with all of it from the start small networks learn slowly."""

    @property
    def sizes(self) -> Sizes:
        """Of the recogniser."""
        return Sizes(blocks=self.blocks, widths=self.widths, features=self.features)


class Classifier(nn.Module):
    """A recogniser, and the direction of each person that it is trained on.

    Args:
        settings: sizes and loss.
        persons: how many.
    """

    def __init__(self, settings: IdentitySettings, persons: int) -> None:
        super().__init__()
        self.settings = settings
        self.recogniser = IResNet(settings.sizes)
        # Flat, so that the optimiser takes Adam's step: a batch shows few persons, and a matrix step moves all alike.
        # Only directions count; short vectors turn quickly.
        self.persons = nn.Parameter(0.05 * torch.randn(persons * settings.features))

    def cosines(self, faces: Tensor) -> Tensor:
        """Return `[face, person]`, float32: the cosine of each face `[face, 3, 112, 112]` (-1..1) with each person."""
        embedded = functional.normalize(self.recogniser(faces).float(), dim=1)
        directions = functional.normalize(self.persons.view(-1, self.settings.features), dim=1)
        with torch.autocast(faces.device.type, enabled=False):
            return embedded @ directions.mT

    def forward(self, faces: Tensor, person: Tensor, step: int) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of a step and how many faces are nearest to their own person.

        Args:
            faces: `[face, 3, 112, 112]`, RGB in -1..1.
            person: `[face]`, index.
            step: of the training, for the margin.
        """
        settings = self.settings
        cosine = self.cosines(faces)
        margin = settings.margin_rad * min(step / max(settings.margin_steps, 1), 1.0)
        loss = margin_loss(cosine, person, scale=settings.scale, margin_rad=margin)
        return loss, {"right_frac": float((cosine.detach().argmax(1) == person).float().mean())}


def margin_loss(cosine: Tensor, person: Tensor, *, scale: float, margin_rad: float) -> Tensor:
    """Return the mean cross entropy of scaled cosines, the own one with the margin added to its angle (eq. 3).

    Where the angle with the margin would pass 180°, and its cosine rise again, the line cos θ - m sin m goes on
    falling, as published code has it.

    Args:
        cosine: `[face, person]`.
        person: `[face]`, index of the own one.
        scale: factor of all cosines.
        margin_rad: added angle.
    """
    own = cosine.gather(1, person[:, None])
    sine = (1 - own.square()).clamp_min(1e-6).sqrt()  # its slope is infinite at 1
    moved = own * math.cos(margin_rad) - sine * math.sin(margin_rad)
    moved = torch.where(own > -math.cos(margin_rad), moved, own - margin_rad * math.sin(margin_rad))
    return functional.cross_entropy(scale * cosine.scatter(1, person[:, None], moved), person)


def settled(recogniser: IResNet, batches: Iterable[Tensor]) -> IResNet:
    """Return a copy in eval mode whose batch norms have the mean statistics of these faces.

    Averaged weights need statistics of their own: those of the training belong to the weights of its last steps.
    """
    found = copy.deepcopy(recogniser).train()
    norms = [module for module in found.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    with torch.no_grad():
        for faces in batches:
            found(faces)
    for norm in norms:
        norm.momentum = 0.1  # torch's own
    return found.eval()
