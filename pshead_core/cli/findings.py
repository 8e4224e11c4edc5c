"""What `pshead doctor` looks at outside the plugins: interpreter, libraries, devices, disk."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module, metadata, resources
from pathlib import Path
from typing import Literal

from attrs import frozen
from packaging.requirements import Requirement

from pshead_core.models.inventory import rows
from pshead_core.models.names import CheckpointNames
from pshead_core.models.places import models_folder

GIB = 2**30
LITTLE_DISK_BYTES = 2 * GIB  # a run writes about 100 MB; torch wheels and caches want more
NO_DISK_BYTES = GIB // 4


@frozen
class Finding:
    """One line of the doctor's report."""

    status: Literal["ok", "warn", "fail"]
    name: str
    text: str
    fix: str = ""


def machine_findings() -> Iterator[Finding]:
    """Yield one finding, or several, for each thing that a run needs. Imports torch."""
    checks: tuple[Callable[[], list[Finding]], ...] = (
        check_python,
        check_torch,
        check_torchvision,
        check_gpu,
        check_numba,
        check_ffmpeg,
        check_mediapipe,
        check_weights,
        check_disk,
    )
    for check in checks:
        yield from check()


def check_python() -> list[Finding]:
    """Interpreter, platform and cores."""
    version = platform.python_version()
    where = f"{platform.system()} {platform.machine()}, {available_cores()} cores"
    if sys.version_info < (3, 11):  # noqa: UP036 - the doctor is also run where pip was told to ignore this
        return [Finding("fail", "python", f"{version} on {where}", "install Python 3.11 or newer")]
    return [Finding("ok", "python", f"{version} on {where}")]


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else (os.cpu_count() or 1)


def check_torch() -> list[Finding]:
    """Torch can be imported."""
    return [_imported("torch", "reinstall it as the README says")]


def check_torchvision() -> list[Finding]:
    """Torchvision, if it is there, was built for this torch. The core does not need it, some plugins do."""
    version = _version("torchvision")
    if version is None:
        return [Finding("ok", "torchvision", "not installed; the core does not need it")]
    wanted = next(
        (item for item in map(Requirement, metadata.requires("torchvision") or ()) if item.name == "torch"), None
    )
    torch = _version("torch")
    if wanted and torch and not wanted.specifier.contains(torch, prereleases=True):
        text = f"{version} was built for torch{wanted.specifier}, installed is torch {torch}"
        return [Finding("fail", "torchvision", text, "install torch and torchvision together, as the README says")]
    return [_imported("torchvision", "install torch and torchvision together, as the README says")]


def check_gpu() -> list[Finding]:
    """A CUDA device and gsplat, which only the renderer `gsplat` needs."""
    try:
        torch = import_module("torch")
    except Exception:  # check_torch reports it
        return []
    if not torch.cuda.is_available():
        return [Finding("ok", "gpu", "no CUDA device; the renderer 'cpu' needs none")]
    found = [Finding("ok", "gpu", f"{torch.cuda.get_device_name()} (CUDA {torch.version.cuda})")]
    if _version("gsplat") is None:
        text = "gsplat is not installed, so the device is not used"
        return [*found, Finding("warn", "gpu", text, "pip install 'pshead-core[gsplat]'")]
    return [*found, _imported("gsplat", "reinstall gsplat for this torch and CUDA")]


def check_numba() -> list[Finding]:
    """Numba can be imported, and the compiled kernels of the renderer `cpu` can be kept."""
    imported = _imported("numba", "pip install --upgrade numba")
    if imported.status != "ok":
        return [imported]
    folder = os.environ.get("NUMBA_CACHE_DIR")
    package = Path(str(resources.files("pshead_core")))
    place = Path(folder) if folder else package
    compiled = len(list(place.rglob("*.nbi"))) if place.is_dir() else 0
    if compiled:
        state = f"{compiled} compiled kernels are kept in {place}"
    else:
        state = "kernels are compiled at the first run and then kept"
    finding = Finding("ok", "numba cache", state)
    if not _writable(place):
        text = f"{place} cannot be written, numba keeps compiled kernels in the user's cache folder, if at all"
        finding = Finding("warn", "numba cache", text, "set NUMBA_CACHE_DIR to a folder that you can write")
    return [imported, finding]


def check_ffmpeg() -> list[Finding]:
    """An ffmpeg for the turntable video."""
    try:
        path = import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except Exception as error:  # whatever is wrong with it, the finding says so
        return [Finding("fail", "ffmpeg", _words(error), "pip install --force-reinstall imageio-ffmpeg")]
    return [Finding("ok", "ffmpeg", Path(path).name)]


def check_mediapipe() -> list[Finding]:
    """Mediapipe's version; it is not imported here, `--all` asks its plugin."""
    version = _version("mediapipe")
    if version is None:
        text = "not installed; the default preset finds faces with it"
        return [Finding("warn", "mediapipe", text, "pip install pshead-analyzers-mediapipe-face")]
    return [Finding("ok", "mediapipe", version)]


def check_weights() -> list[Finding]:
    """Weights that are here; the table of all is `pshead models list`."""
    found = rows(CheckpointNames())
    here = [row for row in found if row.here]
    bundled = sum(row.kind == "bundled" for row in here)
    text = f"{bundled} bundled, {len(here) - bundled} downloaded to {models_folder()}"
    broken = [row for row in found if row.problem]
    if not here:
        return [Finding("warn", "weights", "none are here", "pip install pshead-checkpoints-mini")]
    return [
        Finding("ok", "weights", text),
        *(Finding("warn", "weights", row.problem, f"pshead models verify {row.name}") for row in broken),
    ]


def check_disk() -> list[Finding]:
    """Free space where runs go by default."""
    free = shutil.disk_usage(Path.cwd()).free
    text = f"{free / GIB:.1f} GiB free here"
    if free < NO_DISK_BYTES:
        return [Finding("fail", "disk", text, "free some space, or run with --out on another disk")]
    if free < LITTLE_DISK_BYTES:
        return [Finding("warn", "disk", text, "free some space, or run with --out on another disk")]
    return [Finding("ok", "disk", text)]


def _imported(name: str, fix: str) -> Finding:
    try:
        module = import_module(name)
    except Exception as error:  # whatever is wrong with it, the finding says so
        return Finding("fail", name, _words(error), fix)
    return Finding("ok", name, _version(name) or str(module.__name__))


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _words(error: Exception) -> str:
    return f"cannot be imported: {type(error).__name__}: {error}"


def _writable(folder: Path) -> bool:
    nearest = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    return os.access(nearest, os.W_OK)
