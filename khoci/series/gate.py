"""A series as kernels to read the ABI of: on its base if it was applied, else on what takes it.

For the second no linux.git is needed: of the patches only that counts which touches the files that
are kept of a release's sources.
"""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from khoci.config.kernels import release_number
from khoci.errors import BuildError, UsageError
from khoci.kernel.extract import takes
from khoci.proc import require_tool
from khoci.series import onbase
from khoci.series.fetch import Wanted, fetch
from khoci.series.known import as_kernels
from khoci.series.plumbing import Git
from khoci.series.store import find

if TYPE_CHECKING:
    from collections.abc import Iterator

    from khoci.config.kernels import Kernels, KernelSpec
    from khoci.kernel.cache import Cache
    from khoci.progress import Progress
    from khoci.series.model import Series


@dataclass(frozen=True, slots=True)
class Gate:
    """A series, what it is on, and a kernel for each of its patches.

    Attributes:
        title: of the series.
        msgid: of its cover letter, or of the only patch.
        base: the kernel without it.
        steps: the kernels with the first patch, the first two, and so on.
        subjects: of the patches.
        numbers: of the patches, as they say.
    """

    title: str
    msgid: str
    base: KernelSpec
    steps: tuple[KernelSpec, ...]
    subjects: tuple[str, ...]
    numbers: tuple[int, ...]


@contextmanager
def gate(
    name: str, onto: str | None, known: Kernels, cache: Cache, progress: Progress
) -> Iterator[Gate]:
    """The kernels of a series, by slug, message-id or path; its patches are there until the end.

    Args:
        name: of one that is stored, else what ``khoci apply-series`` takes.
        onto: the kernel to put it on, None for what it was applied to or the newest that takes it.
        known: all kernels.
        cache: where series and sources are.
        progress: told of what is waited for.

    Raises:
        UsageError: there is no such series, or no kernel takes it.
        HarnessError: it cannot be fetched, or sources cannot.
    """
    stored = None if onto else _stored(name, known, cache)
    if stored is not None:
        yield stored
        return
    with tempfile.TemporaryDirectory(prefix="khoci-") as temporary:
        folder = Path(temporary)
        series = _fetched(name, folder, cache, progress)
        paths = [folder / f"{patch.number:04}.patch" for patch in series.patches]
        for patch, path in zip(series.patches, paths, strict=True):
            path.write_bytes(patch.mail)
        base = _base(series, onto, paths, known, cache, progress)
        yield _gate(series, base, paths)


def _stored(name: str, known: Kernels, cache: Cache) -> Gate | None:
    try:
        stored = find(cache.series, name)
        kernels = as_kernels(stored, known, each_patch=True)
        on = onbase.load(stored.folder)
    except UsageError:
        return None
    return Gate(
        title=stored.series.subject,
        msgid=stored.series.msgid,
        base=kernels.base,
        steps=(*kernels.steps, kernels.whole),
        subjects=tuple(patch.subject for patch in on.patches),
        numbers=tuple(patch.number for patch in on.patches),
    )


def _fetched(name: str, folder: Path, cache: Cache, progress: Progress) -> Series:
    """The series, taken apart with the help of an empty repository."""
    repository = folder / "git"
    git = require_tool("git")
    subprocess.run([git, "init", "--quiet", "--bare", repository], check=True)
    wanted = Wanted(name=name, store=cache.series)
    series = fetch(wanted, cache.b4, Git(repository), progress).series
    if series.missing:
        raise UsageError(f"{name}: is not complete: no patch {series.missing[0]}")
    return series


def _base(
    series: Series,
    onto: str | None,
    paths: list[Path],
    known: Kernels,
    cache: Cache,
    progress: Progress,
) -> KernelSpec:
    """The kernel that is asked for, else the newest release that takes all patches."""
    names = [onto] if onto else [n for n in reversed(known.names) if release_number(n)]
    why = ""
    for name in names:
        spec = known.select(name)
        try:
            takes(_patched(spec, series, paths), cache, progress)
        except BuildError as error:
            why = why or str(error)
        else:
            return spec
    raise UsageError(f"{series.subject}: {why}; --onto KERNEL names another base")


def _gate(series: Series, base: KernelSpec, paths: list[Path]) -> Gate:
    counts = range(1, len(paths) + 1)
    return Gate(
        title=series.subject,
        msgid=series.msgid,
        base=base,
        steps=tuple(_patched(base, series, paths[:count]) for count in counts),
        subjects=tuple(patch.subject for patch in series.patches),
        numbers=tuple(patch.number for patch in series.patches),
    )


def _patched(base: KernelSpec, series: Series, paths: list[Path]) -> KernelSpec:
    return replace(
        base,
        name=f"{series.slug or 'series'}-v{series.revision}-{len(paths)}of{series.expected}",
        series=None,
        untrusted=True,
        patches=(*base.patches, *paths),
    )
