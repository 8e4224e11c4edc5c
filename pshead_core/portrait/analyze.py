"""Photo and facts become the portrait."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pshead_core.config.run import PortraitConfig
from pshead_core.errors import PhotoError
from pshead_core.portrait.choose import CHIN, TOP, choose_face
from pshead_core.portrait.cutout import clean_matte, foreground_colour, one_person, spread
from pshead_core.portrait.facts import FaceFacts, Photo, PortraitFacts
from pshead_core.portrait.frame import Frame, make_frame
from pshead_core.portrait.portrait import Portrait

NEUTRAL_PROMPT = "photo of a person"
"""Prompt when nobody describes the person."""
MIN_FACE_COVER = 0.5
"""Part of the face that the matte must cover to be believed."""
_SEARCH_PX = 512
"""Longest side at which the person's outline is looked for: framing needs no more."""


def make_portrait(
    photo: Photo, facts: Sequence[PortraitFacts], config: PortraitConfig, report: Callable[[str], None]
) -> Portrait:
    """Choose the face, frame it and cut the person out.

    Args:
        photo: the loaded photo.
        facts: what each analyzer says; the first that states a matte or faces is believed, prompt words are joined.
        config: how to frame.
        report: receives sentences that the user should read (several faces).

    Raises:
        PhotoError: no usable face, or the person cannot be told from the background.
    """
    faces = next((fact.faces for fact in facts if fact.faces is not None), None)
    face = choose_face(photo, faces, config.face, report)
    others = tuple(other for other in faces or () if other is not face)
    matte = _matte(photo, facts)
    frame = make_frame(face, _outline(matte, face, others), side_px=config.side_px, face_frac=config.face_frac)
    inside = frame.inside((photo.rgb.shape[0], photo.rgb.shape[1]))
    rgb, alpha = _cut_out(photo, matte, frame, face, others, inside)
    _check_cover(photo, alpha, frame, face)
    return Portrait(
        rgba=torch.from_numpy(np.concatenate([rgb, alpha[..., None]], axis=-1)),
        landmarks_px=torch.from_numpy(frame.map_points(face.landmarks_px)),
        prompt=_prompt(facts, config),
        photo_to_frame=torch.from_numpy(frame.photo_to_frame.copy()),
        photo_inside=torch.from_numpy(inside),
        sha256=photo.sha256,
    )


def _matte(photo: Photo, facts: Sequence[PortraitFacts]) -> NDArray[np.float32]:
    if photo.alpha is not None:
        return photo.alpha
    for fact in facts:
        if fact.matte is not None:
            return fact.matte
    raise PhotoError(
        f"nothing tells the person in {photo.source} from the background",
        why="the photo has no transparency and no chosen analyzer makes a matte",
        fix="choose an analyzer with a matte (--plugins mediapipe_face) or give a PNG with transparent background",
    )


def _prompt(facts: Sequence[PortraitFacts], config: PortraitConfig) -> str:
    if config.prompt is not None:
        return config.prompt
    words = dict.fromkeys(word for fact in facts for word in fact.prompt_words or ())
    return f"photo of a {', '.join(words)}" if words else NEUTRAL_PROMPT


def _disc(face: FaceFacts, frame: Frame | None = None) -> NDArray[np.float64]:
    points = face.landmarks_px if frame is None else frame.map_points(face.landmarks_px)
    middle = points[[TOP, CHIN], :2].mean(0)
    return np.array([*middle, np.linalg.norm(points[TOP, :2] - points[CHIN, :2])], dtype=np.float64)


def _discs(faces: tuple[FaceFacts, ...], frame: Frame | None = None) -> NDArray[np.float64]:
    return np.array([_disc(face, frame) for face in faces], dtype=np.float64).reshape(-1, 3)


def _outline(matte: NDArray[np.float32], face: FaceFacts, others: tuple[FaceFacts, ...]) -> NDArray[np.bool_]:
    # Thinned out for speed, then repeated to the photo's pixels.
    step = max(1, -(-max(matte.shape) // _SEARCH_PX))
    thin = one_person(matte[::step, ::step], _disc(face) / step, _discs(others) / step)
    return np.repeat(np.repeat(thin, step, 0), step, 1)[: matte.shape[0], : matte.shape[1]]


def _cut_out(
    photo: Photo,
    matte: NDArray[np.float32],
    frame: Frame,
    face: FaceFacts,
    others: tuple[FaceFacts, ...],
    inside: NDArray[np.bool_],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return straight colour `[side, side, 3]`, sensible outside the person too, and alpha `[side, side]`."""
    cover = frame.resample(matte[..., None])
    soft = np.clip(cover[..., 0], 0, 1)
    person = one_person(soft, _disc(face, frame), _discs(others, frame))
    alpha = clean_matte(soft, person, trusted=photo.alpha is not None)
    if photo.alpha is None:
        colour = foreground_colour(frame.resample(photo.rgb), alpha)
    else:
        # The file's colours are straight already; where alpha is 0 they mean nothing and must not leak in.
        covered = frame.resample((photo.rgb * (matte[..., None] / np.float32(255))).astype(np.float32))
        straight = np.clip(covered / np.maximum(cover, 1 / 255), 0, 1).astype(np.float32)
        colour = spread(straight, np.clip(4 * soft - 0.5, 0, 1))
    return np.clip(colour, 0, 1).astype(np.float32), np.where(inside, alpha, 0).astype(np.float32)


def _check_cover(photo: Photo, alpha: NDArray[np.float32], frame: Frame, face: FaceFacts) -> None:
    x, y = np.floor(frame.map_points(face.landmarks_px)[:, :2]).astype(int).T
    seen = (x >= 0) & (y >= 0) & (x < frame.side_px) & (y < frame.side_px)
    cover = float(alpha[y[seen], x[seen]].mean()) if seen.any() else 0.0
    if cover < MIN_FACE_COVER:
        raise PhotoError(
            f"the person in {photo.source} cannot be told from the background",
            why=f"the matte covers {cover:.0%} of the face",
            fix="give a photo before a plain background, or a PNG whose background is transparent",
        )
