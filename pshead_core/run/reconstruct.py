"""One photo becomes one head: the stages of a run, and how a stopped run goes on."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from attrs import frozen

from pshead_core.config.dump import dump_toml, plugins_json
from pshead_core.config.options import RunOptions
from pshead_core.config.resolved import Resolved
from pshead_core.config.schedule import START
from pshead_core.portrait.analyze import make_portrait
from pshead_core.portrait.load import load_photo
from pshead_core.portrait.portrait import Portrait
from pshead_core.priors.protocols import BuildContext
from pshead_core.records import RunSummary
from pshead_core.render.base import Renderer
from pshead_core.render.build import build_renderer
from pshead_core.run import folder as run_folder
from pshead_core.run.adam import model_of
from pshead_core.run.cache import cache_folder
from pshead_core.run.checkpoint import has_checkpoint, read_checkpoint, write_checkpoint
from pshead_core.run.finish import finish
from pshead_core.run.interrupt import interruptible
from pshead_core.run.loop import Loop
from pshead_core.run.memory import start_memory
from pshead_core.run.naming import naming_plugin
from pshead_core.run.offers import build_analyzers, build_metrics, prior_offers
from pshead_core.run.priors import Priors, build_priors
from pshead_core.run.progress import Reporter, reporter_for
from pshead_core.run.start import RunStart, make_start


@frozen(kw_only=True, eq=False)
class Workshop:
    """What a run works with, new or resumed."""

    resolved: Resolved
    options: RunOptions
    reporter: Reporter
    portrait: Portrait
    context: BuildContext
    priors: Priors


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
    config, device = resolved.config, _device(resolved)
    renderer = build_renderer(config.render, device, reporter.say)
    reporter.say(f"read {photo}")
    portrait = _portrait(photo, resolved, reporter).to(device)
    reporter.say(f"start from {config.start.kind}")
    start = make_start(config, portrait, renderer, device)
    shop = _workshop(resolved, options, reporter, portrait, renderer, start)
    loop = Loop(config, portrait, renderer, shop.priors, start.model, start.surface_depth)
    run_folder.create(folder, portrait, start, dump_toml(resolved), plugins_json(resolved))
    return _optimise(loop, folder, shop)


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
    reporter, device = reporter_for(options), _device(resolved)
    checkpoint = read_checkpoint(folder, device) if has_checkpoint(folder) else None
    portrait, start = run_folder.read_portrait(folder, device), run_folder.read_start(folder, device)
    renderer = build_renderer(resolved.config.render, device, reporter.say)
    shop = _workshop(resolved, options, reporter, portrait, renderer, start)
    model = start.model if checkpoint is None else model_of(checkpoint.adam)
    loop = Loop(resolved.config, portrait, renderer, shop.priors, model, start.surface_depth)
    if checkpoint is not None:
        loop.restore(checkpoint)
    run_folder.cut_report(folder, loop.next_step)
    reporter.say(f"continue {folder} at step {loop.next_step} of {resolved.config.steps}")
    return _optimise(loop, folder, shop)


def _device(resolved: Resolved) -> torch.device:
    """Return where the Gaussians live: gsplat needs CUDA, the other renderers are at home on the CPU."""
    return torch.device("cuda" if resolved.config.render.renderer == "gsplat" else "cpu")


def _portrait(photo: Path, resolved: Resolved, reporter: Reporter) -> Portrait:
    loaded = load_photo(photo)
    facts = []
    for analyzer in build_analyzers(resolved):
        with naming_plugin(f"the analyzer {type(analyzer).__name__} failed on {photo}"):
            facts.append(analyzer.analyze(loaded))
    return make_portrait(loaded, facts, resolved.config.portrait, reporter.say)


def _workshop(
    resolved: Resolved,
    options: RunOptions,
    reporter: Reporter,
    portrait: Portrait,
    renderer: Renderer,
    start: RunStart,
) -> Workshop:
    """Build the priors of the run and let those that work before the first step do so."""
    config, device = resolved.config, start.model.means.device
    context = BuildContext(
        portrait=portrait,
        device=device,
        dtype=torch.bfloat16 if device.type == "cuda" else torch.float32,
        cache_folder=cache_folder(),
        logger=logging.getLogger("pshead"),
    )
    background = torch.tensor(config.render.background, device=device)
    built_in = {START: start_memory(start.model, renderer, background)}
    priors = build_priors(prior_offers(resolved), built_in, config.schedule, config.seed, context)
    priors.prepare()
    return Workshop(
        resolved=resolved, options=options, reporter=reporter, portrait=portrait, context=context, priors=priors
    )


def _optimise(loop: Loop, folder: Path, shop: Workshop) -> RunSummary:
    """Run the remaining steps with reports, observers and checkpoints, then write the head."""
    host, steps = shop.resolved.host, shop.resolved.config.steps
    host.run_started(shop.resolved.config)
    with interruptible() as interrupt, shop.reporter.steps(loop.next_step, steps):
        for report in loop.steps():
            run_folder.append_report(folder, report)
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
    summary = finish(folder, loop, shop.portrait, build_metrics(shop.resolved, shop.context))
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
