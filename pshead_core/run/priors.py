"""The priors of a run: built once, asked at their steps, and named in every complaint."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from attrs import evolve, frozen
from torch import Tensor

from pshead_core.cameras.camera import Cameras
from pshead_core.config.schedule import REFERENCE, SlotConfig, is_zero
from pshead_core.errors import PluginContractError
from pshead_core.models.pool import ModelPool
from pshead_core.priors.contribution import DenoisedTarget, ImageGradient
from pshead_core.priors.protocols import BuildContext, Guidance, Prepares, Refiner, Stateful, Step
from pshead_core.records import SlotReport
from pshead_core.render.base import Views
from pshead_core.run.naming import naming_plugin
from pshead_core.run.offers import Offer
from pshead_core.scheduler.mixer import (
    MixedGradient,
    add,
    check_gradient,
    check_target,
    part_of,
    target_gradient,
    zero_gradient,
)
from pshead_core.scheduler.plan import HeldTarget, Share, StepPlan
from pshead_core.scheduler.streams import stream
from pshead_core.specs import GuidanceSpec


@frozen(kw_only=True, eq=False)
class BuiltPrior:
    """A prior and where it comes from."""

    offer: Offer
    prior: Guidance | Refiner


class Priors:
    """The built priors and the targets that refiners hold."""

    def __init__(
        self, built: Mapping[str, BuiltPrior], schedule: Sequence[SlotConfig], seed: int, models: ModelPool
    ) -> None:
        self._built = built
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

    def ask(self, plan: StepPlan, batch: Views, total_steps: int) -> tuple[MixedGradient, tuple[SlotReport, ...]]:
        """Return the mix of what the due priors contribute, in the order of the schedule, and a report on each.

        Args:
            plan: of the step.
            batch: the rendered novel views, detached.
            total_steps: of the run.
        """
        mixed = zero_gradient(batch)
        reports = []
        for share in plan.shares:
            started = time.perf_counter()
            views = share.views.to(batch.rgb.device)
            gradient = self._contribution(share, part_of(batch, views), plan.step, total_steps)
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

    def _contribution(self, share: Share, views: Views, step: int, total_steps: int) -> ImageGradient:
        slot = share.duty.slot
        built = self._built[slot.use]
        self._models.begin_use()
        who = f"slot '{slot.label}': {built.offer.who} at step {step}"
        at = Step(index=step, total=total_steps, slot=slot.label, generator=stream(self._seed, slot.label, step))
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
        return target_gradient(views.rgb, target, slot.loss)

    def _hold(self, slot: SlotConfig, cameras: Cameras, target: DenoisedTarget) -> None:
        if slot.hold_steps > 1:
            self.held[slot.label] = HeldTarget(cameras=cameras, target=target, uses_left=slot.hold_steps - 1)

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
) -> Priors:
    """Build every prior that a slot with a weight uses.

    Args:
        offers: of the plugins, by `use`.
        built_in: priors that need no plugin, by `use`.
        schedule: slots of the run.
        seed: of the run.
        context: what the priors are built from.

    Raises:
        PluginError: if a prior cannot be built.
    """
    wanted = dict.fromkeys(slot.use for slot in schedule if slot.use != REFERENCE and not is_zero(slot.weight))
    built: dict[str, BuiltPrior] = {}
    for use in wanted:
        if use in built_in:
            built[use] = built_in[use]
            continue
        offer = offers[use]
        context.models.begin_use()
        with naming_plugin(f"{offer.who} cannot be built"):
            built[use] = BuiltPrior(offer=offer, prior=offer.spec.build(offer.config, context))
        method = "contribute" if isinstance(offer.spec, GuidanceSpec) else "refine"
        if not callable(getattr(built[use].prior, method, None)):
            raise PluginContractError(f"{offer.who} built an object without a method '{method}'")
    return Priors(built, schedule, seed, context.models)
