"""Trains a recogniser: `python -m training.identity --data FOLDER --held-out FOLDER --state FOLDER [--steps N]`.

The data are rings (`training.common.make_data --azimuths ring --views 25`). Goes on by itself from what the state
folder holds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from attrs import asdict
from torch import Tensor, nn

from pshead_core.priors.faces import ARCFACE_112
from training.common.faces import FaceViews, open_faces
from training.common.loop import LoopSettings, Task, train
from training.common.seeds import step_generator
from training.identity.faces import WIDEST_DEG, Faces, open_training_faces, plain_faces, random_faces
from training.identity.model import Classifier, IdentitySettings, settled
from training.identity.verify import pixels_of, probe_views, tell_apart

SETTLING = 8
"""Batches from which the averaged weights' batch norms get their statistics."""


def identity_task(faces: Faces, settings: IdentitySettings, held_out: FaceViews, *, batch: int, device: str) -> Task:
    """Return loss and held-out figures of a recogniser.

    Args:
        faces: to train on.
        settings: of the model.
        held_out: views of other heads.
        batch: faces of a step.
        device: of torch.
    """
    shown = plain_faces(held_out)

    def loss(model: nn.Module, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        drawn, person = random_faces(faces, batch, generator)
        return model(drawn.to(device), person.to(device), step)

    def evaluate(model: nn.Module) -> dict[str, float]:
        recogniser = settled(model.recogniser, settling_batches(faces, batch, device))
        with torch.no_grad():
            features = torch.cat([recogniser(part.to(device)).cpu() for part in shown.flatten(0, 1).split(128)])
        return tell_apart(features.unflatten(0, shown.shape[:2]), held_out.front, probe_views(held_out.azimuth_deg))

    identity: dict[str, Any] = {
        key: list(value) if isinstance(value, tuple) else value for key, value in asdict(settings).items()
    }
    return Task(
        loss=loss, evaluate=evaluate, figure="auc", settings={**identity, "batch": batch, "persons": faces.persons}
    )


def settling_batches(faces: Faces, batch: int, device: str = "cpu") -> list[Tensor]:
    """Return the batches for `settled`: always the same."""
    return [random_faces(faces, batch, step_generator(-1, number))[0].to(device) for number in range(SETTLING)]


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True, help="data folder made with --held-out")
    parser.add_argument("--state", type=Path, required=True, help="outside the work tree")
    parser.add_argument("--minutes", type=float, help="limit of this call")
    parser.add_argument("--steps", type=int, default=1500, help="in all; the learning rate falls towards the end")
    parser.add_argument("--batch", type=int, default=128, help="faces of a step")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--evaluate-every", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    settings = IdentitySettings()
    held_out = open_faces(arguments.held_out, ARCFACE_112, WIDEST_DEG, held_out=True)
    plain = tell_apart(pixels_of(plain_faces(held_out)), held_out.front, probe_views(held_out.azimuth_deg))
    print("pixels: " + ", ".join(f"{name} {value:.3f}" for name, value in plain.items()), flush=True)
    faces = open_training_faces(arguments.data)
    print(f"{len(faces.person)} faces of {faces.persons} heads to train on", flush=True)
    task = identity_task(faces, settings, held_out, batch=arguments.batch, device=arguments.device)
    loop = LoopSettings(
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        evaluate_every=arguments.evaluate_every,
        seed=arguments.seed,
    )
    train(
        lambda: Classifier(settings, faces.persons),
        task,
        loop,
        arguments.state,
        minutes=arguments.minutes,
        device=arguments.device,
    )


if __name__ == "__main__":
    main()
