"""What came of a series, in words for a terminal. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from khoci.series.hunks import shown
from khoci.series.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from khoci.series.applied import Application, Step
    from khoci.series.base import Base, Kernel, Tried
    from khoci.series.model import Series

_UNTRIED = "not tried"
_MOST_MISFITS = 5
_LONGEST_TITLE = 200


def title(subject: str) -> str:
    """A subject for a terminal; of one without end the beginning."""
    text = shown(subject)
    return text if len(text) <= _LONGEST_TITLE else f"{text[: _LONGEST_TITLE - 3]}..."


def heading(series: Series) -> Iterator[str]:
    """What the series is: subject, author, revision, what it names as its base."""
    first = series.patches[0].author if series.patches else ""
    count = f"{len(series.patches)} of {series.expected}" if series.missing else series.expected
    patches = "patch" if series.expected == 1 else "patches"
    yield title(series.subject)
    yield f"  v{series.revision}, {count} {patches}, by {shown(first)}, {shown(series.msgid)}"
    if series.newest > series.revision:
        yield f"  there is a newer revision: v{series.newest} (--revision {series.newest})"
    if series.prerequisites:
        yield f"  it needs {len(series.prerequisites)} patches that are not part of it"
    for line in series.attestation:
        yield f"  attestation: {shown(line)}"
    for note in series.notes:
        yield f"  note: {shown(note)}"


def contents(series: Series) -> Iterator[str]:
    """A line a patch."""
    for patch in series.patches:
        yield f"  {patch.number}/{series.expected} {title(patch.subject)}"


def result(base: Base, done: Application) -> Iterator[str]:
    """The base, and what came of each patch."""
    if done.base:
        name = f"{base.kernel} ({done.base[:12]})" if base.kernel else done.base[:12]
        yield f"base: {name}: {base.why}"
    for tried in base.tried:
        if tried.outcome is not Outcome.BASE_UNKNOWN:
            yield f"  tried {_tried(tried)}"
    gone = [tried.kernel for tried in base.tried if tried.outcome is Outcome.BASE_UNKNOWN]
    if gone:
        yield f"  not in the git tree: {', '.join(gone)}"
    for step in done.steps:
        yield f"  {step.number}/{done.of} {_step(step)}: {title(step.subject)}"
        for path in step.elsewhere:
            yield f"      the merge changed {shown(path)}, which the patch does not name"
    if done.outcome is not Outcome.APPLIED:
        named = done.outcome is Outcome.CONFLICT
        yield shown(done.why) if named else f"{done.outcome}: {shown(done.why)}"
        yield from _misfits(done)


def _misfits(done: Application) -> Iterator[str]:
    for each in done.misfits[:_MOST_MISFITS]:
        yield f"  {shown(each.path)}: {shown(each.why)}"
        for line in each.lacks:
            yield f"    the base has no line '{shown(line)}'"
    if len(done.misfits) > _MOST_MISFITS:
        yield f"  and {len(done.misfits) - _MOST_MISFITS} files more"


def _step(step: Step) -> str:
    outcome = str(step.outcome or _UNTRIED)
    return f"{outcome} by a merge" if step.three_way else outcome


def _tried(tried: Tried) -> str:
    why = _first(tried.why)
    said = why if why.startswith(tried.outcome) else f"{tried.outcome}: {why}"
    return f"{tried.kernel}: {said if why else tried.outcome}"


def _first(why: str) -> str:
    """The first reason of several."""
    return shown(why.partition("; ")[0])


def by_kernel(rows: Sequence[tuple[Kernel, Application]]) -> Iterator[str]:
    """A line a kernel: what came of the series on it."""
    width = max((len(kernel.name) for kernel, _ in rows), default=0)
    for kernel, done in rows:
        yield f"{kernel.name:<{width}}  {_brief(done)}"


def _brief(done: Application) -> str:
    inside = f", already in: {_numbers(done.already_in)}" if done.already_in else ""
    if done.outcome is Outcome.APPLIED:
        merged = [step.number for step in done.steps if step.three_way]
        merge = f", by a merge: {_numbers(merged)}" if merged else ""
        return f"applied {done.applied} of {done.of}{merge}{inside}"
    if done.outcome is Outcome.CONFLICT:
        return f"{_first(done.why)} (applied {done.applied}{inside})"
    return f"{done.outcome}: {_first(done.why)}"


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
