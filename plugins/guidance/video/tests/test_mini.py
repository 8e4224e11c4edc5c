"""The miniature checkpoint: one pass is enough for the null prompt, and the gradient points to true orbits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from attrs import evolve
from pshead_guidance_video.config import VideoConfig
from pshead_guidance_video.prior import Texts, Video, build
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from pshead_core.errors import PsheadError
from pshead_core.models.pool import ModelPool
from pshead_core.priors.distill.codec import resize
from pshead_core.priors.distill.settings import DistillSettings
from pshead_core.render.base import Views
from pshead_core.testing import tiny_context, tiny_portrait, tiny_step
from training.ground_truth import TruthHead, load_ground_truth

STEP_FRAC = 0.1
"""Length of a step against the distance to the truth: it comes nearer if the cosine to the truth is above 0.05."""


@pytest.fixture(scope="module")
def pool() -> ModelPool:
    made = ModelPool(device=torch.device("cpu"), dtype=torch.float32)
    try:
        made.checkpoint("mini/video")
    except PsheadError as error:
        pytest.skip(error.what)
    return made


@pytest.fixture(scope="module")
def heads() -> tuple[TruthHead, ...]:
    return load_ground_truth()


@pytest.fixture
def built(tmp_path: Path, pool: ModelPool):
    def make(head: TruthHead | None = None, **options: object) -> Video:
        portrait = tiny_portrait()
        if head is not None:
            portrait = evolve(portrait, rgba=torch.from_numpy(head.images[0]))
        guidance = build(VideoConfig(**options), evolve(tiny_context(tmp_path, portrait=portrait), models=pool))
        assert isinstance(guidance, Video)
        return guidance

    return make


def orbit_of(head: TruthHead, side_px: int = 128, every: int = 1) -> Views:
    """The head's 25 true views over white, or each so manieth of them; the front is the first."""
    image = torch.from_numpy(head.images[::every])
    rgb = resize(image[..., :3] * image[..., 3:] + 1 - image[..., 3:], side_px, side_px).contiguous()
    flat = torch.ones(rgb.shape[:3])
    return Views(
        rgb=rgb,
        alpha=flat,
        depth=flat,
        cameras=head.cameras[::every].resized(side_px, side_px),
        background=flat.new_ones(3),
    )


def blurred(truth: Tensor, azimuth_deg: Tensor) -> Tensor:
    return gaussian_blur(truth.permute(0, 3, 1, 2), [17, 17], [4.0, 4.0]).permute(0, 2, 3, 1).contiguous()


def noisy(truth: Tensor, azimuth_deg: Tensor) -> Tensor:
    return (truth + 0.15 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


def two_faced(truth: Tensor, azimuth_deg: Tensor) -> Tensor:
    """The face looks backwards, too: what a video prior is there to mend."""
    wrong = truth.clone()
    wrong[azimuth_deg.abs() > 125.0] = truth[0]
    return wrong


@pytest.mark.parametrize(
    ("spoil", "t_frac", "head", "reference_frame"),
    [
        (blurred, (0.02, 0.1), 7, False),
        (noisy, (0.02, 0.1), 3, True),
        (two_faced, (0.3, 0.8), 3, True),
        (two_faced, (0.3, 0.8), 7, False),
    ],
)
def test_a_step_brings_a_spoilt_orbit_nearer_to_the_truth(built, heads, spoil, t_frac, head, reference_frame):
    truth = orbit_of(heads[head])
    spoilt = spoil(truth.rgb, truth.cameras.azimuth_deg)
    settings = DistillSettings(draw="shared", min_t_frac=t_frac[0], max_t_frac=t_frac[1], chunk_views=25)
    guidance = built(heads[head], reference_frame=reference_frame, distill=settings)
    gradient = guidance.contribute(evolve(truth, rgb=spoilt), tiny_step(seed=head)).rgb
    wrong = (spoilt - truth.rgb).flatten(1).norm(dim=1) > 1e-3
    wrong[0] = False  # the front: with a reference frame it gets no gradient
    towards, gradient = (truth.rgb - spoilt)[wrong], gradient[wrong]
    step = -STEP_FRAC * towards.norm() / gradient.norm() * gradient
    assert (towards - step).norm() < towards.norm()


def test_second_pass_of_the_null_prompt_changes_nothing(built, heads):
    """The network run twice, with a scale of 100, against the network run once."""
    once = built(side_px=64)
    assert once.texts.unconditional is None
    settings = evolve(once.settings, guidance_scale=100.0)
    text = once.texts.conditional
    twice = evolve(once, texts=Texts(conditional=text, unconditional=text.clone()), settings=settings)
    views = orbit_of(heads[0], 64, every=4)
    wanted, got = (guidance.contribute(views, tiny_step()).rgb for guidance in (once, twice))
    # 100 (a - a') with a, a' equal up to rounding: 100 float32 roundings at most
    torch.testing.assert_close(got, wanted, atol=1e-3 * float(wanted.abs().max()), rtol=0)


def test_reference_frame_reaches_the_other_frames(built, heads):
    """Temporal attention carries the portrait to its neighbours: the answer about them changes with it."""
    views = orbit_of(heads[0], 64, every=4)
    plain = built(side_px=64).contribute(views, tiny_step()).rgb
    known, other = (
        built(heads[row], side_px=64, reference_frame=True).contribute(views, tiny_step()).rgb for row in (0, 5)
    )
    assert (known[0] == 0).all()
    assert (plain[0] != 0).any()
    for one, two in ((plain, known), (known, other)):
        assert (one[1:] - two[1:]).abs().amax((1, 2, 3)).min() > 0
    assert torch.equal(known, built(heads[0], side_px=64, reference_frame=True).contribute(views, tiny_step()).rgb)


def test_frame_is_that_of_the_checkpoint(built):
    assert (built().frame.height_px, built().frame.width_px) == (128, 128)
    assert built(frame="published").frame.height_px == 320
    assert built(frame="published").frame.width_px == 576
    with pytest.raises(PsheadError, match="100 x 100"):
        built(side_px=100)


def test_another_kind_of_checkpoint_is_refused(built):
    with pytest.raises(PsheadError, match="no text-to-video network"):
        built(checkpoint="mini/sd")


def test_image_mode_leaves_the_front_alone_too(built, heads):
    settings = DistillSettings(draw="shared", mode="image")
    guidance = built(heads[0], side_px=64, reference_frame=True, distill=settings)
    gradient = guidance.contribute(orbit_of(heads[0], 64, every=4), tiny_step()).rgb
    assert (gradient[0] == 0).all()
    assert (gradient[1:].abs().amax((1, 2, 3)) > 0).all()
