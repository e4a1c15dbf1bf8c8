"""Getting kernels: from the cache where they are, else built from the first usable source."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.config.kernels import DebianImageSource, ImageSource
from khoci.errors import HarnessError, UsageError
from khoci.kernel.build import How, build
from khoci.kernel.cache import CONFIG, IMAGE, SYSTEM_MAP, Artifact, Cache, key_of
from khoci.kernel.configure import request_of
from khoci.kernel.disk import one_line
from khoci.kernel.download import NotThereError, UnreachableError, file_sha256
from khoci.kernel.images import local_image, package_key, unpack_packages
from khoci.kernel.job import Job, inputs_of
from khoci.kernel.limits import LIMITS, Limits
from khoci.kernel.shared import Shared, pull, push
from khoci.kernel.source import describe, identity, on_disk
from khoci.kernel.waiting import all_cores
from khoci.kernel.workspace import Shop, work_space
from khoci.paths import cache_dir
from khoci.progress import NoProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.config.kernels import KernelSpec
    from khoci.kernel.make import Make
    from khoci.progress import Progress

Usable = Job | ImageSource | DebianImageSource


@dataclass(frozen=True)
class Places:
    """What getting a kernel needs besides its source: see `obtain`."""

    cache: Cache
    progress: Progress
    how: How
    shared: Shared | None


def obtain(
    spec: KernelSpec,
    progress: Progress | None = None,
    cache: Cache | None = None,
    how: How | None = None,
    shared: Shared | None = None,
) -> Artifact:
    """The kernel, ready to boot.

    What the cache has is returned at once, without network; what the shared store has is taken
    from there. Otherwise the first usable source is taken; one that cannot be fetched now makes
    way for the next.

    Args:
        spec: the kernel.
        progress: who is told how far it is.
        cache: where kernels are, the user's if not given.
        how: to build it. There is no way around the sandbox of an ``untrusted`` kernel here: who
            wants that says that it is trusted (``Kernels.trusted``).
        shared: where other machines find the kernel too; it is put there if it has to be built.

    Raises:
        BuildError: it cannot be built, or exceeds a limit of the sandbox.
        HarnessError: none of its sources can be had, or the host fails, or has no sandbox.
        UsageError: the kernel's definition is wrong.
    """
    cache, progress = cache or Cache(cache_dir()), progress or NoProgress()
    failure: HarnessError | None = None
    for usable in _usable(spec):
        try:
            with one_line(spec.name, cache.root):
                return _obtain(spec, usable, Places(cache, progress, how or How(), shared))
        except (NotThereError, UnreachableError) as error:
            failure = error
    raise HarnessError(f"{spec.name}: {failure}")


def fetch(spec: KernelSpec, shared: Shared, cache: Cache | None = None) -> bool:
    """Take the kernel from a shared store, unless the cache has it; False if neither has it.

    Raises:
        HarnessError: the store cannot be read, or has other bytes than it says.
    """
    cache, usable = cache or Cache(cache_dir()), _usable(spec)[0]
    if isinstance(usable, ImageSource) or cache.has(_key(usable)):
        return True
    with cache.locked(_key(usable), spec.name, NoProgress()):
        return cache.has(_key(usable)) or pull(shared, cache, _key(usable))


def is_cached(spec: KernelSpec, cache: Cache | None = None) -> bool:
    """Whether ``obtain`` would return at once."""
    usable = _usable(spec)[0]
    if isinstance(usable, ImageSource):
        return usable.path.is_file()
    return (cache or Cache(cache_dir())).has(_key(usable))


def key(spec: KernelSpec) -> str:
    """The key of the kernel that ``obtain`` would return.

    Raises:
        HarnessError: none of its sources is usable here.
        UsageError: it is a ready image that is not there.
    """
    usable = _usable(spec)[0]
    return local_image(spec, usable).key if isinstance(usable, ImageSource) else _key(usable)


def state(spec: KernelSpec, cache: Cache | None = None) -> str:
    """``built``, ``on disk`` (its source is) or ``to fetch``."""
    cache = cache or Cache(cache_dir())
    if is_cached(spec, cache):
        return "built"
    usable = _usable(spec)[0]
    near = isinstance(usable, Job) and on_disk(usable.source, cache.downloads)
    return "on disk" if near else "to fetch"


def origin(spec: KernelSpec) -> str:
    """Where ``obtain`` would take the kernel from, in a few words."""
    usable = _usable(spec)[0]
    return describe(usable.source if isinstance(usable, Job) else usable)


@contextmanager
def configured(
    spec: KernelSpec,
    progress: Progress | None = None,
    cache: Cache | None = None,
    limits: Limits = LIMITS,
) -> Iterator[Make]:
    """A patched, configured tree of the kernel to look at and build in; removed at the end.

    What runs code of the tree has to go through the Make: that of an ``untrusted`` kernel has
    its sandbox around it, with these limits.

    Raises:
        UsageError: the kernel is a ready image.
        HarnessError, BuildError: as ``obtain``.
    """
    cache, progress = cache or Cache(cache_dir()), progress or NoProgress()
    jobs = [usable for usable in _usable(spec) if isinstance(usable, Job)]
    if not jobs:
        raise UsageError(f"{spec.name}: is a ready image, it has no source tree")
    with (
        one_line(spec.name, cache.root),
        cache.work_log() as log,
        work_space(jobs[0], Shop(cache, log, progress, limits=limits)) as work,
    ):
        yield work.make


def _usable(spec: KernelSpec) -> list[Usable]:
    """The sources that can be used here, at least one, those from a tree with their keys."""
    found: list[Usable] = []
    for source in spec.sources:
        if isinstance(source, ImageSource | DebianImageSource):
            found.append(source)
        elif (source_id := identity(source)) is not None:
            request = request_of(spec)
            patches = [file_sha256(patch) for patch in spec.patches]
            inputs = inputs_of(spec, source_id, patches, request)
            found.append(Job(spec, source, request, inputs, key_of(inputs)))
    if not found:
        raise HarnessError(
            f"{spec.name}: none of its sources is usable here: "
            + ", ".join(describe(source) for source in spec.sources)
        )
    return found


def _obtain(spec: KernelSpec, usable: Usable, where: Places) -> Artifact:
    if isinstance(usable, ImageSource):
        return local_image(spec, usable)
    key, cache, shared = _key(usable), where.cache, where.shared
    if not cache.has(key):
        with cache.locked(key, spec.name, where.progress):
            if not cache.has(key) and not (shared and pull(shared, cache, key)):
                _make(spec, usable, where)
    if shared:
        push(shared, cache, key)
    return _artifact(spec, key, cache)


def _make(spec: KernelSpec, usable: Job | DebianImageSource, where: Places) -> None:
    if not isinstance(usable, Job):
        unpack_packages(spec, usable, where.cache, where.progress)
        return
    shares = where.how.jobs is not None
    with nullcontext() if shares else all_cores(where.cache.kernels, spec.name, where.progress):
        build(usable, where.cache, where.progress, where.how)


def _key(usable: Job | DebianImageSource) -> str:
    return usable.key if isinstance(usable, Job) else package_key(usable)


def _artifact(spec: KernelSpec, key: str, cache: Cache) -> Artifact:
    folder = cache.folder(key)
    present = {name: folder / name for name in (SYSTEM_MAP, CONFIG) if (folder / name).is_file()}
    return Artifact(
        name=spec.name,
        key=key,
        arch=spec.arch,
        release=str(cache.metadata(key).get("release", "")),
        image=folder / IMAGE,
        system_map=present.get(SYSTEM_MAP),
        config=present.get(CONFIG),
        cmdline=spec.cmdline,
    )
