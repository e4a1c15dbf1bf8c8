"""From a series and what the user wants it on to a base, and the series on it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from khoci.config.kernels import GitSource, TreeSource
from khoci.errors import HarnessError, UsageError
from khoci.series.applied import Application
from khoci.series.apply import apply_series, incomplete
from khoci.series.b4 import B4
from khoci.series.base import Base, Guess, Kernel, choose_base
from khoci.series.guess import guess_base
from khoci.series.model import Outcome
from khoci.series.origin import Origin, origin_of
from khoci.series.plumbing import resolve

if TYPE_CHECKING:
    from khoci.config.kernels import Kernels, KernelSpec
    from khoci.kernel.cache import Cache
    from khoci.progress import Progress
    from khoci.series.model import Series
    from khoci.series.plumbing import Repository

ALL = "all"
"""Instead of a base: say what comes of the series on each kernel."""


def kernels_with_refs(known: Kernels) -> list[Kernel]:
    """The kernels that a series may go onto: those that have sources and no patches, oldest first.

    What names one in a git tree is the ref that the matrix gives, else its own name.
    """
    specs = [known.by_name[name] for name in known.names]
    return [Kernel(spec.name, _ref(spec)) for spec in specs if _is_plain(spec)]


def _is_plain(spec: KernelSpec) -> bool:
    return not spec.patches and any(isinstance(source, TreeSource) for source in spec.sources)


def _ref(spec: KernelSpec) -> str:
    refs = (s.ref for s in spec.sources if isinstance(s, GitSource) and s.tree is None)
    return next(refs, spec.name)


def put_on(
    series: Series,
    onto: str | None,
    known: Kernels,
    repository: Repository,
    cache: Cache,
    progress: Progress,
) -> tuple[Base, Application]:
    """Apply a series on the base that it names, that fits it best, or that the user wants.

    What the user wants is a kernel's whole name, else what git takes for a commit of the tree, else
    the beginning of a kernel's name.

    Args:
        series: what to apply.
        onto: a kernel's name or whatever git takes for a commit; None to choose.
        known: the kernels of the matrix.
        repository: where the commits are, and the branch goes.
        cache: has the folders for workshops and for b4.
        progress: told of each kernel that is tried.

    Returns:
        The base, and what came of the series on it.

    Raises:
        UsageError: ``onto`` is neither, or the branch is checked out somewhere.
        HarnessError: git or the disk fails.
    """
    kernels, place = kernels_with_refs(known), cache.trees

    def guess() -> Guess | None:
        with suppress(HarnessError):  # a ref that leads nowhere, or a tree too big for b4
            return guess_base(series, repository, place, B4(cache.b4))
        return None

    if series.missing or not series.patches:
        return Base(None, "", ""), incomplete(series)
    base = (
        _wanted(onto, known, kernels, repository)
        if onto
        else choose_base(series, kernels, repository, place, progress, guess)
    )
    if base.commit is None:
        return base, Application(Outcome.BASE_UNKNOWN, series.expected, why=base.why)
    placed = with_origin(base, known, repository, chosen=onto is not None)
    return placed, apply_series(series, base.commit, repository, place)


def with_origin(base: Base, known: Kernels, repository: Repository, *, chosen: bool) -> Base:
    """A base, with whose it is and which kernel that is.

    Raises:
        UsageError: nobody knows whose it is.
        HarnessError: git fails.
    """
    commit = base.commit or ""
    if base.kernel:
        return replace(base, origin=Origin(commit))
    origin = origin_of(repository.git, commit, chosen=chosen)
    if origin is None:
        raise UsageError(
            f"{commit[:12]} is on no branch or tag of {repository.folder} but khoci's own: "
            "give it one if you trust it ('git branch')"
        )
    count = len(origin.strange)
    below = f", {count} patch{'es' if count > 1 else ''} of strangers below" if count else ""
    name = kernel_at(origin.root, known, repository)
    return replace(base, kernel=name, why=f"{base.why}{below}", origin=origin)


def kernel_at(commit: str, known: Kernels, repository: Repository) -> str:
    """The name of the kernel that a commit is, '' if it is none."""
    kernels = kernels_with_refs(known)
    found = (each.name for each in kernels if resolve(repository.git, each.ref) == commit)
    return next(found, "")


def _wanted(onto: str, known: Kernels, kernels: list[Kernel], repository: Repository) -> Base:
    commit = None if onto in known.by_name else resolve(repository.git, onto)
    if commit is not None:
        return Base(commit, "", "as --onto says")
    try:
        name = known.select(onto).name
    except UsageError as error:
        raise UsageError(f"--onto {onto}: is no commit of the tree, and {error}") from None
    kernel = next((each for each in kernels if each.name == name), None)
    if kernel is None:
        raise UsageError(f"--onto {onto}: {name} has no sources without patches")
    commit = resolve(repository.git, kernel.ref)
    if commit is None:
        raise UsageError(
            f"--onto {onto}: {repository.folder} has no {kernel.ref}: fetch its tag, "
            f"or 'khoci tree init {onto}' and work with that tree"
        )
    return Base(commit, name, "as --onto says")
