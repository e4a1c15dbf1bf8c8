"""The commit to put a series on: what it names itself, else the kernel that it fits best.

`look` reads, `in_order` and `settled` decide, `choose_base` tries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from khoci.series.apply import apply_series
from khoci.series.hunks import shown
from khoci.series.model import Outcome
from khoci.series.origin import origin_of
from khoci.series.plumbing import absent, blobs_at, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from khoci.progress import Progress
    from khoci.series.applied import Application
    from khoci.series.model import Series
    from khoci.series.origin import Origin
    from khoci.series.plumbing import Repository


_TAKEN = (Outcome.APPLIED, Outcome.ALREADY_IN)


@dataclass(frozen=True, slots=True)
class Guess:
    """A commit that may be the base, and how git names it by the nearest ref."""

    commit: str
    name: str


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that a series may go onto; ``ref`` is whatever git takes for a commit."""

    name: str
    ref: str


@dataclass(frozen=True, slots=True)
class Fit:
    """How near the files of a kernel are to those that a series was made on.

    Attributes:
        kernel: its name.
        commit: its id, '' if the tree does not have it.
        same: how many of the files that the series touches are the very ones.
        of: how many files it touches.
        gone: those that it changes, that the kernel does not have, and that the tree knows no
            other version of to merge with: the series cannot apply.
    """

    kernel: str
    commit: str
    same: int
    of: int
    gone: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the series was made on just these files, so far as it touches them."""
        return bool(self.commit) and self.same == self.of


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a kernel as base; ``applied`` of ``of`` patches became commits."""

    kernel: str
    outcome: Outcome
    applied: int
    of: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """The base that was chosen.

    Attributes:
        commit: its id; None if there is none.
        kernel: the name of the kernel that it is, or that its origin's root is; '' if none.
        why: in a few words; where there is no base, what is the matter.
        tried: the kernels that were tried, in that order.
        origin: whose it is; None as long as that is not known.
    """

    commit: str | None
    kernel: str
    why: str
    tried: tuple[Tried, ...] = ()
    origin: Origin | None = None


def wanted_blobs(series: Series) -> dict[str, str]:
    """The blob id, as it stands in the patch, that each file has before the series."""
    first: dict[str, str] = {}
    for patch in series.patches:
        for blob in patch.blobs:
            first.setdefault(blob.path, blob.old)
    return first


def fit(
    kernel: str,
    commit: str,
    wanted: Mapping[str, str],
    there: Mapping[str, str],
    unknown: Iterable[str] = (),
) -> Fit:
    """How near the blobs ``there``, by path, are to the ``wanted`` ones.

    Args:
        kernel: its name.
        commit: its id.
        wanted: as of `wanted_blobs`.
        there: full ids of the files that the kernel has.
        unknown: the wanted ids that the tree does not have.
    """
    same = sum(_is_same(old, there.get(path)) for path, old in wanted.items())
    lost = set(unknown)
    gone = tuple(path for path, old in wanted.items() if old in lost and path not in there)
    return Fit(kernel, commit, same, len(wanted), gone)


def in_order(fits: Sequence[Fit]) -> list[Fit]:
    """In which order to try kernels that are given oldest first.

    Exact ones come first: there the author worked, and a newer kernel would take the series by a
    merge at best. Of both kinds the newest comes first. Those that cannot do are left out.
    """
    hopeful = [fit for fit in reversed(fits) if fit.commit and not fit.gone]
    return sorted(hopeful, key=lambda fit: not fit.exact)


def settled(series: Series, fits: Sequence[Fit]) -> list[Tried]:
    """The outcome of those kernels that need not be tried."""
    of = series.expected
    tried = []
    for each in reversed(fits):
        if not each.commit:
            tried.append(Tried(each.kernel, Outcome.BASE_UNKNOWN, 0, of, "is not in the git tree"))
        elif each.gone:
            why = f"has no {shown(each.gone[0])}"
            tried.append(Tried(each.kernel, Outcome.CONFLICT, 0, of, why))
    return tried


