"""A patched and configured tree to build a kernel in: a new one, or one that keeps its objects."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from khoci.config.kernels import GitSource, release_number
from khoci.errors import BuildError, HarnessError
from khoci.kernel.arch import ARCHES
from khoci.kernel.configure import configure
from khoci.kernel.disk import full, require_space
from khoci.kernel.limits import LIMITS, Limits
from khoci.kernel.make import OBJECTS, Make, first_errors
from khoci.kernel.patches import apply_patches, patched, renew_hidden, touched_by
from khoci.kernel.sandbox import Sandbox
from khoci.kernel.source import describe, fill_tree
from khoci.kernel.trees import kept_tree, work_tree
from khoci.kernel.unpack import FULL_MB, LEAN_MB, everything, lean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from khoci.config.kernels import KernelSpec
    from khoci.kernel.cache import Cache
    from khoci.kernel.job import Job
    from khoci.kernel.patches import Touched
    from khoci.kernel.trees import KeptTree
    from khoci.kernel.unpack import Choice
    from khoci.progress import Progress

OBJECTS_MB = 250
_INCLUDE = ("include", "arch/*/include")
_GENERATED = (f"{OBJECTS}/include/generated", f"{OBJECTS}/arch/*/include/generated")
_HEADERS = tuple(f"{folder}{uapi}" for folder in _INCLUDE + _GENERATED for uapi in ("", "/uapi"))


@dataclass(frozen=True, slots=True)
class Workspace:
    """How to call make in the tree, and for the record whose objects are in it, if any are."""

    make: Make
    reused: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Shop:
    """What all building of a kernel takes place with.

    ``jobs`` of make, as many as cores if None; ``limits`` of the sandbox of untrusted kernels;
    ``keep`` whether a kernel without patches leaves its objects to those that are made of it.
    """

    cache: Cache
    log: Path
    progress: Progress
    jobs: int | None = None
    limits: Limits = LIMITS
    keep: bool = False

    def sandbox(self, spec: KernelSpec) -> Sandbox | None:
        """The sandbox that this kernel needs, seen to work; or none.

        Raises:
            HarnessError: it needs one, and none can be had here.
        """
        if not spec.untrusted:
            return None
        sandbox = Sandbox(spec.name, self.limits)
        sandbox.require()
        return sandbox


def space(job: Job, shop: Shop) -> AbstractContextManager[Workspace]:
    """The tree to build a kernel in, by what it is: of its own, a copy of the base's, or kept."""
    if not job.spec.patches:
        return kept_space(job, shop) if shop.keep else work_space(job, shop)
    sandbox = shop.sandbox(job.spec)
    return kept_space(job, shop) if sandbox is None else copied_space(job, shop, sandbox)


@contextmanager
def work_space(job: Job, shop: Shop) -> Iterator[Workspace]:
    """A patched and configured tree of a kernel, removed at the end.

    Raises:
        BuildError: it cannot be patched or configured.
        HarnessError: sources, disk or tools fail.
    """
    spec = job.spec
    sandbox = shop.sandbox(spec)
    chosen = _choice(spec, touched_by(spec.name, spec.patches).names)
    with work_tree(shop.cache.trees) as work:
        _check_place(work, _tree_mb(spec) + OBJECTS_MB, spec)
        tree = work / "linux"
        fill_tree(job.source, tree, shop.cache.downloads, chosen, shop.progress)
        apply_patches(spec.name, spec.patches, tree)
        _check_objects(spec, [path.name for path in tree.iterdir()] if sandbox else [])
        yield Workspace(_configured(job, tree, shop, sandbox))


@contextmanager
def kept_space(job: Job, shop: Shop) -> Iterator[Workspace]:
    """As ``work_space``, but a tree that all kernels share that differ in their patches only.

    The patches are taken back at the end, the objects stay: the next build in this tree compiles
    what its own patches and those of the one before touch, and links.
    """
    spec = job.spec
    touched = touched_by(spec.name, spec.patches)
    with _kept(job, spec.name if spec.patches else _base(job), shop) as kept:
        _complete(kept, job, touched, shop)
        with patched(spec.name, spec.patches, touched.names, kept.sources):
            renew_hidden(touched.created, kept.sources, _HEADERS)
            reused = {"tree": kept.folder.name, "objects_of": kept.last} if kept.last else None
            yield Workspace(_configured(job, kept.sources, shop), reused)


