"""Tells a picture's view word: a nearest neighbour and a linear probe, fitted on true training views."""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor
from torch.nn import functional

from training.heads.attributes import BACK_DEG, FRONT_DEG, VIEW_WORDS, view_word

SIDE_PX = 32
"""Of the pictures that the probes see: the view shows at this size, and the autoencoder's blur does not."""
RIDGE = 3e-5
"""Weight of the penalty, as a share of the sum of squares of the centred pictures; best of 1e-5 to 3e-2 on views of
training heads that were left out of the fit."""
CLEAR_DEG = 10.0
"""Views nearer to a border between view words are left out."""


@frozen(kw_only=True, eq=False)
class ViewProbe:
    """Both classifiers."""

    known: Tensor
    """`[picture, feature]`, the pictures that it was fitted on."""
    labels: Tensor
    """`[picture]`, index in `VIEW_WORDS`."""
    mean: Tensor
    """`[feature]`."""
    weights: Tensor
    """`[feature, word]`, of the linear probe."""
    offset: Tensor
    """`[word]`."""

    def nearest(self, image: Tensor) -> Tensor:
        """Return the labels `[picture]` of the nearest known pictures, of pictures `[picture, 3, side, side]` in 0..1.

        Distances are Euclidean, over the small pictures.
        """
        return self.labels[torch.cdist(features(image), self.known).argmin(1)]

    def linear(self, image: Tensor) -> Tensor:
        """Return the labels `[picture]` that the linear probe gives, of pictures as above."""
        return ((features(image) - self.mean) @ self.weights + self.offset).argmax(1)


def features(image: Tensor) -> Tensor:
    """Return `[picture, feature]` of pictures `[picture, 3, side, side]` in 0..1: all values at the small size."""
    return functional.interpolate(image.float(), size=(SIDE_PX, SIDE_PX), mode="area").flatten(1)


def view_labels(azimuth_deg: Tensor) -> Tensor:
    """Return the index in `VIEW_WORDS` of each azimuth."""
    return torch.tensor([VIEW_WORDS.index(view_word(angle)) for angle in azimuth_deg.tolist()])


def clear_of_borders(azimuth_deg: Tensor) -> Tensor:
    """Return which azimuths are at least `CLEAR_DEG` from the borders between view words."""
    turned = ((azimuth_deg + 180) % 360 - 180).abs()
    return ((turned - FRONT_DEG).abs() >= CLEAR_DEG) & ((turned - BACK_DEG).abs() >= CLEAR_DEG)


def fit_probe(image: Tensor, labels: Tensor) -> ViewProbe:
    """Return the probe of pictures `[picture, 3, side, side]` in 0..1 and their labels `[picture]`.

    The linear part is the closed-form ridge regression to one-hot labels.
    """
    known = features(image)
    mean = known.mean(0)
    centred = (known - mean).double()
    target = functional.one_hot(labels, len(VIEW_WORDS)).double()
    offset = target.mean(0)
    gram = centred.T @ centred
    gram.diagonal().add_(RIDGE * gram.diagonal().sum())
    weights = torch.linalg.solve(gram, centred.T @ (target - offset))
    return ViewProbe(known=known, labels=labels, mean=mean, weights=weights.float(), offset=offset.float())


def accuracies(probe: ViewProbe, image: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the share of right answers of both classifiers, overall and by view word."""
    figures = {}
    for name, found in (("nearest", probe.nearest(image)), ("linear", probe.linear(image))):
        right = (found == labels).float()
        figures[name] = float(right.mean())
        for number, word in enumerate(VIEW_WORDS):
            if bool((labels == number).any()):
                figures[f"{name}, {word}"] = float(right[labels == number].mean())
    return figures