def look(series: Series, kernels: Sequence[Kernel], repository: Repository) -> list[Fit]:
    """How near each kernel is; reads trees only."""
    wanted = wanted_blobs(series)
    unknown = absent(repository.git, [old for old in wanted.values() if old.strip("0")])
    fits = []
    for kernel in kernels:
        commit = resolve(repository.git, kernel.ref) or ""
        there = blobs_at(repository.git, commit, list(wanted)) if commit else {}
        fits.append(fit(kernel.name, commit, wanted, there, unknown))
    return fits


def choose_base(
    series: Series,
    kernels: Sequence[Kernel],
    repository: Repository,
    place: Path,
    progress: Progress,
    guess: Callable[[], Guess | None] = lambda: None,
) -> Base:
    """The first that takes the series: its ``base-commit``, what b4 guesses, a kernel.

    Args:
        series: a complete one.
        kernels: oldest first.
        repository: the tree to work with.
        place: the folder for workshops, below the cache.
        progress: told of each kernel that is tried.
        guess: finds the newest commit with the very files, and how git names it.

    Raises:
        HarnessError: git or the disk fails.
    """
    named = series.base_commit and resolve(repository.git, series.base_commit)
    missed, tried = _missed(series, there=bool(named)), []
    if named and origin_of(repository.git, named, chosen=False):
        done = apply_series(series, named, repository, place, set_branch=False)
        if done.outcome in _TAKEN:
            return Base(named, "", "base-commit of the series")
        tried = [_told(f"base-commit {named[:12]}", done)]
        missed = ""
    guessed = guess()
    if guessed and guessed.commit != named and _takes(series, guessed.commit, repository, place):
        why = f"{missed}b4's guess ({shown(guessed.name)}), it has the very files"
        return Base(guessed.commit, "", why, tuple(tried))
    fits = look(series, kernels, repository)
    tried += settled(series, fits)
    for each in in_order(fits):
        progress.start(f"trying {each.kernel}")
        try:
            done = apply_series(series, each.commit, repository, place, set_branch=False)
        finally:
            progress.done()
        tried.append(_told(each.kernel, done))
        if done.outcome is Outcome.APPLIED:
            return Base(each.commit, each.kernel, f"{missed}{_reason(each)}", tuple(tried))
    return Base(None, "", f"{missed}it applies to no kernel", tuple(tried))


def _takes(series: Series, commit: str, repository: Repository, place: Path) -> bool:
    done = apply_series(series, commit, repository, place, set_branch=False)
    return done.outcome in _TAKEN


def onto_all(
    series: Series,
    kernels: Sequence[Kernel],
    repository: Repository,
    place: Path,
    progress: Progress,
) -> list[tuple[Kernel, Application]]:
    """What comes of a series on each kernel; no branch is set.

    Raises:
        HarnessError: git or the disk fails.
    """
    rows = []
    progress.start("trying kernels", len(kernels))
    try:
        for kernel in kernels:
            done = apply_series(series, kernel.ref, repository, place, set_branch=False)
            rows.append((kernel, done))
            progress.advance()
    finally:
        progress.done()
    return rows


def _is_same(wanted: str, there: str | None) -> bool:
    if not wanted.strip("0"):
        return there is None
    return there is not None and there.startswith(wanted)


def _told(kernel: str, done: Application) -> Tried:
    return Tried(kernel, done.outcome, done.applied, done.of, done.why)


def _reason(fit: Fit) -> str:
    return "has the very files" if fit.exact else "the newest that takes it"


def _missed(series: Series, *, there: bool) -> str:
    if not series.base_commit:
        return ""
    why = "on no tag or remote branch of" if there else "not in"
    return f"base-commit {series.base_commit[:12]} is {why} the git tree; "