@contextmanager
def copied_space(job: Job, shop: Shop, sandbox: Sandbox) -> Iterator[Workspace]:
    """As ``work_space``, but begun with the objects of the base, and for a sandbox.

    Each kernel of strangers is trusted by nobody, not even by the next revision of its series:
    its code never comes near a tree that another kernel takes objects from. So the base, without
    the patches, is made outside of the sandbox in the tree that is kept, and what is built in is
    a copy that goes at the end. From v1 to v2 that compiles no more than ``kept_space``, which
    has to take back v1 too.
    """
    spec = job.spec
    touched = touched_by(spec.name, spec.patches)
    _check_objects(spec, touched.names)
    base = _base(job)
    with work_tree(shop.cache.trees) as work:
        tree = work / "linux"
        with _kept(job, base, shop) as kept:
            _complete(kept, job, touched, shop)
            if kept.last != base:
                _make_base(job, kept, shop)
            _check_place(work, OBJECTS_MB, spec)
            _copy(kept.sources, tree, spec)
        apply_patches(spec.name, spec.patches, tree)
        renew_hidden(touched.created, tree, _HEADERS)
        shown = replace(sandbox, place=kept.sources.resolve())
        reused = {"tree": kept.folder.name, "objects_of": base}
        yield Workspace(_configured(job, tree, shop, shown), reused)


def _base(job: Job) -> str:
    """What a kept tree calls the kernel that has no patches."""
    return f"{describe(job.source)} without patches"


def _kept(job: Job, kernel: str, shop: Shop) -> AbstractContextManager[KeptTree]:
    origin = describe(job.source)
    return kept_tree(shop.cache.trees, job.tree_key, origin, kernel, shop.progress)


def _make_base(job: Job, kept: KeptTree, shop: Shop) -> None:
    """Make the kernel of a kept tree as it is without patches.

    Raises:
        BuildError: it does not build.
    """
    name = f"{job.spec.name} without its patches"
    shop.progress.start(f"{job.spec.name}: building its base")
    try:
        make = replace(_configured(job, kept.sources, shop), known=_is_release(job))
        if make.run(ARCHES[job.spec.arch].target) != 0:
            errors = first_errors(shop.log)
            raise BuildError(f"{name}: does not build", "\n".join(errors))
    finally:
        shop.progress.done()


def _copy(tree: Path, target: Path, spec: KernelSpec) -> None:
    """Copy a tree with the times of its files, which make goes by.

    Of the sources only the names are copied: patches replace files and never write into one
    (git apply, ``patched``), and no build can write a source.
    """
    target.mkdir()
    sources = [str(path) for path in tree.iterdir() if path.name != OBJECTS]
    for how, paths in (("--link", sources), ("--reflink=auto", [str(tree / OBJECTS)])):
        command = ["cp", "--archive", how, "--target-directory", str(target), "--", *paths]
        result = subprocess.run(command, stderr=subprocess.PIPE, errors="replace", check=False)
        if "No space left" in result.stderr:
            raise full(spec.name, target)
        if result.returncode != 0:
            said = result.stderr.partition("\n")[0]
            raise HarnessError(f"{spec.name}: the tree of its base cannot be copied: {said}")


def _complete(kept: KeptTree, job: Job, touched: Touched, shop: Shop) -> None:
    """Unpack what the tree lacks: all, or what patches touch beyond what a lean tree has."""
    spec, tree, downloads = job.spec, kept.sources, shop.cache.downloads
    if not kept.last:
        _check_place(kept.folder, _tree_mb(spec) + OBJECTS_MB, spec)
        fill_tree(job.source, tree, downloads, _choice(spec, touched.names), shop.progress)
        return
    _check_place(kept.folder, OBJECTS_MB, spec)
    usual = _choice(spec)
    strange = {name for name in touched.names - touched.created if not usual(name)}
    if lacking := {name for name in strange if not (tree / name).exists()}:
        fill_tree(job.source, tree, downloads, lacking.__contains__, shop.progress)


def _choice(spec: KernelSpec, also: Collection[str] = ()) -> Choice:
    return everything if spec.full_tree else lean(ARCHES[spec.arch].srcarch, also)


def _configured(job: Job, tree: Path, shop: Shop, sandbox: Sandbox | None = None) -> Make:
    srcarch = ARCHES[job.spec.arch].srcarch
    jobs = shop.jobs or len(os.sched_getaffinity(0))
    known = _is_release(job) and not job.spec.patches
    make = Make(tree, shop.log, srcarch, jobs, sandbox, known=known)
    configure(job.spec.name, make, job.request)
    return make


def _is_release(job: Job) -> bool:
    """Whether the tree is that of a release, and not what somebody makes of one."""
    source = job.source
    return not isinstance(source, GitSource) or bool(release_number(source.ref))


def _tree_mb(spec: KernelSpec) -> int:
    return FULL_MB if spec.full_tree else LEAN_MB


def _check_objects(spec: KernelSpec, names: Iterable[str]) -> None:
    """Refuse sources that have something where the objects will be: it may lead elsewhere."""
    if any(PurePosixPath(name).parts[:1] == (OBJECTS,) for name in names):
        raise BuildError(f"{spec.name}: its sources have '{OBJECTS}', which is for the objects")


def _check_place(folder: Path, need_mb: int, spec: KernelSpec) -> None:
    if " " in str(folder) or ":" in str(folder):
        raise HarnessError(
            f"{folder}: the kernel cannot be built below a path with spaces or colons; "
            "set KHOCI_CACHE to another folder"
        )
    require_space(folder, need_mb, spec.name)
