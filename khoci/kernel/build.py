"""Building one kernel: tree, patches, configuration, compilation, and the record of it all."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from khoci.errors import BuildError, HarnessError, KhociError
from khoci.files import write_atomic
from khoci.kernel.arch import ARCHES
from khoci.kernel.cache import CONFIG, IMAGE, LOG, METADATA, SYSTEM_MAP
from khoci.kernel.disk import full
from khoci.kernel.make import OBJECTS, Make, first_errors
from khoci.kernel.source import describe
from khoci.kernel.workspace import kept_space, work_space

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from khoci.kernel.cache import Cache
    from khoci.kernel.job import Job
    from khoci.kernel.workspace import Workspace
    from khoci.progress import Progress

USUAL_STEPS = 1200


def build(job: Job, cache: Cache, progress: Progress, jobs: int | None = None) -> None:
    """Build a kernel into the cache. The caller holds the key.

    Raises:
        BuildError: it cannot be patched, configured or compiled; the detail has the first errors.
        HarnessError: sources, disk or tools fail.
    """
    space = kept_space if job.spec.patches else work_space
    with cache.new_folder(job.key) as folder:
        record = _Record(job, folder)
        failed_log = cache.failed / cache.folder(job.key).name / LOG
        with (
            record.outcome(failed_log),
            space(job, cache, folder / LOG, progress, jobs) as work,
        ):
            make = work.make
            record.update(command=make.command(ARCHES[job.spec.arch].target), reused=work.reused)
            steps = _compile(job, work, cache, progress)
            _keep(make, job.spec.arch, folder)
            release = (make.tree / OBJECTS / "include/config/kernel.release").read_text()
            record.update(release=release.strip(), steps=steps)


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


def _keep(make: Make, arch: str, folder: Path) -> None:
    objects = make.tree / OBJECTS
    shutil.copyfile(objects / ARCHES[arch].image, folder / IMAGE)
    shutil.copyfile(objects / "System.map", folder / SYSTEM_MAP)
    shutil.copyfile(objects / ".config", folder / CONFIG)


def _usual_steps(cache: Cache) -> int:
    """How many steps the largest earlier build took; an educated guess for the first."""
    found = [json.loads(path.read_text()) for path in cache.kernels.glob(f"[!.]*/{METADATA}")]
    return max((content.get("steps", 0) for content in found), default=0) or USUAL_STEPS
