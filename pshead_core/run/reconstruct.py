"""One photo becomes one head: the stages of a run, and how a stopped run goes on."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from pshead_core.config.dump import dump_toml, plugins_json
from pshead_core.config.options import RunOptions
from pshead_core.config.resolved import Resolved
from pshead_core.config.schedule import first_refined_step
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.protocols import BuildContext
from pshead_core.records import RunSummary
from pshead_core.render.build import build_renderer
from pshead_core.run import folder as run_folder
from pshead_core.run.adam import model_of
from pshead_core.run.assemble import PLUGIN_LOG, device_of, make_priors
from pshead_core.run.checkpoint import has_checkpoint, read_checkpoint, write_checkpoint
from pshead_core.run.finish import finish, write_coarse
from pshead_core.run.interrupt import interruptible
from pshead_core.run.loop import Loop
from pshead_core.run.metrics import metrics_in_use
from pshead_core.run.portraits import portrait_from
from pshead_core.run.progress import Reporter, heard, reporter_for
from pshead_core.run.start import make_start
from pshead_core.run.weights import changed_weights, find_weights, hub_offline


@frozen(eq=False)
class Workshop:
    """What a run works with beside its loop, new or resumed."""

    resolved: Resolved
    options: RunOptions
    reporter: Reporter
    portrait: Portrait
    context: BuildContext


def reconstruct(photo: Path, folder: Path, resolved: Resolved, options: RunOptions) -> RunSummary:
    """Turn a photo into a head and return what was made.

    Args:
        photo: the file.
        folder: of the run; made once the photo, the configuration and the priors are known to be good.
        resolved: the configuration and its plugins.
        options: of this call, not of the result.

    Raises:
        PsheadError: for anything that the user can mend; before the first step nothing is left behind.
        KeyboardInterrupt: after Ctrl-C, once the checkpoint is written.
    """
    reporter = reporter_for(options)
    run_folder.check_can_hold_run(folder, force=options.force)
    weights = find_weights(resolved)
    for line in weights.lines():
        reporter.say(line)
    config, device = resolved.config, device_of(resolved)
    renderer = build_renderer(config.render, device, reporter.say)
    with hub_offline(config.models.offline):
        reporter.say(f"read {photo}")
        portrait = portrait_from(photo, resolved, reporter.say).to(device)
        reporter.say(f"start from {config.start.kind}")
        start = make_start(config, portrait, renderer, device)
        with heard(reporter, PLUGIN_LOG):
            context, priors = make_priors(resolved, portrait, renderer, start, weights)
        loop = Loop(config, portrait, renderer, priors, start.model, start.surface_depth)
        plugins = {**plugins_json(resolved), **weights.to_json()}
        run_folder.create(folder, portrait, start, dump_toml(resolved), plugins)
        return _optimise(loop, Workshop(resolved, options, reporter, portrait, context), folder)


def resume(folder: Path, resolved: Resolved, options: RunOptions) -> RunSummary:
    """Continue the run of a folder from its checkpoint; the numbers are those of a run that was never stopped.

    A run that was killed before its first checkpoint starts again at step 0, from the same portrait and Gaussians.

    Args:
        folder: of the run.
        resolved: the configuration, read from the folder's `resolved.toml`.
        options: of this call.

    Raises:
        RunFolderError: if the folder is not that of a run, or is damaged.
    """
    reporter, device = reporter_for(options), device_of(resolved)
    weights = find_weights(resolved)
    for line in [*weights.lines(), *changed_weights(folder, weights)]:
        reporter.say(line)
    checkpoint = read_checkpoint(folder, device) if has_checkpoint(folder) else None
    portrait, start = run_folder.read_portrait(folder, device), run_folder.read_start(folder, device)
    renderer = build_renderer(resolved.config.render, device, reporter.say)
    with hub_offline(resolved.config.models.offline):
        with heard(reporter, PLUGIN_LOG):
            context, priors = make_priors(resolved, portrait, renderer, start, weights)
        model = start.model if checkpoint is None else model_of(checkpoint.adam)
        loop = Loop(resolved.config, portrait, renderer, priors, model, start.surface_depth)
        if checkpoint is not None:
            loop.restore(checkpoint)
        run_folder.cut_report(folder, loop.next_step)
        reporter.say(f"continue {folder} at step {loop.next_step} of {resolved.config.steps}")
        return _optimise(loop, Workshop(resolved, options, reporter, portrait, context), folder)


def _optimise(loop: Loop, shop: Workshop, folder: Path) -> RunSummary:
    """Run the remaining steps with reports, observers and checkpoints, then write the head."""
    host, steps = shop.resolved.host, shop.resolved.config.steps
    fine_from = first_refined_step(shop.resolved.config.schedule)
    host.run_started(shop.resolved.config)
    with interruptible() as interrupt, shop.reporter.steps(loop.next_step, steps):
        for report in loop.steps():
            run_folder.append_report(folder, report)
            if loop.next_step == fine_from:
                write_coarse(folder, loop)
            shop.reporter.step(report)
            host.step_ended(report)
            stop = interrupt.wanted and loop.next_step < steps
            if stop or loop.next_step == steps or loop.next_step % shop.options.checkpoint_every == 0:
                write_checkpoint(folder, loop.checkpoint())
            if stop:
                raise KeyboardInterrupt(
                    f"stopped after {loop.next_step} steps; continue with: pshead run --resume {folder}"
                )
    shop.reporter.say("write the head and its pictures")
    metrics = metrics_in_use(shop.resolved, shop.context, loop.priors.metrics)
    summary = finish(folder, loop, shop.portrait, metrics)
    host.run_ended(summary)
    shop.reporter.result(
        {
            "reference view": f"{summary.reference_psnr_db:.1f} dB inside the mask",
            "Gaussians": f"{summary.gaussians:,}",
            "time": f"{summary.seconds:.0f} s for {summary.steps} steps",
            "look at": str(folder / "views.png"),
            "turn it": str(folder / "head.html"),
        }
    )
    return summary
