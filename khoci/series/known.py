"""The series that are stored, as kernels beside those of the matrix."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from khoci.errors import UsageError
from khoci.results import SeriesInRun
from khoci.series import onbase
from khoci.series.kernels import SeriesKernels, kernels_of, with_series
from khoci.series.store import all_stored, find

if TYPE_CHECKING:
    from pathlib import Path

    from khoci.config.kernels import Kernels, KernelSpec
    from khoci.series.store import Stored


def all_known(known: Kernels, root: Path) -> Kernels:
    """The kernels of the matrix, and on top those of all series that are on a base.

    A series whose base is not known any more has none.
    """
    found = []
    for stored in all_stored(root):
        with suppress(UsageError):
            found.append(as_kernels(stored, known, each_patch=True))
    return with_series(known, found)


def as_kernels(stored: Stored, known: Kernels, *, each_patch: bool = False) -> SeriesKernels:
    """The kernels of a stored series.

    Raises:
        UsageError: it is on no base, or its base is not known any more.
    """
    on = onbase.load(stored.folder)
    series = stored.series
    return kernels_of(series.slug, series.revision, on, known, each_patch=each_patch)


def base_of(name: str, known: Kernels, root: Path) -> KernelSpec | None:
    """The base of the stored series that a kernel has all of, None if it is of no stored one."""
    for stored in all_stored(root):
        with suppress(UsageError):
            kernels = as_kernels(stored, known)
            if kernels.whole.name == name:
                return kernels.base
    return None


def in_run(name: str, known: Kernels, root: Path, *, each_patch: bool = False) -> SeriesInRun:
    """What a run has to know of a stored series: by slug, ``slug:vN`` or message-id.

    The revision before it is the newest of those before that are on a base.

    Raises:
        UsageError: there is no such series, or it is on no base.
    """
    stored = find(root, name)
    before = [
        each
        for each in all_stored(root)
        if each.series.slug == stored.series.slug and each.series.revision < stored.series.revision
    ]
    previous = None
    compared = [stored]
    for each in sorted(before, key=lambda each: each.series.revision):
        with suppress(UsageError):
            previous = as_kernels(each, known)
            compared = [stored, each]
    kernels, on = (
        as_kernels(stored, known, each_patch=each_patch),
        onbase.load(stored.folder),
    )
    last = on.patches if each_patch else on.patches[-1:]
    return SeriesInRun(
        label=stored.label,
        title=stored.series.subject,
        msgid=stored.series.msgid,
        kernel=kernels.whole.name,
        base=kernels.base.name,
        changed=kernels.changed,
        patches={
            name: f"patch {patch.number}/{stored.series.expected}: {patch.subject}"
            for name, patch in zip(kernels.changed, last, strict=True)
        },
        previous={previous.whole.name: previous.base.name} if previous else {},
        commits={each.label: _commits(each) for each in compared},
    )


def is_as_in_run(series: SeriesInRun, root: Path) -> bool:
    """Whether the series of a run, and the revision before, are still on the commits of then."""
    with suppress(UsageError):
        return all(_commits(find(root, label)) == then for label, then in series.commits.items())
    return False


def _commits(stored: Stored) -> str:
    on = onbase.load(stored.folder)
    return f"{on.commit}..{on.head}"
