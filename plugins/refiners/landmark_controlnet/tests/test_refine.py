"""The refiner on mini: which views it speaks about, what it leaves alone, and whether the face follows the drawing."""

import logging

import pytest
import torch
from attrs import evolve
from pshead_refiners_landmark_controlnet.config import DrawingSettings, LandmarkControlnetConfig, PromptSettings
from pshead_refiners_landmark_controlnet.control import DRAWN, control_pictures
from pshead_refiners_landmark_controlnet.prior import build
from pshead_refiners_landmark_controlnet.prompts import plain_prompt, view_prompts, views_of

from pshead_core.api import PluginContractError, Views
from pshead_core.testing import tiny_context, tiny_portrait, tiny_step, tiny_views


def reference(side_px=64):
    return tiny_views(1, side_px=side_px, view_set="reference")


def at(tmp_path, portrait=None, **settings):
    """Return the refiner with few denoising steps."""
    config = LandmarkControlnetConfig(**{"steps": 10, **settings})
    return build(config, tiny_context(tmp_path, portrait=tiny_portrait() if portrait is None else portrait))


def test_views_from_behind_get_no_weight_and_are_counted(tmp_path, caplog):
    prior = at(tmp_path)
    views = tiny_views(8, side_px=64)  # the whole ring
    with caplog.at_level(logging.INFO):
        target = prior.refine(views, tiny_step(reference=reference()))
    usable = target.weight.amax((1, 2)) > 0
    front = views.cameras.azimuth_deg.abs() < 40
    assert bool(usable[front].all())
    assert not usable[views.cameras.azimuth_deg.abs() > 100].any()
    assert torch.equal(target.rgb[~usable], views.rgb[~usable])
    assert (prior.asked_views, prior.silent_views) == (8, int((~usable).sum()))
    assert caplog.text.count("left alone") == 1
    with caplog.at_level(logging.INFO):
        for index in range(3):
            prior.refine(evolve_views(views, ~usable), tiny_step(index, reference=reference()))
    assert prior.silent_views == 4 * int((~usable).sum())
    assert caplog.text.count("left alone") == 3  # told again when their number has doubled


def evolve_views(views, chosen):
    return Views(
        rgb=views.rgb[chosen],
        alpha=views.alpha[chosen],
        depth=views.depth[chosen],
        cameras=views.cameras[chosen],
        background=views.background,
    )


