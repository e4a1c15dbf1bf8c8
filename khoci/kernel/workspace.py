"""A patched and configured tree to build a kernel in: a new one, or one that keeps its objects."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.errors import HarnessError
from khoci.kernel.arch import ARCHES
from khoci.kernel.configure import configure
from khoci.kernel.disk import require_space
from khoci.kernel.make import Make
from khoci.kernel.patches import apply_patches, patched, touched_by
from khoci.kernel.source import describe, fill_tree
from khoci.kernel.trees import kept_tree, work_tree
from khoci.kernel.unpack import FULL_MB, LEAN_MB, everything, lean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from khoci.config.kernels import KernelSpec
    from khoci.kernel.cache import Cache
    from khoci.kernel.job import Job
    from khoci.kernel.patches import Touched
    from khoci.kernel.trees import KeptTree
    from khoci.kernel.unpack import Choice
    from khoci.progress import Progress

OBJECTS_MB = 250


@dataclass(frozen=True, slots=True)
class Workspace:
    """How to call make in the tree, and for the record whose objects are in it, if any are."""

    make: Make
    reused: Mapping[str, str] | None = None


@contextmanager
def work_space(
    job: Job, cache: Cache, log: Path, progress: Progress, jobs: int | None = None
) -> Iterator[Workspace]:
    """A patched and configured tree of a kernel, removed at the end.

    Raises:
        BuildError: it cannot be patched or configured.
        HarnessError: sources, disk or tools fail.
    """
    spec = job.spec
    chosen = _choice(spec, touched_by(spec.name, spec.patches).names)
    with work_tree(cache.trees) as work:
        _check_place(work, _tree_mb(spec) + OBJECTS_MB, spec)
        tree = work / "linux"
        fill_tree(job.source, tree, cache.downloads, chosen, progress)
        apply_patches(spec.name, spec.patches, tree)
        yield Workspace(_configured(job, tree, log, jobs))


@contextmanager
def kept_space(
    job: Job, cache: Cache, log: Path, progress: Progress, jobs: int | None = None
) -> Iterator[Workspace]:
    """As ``work_space``, but a tree that all kernels share that differ in their patches only.

    The patches are taken back at the end, the objects stay: the next build in this tree compiles
    what its own patches and those of the one before touch, and links.
    """
    spec = job.spec
    touched = touched_by(spec.name, spec.patches)
    origin = describe(job.source)
    with kept_tree(cache.trees, job.tree_key, origin, spec.name, progress) as kept:
        _complete(kept, job, touched, cache, progress)
        with patched(spec.name, spec.patches, touched.names, kept.sources):
            reused = {"tree": kept.folder.name, "objects_of": kept.last} if kept.last else None
            yield Workspace(_configured(job, kept.sources, log, jobs), reused)


def _complete(kept: KeptTree, job: Job, touched: Touched, cache: Cache, progress: Progress) -> None:
    """Unpack what the tree lacks: all, or what patches touch beyond what a lean tree has."""
    spec, tree = job.spec, kept.sources
    if not kept.last:
        _check_place(kept.folder, _tree_mb(spec) + OBJECTS_MB, spec)
        fill_tree(job.source, tree, cache.downloads, _choice(spec, touched.names), progress)
        return
    _check_place(kept.folder, OBJECTS_MB, spec)
    usual = _choice(spec)
    strange = {name for name in touched.names - touched.created if not usual(name)}
    if lacking := {name for name in strange if not (tree / name).exists()}:
        fill_tree(job.source, tree, cache.downloads, lacking.__contains__, progress)


def _choice(spec: KernelSpec, also: Collection[str] = ()) -> Choice:
    return everything if spec.full_tree else lean(ARCHES[spec.arch].srcarch, also)


def _configured(job: Job, tree: Path, log: Path, jobs: int | None) -> Make:
    srcarch = ARCHES[job.spec.arch].srcarch
    make = Make(tree, log, srcarch, jobs or len(os.sched_getaffinity(0)))
    configure(job.spec.name, make, job.request)
    return make


def _tree_mb(spec: KernelSpec) -> int:
    return FULL_MB if spec.full_tree else LEAN_MB


def _check_place(folder: Path, need_mb: int, spec: KernelSpec) -> None:
    if " " in str(folder) or ":" in str(folder):
        raise HarnessError(
            f"{folder}: the kernel cannot be built below a path with spaces or colons; "
            "set KHOCI_CACHE to another folder"
        )
    require_space(folder, need_mb, spec.name)
