"""One signed-distance head from a seed."""

from __future__ import annotations

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from training.heads import palette
from training.heads.attributes import HeadAttributes
from training.heads.frame import place
from training.heads.head import Head
from training.heads.mesh import Part, join, occluded, occlusion
from training.heads.props import glasses, hat
from training.heads.sdf.collar import dress
from training.heads.sdf.decals import brows, eyes, lips
from training.heads.sdf.landmarks import landmarks, smooth_oval
from training.heads.sdf.paint import Colours, paint
from training.heads.sdf.shape import HAIR_STYLES, NECKLINES, Shape, sample_shape
from training.heads.sdf.surface import surface

Floats = NDArray[np.float32]

LOWEST = -5.2
"""Local height down to which the bust reaches: below the frame in every view."""
GARMENT_WORDS = {
    "crew": "t-shirt",
    "v": "t-shirt",
    "shirt": "shirt",
    "turtleneck": "jumper",
    "jacket": "suit",
    "hood": "hoodie",
}
BEARD_WORDS = (None, "beard", "moustache", "goatee", "stubble")
SKIN_ODDS = (1.2, 1.6, 1.3, 1.2, 1.2)
HAIR_ODDS = (2.2, 1.6, 1.8, 1.2, 0.7, 0.8, 0.9, 0.6)


@frozen(kw_only=True, eq=False)
class Draft:
    """All draws of a seed."""

    shape: Shape
    colours: Colours
    attributes: HeadAttributes
    lift: float
    angle: float
    """Of the brows: stern to sad, low to raised."""
    brow_thick: float
    gaze: tuple[float, float]
    iris: Floats
    lip: Floats
    hat: str | None
    hat_colours: tuple[Floats, Floats]
    glasses: str | None
    glasses_frame: Floats
    glasses_shape: tuple[float, float, float]


def sample_draft(seed: int) -> Draft:
    """Return all random draws of a seed."""
    rng = np.random.default_rng([seed, 0x5DF])
    male, child = bool(rng.random() < 0.5), bool(rng.random() < 0.08)
    old = not child and rng.random() < 0.2
    hat_kind = str(rng.choice(["", "cap", "beanie", "hat"], p=[0.82, 0.06, 0.07, 0.05])) or None
    p = sample_shape(rng, male, child, hat_kind is not None)
    if p.style == 15:
        hat_kind = None
    skin_index = int(rng.choice(len(palette.SKIN), p=np.array(SKIN_ODDS) / sum(SKIN_ODDS)))
    odds = np.array(HAIR_ODDS) * (np.array([1, 1, 1, 1, 1, 1, 6, 6]) if old else np.array([1, 1, 1, 1, 1, 1, 0.2, 0.1]))
    if child:
        odds[-2:] = 0
    odds = odds * (np.array([3, 1.5, 1, 0.2, 0.1, 0.15, 1, 1]) if skin_index >= 3 else 1)
    hair = palette.choose(palette.HAIR, rng, tuple(odds))
    outer, inner, tie = (palette.choose(palette.CLOTH, rng) for _ in range(3))
    neckline = NECKLINES[p.neckline]
    if neckline == "jacket":
        inner = palette.choose(
            palette.CLOTH, rng, tuple(4.0 if c.name in ("white", "light blue") else 0.4 for c in palette.CLOTH)
        )
    striped = neckline != "jacket" and rng.random() < 0.18
    skin, hair_rgb = palette.vary(palette.SKIN[skin_index], rng, 0.04), palette.vary(hair, rng, 0.05)
    scarf = palette.choose(palette.CLOTH, rng) if p.style == 15 else None
    hat_colour, second = palette.choose(palette.CLOTH, rng), palette.choose(palette.CLOTH, rng)
    spectacles = str(rng.choice(["", "glasses", "sunglasses"], p=[0.70, 0.25, 0.05])) or None
    frames = ((0.06, 0.06, 0.06), (0.30, 0.18, 0.10), (0.62, 0.58, 0.5), (0.5, 0.1, 0.1))
    lipstick = 0.0 if male or child else float(rng.beta(1, 1.5))
    natural = skin * np.array([0.90, 0.64, 0.63])
    lip = natural * (1 - lipstick) + np.array([0.66, 0.14, 0.20]) * lipstick * (0.5 + 0.5 * skin.mean())
    outer_rgb = palette.vary(outer, rng)
    colours = Colours(
        skin=skin,
        hair=hair_rgb,
        garment=outer_rgb,
        inner=palette.vary(inner, rng),
        collar=np.asarray(outer_rgb * rng.uniform(0.85, 1.08), np.float32)
        if rng.random() < 0.7
        else palette.vary(inner, rng),
        tie=palette.vary(tie, rng),
        scarf=None if scarf is None else palette.vary(scarf, rng),
        flush=float(rng.beta(2, 2.5)),
        mottling=float(rng.uniform(0.015, 0.06)),
        roughness=float(rng.uniform(0.12, 0.5)),
        grey=float(rng.uniform(0.1, 0.4)) if old and rng.random() < 0.5 else 0.0,
        stripes=float(rng.uniform(0.25, 0.7)) if striped else 0.0,
        stubble=float(rng.uniform(0.25, 0.45)) if p.beard_kind == 4 else (0.7 if p.beard_kind else 0.0),
    )
    person = ("boy" if male else "girl") if child else ("old " if old else "") + ("man" if male else "woman")
    style = HAIR_STYLES[p.style]
    attributes = HeadAttributes(
        person=person,
        skin=palette.SKIN[skin_index].name,
        hair_style=None if p.style in (0, 15) else style,
        hair_colour=hair.name,
        beard=BEARD_WORDS[p.beard_kind],
        hat="headscarf" if scarf is not None else hat_kind,
        hat_colour=scarf.name if scarf is not None else (hat_colour.name if hat_kind else None),
        glasses=spectacles,
        garment=GARMENT_WORDS[neckline],
        garment_colour=outer.name,
        striped=striped,
        expression="mouth open" if p.mouth_open > 0.55 else ("smiling" if p.smile > 0.45 else None),
    )
    return Draft(
        shape=p,
        colours=colours,
        attributes=attributes,
        lift=float(np.clip(rng.normal(0, 0.4), -0.8, 1)),
        angle=float(np.clip(rng.normal(0, 0.4), -1, 1)),
        brow_thick=float(rng.uniform(0.7, 1.3)) * (1.15 if male else 0.85),
        gaze=(float(rng.normal(0, 0.010)), float(rng.normal(0, 0.005))),
        iris=palette.vary(palette.choose(palette.IRIS, rng, (5, 2, 1, 0.6, 0.5)), rng),
        lip=np.asarray(lip, np.float32),
        hat=hat_kind,
        hat_colours=(palette.vary(hat_colour, rng), palette.vary(second if rng.random() < 0.5 else hat_colour, rng)),
        glasses=spectacles,
        glasses_frame=np.array(frames[int(rng.integers(4))], np.float32),
        glasses_shape=(float(rng.uniform(0, 1)), float(rng.uniform(0.85, 1.12)), float(rng.uniform(0.6, 1.5))),
    )


