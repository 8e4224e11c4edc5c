"""The optimisation loop. Read it from top to bottom: it is the whole method.

Each step renders every view that is needed once, shows detached copies to the priors that are due (and the reference
view to those that read it), mixes what they return into one image gradient, and sends that and the reference losses
through one backward pass.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from pshead_core.cameras.camera import Cameras
from pshead_core.cameras.sampler import reference_camera
from pshead_core.config.run import RunConfig
from pshead_core.gaussians.density import DensityState, accumulate, densify, fresh_state, is_due, will_be_due
from pshead_core.gaussians.model import GaussianModel
from pshead_core.portrait.portrait import Portrait
from pshead_core.records import SlotReport, StepReport
from pshead_core.render.base import Renderer, Rendering, Views
from pshead_core.run.adam import GaussianAdam
from pshead_core.run.checkpoint import Checkpoint
from pshead_core.run.losses import ReferenceTarget, reference_losses, reference_target, regularisers
from pshead_core.run.priors import Priors
from pshead_core.scheduler.plan import StepPlan, plan_step
from pshead_core.scheduler.streams import stream


class Loop:
    """A run between its first and last step. Its state is the Gaussians, Adam's moments and the density sums."""

    def __init__(
        self,
        config: RunConfig,
        portrait: Portrait,
        renderer: Renderer,
        priors: Priors,
        start: GaussianModel,
        surface_depth: Tensor,
    ) -> None:
        self.config, self.renderer, self.priors = config, renderer, priors
        self.next_step = 0
        self.seconds = 0.0
        self.adam = GaussianAdam(start, config.learning_rates)
        self.density: DensityState = fresh_state(len(start), start.means.device)
        self.background = torch.tensor(config.render.background, device=start.means.device)
        self._portrait, self.surface_depth = portrait, surface_depth
        self._targets: dict[int, ReferenceTarget] = {}

    @property
    def model(self) -> GaussianModel:
        """The present Gaussians, without a graph."""
        return self.adam.model.detach()

    def steps(self) -> Iterator[StepReport]:
        """Run the remaining steps; after each, the state is whole and the step is reported."""
        while self.next_step < self.config.steps:
            report = self._step(self.next_step)
            self.next_step += 1
            self.seconds += report.seconds
            yield report

    def _step(self, step: int) -> StepReport:
        started = time.perf_counter()
        config, model = self.config, self.adam.model
        plan = plan_step(config, step, view_sets=self.priors.view_sets, held=self.priors.held)

        novel = self._render_novel(plan, model)
        reference, shown = self._render_reference(plan, model)
        images, image_gradients, slots = self._ask_priors(plan, novel, shown)
        losses = self._compare_with_photo(plan, reference)
        losses |= regularisers(model, config.losses, step)

        total = torch.stack(list(losses.values())).sum()
        torch.autograd.backward([*images, total], [*image_gradients, torch.ones_like(total)])

        for rendering in (reference, novel):
            if rendering is not None and will_be_due(config.density, step, config.steps):
                self.density = accumulate(
                    self.density, rendering.abs_mean_grad_px, rendering.radii_px, width_px=plan.side_px
                )
        self.adam.step(step)
        self._control_density(step)
        return StepReport(
            step=step,
            side_px=plan.side_px,
            gaussians=len(model),
            seconds=time.perf_counter() - started,
            losses={name: float(loss.detach()) for name, loss in losses.items()},
            slots=slots,
        )

    def _render_novel(self, plan: StepPlan, model: GaussianModel) -> Rendering | None:
        """Render the novel views of the step, each once; None if no prior is due."""
        if plan.cameras is None:
            return None
        return self.renderer.render(model, plan.cameras.to(self.background.device), self.background)

    def _render_reference(self, plan: StepPlan, model: GaussianModel) -> tuple[Rendering | None, Views | None]:
        """Render the reference view if its slot is due or a prior reads it, and return it for both.

        The first is None where the slot is not due: nothing is differentiated then.
        """
        due = plan.reference is not None
        if not due and not self.priors.need_reference(plan):
            return None, None
        camera = reference_camera(self.config.cameras, plan.side_px).to(self.background.device)
        with torch.set_grad_enabled(due):
            rendering = self.renderer.render(model, camera, self.background)
        return (rendering if due else None), self._detached(rendering, camera)

    def _detached(self, rendering: Rendering, cameras: Cameras) -> Views:
        return Views(
            rgb=rendering.rgb.detach(),
            alpha=rendering.alpha.detach(),
            depth=rendering.depth.detach(),
            cameras=cameras,
            background=self.background,
        )

    def _ask_priors(
        self, plan: StepPlan, novel: Rendering | None, reference: Views | None
    ) -> tuple[list[Tensor], list[Tensor], tuple[SlotReport, ...]]:
        """Return those images of the novel views that are pulled at, the mixed gradient of each, and reports."""
        if novel is None or plan.cameras is None:
            return [], [], ()
        batch = self._detached(novel, plan.cameras.to(self.background.device))
        mixed, reports = self.priors.ask(plan, batch, reference, self.config.steps)
        pairs = [(novel.rgb, mixed.rgb), (novel.alpha, mixed.alpha), (novel.depth, mixed.depth)]
        pulled = [(image, gradient) for image, gradient in pairs if gradient is not None]
        return [image for image, _ in pulled], [gradient for _, gradient in pulled], reports

    def _compare_with_photo(self, plan: StepPlan, reference: Rendering | None) -> dict[str, Tensor]:
        """Return the weighted losses of the reference view, if it is due."""
        if plan.reference is None or reference is None:
            return {}
        losses = reference_losses(reference, self.target(plan.side_px), self.config.losses, plan.step)
        return {name: plan.reference.weight * loss for name, loss in losses.items()}

    def target(self, side_px: int) -> ReferenceTarget:
        """Return the portrait at a side, computed once."""
        if side_px not in self._targets:
            self._targets[side_px] = reference_target(self._portrait, self.surface_depth, self.background, side_px)
        return self._targets[side_px]

    def _control_density(self, step: int) -> None:
        """Clone, split and prune when it is time, and start new sums."""
        config = self.config
        if is_due(config.density, step, config.steps):
            change = densify(self.model, self.density, config.density, stream(config.seed, "density", step))
            self.adam.rearrange(change)
            self.density = fresh_state(len(self.model), self.background.device)

    def checkpoint(self) -> Checkpoint:
        """Return everything that the next step depends on."""
        return Checkpoint(
            next_step=self.next_step,
            adam=self.adam.state_dict(),
            density=self.density,
            priors=self.priors.state_dict(),
            held=self.priors.held,
            seconds=self.seconds,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue where a checkpoint was taken."""
        self.next_step, self.seconds = checkpoint.next_step, checkpoint.seconds
        self.adam.load_state_dict(checkpoint.adam)
        self.density = checkpoint.density
        self.priors.load_state_dict(checkpoint.priors)
        self.priors.held = dict(checkpoint.held)
