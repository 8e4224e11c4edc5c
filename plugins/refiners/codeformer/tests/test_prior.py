"""The refiner on a ground-truth head: which views it takes, what it wants in them, and who feels it."""

import logging

import pytest
import torch
from attrs import evolve
from pshead_refiners_codeformer import TOY
from pshead_refiners_codeformer.config import CodeFormerConfig
from pshead_refiners_codeformer.found import CUT, NONE, SEVERAL, SMALL, USED, Faces
from pshead_refiners_codeformer.prior import build

from pshead_core.api import DenoisedTarget, PluginConfig, PluginContractError, PsheadError
from pshead_core.priors.faces import FFHQ_512, crop, five_points, similarity
from pshead_core.render.base import Views
from pshead_core.render.cpu import CpuRenderer
from pshead_core.scheduler.mixer import target_gradient
from pshead_core.testing import empty_views, tiny_context, tiny_model, tiny_portrait, tiny_step, tiny_views

from .conftest import part


def step_of(views):
    return tiny_step(reference=part(views, slice(0, 1)))


def placed(points, count=None):
    return Faces(count=torch.ones(len(points), dtype=torch.int64) if count is None else count, points_px=points)


# --- which views


def test_views_with_a_face_are_taken_and_the_others_counted(built, views):
    refiner = built()
    found = refiner.refine(views, step_of(views))
    taken = found.weight.amax((1, 2)) > 0
    assert taken.tolist() == [True, True, True, False, False]  # 0, 30, -45 degrees; not the profile, not the back
    assert torch.equal(found.rgb[~taken], views.rgb[~taken])
    assert refiner.tally.counts == {USED: 3, NONE: 2}
    refiner.refine(part(views, [4]), step_of(views))
    assert refiner.tally.counts == {USED: 3, NONE: 3}


def test_projected_points_are_the_true_ones(built, views, true_points):
    found = built().detector.find(views, step_of(views))
    width = float((true_points[0, 454] - true_points[0, 234]).norm())
    error = (found.points_px[:3] - five_points(true_points)[:3]).norm(dim=-1)
    assert float(error.max()) < 0.05 * width, error / width


def test_none_two_cut_and_small_faces_are_skipped_and_counted(built, views, true_points, caplog):
    points = five_points(true_points)[:1].expand(6, -1, -1).clone()
    points[3] -= torch.tensor([points[3, 2, 0] - 1.0, 0.0])  # the nose at the left border: half the face outside
    points[4] = (points[4] - 96) * 0.1 + 96
    points[5] -= points[5, 0] - torch.tensor([4.0, 60.0])  # all points inside, but not the crop
    refiner = built(CodeFormerConfig(detector="landmarks"), faces=placed(points, torch.tensor([1, 0, 2, 1, 1, 1])))
    given = part(views, [0] * 6)
    with caplog.at_level(logging.INFO, logger="pshead.testing"):
        found = refiner.refine(given, step_of(views))
        refiner.refine(given, step_of(views))
    assert (found.weight.amax((1, 2)) > 0).tolist() == [True, False, False, False, False, False]
    assert torch.equal(found.rgb[1:], given.rgb[1:])
    assert refiner.tally.counts == {USED: 2, NONE: 2, SEVERAL: 2, CUT: 4, SMALL: 2}
    assert [record.getMessage() for record in caplog.records] == [
        "codeformer: 1 of 6 views had one whole face; skipped: 1 no face, 1 several faces, 2 cut by the frame, "
        "1 too small"
    ]


def test_a_face_half_out_of_the_frame_is_cut_for_the_landmark_detector_too(built, views):
    """The camera looks past the head, so that the picture ends at the nose."""
    half = 96
    moved = {name: torch.zeros_like(getattr(views, name)[:1]) for name in ("rgb", "alpha", "depth")}
    for name, picture in moved.items():
        picture[:, :, :half] = getattr(views, name)[:1, :, half:]
    pose = views.cameras.T_world_camera[:1].clone()
    refiner = built()
    # an off-centre picture is no pinhole with a centred axis; turning the camera is: look to the side by half a frame
    turn = torch.atan(torch.tensor(half / views.cameras.focal_px))
    c, s = turn.cos(), turn.sin()
    pose[0, :3, :3] = pose[0, :3, :3] @ torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    cameras = evolve(views.cameras[:1], T_world_camera=pose)
    side = Views(**moved, cameras=cameras, background=views.background)
    found = refiner.refine(side, step_of(views))
    assert float(found.weight.max()) == 0
    assert refiner.tally.counts == {CUT: 1}


def test_coinciding_points_are_too_small_and_harm_nothing(built, views):
    refiner = built(faces=placed(torch.full((1, 5, 2), 90.0)))
    found = refiner.refine(part(views, [0]), step_of(views))
    assert bool(found.rgb.isfinite().all())
    assert refiner.tally.counts == {SMALL: 1}


def test_empty_views_have_no_face(built, views):
    refiner = built()
    found = refiner.refine(empty_views(2, side_px=64), step_of(views))
    assert refiner.tally.counts[USED] in (0, 2)  # nothing hides a landmark where there is no head
    assert float(found.weight.max()) == 0


def test_without_reference_view_the_landmark_detector_says_what_is_missing(built, views):
    with pytest.raises(PsheadError, match="reference"):
        built().refine(views, tiny_step())


# --- what it wants


def test_identity_restorer_gives_the_views_back(built, views):
    found = built(amount=0.0).refine(views, step_of(views))
    assert float((found.rgb - views.rgb).abs().max()) <= 1e-3
    assert float(found.weight.max()) > 0.99


