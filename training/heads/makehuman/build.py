"""One head from the assets and a seed."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from training.heads.frame import place
from training.heads.head import Head
from training.heads.makehuman.assets import Garment, MakeHumanAssets
from training.heads.makehuman.body import eye_spheres, lower_arms
from training.heads.makehuman.cloth import place_cloth
from training.heads.makehuman.hair import SHORT, place_hair, trim_fringe, trim_sideburns
from training.heads.makehuman.landmarks import iris_landmarks, skin_landmarks
from training.heads.makehuman.look import Look, sample_look
from training.heads.makehuman.masks import Masks, make_masks
from training.heads.makehuman.paint import paint_skin
from training.heads.makehuman.people import sample_person
from training.heads.mesh import Part, compact, join, occluded, occlusion, triangulate, vertex_normals
from training.heads.props import eyeball, glasses, hat

Floats = NDArray[np.float32]

BUST_FACES = 3.6
"""The bust reaches this many face heights below the middle of the face: below the frame in every view."""
_masks: WeakKeyDictionary[MakeHumanAssets, Masks] = WeakKeyDictionary()


TEETH = (
    ("helper-upper-teeth", (0.88, 0.85, 0.78)),
    ("helper-lower-teeth", (0.80, 0.77, 0.70)),
    ("helper-tongue", (0.62, 0.30, 0.30)),
)
"""Groups of the base mesh that an open mouth shows, and their colours."""


def bare_landmarks(seed: int, assets: MakeHumanAssets) -> Floats:
    """Return the landmarks `[478, 3]` of a seed's head before it is framed: without its mesh, so quickly."""
    rng = np.random.default_rng([seed, 0x4D48])
    person = sample_person(assets, rng)
    look = sample_look(person, assets.names("eyebrows"), rng)
    body = lower_arms(assets, assets.morph(person.weights))
    return np.concatenate([skin_landmarks(body), iris_landmarks(eye_spheres(assets, body), look.gaze)])


def make_makehuman_head(seed: int, assets: MakeHumanAssets) -> Head:
    """Return the head of a seed.

    Args:
        seed: any number; the same seed gives the same head.
        assets: the folder of assets.
    """
    rng = np.random.default_rng([seed, 0x4D48])
    person = sample_person(assets, rng)
    look = sample_look(person, assets.names("eyebrows"), rng)
    body = lower_arms(assets, assets.morph(person.weights))
    spheres = eye_spheres(assets, body)
    landmarks = np.concatenate([skin_landmarks(body), iris_landmarks(spheres, look.gaze)])
    parts = _parts(assets, look, body, landmarks, spheres)
    whole = join(parts)
    placement = place(landmarks, whole.vertices)
    vertices = placement.apply(whole.vertices)
    shade = occlusion(vertices, whole.normals, whole.triangles, 0.024, (0.03, 0.09))
    return Head(
        vertices=vertices,
        triangles=whole.triangles,
        colours=np.asarray(whole.colours * (1 - 0.75 * shade * occluded(parts))[:, None], np.float32),
        normals=whole.normals,
        landmarks=placement.apply(landmarks),
        attributes=look.attributes,
        source="makehuman",
        seed=seed,
    )


def _parts(
    assets: MakeHumanAssets, look: Look, body: Floats, landmarks: Floats, spheres: list[tuple[Floats, float]]
) -> list[Part]:
    face = float(landmarks[10, 1] - landmarks[152, 1])
    lowest = float(landmarks[[10, 152], 1].mean()) - BUST_FACES * face
    centre = landmarks[[234, 454]].mean(axis=0) + np.array([0, 0.25 * face, -0.15 * face], np.float32)
    if assets not in _masks:
        _masks[assets] = make_masks(assets)
    colours = paint_skin(assets.base.vertices, _masks[assets], look.skin)
    cloth, hidden = place_cloth(
        assets, assets.garment("clothes", look.clothes), body, lowest, look.paint, look.stripes, look.skin.seed
    )
    skin = _skin(assets, body, colours, hidden, lowest)
    parts = [skin, cloth, *_teeth(assets, body)]
    white = np.array([0.90, 0.88, 0.86], np.float32)
    parts += [eyeball(middle, radius, look.gaze, look.iris, white) for middle, radius in spheres]
    parts.append(_brows(assets.garment("eyebrows", look.brows), body, look))
    parts += _on_head(assets, look, body, skin, landmarks, centre)
    if look.glasses:
        lens = np.array([0.10, 0.10, 0.11], np.float32) if look.glasses == "sunglasses" else None
        parts += glasses(landmarks, look.glasses_frame, lens, *look.glasses_shape)
    return parts


