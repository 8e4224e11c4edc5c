"""The refiner: find the face of each view, restore its aligned crop, and want the result in its place (eq. 10).

PSHead compares in the crop. Here the restored crop is pasted back, and the weight of the target is its mask, so that
the core can mix it as any target. With squared loss the two agree up to resampling: a view pixel stands for s² pixels
of the crop, where s is the crop's enlargement, so the gradient of the crop's sum over pixels is s² times this one,
seen through the bilinear crop. What the restored crop shows beyond the view's own resolution is averaged away.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from pshead_core.api import BuildContext, DenoisedTarget, PluginConfig, PluginContractError, Refiner, Step, Views
from pshead_core.priors.faces import crop, paste, soft_mask
from pshead_refiners_codeformer.config import CodeFormerConfig
from pshead_refiners_codeformer.found import USED, VERDICTS, Detector, LandmarkDetector, Tally, judge
from pshead_refiners_codeformer.restorer import Restorer, load_restorer
from pshead_refiners_codeformer.retinaface import load_detector


@frozen(kw_only=True, eq=False)
class CodeFormerRefiner:
    """Wants faces as a restorer makes them."""

    config: CodeFormerConfig
    restorer: Restorer
    detector: Detector
    mask: Tensor
    """`[side, side]`, of the crop."""
    tally: Tally
    """What became of the views so far."""

    def refine(self, views: Views, step: Step) -> DenoisedTarget:
        """Return the views with restored faces; weight 0 on views without exactly one whole face."""
        height_px, width_px = views.rgb.shape[1:3]
        verdict, matrix = judge(
            self.detector.find(views, step),
            self.mask.to(views.rgb),
            height_px,
            width_px,
            min_inside_frac=self.config.min_inside_frac,
            min_face_px=self.config.min_face_px,
        )
        self.tally.add(verdict)
        target, weight = views.rgb.detach().clone(), torch.zeros_like(views.rgb[..., 0])
        used = (verdict == VERDICTS.index(USED)).nonzero()[:, 0]
        for some in used.split(self.config.chunk_views or max(len(used), 1)):
            target[some], weight[some] = self._restored(views.rgb[some].detach(), matrix[some])
        if self.config.keep_to_head:
            weight = weight * views.alpha
        return DenoisedTarget(rgb=target.clamp(0, 1), weight=weight)

    def _restored(self, rgb: Tensor, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """Return views with their crops restored, and the mask in view space."""
        with torch.no_grad():
            better = self.restorer.restore(crop(rgb, matrix, self.restorer.side_px))
            return paste(rgb, better, matrix, self.mask.to(rgb))


def make_detector(config: CodeFormerConfig, context: BuildContext) -> Detector:
    """Return the detector that the configuration names."""
    if config.detector == "landmarks":
        return LandmarkDetector(portrait=context.portrait)
    return load_detector(
        context.models,
        config.detector_checkpoint,
        side_px=config.detector_side_px,
        min_score=config.min_score,
        chunk=config.chunk_views,
    )


def build(config: PluginConfig, context: BuildContext) -> Refiner:
    """Build the refiner from its configuration on the run's device."""
    if not isinstance(config, CodeFormerConfig):
        raise PluginContractError(f"codeformer was given a {type(config).__name__}")
    restorer = load_restorer(context.models, config.checkpoint, config.fidelity)
    return CodeFormerRefiner(
        config=config,
        restorer=restorer,
        detector=make_detector(config, context),
        mask=soft_mask(restorer.side_px, solid_frac=config.mask_solid_frac),
        tally=Tally(context.logger),
    )
