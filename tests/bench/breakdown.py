"""Where the time of a run goes: `python -m tests.bench.breakdown [PHOTO] [--preset mini] [--out FOLDER]`.

Runs `pshead run` in this process with clocks around the renderer, every network and the personalisation, and prints a
table of seconds and shares of the whole command, imports included. What no clock saw is the rest. With `--fresh` the
cache is empty, so that the personalisation is trained and not found.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

BEGUN = time.perf_counter()
NETWORKS = {
    "UNet2DConditionModel": "UNet",
    "UNet3DConditionModel": "UNet of the video prior",
    "ControlNetModel": "ControlNet",
    "Encoder": "encoder (VAE)",
    "Decoder": "decoder (VAE)",
    "CLIPTextModel": "text encoder",
    "CLIPVisionModelWithProjection": "picture encoder",
}
"""Class of a module to its row. They do not contain one another."""
LIMIT_FRAC = 0.15
"""Of the whole: what the rest may take."""


class Clocks:
    """Seconds by row. Within a clock that runs, others do not: the outermost one counts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._began = 0.0

    def start(self, row: str) -> None:
        """Start a clock, unless another one runs."""
        if not self._running:
            self._began = time.perf_counter()
        self._running.append(row)

    def stop(self) -> None:
        """Stop the latest clock."""
        row = self._running.pop()
        if not self._running:
            self.seconds[row] += time.perf_counter() - self._began

    def around(self, row: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a clock around it."""

        def timed(*arguments: Any, **named: Any) -> Any:
            self.start(row)
            try:
                return function(*arguments, **named)
            finally:
                self.stop()

        return timed


@contextmanager
def clocked() -> Iterator[Clocks]:
    """Yield clocks around the renderer's passes, networks, analysis and personalisation of all runs inside."""
    from torch.nn.modules import module as torch_module

    from pshead_core.render import cpu
    from pshead_core.run import reconstruct
    from pshead_core.run.priors import Priors

    clocks = Clocks()
    kind = cpu._Rasterise

    def before(module: Any, _: Any) -> None:
        if type(module).__name__ in NETWORKS:
            clocks.start(NETWORKS[type(module).__name__])

    def after(module: Any, *_: Any) -> None:
        if type(module).__name__ in NETWORKS:
            clocks.stop()

    with ExitStack() as stack:
        for target, name, row in (
            (cpu.CpuRenderer, "render", "renderer, forward"),
            (kind, "backward", "renderer, backward"),
            (reconstruct, "_portrait", "face, landmarks, matte"),
            (Priors, "prepare", "personalisation"),
        ):
            timed = clocks.around(row, getattr(target, name))
            wrapped = staticmethod(timed) if target is kind else timed
            stack.enter_context(patch.object(target, name, wrapped))
        for handle in (
            torch_module.register_module_forward_pre_hook(before),
            torch_module.register_module_forward_hook(after),
        ):
            stack.callback(handle.remove)
        yield clocks


def table(seconds: dict[str, float], whole: float) -> str:
    """Return the rows, largest first, and the rest, as Markdown."""
    rows = sorted(seconds.items(), key=lambda row: -row[1])
    rest = whole - sum(seconds.values())
    lines = ["| part | seconds | share |", "|---|---|---|"]
    lines += [f"| {row} | {spent:.1f} | {spent / whole:.1%} |" for row, spent in [*rows, ("rest", rest)]]
    return "\n".join([*lines, f"| whole | {whole:.1f} | |"])


def main() -> None:
    """Run and print the table; exit code 1 if the rest takes more than its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", nargs="?", default="demo")
    parser.add_argument("--preset", default="mini")
    parser.add_argument("--out", type=Path, help="default: a temporary folder")
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    from pshead_core.cli.main import main as pshead

    with tempfile.TemporaryDirectory() as scratch, clocked() as clocks:
        if arguments.fresh:
            os.environ["PSHEAD_CACHE"] = scratch
        out = arguments.out or Path(scratch) / "run"
        code = pshead(["run", arguments.photo, "--preset", arguments.preset, "--out", str(out), "--force"])
    whole = time.perf_counter() - BEGUN
    print(table(clocks.seconds, whole))
    rest = whole - sum(clocks.seconds.values())
    raise SystemExit(code or int(rest > LIMIT_FRAC * whole))


if __name__ == "__main__":
    main()