def _skin(assets: MakeHumanAssets, body: Floats, colours: Floats, hidden: NDArray[np.bool_], lowest: float) -> Part:
    triangles = triangulate(assets.base.quads[assets.base.groups["body"]])
    normals = vertex_normals(body, triangles)
    kept = ~hidden[triangles].all(axis=1) & (body[triangles, 1] > lowest).any(axis=1)
    used, triangles = compact(triangles[kept], len(body))
    return Part(vertices=body[used], triangles=triangles, colours=colours[used], normals=normals[used])


def _teeth(assets: MakeHumanAssets, body: Floats) -> list[Part]:
    parts = []
    for name, rgb in TEETH:
        used, triangles = compact(triangulate(assets.base.quads[assets.base.groups[name]]), len(body))
        vertices = body[used]
        paint = np.tile(np.array(rgb, np.float32), (len(used), 1))
        parts.append(
            Part(vertices=vertices, triangles=triangles, colours=paint, normals=vertex_normals(vertices, triangles))
        )
    return parts


def _brows(brows: Garment, body: Floats, look: Look) -> Part:
    """Brow sheets: hair in the middle, fading to skin at their borders."""
    vertices, triangles = brows.fit.place(body), triangulate(brows.mesh.quads)
    # A sheet lies a little before the skin; its border is where few triangles meet.
    meeting = np.bincount(triangles.reshape(-1), minlength=len(vertices))
    inner = np.clip((meeting - 2) / 3, 0, 1)[:, None]
    hair, tone = np.array(look.skin.hair), np.array(look.skin.tone)
    dark = 0.8 * hair * (0.75 if hair.mean() > 0.4 else 1.0)
    colours = dark * (0.35 + 0.65 * inner) + tone * 0.65 * (1 - inner)
    return Part(
        vertices=vertices,
        triangles=triangles,
        colours=np.asarray(np.clip(colours, 0, 1), np.float32),
        normals=np.tile(np.float32([0, 0.25, 0.97]), (len(vertices), 1)),
    )


def _on_head(
    assets: MakeHumanAssets, look: Look, body: Floats, skin: Part, landmarks: Floats, centre: Floats
) -> list[Part]:
    """Hair and hat; hair that the hat covers is left out."""
    parts = []
    face = float(landmarks[10, 1] - landmarks[152, 1])
    brim = float(landmarks[10, 1]) - 0.02 * face
    if look.hair:
        hair = assets.garment("hair", look.hair)
        lowest = float(landmarks[152, 1]) - 0.2 * face
        part = place_hair(hair, body, centre, look.hair_look, lowest)
        if look.hair in SHORT:
            part = trim_sideburns(part, landmarks, look.hair_look.seed)
        if look.trim_fringe:
            part = trim_fringe(part, landmarks, look.hair_look.seed)
        if look.hat:
            drop = 0.45 * (float(landmarks[10, 2]) - part.vertices[:, 2]).clip(0)
            covered = part.vertices[:, 1] > brim + 0.02 * face - 0.4 * drop
            before = part.vertices[:, 2] > float(landmarks[10, 2]) - 0.25 * face
            covered |= before & (part.vertices[:, 1] > landmarks[[66, 296], 1].mean())
            part = evolve(part, triangles=np.ascontiguousarray(part.triangles[~covered[part.triangles].any(axis=1)]))
        parts.append(part)
    if look.hat in ("cap", "beanie"):
        above = skin.vertices[skin.vertices[:, 1] > brim - 0.2 * face]
        head = above[np.abs(above[:, 0]) < abs(float(landmarks[454, 0])) + 0.08]
        parts += hat(look.hat, head, centre, brim, *look.hat_colours)
    elif look.hat:
        garment = assets.garment("clothes", look.hat)
        vertices, triangles = garment.fit.place(body), triangulate(garment.mesh.quads)
        normals = vertex_normals(vertices, triangles)
        band = np.abs(garment.fit.place(assets.base.vertices)[:, 1] - 7.98) < 0.09
        colours = np.where(band[:, None], look.hat_colours[1] * 0.5, look.hat_colours[0])
        parts.append(Part(vertices=vertices, triangles=triangles, colours=colours.astype(np.float32), normals=normals))
    return parts
