"""Building one kernel: tree, patches, configuration, compilation, and the record of it all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from khoci.errors import BuildError, HarnessError, KhociError
from khoci.files import write_atomic
from khoci.kernel.arch import ARCHES
from khoci.kernel.cache import CONFIG, IMAGE, LOG, METADATA, SYSTEM_MAP
from khoci.kernel.configure import configure
from khoci.kernel.disk import full, require_space
from khoci.kernel.make import FIXED, OBJECTS, Make, first_errors
from khoci.kernel.source import apply_patches, describe, prepared, touched_files
from khoci.kernel.unpack import FULL_MB, LEAN_MB, everything, lean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from khoci.config.kernels import KernelSpec, TreeSource
    from khoci.kernel.cache import Cache
    from khoci.kernel.configure import Request
    from khoci.progress import Progress

RECIPE = 1
"""To be raised when this code builds different images from the same inputs."""

USUAL_STEPS = 1200
OBJECTS_MB = 250


@dataclass(frozen=True, slots=True)
class Job:
    """A kernel to build: what it is, from which of its sources, and under which key.

    ``inputs`` is all that decides the image's bytes; ``key`` is its hash.
    """

    spec: KernelSpec
    source: TreeSource
    request: Request
    inputs: Mapping[str, object]
    key: str


def toolchain() -> list[str]:
    """The versions of compiler and linker, as they state them.

    Raises:
        HarnessError: one is not installed.
    """
    return [_first_line("gcc"), _first_line("ld")]


def inputs_of(
    spec: KernelSpec, source_id: str, patches: list[str], request: Request
) -> dict[str, object]:
    """All that decides the bytes of an image; ``patches`` are digests."""
    return {
        "recipe": RECIPE,
        "arch": spec.arch,
        "source": source_id,
        "patches": patches,
        "config": request.canonical(),
        "toolchain": toolchain(),
        "make": FIXED,
    }


def build(job: Job, cache: Cache, progress: Progress, jobs: int | None = None) -> None:
    """Build a kernel into the cache. The caller holds the key.

    Raises:
        BuildError: it cannot be patched, configured or compiled; the detail has the first errors.
        HarnessError: sources, disk or tools fail.
    """
    with cache.new_folder(job.key) as folder:
        record = _Record(job, folder)
        failed_log = cache.failed / cache.folder(job.key).name / LOG
        with (
            record.outcome(failed_log),
            work_space(job, cache, folder / LOG, progress, jobs) as make,
        ):
            record.update(command=make.command(ARCHES[job.spec.arch].target))
            steps = _compile(job, make, cache, progress)
            _keep(make, job.spec.arch, folder)
            release = (make.tree / OBJECTS / "include/config/kernel.release").read_text()
            record.update(release=release.strip(), steps=steps)


@contextmanager
def work_space(
    job: Job, cache: Cache, log: Path, progress: Progress, jobs: int | None = None
) -> Iterator[Make]:
    """A patched and configured tree of a kernel, removed at the end."""
    arch = ARCHES[job.spec.arch]
    with cache.work_tree() as work:
        _check_path(work)
        require_space(work, _need_mb(job.spec), job.spec.name)
        tree = work / "linux"
        chosen = (
            everything
            if job.spec.full_tree
            else lean(arch.srcarch, touched_files(job.spec.patches))
        )
        with prepared(job.source, tree, cache.downloads, chosen, progress):
            apply_patches(job.spec.name, job.spec.patches, tree)
            make = Make(tree, log, arch.srcarch, jobs or len(os.sched_getaffinity(0)))
            configure(job.spec.name, make, job.request)
            yield make


class _Record:
    """The ``metadata.json`` of a build, on disk from its first moment."""

    def __init__(self, job: Job, folder: Path) -> None:
        self._path = folder / METADATA
        self._began = time.monotonic()
        self._content: dict[str, object] = {
            "schema": 1,
            "status": "building",
            "name": job.spec.name,
            "arch": job.spec.arch,
            "key": job.key,
            "source": describe(job.source),
            "reproduce": f"khoci kernel build {job.spec.name}",
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "inputs": job.inputs,
        }
        self.update()

    def update(self, **values: object) -> None:
        """Set keys and write the file."""
        self._content |= values
        write_atomic(self._path, json.dumps(self._content, indent=2) + "\n")

    @contextmanager
    def outcome(self, failed_log: Path) -> Iterator[None]:
        """Record how the block ends; a build error also names its log."""
        try:
            yield
        except KhociError as error:
            self.update(status="failed", error=str(error), seconds=self._seconds())
            if isinstance(error, BuildError):
                error.detail = f"{error.detail}\nlog: {failed_log}".strip()
            raise
        self.update(status="built", seconds=self._seconds())

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 1)


def _compile(job: Job, make: Make, cache: Cache, progress: Progress) -> int:
    """Run the build; return the number of steps it took."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        progress.advance()

    progress.start(f"{job.spec.name}: building (objects)", _usual_steps(cache))
    try:
        code = make.run(ARCHES[job.spec.arch].target, on_step=step)
    finally:
        progress.done()
    if code != 0:
        raise _failure(job.spec.name, make)
    return steps


def _failure(name: str, make: Make) -> HarnessError:
    errors = first_errors(make.log)
    if any("no space left" in error.lower() for error in errors):
        return full(name, make.tree)
    first = errors[0] if errors else "make failed without a word"
    if "No rule to make target" in first:
        first += " (if it was not unpacked: full_tree = true)"
    return BuildError(f"{name}: does not build: {first}", "\n".join(errors[1:]))


def _need_mb(spec: KernelSpec) -> int:
    return OBJECTS_MB + (FULL_MB if spec.full_tree else LEAN_MB)


def _keep(make: Make, arch: str, folder: Path) -> None:
    objects = make.tree / OBJECTS
    shutil.copyfile(objects / ARCHES[arch].image, folder / IMAGE)
    shutil.copyfile(objects / "System.map", folder / SYSTEM_MAP)
    shutil.copyfile(objects / ".config", folder / CONFIG)


def _usual_steps(cache: Cache) -> int:
    """How many steps the largest earlier build took; an educated guess for the first."""
    found = [json.loads(path.read_text()) for path in cache.kernels.glob(f"[!.]*/{METADATA}")]
    return max((content.get("steps", 0) for content in found), default=0) or USUAL_STEPS


def _check_path(folder: Path) -> None:
    if " " in str(folder) or ":" in str(folder):
        raise HarnessError(
            f"{folder}: the kernel cannot be built below a path with spaces or colons; "
            "set KHOCI_CACHE to another folder"
        )


def _first_line(tool: str) -> str:
    try:
        result = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise HarnessError(f"{tool} is not usable: run khoci doctor --install") from error
    return result.stdout.partition("\n")[0]
