"""Building one kernel: tree, patches, configuration, compilation, and the record of it all."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from khoci.errors import BuildError, HarnessError, KhociError
from khoci.files import write_atomic
from khoci.kernel.arch import ARCHES
from khoci.kernel.cache import CONFIG, IMAGE, LOG, METADATA, SYSTEM_MAP
from khoci.kernel.disk import full, require_space
from khoci.kernel.limits import LIMITS, Limits
from khoci.kernel.made import made_config, made_image, made_release, made_system_map
from khoci.kernel.make import Make, first_errors
from khoci.kernel.source import describe
from khoci.kernel.workspace import Shop, space

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from khoci.config.kernels import KernelSpec
    from khoci.kernel.cache import Cache
    from khoci.kernel.job import Job
    from khoci.kernel.workspace import Workspace
    from khoci.progress import Progress

USUAL_STEPS = 1200
_FREE_MB = 10
"""Stay free when a kernel is copied into the cache."""


@dataclass(frozen=True, slots=True)
class How:
    """How to build.

    Attributes:
        jobs: of make; None for as many as cores, when nobody else compiles with these.
        limits: of the sandbox that an ``untrusted`` kernel is built in.
        keep: whether a kernel without patches leaves its objects to those that are made of it.
    """

    jobs: int | None = None
    limits: Limits = LIMITS
    keep: bool = False


def build(job: Job, cache: Cache, progress: Progress, how: How) -> None:
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
            space(job, Shop(cache, folder / LOG, progress, how.jobs, how.limits, how.keep)) as work,
        ):
            make = work.make
            record.update(
                command=make.command(ARCHES[job.spec.arch].target),
                reused=work.reused,
                sandbox=make.sandbox is not None,
            )
            steps = _compile(job, work, cache, progress)
            _keep(job.spec, make.tree, folder)
            record.update(release=made_release(job.spec.name, make.tree), steps=steps)


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


def _compile(job: Job, work: Workspace, cache: Cache, progress: Progress) -> int:
    """Run the build; return the number of steps it took."""
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        progress.advance()

    if work.reused:
        progress.start(f"{job.spec.name}: building with the objects of {work.reused['objects_of']}")
    else:
        progress.start(f"{job.spec.name}: building (objects)", _usual_steps(cache))
    try:
        code = work.make.run(ARCHES[job.spec.arch].target, on_step=step)
    finally:
        progress.done()
    if code != 0:
        raise _failure(job.spec.name, work.make)
    return steps


def _failure(name: str, make: Make) -> HarnessError:
    errors = first_errors(make.log)
    if any("no space left" in error.lower() for error in errors):
        return full(name, make.tree)
    first = errors[0] if errors else "make failed without a word"
    if "No rule to make target" in first:
        first += " (if it was not unpacked: full_tree = true)"
    return BuildError(f"{name}: does not build: {first}", "\n".join(errors[1:]))


def _keep(spec: KernelSpec, tree: Path, folder: Path) -> None:
    image = made_image(spec.name, tree, ARCHES[spec.arch].image)
    system_map = made_system_map(spec.name, tree)
    config = made_config(spec.name, tree).encode()
    size = image.stat().st_size + system_map.stat().st_size + len(config)
    require_space(folder, size // 1_000_000 + _FREE_MB, spec.name)
    shutil.copyfile(image, folder / IMAGE)
    shutil.copyfile(system_map, folder / SYSTEM_MAP)
    (folder / CONFIG).write_bytes(config)


def _usual_steps(cache: Cache) -> int:
    """How many steps the largest earlier build took; an educated guess for the first."""
    found = [json.loads(path.read_text()) for path in cache.kernels.glob(f"[!.]*/{METADATA}")]
    return max((content.get("steps", 0) for content in found), default=0) or USUAL_STEPS