def sdf_parts(draft: Draft, marks: Floats) -> list[Part]:
    """Return the parts of a head in local units."""
    p, c = draft.shape, draft.colours
    vertices, triangles, normals, regions = surface(p, LOWEST)
    skull_points = vertices[(regions <= 1) & (vertices[:, 1] > -0.3)].astype(np.float32)
    body = Part(
        vertices=vertices.astype(np.float32),
        triangles=triangles,
        colours=paint(vertices, regions, p, c),
        normals=normals.astype(np.float32),
    )
    parts = [body, *eyes(p, draft.gaze, draft.iris, c.skin), *lips(p, draft.lip)]
    parts += dress(p, c)
    brow_hair = np.asarray(0.8 * c.hair, np.float32)
    parts += brows(p, draft.lift, draft.angle, draft.brow_thick, brow_hair, c.skin)
    if draft.hat:
        parts += hat(draft.hat, skull_points, np.array([0, 0.30, -0.02], np.float32), 0.55, *draft.hat_colours)
    if draft.glasses:
        lens = np.array([0.10, 0.10, 0.11], np.float32) if draft.glasses == "sunglasses" else None
        parts += glasses(marks, draft.glasses_frame, lens, *draft.glasses_shape)
    return parts


def bare_landmarks(seed: int) -> NDArray[np.float32]:
    """Return the landmarks `[478, 3]` of a seed's head before it is framed: without its mesh, so quickly."""
    draft = sample_draft(seed)
    return smooth_oval(landmarks(draft.shape, draft.lift, draft.angle, draft.gaze))


def make_sdf_head(seed: int) -> Head:
    """Return the head of a seed; the same seed gives the same head."""
    draft = sample_draft(seed)
    marks = landmarks(draft.shape, draft.lift, draft.angle, draft.gaze)
    parts = sdf_parts(draft, marks)
    whole = join(parts)
    placement = place(marks, whole.vertices)
    vertices = placement.apply(whole.vertices)
    shade = occlusion(vertices, whole.normals, whole.triangles, 0.024, (0.03, 0.09))
    return Head(
        vertices=vertices,
        triangles=whole.triangles,
        colours=np.asarray(whole.colours * (1 - 0.75 * shade * occluded(parts))[:, None], np.float32),
        normals=whole.normals,
        landmarks=placement.apply(smooth_oval(marks)),  # parts and frame keep the unsmoothed ones
        attributes=draft.attributes,
        source="sdf",
        seed=seed,
    )