def test_what_is_too_small_for_the_networks_is_left_alone(tmp_path):
    views = tiny_views(1, side_px=256, view_set="reference")
    noise = torch.rand(1, 1, 256, 256, generator=torch.Generator().manual_seed(5))
    mean = torch.nn.functional.avg_pool2d(noise, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    fine = 0.06 * (noise - mean)[0, 0, :, :, None]  # no block of 2 x 2 px shows it
    smooth = evolve(views, rgb=views.rgb * 0.4 + 0.3)
    rough = evolve(smooth, rgb=smooth.rgb + fine)
    prior = at(tmp_path)
    targets = [prior.refine(some, tiny_step(reference=reference(256))).rgb for some in (rough, smooth)]
    free = torch.stack([(target > 0) & (target < 1) for target in targets]).all(0)  # not cut off at black or white
    assert float(free.float().mean()) > 0.7
    assert torch.allclose((targets[0] - targets[1])[free], fine.expand_as(views.rgb)[free], atol=1e-4)
    assert float((targets[1] - smooth.rgb).abs().mean()) > 1e-3
    replaced = [
        at(tmp_path, detail="replace").refine(some, tiny_step(reference=reference(256))).rgb for some in (rough, smooth)
    ]
    assert torch.allclose(replaced[0], replaced[1], atol=1e-4)


def test_an_answer_needs_the_reference_view(tmp_path):
    with pytest.raises(PluginContractError, match="no reference view"):
        at(tmp_path).refine(tiny_views(1), tiny_step())


def test_more_strength_changes_more_and_none_nothing(tmp_path):
    views = tiny_views(1, side_px=128, view_set="reference")
    moved = []
    for strength in (0.0, 0.2, 0.6):
        target = at(tmp_path, strength=strength).refine(views, tiny_step(reference=reference(128)))
        moved.append(float((target.rgb - views.rgb).square().mean()))
    assert moved[0] == 0.0
    assert 0.0 < moved[1] < moved[2]


def test_chunks_do_not_change_the_result(tmp_path):
    views = tiny_views(3, side_px=64, view_set="front")
    step = {"reference": reference()}
    one, all_ = (at(tmp_path, chunk_views=size).refine(views, tiny_step(**step)).rgb for size in (1, 8))
    assert torch.allclose(one, all_, atol=1e-4)


def test_hidden_landmarks_are_dropped_or_drawn():
    views = tiny_views(9, side_px=96, view_set="front")
    portrait, front = tiny_portrait(), reference(96)
    drawn, dropped = (
        control_pictures(portrait, front, views, 128, DrawingSettings(hidden=kind)) for kind in ("draw", "drop")
    )
    assert torch.equal(drawn.visible_frac, dropped.visible_frac)
    lit = [(part.drawing.amax(1) > 0).sum((1, 2)) for part in (drawn, dropped)]
    whole = drawn.visible_frac == 1
    assert torch.equal(lit[0][whole], lit[1][whole])
    assert bool((lit[0] > lit[1])[~whole].any())
    assert len(DRAWN) == 130


def test_prompts_lose_the_token_and_get_view_words():
    settings = PromptSettings(front_deg=30.0, back_deg=150.0)
    assert plain_prompt("photo of a sks woman,  red hair, ", settings) == "photo of a woman, red hair"
    assert plain_prompt("a sksy man", settings) == "a sksy man"
    assert plain_prompt(" ,", settings) == "photo of a person"
    assert view_prompts("a man", settings) == ("a man, front view", "a man, side view", "a man, back view")
    assert views_of([0.0, -29.0, 31.0, -149.0, 151.0, -180.0, 361.0], settings) == [0, 0, 1, 1, 2, 2, 0]


def test_the_face_follows_the_drawing(tmp_path):
    """Of two pictures the refiner makes from the same noise, each face lies where its own landmarks were drawn."""
    truth = pytest.importorskip("training.ground_truth").load_ground_truth()[6]
    rgba = torch.nn.functional.interpolate(
        torch.from_numpy(truth.images[:1]).permute(0, 3, 1, 2), size=(128, 128), mode="area"
    ).permute(0, 2, 3, 1)
    rgb = rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]
    everywhere = torch.ones(1, 128, 128)
    cameras = truth.cameras[torch.tensor([0])].resized(128, 128)
    views = Views(rgb=rgb, alpha=everywhere, depth=everywhere * 1.7, cameras=cameras, background=torch.ones(3))
    from pshead_core.cameras.camera import project

    pixels, depth = project(torch.from_numpy(truth.landmarks), cameras)
    landmarks = torch.cat([pixels[0], depth[0][:, None]], 1)
    away = 8  # pixels to the right
    found = []
    for shift in (0, away):
        portrait = evolve(
            tiny_portrait(128), landmarks_px=landmarks + torch.tensor([shift, 0.0, 0.0]), prompt=truth.caption
        )
        prior = at(tmp_path, portrait, strength=0.9, steps=20, detail="replace")
        found.append(prior.refine(views, tiny_step(reference=views)).rgb[0])
    left, top = pixels[0, :, :2].amin(0).int().tolist()
    right, bottom = pixels[0, :, :2].amax(0).int().tolist()
    face = rgb[0, top:bottom, left:right]
    straight = [picture[top:bottom, left:right] for picture in found]
    moved = [picture[top:bottom, left + away : right + away] for picture in found]
    error = [[float((part - face).square().mean()) for part in parts] for parts in (straight, moved)]
    assert error[0][0] < 0.7 * error[0][1]  # where the face was: the one drawn there is better
    assert error[1][1] < 0.7 * error[1][0]  # where it was moved to: the other one