def test_full_fidelity_reaches_the_network(built, views):
    """The toy leaves crops alone at w = 1, and changes them at w = 0.5."""
    config = CodeFormerConfig(detector="landmarks", fidelity=1.0)
    assert float((built(config).refine(views, step_of(views)).rgb - views.rgb).abs().max()) <= 1e-3
    assert float((built().refine(views, step_of(views)).rgb - views.rgb).abs().max()) > 0.02


def test_the_face_is_changed_and_nothing_else(built, views, true_points):
    found = built(CodeFormerConfig(detector="landmarks", keep_to_head=False)).refine(views, step_of(views))
    untouched = found.weight == 0
    assert torch.equal(found.rgb[untouched], views.rgb[untouched])
    for view in range(3):
        for x, y in five_points(true_points)[view].long().tolist():
            assert float(found.weight[view, y, x]) > 0.99


def test_mask_ends_with_the_head(built, views):
    """Views of the front alone: the crop reaches beyond the head, the weight does not."""
    whole = built(CodeFormerConfig(detector="landmarks", keep_to_head=False)).refine(views, step_of(views)).weight
    kept = built().refine(views, step_of(views)).weight
    outside = views.alpha == 0
    assert float(whole[outside].max()) > 0.1
    assert float(kept[outside].max()) == 0
    torch.testing.assert_close(kept, whole * views.alpha)


def test_chunks_do_not_change_the_result(built, views):
    results = []
    for chunk in (1, 2, None):
        config = CodeFormerConfig(detector="landmarks", chunk_views=chunk)
        results.append(built(config).refine(views, step_of(views)))
    for other in results[1:]:
        torch.testing.assert_close(other.rgb, results[0].rgb, atol=1e-6, rtol=0)
        torch.testing.assert_close(other.weight, results[0].weight, atol=1e-6, rtol=0)


def test_gradient_is_that_of_the_loss_in_crop_space(built, views, true_points):
    """PSHead's loss compares in the crop. Inside the mask its gradient is s² times the mixer's, up to resampling."""
    points = five_points(true_points)[:1]
    refiner = built(CodeFormerConfig(detector="landmarks", keep_to_head=False), side_px=256, faces=placed(points))
    view = part(views, [0])
    wanted = view.rgb.roll(2, 2)  # something else, but as smooth as the view
    matrix = similarity(points, (256 / 512) * FFHQ_512)
    refiner = evolve(refiner, restorer=Fixed(crop(wanted, matrix, 256)))
    target = refiner.refine(view, step_of(views))
    ours = target_gradient(view, target, "l2").rgb
    rgb = view.rgb.clone().requires_grad_()
    (0.5 * (crop(rgb, matrix, 256) - crop(wanted, matrix, 256)).square().sum()).backward()
    solid = target.weight > 0.999
    scale = float(matrix[0, :, :2].det())
    assert scale > 2, "the crop is finer than the view"
    a, b = ours[solid].flatten(), rgb.grad[solid].flatten() / scale
    assert float(torch.cosine_similarity(a, b, 0)) > 0.97
    assert float(b @ a / (a @ a)) == pytest.approx(1, abs=0.1)


class Fixed:
    """A restorer that always answers with the same crops."""

    def __init__(self, crops):
        self.crops, self.side_px = crops, crops.shape[1]

    def restore(self, crops):
        return self.crops


# --- who feels it


def test_gradient_reaches_the_gaussians_of_the_face(tmp_path):
    """Rendered, detected, cropped, sharpened, pasted, mixed and pulled back: the front moves, and nothing else."""
    model = tiny_model(400)
    cameras = tiny_views(1, side_px=64, view_set="reference").cameras
    leaves = {name: getattr(model, name).requires_grad_() for name in ("means", "sh", "opacity_logits")}
    rendered = CpuRenderer().render(model, cameras, torch.ones(3))
    views = Views(
        rgb=rendered.rgb.detach(),
        alpha=rendered.alpha.detach(),
        depth=rendered.depth.detach(),
        cameras=cameras,
        background=torch.ones(3),
    )
    config = CodeFormerConfig(checkpoint=str(TOY), detector="landmarks", min_face_px=4.0)
    refiner = build(config, tiny_context(tmp_path, portrait=tiny_portrait(64)))
    target = refiner.refine(views, tiny_step(reference=views))
    assert refiner.tally.counts == {USED: 1}
    rendered.rgb.backward(target_gradient(views, target, "l2").rgb)
    moved = leaves["sh"].grad.abs().sum((1, 2))
    front, back = moved[model.means[:, 2] > 0.2], moved[model.means[:, 2] < -0.2]
    assert float(front.max()) > 1e-3
    assert float(back.max()) < 1e-2 * float(front.max())
    assert all(bool(leaf.grad.isfinite().all()) and float(leaf.grad.abs().max()) > 0 for leaf in leaves.values())


def test_target_has_no_graph_and_fits_the_contract(built, views):
    found = built().refine(evolve(views, rgb=views.rgb.clone().requires_grad_()), step_of(views))
    assert isinstance(found, DenoisedTarget)
    assert not found.rgb.requires_grad
    assert not found.weight.requires_grad
    assert 0 <= float(found.rgb.min()) <= float(found.rgb.max()) <= 1


def test_configuration_of_another_plugin_is_refused(tmp_path):
    with pytest.raises(PluginContractError, match="PluginConfig"):
        build(PluginConfig(), tiny_context(tmp_path))


def test_configuration_names_its_weights():
    assert CodeFormerConfig().checkpoints() == ("codeformer", "retinaface-resnet50")
    assert CodeFormerConfig(detector="landmarks", checkpoint="elsewhere").checkpoints() == ("elsewhere",)
