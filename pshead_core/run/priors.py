"""The priors of a run: built once, asked at their steps, and named in every complaint."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch
from attrs import evolve, frozen
from torch import Tensor

from pshead_core.cameras.camera import Cameras
from pshead_core.config.schedule import REFERENCE, SlotConfig, is_zero
from pshead_core.errors import PluginContractError
from pshead_core.models.pool import ModelPool
from pshead_core.priors.contribution import DenoisedTarget, ImageGradient
from pshead_core.priors.protocols import (
    BuildContext,
    DifferentiableMetric,
    Guidance,
    Metric,
    Prepares,
    Refiner,
    Stateful,
    Step,
)
from pshead_core.records import SlotReport
from pshead_core.render.base import Views
from pshead_core.run.naming import naming_plugin
from pshead_core.run.offers import MetricOffer, Offer, build_metric
from pshead_core.scheduler.mixer import (
    MixedGradient,
    add,
    check_gradient,
    check_target,
    part_of,
    target_gradient,
    zero_gradient,
)
from pshead_core.scheduler.perceptual import Perceptual, perceptual_gradient
from pshead_core.scheduler.plan import HeldTarget, Share, StepPlan
from pshead_core.scheduler.streams import stream
from pshead_core.specs import GuidanceSpec


@frozen(kw_only=True, eq=False)
class BuiltPrior:
    """A prior and where it comes from."""

    offer: Offer
    prior: Guidance | Refiner


@frozen(kw_only=True, eq=False)
class BuiltMetric:
    """A differentiable metric that some slot names, and where it comes from."""

    offer: MetricOffer
    metric: DifferentiableMetric


class Priors:
    """The built priors, the metrics of their losses, and the targets that refiners hold."""

    def __init__(
        self,
        built: Mapping[str, BuiltPrior],
        metrics: Mapping[str, BuiltMetric],
        schedule: Sequence[SlotConfig],
        seed: int,
        models: ModelPool,
    ) -> None:
        self._built = built
        self._metrics = metrics
        self._seed = seed
        self._models = models
        self.view_sets = {
            slot.label: slot.views or built[slot.use].offer.spec.needs.views for slot in schedule if slot.use in built
        }
        self.held: dict[str, HeldTarget] = {}

    def prepare(self) -> None:
        """Let the priors that work before the first step do so."""
        for built in self._built.values():
            if isinstance(built.prior, Prepares):
                self._models.begin_use()
                with naming_plugin(f"{built.offer.who} failed while it prepared"):
                    built.prior.prepare()

    def need_reference(self, plan: StepPlan) -> bool:
        """Tell whether a prior that is asked at this step reads the reference view; one whose target is held is not."""
        return any(share.held is None and self._reads_reference(share.duty.slot.use) for share in plan.shares)

    def _reads_reference(self, use: str) -> bool:
        return self._built[use].offer.spec.needs.reference

    def ask(
        self, plan: StepPlan, batch: Views, reference: Views | None, total_steps: int
    ) -> tuple[MixedGradient, tuple[SlotReport, ...]]:
        """Return the mix of what the due priors contribute, in the order of the schedule, and a report on each.

        Args:
            plan: of the step.
            batch: the rendered novel views, detached.
            reference: the rendered reference view, detached; may be None where `need_reference` says no.
            total_steps: of the run.
        """
        mixed = zero_gradient(batch)
        reports = []
        for share in plan.shares:
            started = time.perf_counter()
            views = share.views.to(batch.rgb.device)
            at = self._step(share.duty.slot, plan.step, total_steps, reference)
            gradient = self._contribution(share, part_of(batch, views), at)
            norm = add(mixed, gradient, views=views, weight=share.duty.weight)
            reports.append(
                SlotReport(
                    slot=share.duty.slot.label,
                    weight=share.duty.weight,
                    grad_norm=norm,
                    views=len(share.views),
                    seconds=time.perf_counter() - started,
                )
            )
        return mixed, tuple(reports)

    def _step(self, slot: SlotConfig, step: int, total_steps: int, reference: Views | None) -> Step:
        """Return what a slot's prior is told of the step; with a copy of the reference view only if it reads it."""
        shown = None
        if reference is not None and self._reads_reference(slot.use):
            shown = part_of(reference, torch.arange(len(reference.cameras), device=reference.rgb.device))
        generator = stream(self._seed, slot.label, step)
        return Step(index=step, total=total_steps, slot=slot.label, generator=generator, reference=shown)

    def _contribution(self, share: Share, views: Views, at: Step) -> ImageGradient:
        slot = share.duty.slot
        built = self._built[slot.use]
        self._models.begin_use()
        who = f"slot '{slot.label}': {built.offer.who} at step {at.index}"
        if isinstance(built.offer.spec, GuidanceSpec):
            with naming_plugin(f"{who} failed"):
                gradient = built.prior.contribute(views, at)  # type: ignore[union-attr]
            check_gradient(gradient, views, who)
            return gradient
        if share.held is None:
            with naming_plugin(f"{who} failed"):
                target = built.prior.refine(views, at)  # type: ignore[union-attr]
            check_target(target, views, who)
            self._hold(slot, views.cameras, target)
        else:
            target = share.held.target
            self.held[slot.label] = evolve(share.held, uses_left=share.held.uses_left - 1)
        return self._towards(target, views, slot, at.index)

    def _towards(self, target: DenoisedTarget, views: Views, slot: SlotConfig, step: int) -> ImageGradient:
        """Return the gradient of the slot's losses between the views and a target."""
        gradient = target_gradient(views, target, slot.loss)
        if slot.perceptual is None or slot.perceptual_weight == 0:
            return gradient
        built = self._metrics[slot.perceptual]
        self._models.begin_use()
        with naming_plugin(f"slot '{slot.label}': {built.offer.who} at step {step} failed"):
            perceptual = Perceptual(metric=built.metric, weight=slot.perceptual_weight)
            added = perceptual_gradient(views.rgb, target, perceptual)
        return evolve(gradient, rgb=gradient.rgb + added)

    def _hold(self, slot: SlotConfig, cameras: Cameras, target: DenoisedTarget) -> None:
        if slot.hold_steps > 1:
            self.held[slot.label] = HeldTarget(cameras=cameras, target=target, uses_left=slot.hold_steps - 1)

    @property
    def metrics(self) -> dict[str, Metric]:
        """The metrics that slots use, by `use`."""
        return {use: built.metric for use, built in self._metrics.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Return the states of the priors that have one, by `<use>.<name>`."""
        return {
            f"{use}.{name}": tensor
            for use, built in self._built.items()
            if isinstance(built.prior, Stateful)
            for name, tensor in built.prior.state_dict().items()
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state_dict` returned."""
        for use, built in self._built.items():
            if isinstance(built.prior, Stateful):
                prefix = f"{use}."
                built.prior.load_state_dict(
                    {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
                )


def build_priors(
    offers: Mapping[str, Offer],
    built_in: Mapping[str, BuiltPrior],
    schedule: Sequence[SlotConfig],
    seed: int,
    context: BuildContext,
    metrics: Mapping[str, MetricOffer] | None = None,
) -> Priors:
    """Build every prior that a slot with a weight uses, and every metric that such a slot's loss uses, each once.

    Args:
        offers: of the plugins, by `use`.
        built_in: priors that need no plugin, by `use`.
        schedule: slots of the run.
        seed: of the run.
        context: what the priors are built from.
        metrics: offers of the metrics, by `use`.

    Raises:
        PluginError: if a prior or metric cannot be built.
    """
    slots = [slot for slot in schedule if slot.use != REFERENCE and not is_zero(slot.weight)]
    built = {
        use: built_in[use] if use in built_in else _build_prior(offers[use], context)
        for use in dict.fromkeys(slot.use for slot in slots)
    }
    named = dict.fromkeys(slot.perceptual for slot in slots if slot.perceptual and slot.perceptual_weight > 0)
    built_metrics = {use: _build_distance((metrics or {})[use], context) for use in named}
    return Priors(built, built_metrics, schedule, seed, context.models)


def _build_prior(offer: Offer, context: BuildContext) -> BuiltPrior:
    context.models.begin_use()
    with naming_plugin(f"{offer.who} cannot be built"):
        prior = offer.spec.build(offer.config, context)
    method = "contribute" if isinstance(offer.spec, GuidanceSpec) else "refine"
    if not callable(getattr(prior, method, None)):
        raise PluginContractError(f"{offer.who} built an object without a method '{method}'")
    return BuiltPrior(offer=offer, prior=prior)


def _build_distance(offer: MetricOffer, context: BuildContext) -> BuiltMetric:
    metric = build_metric(offer, context)
    if not isinstance(metric, DifferentiableMetric):
        raise PluginContractError(
            f"{offer.who} built an object without a method 'distance'",
            why="its spec is tagged 'differentiable'",
            fix="implement distance(rgb, target), or drop the tag",
        )
    return BuiltMetric(offer=offer, metric=metric)
